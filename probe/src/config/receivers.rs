//! Where the agent sends metrics and alerts, beside the page of metrics and the lines: all of it off unless asked for.
//!
//! Must not know how anything is sent.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::value;
use crate::sink::{
    exec, otlp,
    outgoing::{Headers, HttpUrl, Receiver, TlsFiles},
    profiles, syslog,
};

/// Most arguments of a program.
const ARGUMENTS_MAX: usize = 64;

/// Alerts by syslog.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Syslog {
    /// The receiver, or `none`.
    #[serde(with = "value::syslog")]
    pub to: Option<syslog::Receiver>,
    pub facility: Facility,
}

/// The facility of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Facility {
    User = 1,
    #[default]
    Daemon = 3,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}

/// Alerts to the journal.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journald {
    pub enabled: bool,
    #[serde(with = "value::path")]
    pub socket: PathBuf,
}

/// Metrics and alerts by OTLP.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otlp {
    /// The receiver, or `none`.
    #[serde(with = "value::url")]
    pub endpoint: Option<HttpUrl>,
    #[serde(with = "value::transport")]
    pub transport: otlp::Transport,
    #[serde(with = "value::compression")]
    pub compression: otlp::Compression,
    pub metrics: bool,
    pub logs: bool,
    /// A file with headers, or `none`.
    #[serde(with = "value::optional_path")]
    pub headers_file: Option<PathBuf>,
    #[serde(with = "value::headers")]
    pub headers: Headers,
    pub tls: Tls,
}

/// TLS towards a receiver.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "TlsKeys", into = "TlsKeys")]
pub struct Tls(TlsFiles);

/// The keys of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct TlsKeys {
    /// Certificate authorities in place of the system's, or `none`.
    #[serde(with = "value::optional_path")]
    ca_file: Option<PathBuf>,
    /// The certificate by which the receiver knows the agent, or `none`.
    #[serde(with = "value::optional_path")]
    cert_file: Option<PathBuf>,
    /// Its key, or `none`.
    #[serde(with = "value::optional_path")]
    key_file: Option<PathBuf>,
}

impl TryFrom<TlsKeys> for Tls {
    type Error = &'static str;

    fn try_from(keys: TlsKeys) -> Result<Self, Self::Error> {
        let identity = match (keys.cert_file, keys.key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("cert_file and key_file belong together: give both or neither"),
        };
        Ok(Self(TlsFiles { ca_file: keys.ca_file, identity }))
    }
}

impl From<Tls> for TlsKeys {
    fn from(Tls(files): Tls) -> Self {
        let (cert_file, key_file) = files.identity.unzip();
        Self { ca_file: files.ca_file, cert_file, key_file }
    }
}

/// Alerts to a webhook.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// The receiver, or `none`.
    #[serde(with = "value::url")]
    pub url: Option<HttpUrl>,
    /// A file with headers, or `none`.
    #[serde(with = "value::optional_path")]
    pub headers_file: Option<PathBuf>,
    #[serde(with = "value::headers")]
    pub headers: Headers,
    pub tls: Tls,
}

/// Alerts to a program.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exec {
    /// The program, or `none`.
    #[serde(with = "value::optional_path")]
    pub program: Option<PathBuf>,
    #[serde(deserialize_with = "value::at_most::<_, _, ARGUMENTS_MAX>")]
    pub arguments: Vec<String>,
    #[serde(with = "value::time_limit")]
    pub within: Duration,
}

/// Profiles of forks to files, and to a server.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profiles {
    /// The directory, or `none`.
    #[serde(with = "value::optional_path")]
    pub directory: Option<PathBuf>,
    /// How often one is written.
    #[serde(with = "value::interval")]
    pub every: Duration,
    /// How many files are kept.
    #[serde(deserialize_with = "value::within::<_, 1, 10_000>")]
    pub keep: u64,
    /// The server, or `none`.
    #[serde(with = "value::url")]
    pub url: Option<HttpUrl>,
    /// A file with headers, or `none`.
    #[serde(with = "value::optional_path")]
    pub headers_file: Option<PathBuf>,
    #[serde(with = "value::headers")]
    pub headers: Headers,
    pub tls: Tls,
}

impl Default for Profiles {
    fn default() -> Self {
        Self {
            directory: None,
            every: Duration::from_secs(3_600),
            keep: 24,
            url: None,
            headers_file: None,
            headers: Headers::default(),
            tls: Tls::default(),
        }
    }
}

impl Profiles {
    /// What is asked for, if anything is.
    pub fn settings(&self) -> Option<profiles::Settings> {
        let directory = self.directory.clone()?;
        Some(profiles::Settings { directory, keep: self.keep as usize })
    }

    /// The server that is asked for, if one is.
    pub fn receiver(&self) -> Option<Receiver> {
        receiver(&self.url, &self.tls, &self.headers, &self.headers_file)
    }

    /// Whether anybody wants profiles.
    pub fn are_wanted(&self) -> bool {
        self.directory.is_some() || self.url.is_some()
    }
}

impl Default for Journald {
    fn default() -> Self {
        Self { enabled: false, socket: "/run/systemd/journal/socket".into() }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: None,
            transport: otlp::Transport::Http,
            compression: otlp::Compression::None,
            metrics: true,
            logs: true,
            headers_file: None,
            headers: Headers::default(),
            tls: Tls::default(),
        }
    }
}

impl Default for Exec {
    fn default() -> Self {
        Self { program: None, arguments: Vec::new(), within: Duration::from_secs(10) }
    }
}

impl Otlp {
    /// What is asked for, if anything is.
    pub fn settings(&self) -> Option<otlp::Settings> {
        let receiver = receiver(&self.endpoint, &self.tls, &self.headers, &self.headers_file)
            .filter(|_| self.metrics || self.logs)?;
        let Self { transport, compression, metrics, logs, .. } = *self;
        Some(otlp::Settings { receiver, transport, compression, metrics, logs })
    }
}

impl Webhook {
    /// The receiver that is asked for, if one is.
    pub fn receiver(&self) -> Option<Receiver> {
        receiver(&self.url, &self.tls, &self.headers, &self.headers_file)
    }
}

fn receiver(
    url: &Option<HttpUrl>,
    Tls(tls): &Tls,
    headers: &Headers,
    headers_file: &Option<PathBuf>,
) -> Option<Receiver> {
    let url = url.clone()?;
    Some(Receiver { url, tls: tls.clone(), headers: headers.clone(), headers_file: headers_file.clone() })
}

impl Exec {
    /// What is asked for, if anything is.
    pub fn settings(&self) -> Option<exec::Settings> {
        let program = self.program.clone()?;
        Some(exec::Settings { program, arguments: self.arguments.clone(), within: self.within })
    }
}
