//! One parent in a report: its counts, its times, the verdict on it and the causes.
//!
//! Owns names, order and units of its fields. Must not know how a parent is judged.

use serde::{Deserialize, Serialize};

use super::{ForkSite, Ledger, Named, Rfc3339, Workload};

/// One process whose children died in the window, or that had dead children when the window began.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parent {
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its pid in its own PID namespace; absent where that is the initial one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    /// When it was born.
    pub start_time: Rfc3339,
    /// The same in ns since boot: with the pid, its identity. JSON does not have it.
    #[serde(skip)]
    pub start_boottime_ns: u64,
    /// Its short name; empty where it has none, or where it was gone before it could be read.
    pub comm: String,
    /// The arguments of the program that it runs now, up to 4 KiB or 128 arguments. Empty if they are not known: for
    /// kernel threads, and for a parent that was gone before they could be read.
    pub command_line: Vec<String>,
    /// The path of its program, from /proc/PID/exe or the exec; empty if it is not known.
    pub executable: String,
    /// The unit of the system's service manager that holds the process; absent if there is none or it cannot be
    /// determined. Never one that a user names: a process in a user's manager or in a container has the unit of that
    /// manager or container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it is part of; absent where that is not known. JSON does not have it: it is asked for only where a table shows it.
    #[serde(skip)]
    pub workload: Option<Workload>,
    /// The label that it was started under: `REAPWATCH_LABEL` in its environment; absent where it has none, or was gone before it
    /// could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it was alive when the window ended.
    pub alive: bool,
    /// What became of its children.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// The part of `unreaped` that a tracer holds, so that the parent cannot reap it.
    pub held: u64,
    /// The tracer that holds, or held, the most of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Named<'static>>,
    /// The part of `unreaped` and `abandoned` that no tracer holds and that died before the window began.
    pub older: u64,
    /// How long the oldest zombie that no tracer holds has waited, in ns; if there is none, the oldest held one. For a
    /// dead parent, how long it had waited when the parent died.
    pub oldest_unreaped_ns: u64,
    /// True when that age is a lower bound: the zombie is older than the tracer.
    pub oldest_at_least: bool,
    /// From zombie to reap: the parent's doing.
    pub reap_latency: LatencySummary,
    /// Reaps later than the grace, by what the parent's threads did when the child died; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_reaps: Option<SlowReaps>,
    /// From exit to zombie: the kernel's doing.
    pub teardown: LatencySummary,
    /// How it waits.
    pub waits: Waits,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The suppression that names it, so that it does not count for the finding; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed_by: Option<String>,
    /// Why, the strongest cause first; empty for a parent that is `healthy` or `undecided`.
    pub causes: Vec<Cause>,
    /// Where its children were forked: the site that left the most behind. Absent where no site is known: sites are
    /// looked for of suspects from then on, and of all with `run --stacks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork_site: Option<ForkSite>,
    /// What explains its children without accusing it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

impl Parent {
    /// Dead children that it did not reap although it could: those that a tracer holds are not among them.
    pub fn left_by_itself(&self) -> u64 {
        self.ledger.unreaped.saturating_sub(self.held).saturating_add(self.ledger.abandoned)
    }
}

/// The verdict on a parent. In order, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It reaps its dead children within the grace.
    Healthy,
    /// Not enough was seen, or inputs were lost.
    Undecided,
    /// Only dead children that a tracer holds stay past the grace, so the parent is not to blame.
    Held,
    /// It reaps, but late.
    Slow,
    /// Dead children stay past the grace, and it reaped others; or all of them are older than the window.
    Leaking,
    /// Children died in the window and past the grace, and it reaped none.
    NeverReaps,
}

/// Durations of one kind, summed up. A quantile is null where it is not known: the kernel counts the durations of one bucket
/// in 32 bits, so it may have lost most counts of a parent with billions of children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencySummary {
    /// How many durations.
    pub count: u64,
    /// The shortest, in ns.
    pub min_ns: u64,
    /// The median, in ns.
    pub p50_ns: Option<u64>,
    /// 90 % are at most this long, in ns.
    pub p90_ns: Option<u64>,
    /// 99 % are at most this long, in ns.
    pub p99_ns: Option<u64>,
    /// The longest, in ns.
    pub max_ns: u64,
    /// The average, in ns.
    pub mean_ns: u64,
}

/// Reaps later than the grace, split by what the parent's threads did when the child died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlowReaps {
    /// No thread was in a wait call: the program did something else, was stopped, or got no CPU.
    pub not_waiting: SlowPart,
    /// Threads were in wait calls, none of which takes this child.
    pub waiting_otherwise: SlowPart,
    /// A thread was in a wait call that takes this child: it took others first, or woke up late.
    pub waiting_for_it: SlowPart,
    /// A thread was in a wait call, it is not known for which child.
    pub waiting: SlowPart,
    /// What the threads did is not known.
    pub unknown: SlowPart,
}

/// Slow reaps of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlowPart {
    /// How many.
    pub count: u64,
    /// How long these children waited in all, in ns.
    pub total_ns: u64,
}

/// Wait calls of a parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// Wait calls for any child, since its last exec.
    pub any: u64,
    /// Wait calls for one pid, pidfd or process group, since its last exec.
    pub specific: u64,
}

/// Why a parent leaks, reaps late or cannot reap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Which cause.
    pub kind: CauseKind,
    /// What was seen, a sentence each.
    pub evidence: Vec<String>,
    /// What to do now; empty where nothing helps at once.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub now: String,
    /// What to change in the code or the deployment.
    pub fix: String,
}

/// What explains a parent's children without accusing the parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Which note.
    pub kind: NoteKind,
    /// The note.
    pub text: String,
}

/// The kinds of notes. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// It waits for children that the kernel reaps at once.
    ExitStatusesLost,
    /// Who killed those of its children that are not reaped.
    ChildrenKilled,
}

/// The kinds of causes. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// The process started the children, then ran another program that does not know them.
    ChildrenInheritedThroughExec,
    /// The init of a PID namespace does not reap the orphans that come to it.
    InitDoesNotReapOrphans,
    /// A subreaper does not reap the orphans that come to it.
    SubreaperDoesNotReapOrphans,
    /// It waits, with flags that do not let the call see these children.
    WaitFlagsExcludeChildren,
    /// Its wait calls leave the children where they are (WNOWAIT).
    LooksWithoutReaping,
    /// It waits once for each SIGCHLD, and signals were merged.
    OneWaitPerSigchld,
    /// It waits for a process group that these children have left.
    WaitsOnlyForItsProcessGroup,
    /// It is stopped.
    ParentStopped,
    /// Its cgroup is frozen.
    ParentFrozen,
    /// It is blocked in something else.
    ParentBlocked,
    /// It reads to the end of a pipe before it waits, and somebody else holds the pipe open.
    WaitsAfterEndOfPipe,
    /// It has a handler for SIGCHLD and blocks the signal.
    SigchldBlocked,
    /// It ignores SIGCHLD, but did not yet when those left died.
    SigchldIgnoredTooLate,
    /// It reaps only when it starts another child.
    ReapsOnlyWhenItSpawns,
    /// It begins no wait call.
    NeverWaits,
    /// It waits only for some of its children.
    WaitsOnlyForSpecificChildren,
    /// A tracer holds the zombies.
    HeldByTracer,
    /// What was seen does not tell.
    Unknown,
}

impl Verdict {
    /// Its name in text.
    pub fn words(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Undecided => "undecided",
            Self::Held => "held",
            Self::Slow => "slow",
            Self::Leaking => "leaking",
            Self::NeverReaps => "never reaps",
        }
    }

    /// Whether it is a leak: what fails a check.
    pub fn is_leak(self) -> bool {
        matches!(self, Self::Leaking | Self::NeverReaps)
    }
}

impl CauseKind {
    /// Its name in text.
    pub fn words(self) -> &'static str {
        match self {
            Self::ChildrenInheritedThroughExec => "children inherited through exec",
            Self::InitDoesNotReapOrphans => "init does not reap orphans",
            Self::SubreaperDoesNotReapOrphans => "subreaper does not reap orphans",
            Self::WaitFlagsExcludeChildren => "wait flags exclude children",
            Self::LooksWithoutReaping => "looks without reaping",
            Self::OneWaitPerSigchld => "one wait per sigchld",
            Self::WaitsOnlyForItsProcessGroup => "waits only for its process group",
            Self::ParentStopped => "parent stopped",
            Self::ParentFrozen => "parent frozen",
            Self::ParentBlocked => "parent blocked",
            Self::WaitsAfterEndOfPipe => "waits after end of pipe",
            Self::SigchldBlocked => "sigchld blocked",
            Self::SigchldIgnoredTooLate => "sigchld ignored too late",
            Self::ReapsOnlyWhenItSpawns => "reaps only when it spawns",
            Self::NeverWaits => "never waits",
            Self::WaitsOnlyForSpecificChildren => "waits only for specific children",
            Self::HeldByTracer => "held by tracer",
            Self::Unknown => "unknown",
        }
    }
}
