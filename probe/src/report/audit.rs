//! What `audit` found, in the form that is published (`schemas/audit.schema.json`).
//!
//! Owns names, order and units of what is read as JSON. Must not know how processes are looked at, or how it is written.
//! Texts are valid UTF-8 but unescaped: `render` escapes.

use serde::{Deserialize, Serialize};

use super::{Rfc3339, Workload};

/// The value of `schema`; changes only when a field changes its meaning or goes.
pub const SCHEMA: &str = "reapwatch.audit/1";

/// The processes of a host that should not be there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditReport {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The finding in a sentence. JSON does not have it: what a script needs is in `findings`.
    #[serde(skip)]
    pub headline: String,
    /// When the last look was taken.
    pub time: Rfc3339,
    /// From the first look to the last, in ns; 0 where one look was enough, because it showed nothing.
    pub looked_for_ns: u64,
    /// Processes looked at; threads of the kernel are none.
    pub processes: u64,
    /// Only processes that started within this time before are listed, in ns; null: all.
    pub since_ns: Option<u64>,
    /// The surest first: at most 4,096.
    pub findings: Vec<AuditFinding>,
    /// Findings beyond as many as are listed.
    pub not_listed: u64,
    /// Findings that the suppressions leave out.
    pub suppressed: u64,
    /// Findings on processes that are older than `since_ns`.
    pub older: u64,
    /// What could not be seen, one sentence each.
    pub not_seen: Vec<String>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditFinding {
    /// What is the matter.
    pub kind: GhostKind,
    /// How sure that is.
    pub confidence: Confidence,
    /// It rests on conclusions from what the kernel still says, because nobody watched when it happened.
    pub inferred: bool,
    /// Whom it is about. Of zombies the parent that has to reap them.
    pub process: AuditProcess,
    /// How many processes it is about: zombies of that parent; else the process and its descendants.
    pub count: u64,
    /// Others that belong to it, at most 16.
    pub related: Vec<Related>,
    /// What it rests on, one sentence each.
    pub evidence: Vec<String>,
    /// What helps, the first thing first; empty where no command does.
    pub commands: Vec<Way>,
}

/// What is the matter with a process. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GhostKind {
    /// Dead children that it does not reap.
    Zombie,
    /// The same service as a managed one, started by hand.
    Duplicate,
    /// It runs on though what started it has ended.
    Orphan,
    /// Its code on disk is another by now.
    Stale,
    /// A test or a build that runs for more than a day, and nobody looks at it.
    LongRunning,
    /// It sleeps in the kernel, and no signal wakes it.
    Uninterruptible,
    /// It has begun to exit, and the kernel is not done with it.
    StuckInExit,
}

impl GhostKind {
    /// All of them, as text lists them.
    pub const ALL: [Self; 7] = [
        Self::Zombie,
        Self::Duplicate,
        Self::Orphan,
        Self::Stale,
        Self::LongRunning,
        Self::Uninterruptible,
        Self::StuckInExit,
    ];

    /// Its name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zombie => "zombie",
            Self::Duplicate => "duplicate",
            Self::Orphan => "orphan",
            Self::Stale => "stale",
            Self::LongRunning => "long_running",
            Self::Uninterruptible => "uninterruptible",
            Self::StuckInExit => "stuck_in_exit",
        }
    }
}

/// How sure a finding is. The surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The kernel says so.
    Certain,
    /// All that is seen speaks for it.
    Likely,
    /// It looks like it, and there are other explanations: look before you act.
    Possible,
}

impl Confidence {
    /// Its name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
        }
    }
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditProcess {
    /// Its pid, as this /proc has it. Only with `start_time` it is a name: pids are given out again.
    pub pid: u32,
    /// When it started, to 10 ms; empty where that is not known.
    pub start_time: Rfc3339,
    /// How long ago, in ns.
    pub age_ns: u64,
    /// Its short name.
    pub comm: String,
    /// Its arguments, the beginning of a long command line; empty where they are not known, and of the dead.
    pub command_line: Vec<String>,
    /// The path of its program; null where that may not be read.
    pub executable: Option<String>,
    /// Its real uid.
    pub user: Option<u32>,
    /// What it is part of.
    pub workload: Option<Workload>,
    /// The service of the user's own service manager that it is part of.
    pub user_service: Option<String>,
}

/// Another process that belongs to a finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Related {
    /// What it is to the process.
    pub role: Role,
    /// Who it is.
    pub process: AuditProcess,
}

/// What one process is to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A dead child that it has to reap.
    Zombie,
    /// The managed process that it doubles.
    Managed,
    /// It descends from it.
    Descendant,
}

/// A command that helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// For a shell.
    pub command: String,
    /// What it does.
    pub does: &'static str,
}
