//! What is sent to a receiver of OTLP, and how.
//!
//! Must not know what a request says.

use std::{fmt, str::FromStr};

use super::super::outgoing::{Protocol, Receiver};
use crate::render::gzip::gzip;

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Protobuf in the body of a POST.
    Http,
    Grpc,
}

/// How requests are made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
}

/// What is sent where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub receiver: Receiver,
    pub transport: Transport,
    pub compression: Compression,
    pub metrics: bool,
    pub logs: bool,
}

impl Transport {
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Http => Protocol::Http1,
            Self::Grpc => Protocol::Http2,
        }
    }
}

impl Compression {
    pub fn packed(self, request: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(request),
            Self::Gzip => gzip(&request),
        }
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "http" => Ok(Self::Http),
            "grpc" => Ok(Self::Grpc),
            _ => Err("not a transport: write http or grpc".to_owned()),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        })
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            _ => Err("not a compression: write none or gzip".to_owned()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        })
    }
}
