//! The files that a user writes: the suppressions of a check (`suppressions`), and, here, the configuration of the agent. That is
//! a TOML file in which every key is optional, and what the command line and the environment put in the place of its keys.
//!
//! Owns names, defaults and limits of all keys (docs/agent.md describes them), and how a fault is told: by file, line, key and
//! what is allowed. Must not know what is done with a value.

mod error;
pub mod suppressions;
mod value;

#[cfg(test)]
mod tests;

use std::{path::Path, time::Duration};

use serde::{Deserialize, Serialize};

pub use error::ConfigError;

use crate::{
    agent::{Limits, Pattern, Rules, Silence},
    cli::{AgentArgs, LinesTo, Listen, nanoseconds},
    report::CauseKind,
};

/// Longest file that is read.
const FILE_MAX: u64 = 1 << 20;
/// Most silences.
const SILENCES_MAX: usize = 1_024;

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
    pub prometheus: Prometheus,
    pub workloads: Workloads,
    pub alerts: Alerts,
}

/// The page of metrics.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// Address and port.
    #[serde(with = "value::listen")]
    pub listen: Listen,
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

/// What a person is told, and where.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// A file, standard output, or nowhere.
    #[serde(with = "value::lines_to")]
    pub output: LinesTo,
    /// A leak is told of from so many unreaped children on.
    #[serde(deserialize_with = "value::within::<_, 1, 4_194_304>")]
    pub least_unreaped: u64,
    /// Late reaps are told of from so many in one interval on.
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
            prometheus: Prometheus::default(),
            workloads: Workloads::default(),
            alerts: Alerts::default(),
        }
    }
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { listen: Listen::At(([127, 0, 0, 1], 9779).into()) }
    }
}

impl Default for Workloads {
    fn default() -> Self {
        Self { max: 100, max_parents: 64, idle_after: Duration::from_secs(600) }
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
        let unreadable = |why: String| ConfigError::unreadable(path, why);
        let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > FILE_MAX {
            return Err(unreadable(format!("it is larger than {FILE_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(&text).map_err(|error| error.in_file(path))
    }

    fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::at(text, error.span(), error.message()))
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
            silences: self.alerts.silence.iter().map(silence).collect(),
        }
    }
}
