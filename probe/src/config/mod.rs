//! The files that a user writes: what a check is not to fail for (`check_suppressions`), which findings of `audit` are known
//! (`audit_suppressions`), and, here, the configuration of the agent. That is a TOML file in which every key is optional, and
//! what the command line and the environment put in the place of its keys.
//!
//! Owns names, defaults and limits of all keys (docs/agent.md describes them), and how a fault is told: by file, line, key and
//! what is allowed. Must not know what is done with a value.

pub mod audit_suppressions;
pub mod check_suppressions;
mod error;
mod receivers;
mod value;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use error::ConfigError;
pub use receivers::{Exec, Journald, Otlp, Profiles, Syslog, Webhook};

use crate::{
    agent::{Limits, PidRules, Rules, Silence},
    analysis::Pattern,
    cli::{AgentArgs, LinesTo, Listen, nanoseconds},
    report::{CauseKind, CommandLines},
};

/// Longest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// Most silences.
const SILENCES_MAX: usize = 1_024;

/// The text of a file, if it is no longer than is read. A device has no length, so what is read is counted.
fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |why: String| ConfigError::unreadable(path, why);
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text)).map_err(|error| {
        match error.kind() {
            ErrorKind::NotFound => ConfigError::missing(path),
            _ => unreadable(error.to_string()),
        }
    })?;
    if text.len() as u64 > FILE_MAX {
        return Err(unreadable(format!("it is larger than {FILE_MAX} bytes")));
    }
    Ok(text)
}

/// What a file says, or what is wrong with it, and where.
fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::at(text, error.span(), error.message()))
}

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often metrics and alerts are brought up to date.
    #[serde(with = "value::interval")]
    pub interval: Duration,
    /// A dead child left unreaped for longer than this counts against its parent.
    #[serde(with = "value::duration")]
    pub grace: Duration,
    /// How much of command lines leaves the host.
    pub command_lines: CommandLines,
    pub prometheus: Prometheus,
    pub workloads: Workloads,
    pub pids: Pids,
    pub alerts: Alerts,
    pub syslog: Syslog,
    pub journald: Journald,
    pub otlp: Otlp,
    pub webhook: Webhook,
    pub exec: Exec,
    pub profiles: Profiles,
    pub orphans: Orphans,
}

/// The page of metrics.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// Address and port.
    #[serde(with = "value::listen")]
    pub listen: Listen,
    /// File that says how they are protected, as Prometheus' exporters have it; empty: not at all.
    #[serde(with = "value::optional_path")]
    pub web_config: Option<PathBuf>,
}

/// Where the origins of orphans are kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orphans {
    /// The file, or `none`.
    #[serde(with = "value::optional_path")]
    pub file: Option<PathBuf>,
}

/// How much is counted apart.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workloads {
    /// Most workloads with series of their own.
    #[serde(deserialize_with = "value::within::<_, 1, 10_000>")]
    pub max: u64,
    /// Most parents that are named in metrics.
    #[serde(deserialize_with = "value::within::<_, 0, 1_000>")]
    pub max_parents: u64,
    /// A workload without a living parent for so long makes room for another, if there is no other room.
    #[serde(with = "value::duration")]
    pub idle_after: Duration,
}

/// Limits on processes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pids {
    /// Most limits with series of their own.
    #[serde(deserialize_with = "value::within::<_, 0, 256>")]
    pub max: u64,
    /// A limit is told of when more than this part of it is in use, in percent.
    #[serde(deserialize_with = "value::within::<_, 1, 100>")]
    pub used_over: u64,
    /// Or when forks will fail within this time if it goes on like this.
    #[serde(with = "value::duration")]
    pub exhausted_within: Duration,
}

/// What a person is told, and where.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// A file, standard output, or nowhere.
    #[serde(with = "value::lines_to")]
    pub output: LinesTo,
    /// Fewest unreaped children that raise an alert of a leak.
    #[serde(deserialize_with = "value::within::<_, 1, 4_194_304>")]
    pub least_unreaped: u64,
    /// Fewest late reaps in one interval that raise an alert.
    #[serde(deserialize_with = "value::within::<_, 1, 4_194_304>")]
    pub least_late: u64,
    /// A thing is over when it has not been seen for so long.
    #[serde(with = "value::duration")]
    pub over_after: Duration,
    /// What is not told.
    #[serde(deserialize_with = "value::at_most::<_, _, SILENCES_MAX>")]
    pub silence: Vec<SilenceOf>,
}

/// What is not told of. All that it names must be so; it names at least one thing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "SilenceKeys", into = "SilenceKeys")]
pub struct SilenceOf(SilenceKeys);

/// The keys of a silence.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct SilenceKeys {
    /// The short name of a parent; `*` stands for any text.
    #[serde(with = "value::pattern", skip_serializing_if = "Option::is_none")]
    command: Option<Pattern>,
    /// The name of a workload; `*` stands for any text.
    #[serde(with = "value::pattern", skip_serializing_if = "Option::is_none")]
    workload: Option<Pattern>,
    /// The strongest cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseKind>,
    /// When it ends.
    #[serde(with = "value::time", skip_serializing_if = "Option::is_none")]
    until: Option<jiff::Timestamp>,
}

impl TryFrom<SilenceKeys> for SilenceOf {
    type Error = &'static str;

    fn try_from(keys: SilenceKeys) -> Result<Self, Self::Error> {
        if keys.command.is_none() && keys.workload.is_none() && keys.cause.is_none() {
            return Err(
                "a silence must name a command, a workload or a cause: without one it would silence everything",
            );
        }
        Ok(Self(keys))
    }
}

impl From<SilenceOf> for SilenceKeys {
    fn from(silence: SilenceOf) -> Self {
        silence.0
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            grace: Duration::from_secs(5),
            command_lines: CommandLines::Redacted,
            prometheus: Prometheus::default(),
            workloads: Workloads::default(),
            pids: Pids::default(),
            alerts: Alerts::default(),
            syslog: Syslog::default(),
            journald: Journald::default(),
            otlp: Otlp::default(),
            webhook: Webhook::default(),
            exec: Exec::default(),
            profiles: Profiles::default(),
            orphans: Orphans::default(),
        }
    }
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { listen: Listen::At(([127, 0, 0, 1], 9779).into()), web_config: None }
    }
}

impl Default for Workloads {
    fn default() -> Self {
        Self { max: 100, max_parents: 64, idle_after: Duration::from_secs(600) }
    }
}

impl Default for Pids {
    fn default() -> Self {
        Self { max: 32, used_over: 90, exhausted_within: Duration::from_secs(3_600) }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            output: LinesTo::StandardOutput,
            least_unreaped: 1,
            least_late: 1,
            over_after: Duration::from_secs(60),
            silence: Vec::new(),
        }
    }
}

impl Config {
    /// The configuration that these arguments ask for: the file's, if they name one, with what they put in the place of its
    /// keys.
    pub fn load(args: &AgentArgs) -> Result<Self, ConfigError> {
        let config = match &args.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        Ok(config.overridden(args))
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_text(path)?).map_err(|error| error.in_file(path))
    }

    fn parse(text: &str) -> Result<Self, ConfigError> {
        from_toml(text)
    }

    fn overridden(mut self, args: &AgentArgs) -> Self {
        self.interval = args.interval.unwrap_or(self.interval);
        self.grace = args.grace.unwrap_or(self.grace);
        self.prometheus.listen = args.listen.unwrap_or(self.prometheus.listen);
        if let Some(output) = &args.alerts {
            self.alerts.output = output.clone();
        }
        self
    }

    /// All of it as TOML, as a file would have it.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# cannot be written as TOML: {error}\n"))
    }

    pub fn limits(&self) -> Limits {
        Limits {
            workloads: self.workloads.max as usize,
            parents: self.workloads.max_parents as usize,
            pid_limits: self.pids.max as usize,
            idle_ns: nanoseconds(self.workloads.idle_after),
        }
    }

    pub fn rules(&self) -> Rules {
        let silence = |SilenceOf(keys): &SilenceOf| Silence {
            command: keys.command.clone(),
            workload: keys.workload.clone(),
            cause: keys.cause,
            until_ns: keys.until.map(jiff::Timestamp::as_nanosecond),
        };
        Rules {
            least_unreaped: self.alerts.least_unreaped,
            least_late: self.alerts.least_late,
            over_after_ns: nanoseconds(self.alerts.over_after),
            pids: PidRules {
                used_over_percent: self.pids.used_over,
                exhausted_within_ns: nanoseconds(self.pids.exhausted_within),
            },
            command_lines: self.command_lines,
            silences: self.alerts.silence.iter().map(silence).collect(),
        }
    }
}
