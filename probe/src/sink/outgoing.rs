//! Connections to receivers: to whom, within which time, with which trust, and one request over HTTP with its answer.
//!
//! A connection serves one delivery and is then closed, so that none is found broken when it is needed. Owns limits on what a
//! receiver may answer. Must not know what is sent, or when it is tried again.

mod address;
mod destination;
mod headers;
mod http;
mod tls;

pub use address::{Address, HttpUrl};
pub use destination::{Destination, Receiver};
pub use headers::Headers;
pub use http::{Answer, Protocol};
pub use tls::TlsFiles;

use std::{io, time::Duration};

use tokio::net::TcpStream;

/// An address that does not answer is given up after this time, so that there is time left for the next one.
const CONNECTS_WITHIN: Duration = Duration::from_secs(3);

/// A connection to the first address of a host that answers.
pub async fn connect(to: &Address) -> Result<TcpStream, String> {
    let addresses = resolve(to).await?;
    let mut why = format!("the name {} has no address", to.host);
    for address in addresses {
        match tokio::time::timeout(CONNECTS_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = format!("cannot connect to {address}: {error}"),
            Err(_) => why = format!("cannot connect to {address}: it does not answer"),
        }
    }
    Err(why)
}

/// All addresses of a host.
pub async fn resolve(to: &Address) -> Result<Vec<std::net::SocketAddr>, String> {
    let resolved: io::Result<_> = tokio::net::lookup_host((to.host.as_str(), to.port)).await;
    match resolved {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(format!("cannot find the address of {}: {error}", to.host)),
    }
}

#[cfg(test)]
#[path = "outgoing/hostile_tests.rs"]
mod hostile_tests;
#[cfg(test)]
#[path = "outgoing/tls_tests.rs"]
mod tls_tests;
