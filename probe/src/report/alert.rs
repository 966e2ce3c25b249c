//! A line for a person's attention: something begins to be wrong, its cause becomes known, or it is over.
//!
//! Owns names and order of its fields. Must not know when one is due, or how it is delivered.

use serde::Serialize;

use super::{Cause, Lost, Rfc3339, Verdict, Workload, pids::PidLimit};

/// The value of `schema`; changes only when a field changes its meaning or goes.
pub const SCHEMA: &str = "reapwatch.alert/1";

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// When it was noticed.
    pub time: Rfc3339,
    /// What it is about.
    pub alert: AlertKind,
    /// What has happened to it.
    pub state: AlertState,
    /// The same for all lines about one thing, and for no other.
    pub id: String,
    /// It in one sentence.
    pub text: String,
    /// The workload and the parent it is about; absent for `loss` and `pids`.
    #[serde(flatten)]
    pub parent: Option<AlertParent>,
    /// The limit on processes that it is about, as it was when it was last pressing; absent but for `pids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_limit: Option<PidLimit>,
    /// What was lost since the last line about losses; absent but for `loss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// How long it lasted, in ns; absent before it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasted_ns: Option<u64>,
}

/// How much an alert asks for attention. The names and numbers are those of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something is wrong.
    Warning = 4,
    /// Something is not as it should be.
    Notice = 5,
    /// Something is good again.
    Informational = 6,
}

impl Alert {
    /// Inputs that were lost, leaks and limits that are about to be reached are warnings; what is late is worth a notice; what is over is good to know.
    pub fn severity(&self) -> Severity {
        match (self.state, self.alert) {
            (AlertState::Over, _) => Severity::Informational,
            (_, AlertKind::Leak | AlertKind::Loss | AlertKind::Pids) => Severity::Warning,
            (_, AlertKind::Slow) => Severity::Notice,
        }
    }

    /// About how much memory it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let of_parent = |parent: &AlertParent| {
            let of_cause = |cause: &Cause| {
                cause.fix.len() + cause.now.len() + cause.evidence.iter().map(String::len).sum::<usize>()
            };
            parent.comm.len() + parent.executable.len() + parent.cause.as_ref().map_or(0, of_cause)
        };
        size_of::<Self>() + self.id.len() + self.text.len() + self.parent.as_ref().map_or(0, of_parent)
    }
}

/// The parent that an alert is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertParent {
    /// What it is part of; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// When it was born.
    pub start_time: Rfc3339,
    /// Its short name.
    pub comm: String,
    /// The path of its program; empty where it is not known.
    pub executable: String,
    /// Its arguments, as far as `command_lines` of the configuration has them told; empty where they are not known.
    pub command_line: Vec<String>,
    /// Whether it lives.
    pub alive: bool,
    /// The verdict on it. This and what follows is as it was when it was last so.
    pub verdict: Verdict,
    /// Dead children that it has not reaped.
    pub unreaped: u64,
    /// How long the oldest of them has waited, in ns.
    pub oldest_unreaped_ns: u64,
    /// The strongest cause; absent where none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// What an alert is about. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A parent leaves dead children unreaped.
    Leak,
    /// A parent reaps late.
    Slow,
    /// reapwatch lost inputs: counts may be too low, and causes may be missing.
    Loss,
    /// A limit on processes is nearly reached, or will be soon.
    Pids,
}

impl AlertKind {
    /// Its name in JSON and in the id of an alert.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Slow => "slow",
            Self::Loss => "loss",
            Self::Pids => "pids",
        }
    }
}

/// What has happened to what an alert is about. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It was found.
    Found,
    /// Its cause has become known.
    CauseKnown,
    /// It is over.
    Over,
}

impl AlertState {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::CauseKnown => "cause_known",
            Self::Over => "over",
        }
    }
}
