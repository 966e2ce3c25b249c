//! What reapwatch says: the report, the event line, the doctor's report, what `explain` says, what `reap` did, and the metrics and
//! alerts of `agent`, in the form that is published (`schemas/`, docs/agent.md).
//!
//! Owns names, order and units of everything a user or a script reads as JSON. Must not know the engine, or how and where
//! a report is written. Every text in it is valid UTF-8 but unescaped: `render` escapes. Durations are in ns, times in
//! RFC 3339, UTC.

#![deny(missing_docs, reason = "users and scripts depend on every field")]

pub mod alert;
pub mod audit;
mod cause_page;
mod check;
mod command_lines;
pub mod detail;
pub mod doctor;
mod event;
pub mod explain;
mod fork_site;
mod ledger;
pub mod metrics;
pub mod origin;
pub mod orphans;
pub mod page;
mod parent;
pub mod pids;
pub mod profile;
pub mod reap;
mod secrets;
mod tracer;
pub mod words;
mod workload;

#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;

pub use check::{Check, CheckFailure, Ended, Labelled, SuggestedRule, Suppressible, Suppression};
pub use command_lines::CommandLines;
pub use event::{EventKind, EventLine, EventProcess, ExitDetail, Life, Readiness, ReapHow};
pub use fork_site::{ForkSite, SiteDepth, SiteFrame, SiteFrameKind};
pub use ledger::{Ledger, Other, Settled, VerdictCounts};
pub use parent::{
    Cause, CauseKind, LatencySummary, Note, NoteKind, Parent, SlowPart, SlowReaps, Verdict, Waits,
};
pub use tracer::{MapFill, ProgramCost, Tracer};
pub use workload::{Workload, WorkloadKind};

use std::borrow::Cow;

use arrayvec::ArrayString;
use serde::Serialize;

/// A wall-clock time, as in `2023-11-14T22:13:25.000000001Z`; empty where it lies beyond the calendar. It needs no
/// allocation, because each event line has two.
pub type Rfc3339 = ArrayString<30>;

/// The value of `schema`; changes only when a field changes its meaning or goes.
pub const SCHEMA: &str = "reapwatch.report/1";

/// What was seen in one window, and the finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The finding: it follows the worst verdict.
    pub finding: Finding,
    /// The finding in one or two sentences. JSON does not have it: what a script needs is in `finding` and `parents`.
    #[serde(skip)]
    pub headline: String,
    /// A dead child that is left unreaped for longer than this counts against its parent, in ns.
    pub grace_ns: u64,
    /// The time that the report is about.
    pub window: Window,
    /// The processes that the report is about.
    pub scope: Scope,
    /// The events that the report rests on.
    pub coverage: Coverage,
    /// What was not asked for or is not known, one sentence each; empty if every event of the scope was asked for.
    pub not_covered: Vec<String>,
    /// The hooks that were attached.
    pub hooks: HooksUsed,
    /// False when anything was lost: the counts stay true, detail is missing.
    pub complete: bool,
    /// What was lost, by reason.
    pub lost: Lost,
    /// The sum over all parents, listed or not.
    pub totals: Ledger,
    /// The part of the totals for parents that died with nothing to report and are not listed one by one.
    pub settled: Settled,
    /// The part of the totals for the other parents that are not listed. None of them is worse than those that are.
    pub other: Other,
    /// The worst first: at most 4,096 parents, of which at most 1,024 dead ones with something to report and 1,024
    /// without.
    pub parents: Vec<Parent>,
    /// Descendants of the command still alive when it ended (`run` only, else empty).
    pub left_running: Vec<LeftRunning>,
    /// Processes that look dead and are no zombies, for longer than the grace: nobody can reap them. The longest first, at
    /// most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub look_dead: Vec<LookingDead>,
    /// How near the limits on processes are; absent where they were not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<pids::PidPressure>,
    /// What was left under which label, the most first, at most 1,024; absent where no label is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Labelled>,
    /// The suppressions that were given, in their order, each with what it suppressed: `0` everywhere where it was not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppressions: Vec<Suppression>,
    /// What the check came to; absent where no check was asked for (`--error-exitcode`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// What the tracer itself cost, and how full its maps were.
    pub tracer: Tracer,
}

impl Report {
    /// The listed parents that no suppression names, the worst first.
    pub fn unsuppressed(&self) -> impl Iterator<Item = &Parent> {
        self.parents.iter().filter(|parent| parent.suppressed_by.is_none())
    }

    /// What was left running and no suppression names.
    pub fn left_unsuppressed(&self) -> impl Iterator<Item = &LeftRunning> {
        self.left_running.iter().filter(|left| left.suppressed_by.is_none())
    }

    /// How many parents there were, listed or not.
    pub fn parents_seen(&self) -> u64 {
        (self.parents.len() as u64).saturating_add(self.settled.parents).saturating_add(self.other.parents)
    }
}

/// The time that a report is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Window {
    /// When it began.
    pub start: Rfc3339,
    /// When it ended.
    pub end: Rfc3339,
    /// How long it was, in ns.
    pub duration_ns: u64,
}

/// The processes that a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scope {
    /// Every process of the host.
    Host,
    /// One command and its descendants.
    Tree {
        /// The command's pid.
        root: u32,
    },
    /// Events of these processes and their children; counts of every parent.
    Pids {
        /// Their pids.
        pids: Vec<u32>,
    },
}

/// The events that a report rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Coverage {
    /// Every event of the scope.
    EveryEvent,
    /// What is slow or wrong; the kernel counted the rest.
    Exceptions {
        /// A reap at least this late is slow, in ns.
        slow_ns: u64,
    },
    /// Reaps at least this late; the kernel counted the rest.
    LateReaps {
        /// The least time from zombie to reap, in ns.
        min_latency_ns: u64,
    },
    /// An old recording, which does not say.
    Unstated,
}

/// The hooks that were attached, each as kind and place; empty if there was none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HooksUsed {
    /// The hook that sees a process exit.
    pub exit: String,
    /// The hook that sees a parent notified.
    pub zombie: String,
    /// The hook that sees a dead process reaped.
    pub reap: String,
    /// How good the times of reaps are: `coarse` where at least one reap was seen only by its free.
    pub precision: Precision,
}

/// How good the time of a reap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Seen where it happens.
    Exact,
    /// Seen only when the kernel frees the process, up to 32 ms later.
    Coarse,
}

impl Precision {
    /// Its name in JSON and in text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Coarse => "coarse",
        }
    }
}

/// What was lost, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lost {
    /// Events that did not fit the ring buffer.
    pub events: u64,
    /// Entries that did not fit a map of the kernel or a table of the collector.
    pub map_full: u64,
    /// Hits that a program missed and that no other hook shows.
    pub probe_missed: u64,
    /// Places of a recording that could not be read (`replay` only, else 0).
    pub damaged: u64,
}

impl Lost {
    /// Of a live window, by the stable name of the reason.
    pub fn by_reason(&self) -> [(&'static str, u64); 3] {
        [("events", self.events), ("map_full", self.map_full), ("probe_missed", self.probe_missed)]
    }
}

/// The finding of a whole report: it follows the worst verdict. In order, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Every parent is `healthy`.
    None,
    /// A parent is `undecided`, and none is worse.
    Undecided,
    /// A parent is `held`, and none is worse.
    Held,
    /// A parent is `slow`, and none is worse.
    Slow,
    /// A parent is `leaking` or `never_reaps`: `run --error-exitcode` exits with N for this.
    Leak,
}

impl Finding {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Undecided => "undecided",
            Self::Held => "held",
            Self::Slow => "slow",
            Self::Leak => "leak",
        }
    }
}

/// A descendant of the command that was still alive when the command ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftRunning {
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its pid in its own PID namespace; absent where that is the initial one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    /// Its short name.
    pub comm: String,
    /// Its arguments; empty where they are not known.
    pub command_line: Vec<String>,
    /// The path of its program; empty where it is not known. JSON does not have it.
    #[serde(skip)]
    pub executable: String,
    /// When it was born, in ns since boot: with the pid, its identity. JSON does not have it.
    #[serde(skip)]
    pub start_boottime_ns: u64,
    /// The label that it was started under; absent where it has none, or that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The parent it was born to.
    pub spawned_by: Named<'static>,
    /// The suppression that names it; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed_by: Option<String>,
    /// How `run --left-running kill` ended it; absent where it was left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A process that looks dead and is no zombie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LookingDead {
    /// Why it looks so.
    pub kind: LookingDeadKind,
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its pid in its own PID namespace; absent where that is the initial one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    /// Its short name.
    pub comm: String,
    /// Its arguments; empty where they are not known.
    pub command_line: Vec<String>,
    /// Its parent, which is not to blame.
    pub parent: Named<'static>,
    /// For how long, in ns.
    pub since_ns: u64,
    /// True when that is a lower bound: its beginning was not seen.
    pub at_least: bool,
}

/// Why a process that is no zombie looks dead. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LookingDeadKind {
    /// It has begun to exit, and the kernel is not done with it: it waits for memory, files, a device or a file system.
    StuckInTeardown,
    /// The same of the init of a PID namespace, which ends only when every process in it has ended and is reaped.
    NamespaceEndBlocked,
    /// Its main thread has ended, and others live: `ps` shows Z.
    DeadLeader,
}

/// A process that is mentioned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named<'a> {
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its pid in its own PID namespace; absent where that is the initial one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    /// Its short name.
    pub comm: Cow<'a, str>,
}
