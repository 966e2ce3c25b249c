//! What a report says as a check in CI: what was suppressed and by which rule, whether the check failed and why, and what
//! became of the processes that `run --left-running kill` ended; and what was left under which label.
//!
//! Owns the names. Must not know how a rule is read, or how a process is ended.

use serde::{Deserialize, Serialize};

use super::{CauseKind, Verdict};

/// What was left under one label: `REAPWATCH_LABEL` in the environment of a program when it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Labelled {
    /// The label.
    pub label: String,
    /// Parents that were started under it.
    pub parents: u64,
    /// Their zombies, and zombies of others that were started under it.
    pub unreaped: u64,
    /// The same of those that a parent left behind when it died.
    pub abandoned: u64,
    /// Processes that were left running and were started under it.
    pub left_running: u64,
}

/// A suppression and what it suppressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppression {
    /// Its name.
    pub name: String,
    /// How many listed parents it named.
    pub parents: u64,
    /// The dead children that these left unreaped or abandoned.
    pub children: u64,
    /// How many processes that were left running it named.
    pub left_running: u64,
}

impl Suppression {
    /// Whether it named anything.
    pub fn is_used(&self) -> bool {
        self.parents > 0 || self.left_running > 0
    }
}

/// What the check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whether it failed: then the exit code is `exit_code`, else that of the command.
    pub failed: bool,
    /// Why; empty where it did not fail.
    pub failures: Vec<CheckFailure>,
    /// What was asked for with `--error-exitcode`.
    pub exit_code: u8,
}

/// Why a check failed. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckFailure {
    /// The finding is `leak`.
    Leak,
    /// Processes were left running, which `--left-running fail` forbids, or did not end under `--left-running kill`.
    LeftRunning,
}

impl CheckFailure {
    /// Its name in text.
    pub fn words(self) -> &'static str {
        match self {
            Self::Leak => "a leak",
            Self::LeftRunning => "processes that were left running",
        }
    }
}

/// What a suppression can be limited to. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppressible {
    /// A parent with this verdict.
    NeverReaps,
    /// A parent with this verdict.
    Leaking,
    /// A parent with this verdict.
    Slow,
    /// A parent with this verdict.
    Held,
    /// A parent with this verdict.
    Undecided,
    /// A process that was left running.
    LeftRunning,
}

impl Suppressible {
    /// That of a parent; `None` where there is nothing to suppress.
    pub fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::NeverReaps => Some(Self::NeverReaps),
            Verdict::Leaking => Some(Self::Leaking),
            Verdict::Slow => Some(Self::Slow),
            Verdict::Held => Some(Self::Held),
            Verdict::Undecided => Some(Self::Undecided),
            Verdict::Healthy => None,
        }
    }

    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverReaps => "never_reaps",
            Self::Leaking => "leaking",
            Self::Slow => "slow",
            Self::Held => "held",
            Self::Undecided => "undecided",
            Self::LeftRunning => "left_running",
        }
    }
}

/// A rule that would suppress something that was found. In its texts `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuggestedRule {
    /// A name that no other rule has.
    pub name: String,
    /// What was found.
    pub finding: Suppressible,
    /// The short name of the process; `None` where it has none.
    pub command: Option<String>,
    /// The path of its program; `None` where it is not known.
    pub executable: Option<String>,
    /// The strongest cause, if there is one.
    pub cause: Option<CauseKind>,
    /// The function that forks, if it is known.
    pub function: Option<String>,
}

/// How a process that was left running ended. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Before any signal was sent to it.
    ByItself,
    /// After SIGTERM.
    Terminated,
    /// After SIGKILL, because SIGTERM did not end it in time.
    Killed,
    /// It did not end.
    Survived,
    /// It may not be signalled: it belongs to another user.
    NotPermitted,
}

impl Ended {
    /// What became of it, in text.
    pub fn words(self) -> &'static str {
        match self {
            Self::ByItself => "ended by itself",
            Self::Terminated => "ended by SIGTERM",
            Self::Killed => "ended by SIGKILL",
            Self::Survived => "did not end",
            Self::NotPermitted => "may not be signalled",
        }
    }

    /// Whether it is still there.
    pub fn is_left(self) -> bool {
        matches!(self, Self::Survived | Self::NotPermitted)
    }
}
