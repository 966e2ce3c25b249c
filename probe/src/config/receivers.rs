//! Where the agent sends metrics and alerts, beside the page of metrics and the lines: all of it off unless asked for.
//!
//! Must not know how anything is sent.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::value;
use crate::sink::{exec, otlp, outgoing::HttpUrl, profiles, syslog};

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
    pub metrics: bool,
    pub logs: bool,
}

/// Alerts to a webhook.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// The receiver, or `none`.
    #[serde(with = "value::url")]
    pub url: Option<HttpUrl>,
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

/// Profiles of forks to files.
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
}

impl Default for Profiles {
    fn default() -> Self {
        Self { directory: None, every: Duration::from_secs(3_600), keep: 24 }
    }
}

impl Profiles {
    /// What is asked for, if anything is.
    pub fn settings(&self) -> Option<profiles::Settings> {
        let directory = self.directory.clone()?;
        Some(profiles::Settings { directory, keep: self.keep as usize })
    }
}

impl Default for Journald {
    fn default() -> Self {
        Self { enabled: false, socket: "/run/systemd/journal/socket".into() }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self { endpoint: None, transport: otlp::Transport::Http, metrics: true, logs: true }
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
        let endpoint = self.endpoint.clone().filter(|_| self.metrics || self.logs)?;
        Some(otlp::Settings { endpoint, transport: self.transport, metrics: self.metrics, logs: self.logs })
    }
}

impl Exec {
    /// What is asked for, if anything is.
    pub fn settings(&self) -> Option<exec::Settings> {
        let program = self.program.clone()?;
        Some(exec::Settings { program, arguments: self.arguments.clone(), within: self.within })
    }
}
