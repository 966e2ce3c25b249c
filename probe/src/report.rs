//! What reapwatch says: the report and the event line, in the form that is published (`schemas/`).
//!
//! Owns names, order and units of everything a user or a script reads as JSON. Must not know the engine or any
//! sink. Every text in it is valid UTF-8 but unescaped: sinks escape. Durations are ns, times RFC 3339 UTC.

use std::borrow::Cow;

use arrayvec::ArrayString;
use serde::Serialize;

/// A wall-clock time, as in `2023-11-14T22:13:25.000000001Z`; empty where it lies beyond the calendar. Without an allocation:
/// each line has two.
pub type Rfc3339 = ArrayString<30>;

/// The value of `schema`; changes only when a field changes its meaning or goes.
pub const SCHEMA: &str = "reapwatch.report/1";

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub schema: &'static str,
    /// What it all comes to: `leak`, `slow`, `held`, `undecided`, `none`.
    pub finding: Finding,
    /// A dead child that is left unreaped for longer than this counts against its parent.
    pub grace_ns: u64,
    pub window: Window,
    /// Whose lives the report is about.
    pub scope: Scope,
    /// Which events it rests on.
    pub coverage: Coverage,
    /// What was not asked for, or is not known, a sentence each; empty where every event of the scope was asked for.
    pub not_covered: Vec<String>,
    pub hooks: HooksUsed,
    /// False when anything was lost: the counts stay true, detail is missing.
    pub complete: bool,
    pub lost: Lost,
    pub totals: Ledger,
    /// Of the totals: parents that died and left nothing to tell, and are not listed one by one.
    pub settled: Settled,
    /// Of the totals: the other parents that are not listed. None of them is worse than those that are.
    pub other: Other,
    /// Worst first; at most 4,096, and of the dead at most 1,024 that left something to tell and 1,024 that did not.
    pub parents: Vec<Parent>,
    /// Descendants of the command still alive when it ended (`run` only, else empty).
    pub left_running: Vec<LeftRunning>,
    /// What the tracer itself cost and held.
    pub tracer: Tracer,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tracer {
    /// CPU time of the collector.
    pub cpu_ns: u64,
    pub resident_bytes: u64,
    /// Of all programs.
    pub recursion_misses: u64,
    pub programs: Vec<ProgramCost>,
    pub maps: Vec<MapFill>,
}

/// `runs` and `run_time_ns` are 0 where the kernel does not count them: `--stats` makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramCost {
    pub name: String,
    pub runs: u64,
    pub run_time_ns: u64,
    pub recursion_misses: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MapFill {
    pub name: String,
    pub entries: u64,
    pub max_entries: u64,
    /// Times something found no room in it: `lost` by reason.
    pub refused: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Window {
    pub start: Rfc3339,
    pub end: Rfc3339,
    pub duration_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scope {
    Host,
    /// One command and its descendants.
    Tree {
        root: u32,
    },
    /// Events of these processes and their children; counts of every parent.
    Pids {
        pids: Vec<u32>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Coverage {
    EveryEvent,
    /// What is slow or wrong; the kernel counted the rest.
    Exceptions {
        slow_ns: u64,
    },
    /// Reaps at least this late; the kernel counted the rest.
    LateReaps {
        min_latency_ns: u64,
    },
    /// An old recording, which does not say.
    Unstated,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HooksUsed {
    pub exit: String,
    pub zombie: String,
    pub reap: String,
    /// `exact`, or `coarse` where at least one reap was seen only by its free.
    pub precision: &'static str,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lost {
    pub events: u64,
    pub map_full: u64,
    pub probe_missed: u64,
    /// Places of a recording that could not be read (`replay` only, else 0).
    pub damaged: u64,
}

/// `exited + adopted = reaped + autoreaped + unreaped + abandoned`; `forked` is no part of the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    pub forked: u64,
    pub exited: u64,
    pub adopted: u64,
    pub reaped: u64,
    pub autoreaped: u64,
    pub unreaped: u64,
    pub abandoned: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    pub parents: u64,
    #[serde(flatten)]
    pub ledger: Ledger,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Other {
    pub parents: u64,
    #[serde(flatten)]
    pub ledger: Ledger,
    /// How many parents got which verdict.
    pub verdicts: VerdictCounts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerdictCounts {
    pub never_reaps: u64,
    pub leaking: u64,
    pub slow: u64,
    pub held: u64,
    pub undecided: u64,
    pub healthy: u64,
}

impl VerdictCounts {
    /// Those that were found, the worst first.
    pub fn found(&self) -> impl Iterator<Item = (Verdict, u64)> + use<> {
        [
            (Verdict::NeverReaps, self.never_reaps),
            (Verdict::Leaking, self.leaking),
            (Verdict::Slow, self.slow),
            (Verdict::Held, self.held),
            (Verdict::Undecided, self.undecided),
            (Verdict::Healthy, self.healthy),
        ]
        .into_iter()
        .filter(|(_, parents)| *parents > 0)
    }

    /// The worst that was found, and how often.
    pub fn worst(&self) -> Option<(Verdict, u64)> {
        self.found().next()
    }
}

impl std::ops::AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.forked, other.forked),
            (&mut self.exited, other.exited),
            (&mut self.adopted, other.adopted),
            (&mut self.reaped, other.reaped),
            (&mut self.autoreaped, other.autoreaped),
            (&mut self.unreaped, other.unreaped),
            (&mut self.abandoned, other.abandoned),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Ledger {
    /// Whether the books are in order.
    pub fn balances(&self) -> bool {
        self.exited + self.adopted == self.reaped + self.autoreaped + self.unreaped + self.abandoned
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parent {
    pub pid: u32,
    /// Present where the process lives in a PID namespace of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    pub start_time: Rfc3339,
    /// Empty where it has none, or where nobody could be asked for it.
    pub comm: String,
    /// Of the program it runs now: the beginning, 4 KiB or 128 arguments of it. Empty where that is not known: of kernel
    /// threads, and of a parent that had gone before it could be asked.
    pub command_line: Vec<String>,
    /// As /proc/PID/exe or the exec names it; empty where that is not known.
    pub executable: String,
    /// The unit of the system's service manager that holds the process; absent where there is none, or it cannot be told.
    /// Never one that a user names: whatever is within a user's manager or a container bears that unit's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub alive: bool,
    #[serde(flatten)]
    pub ledger: Ledger,
    /// Of `unreaped`: zombies a tracer holds, which the parent cannot reap.
    pub held: u64,
    /// The tracer that holds, or held, the most of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Named<'static>>,
    /// Of `unreaped` and `abandoned`, those no tracer holds: dead before the window began.
    pub older: u64,
    /// How long the oldest zombie that no tracer holds has waited, or where there is none the oldest held one (for a dead parent: had waited when it died).
    pub oldest_unreaped_ns: u64,
    /// True when that age is a lower bound: the zombie is older than the tracer.
    pub oldest_at_least: bool,
    pub reap_latency: LatencySummary,
    pub teardown: LatencySummary,
    pub waits: Waits,
    /// `healthy`, `undecided`, `held`, `slow`, `leaking`, `never_reaps`.
    pub verdict: Verdict,
    pub causes: Vec<Cause>,
}

/// In order, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Healthy,
    /// Not enough was seen, or inputs were lost.
    Undecided,
    /// Nothing stays past the grace but what a tracer holds: the parent is not to blame.
    Held,
    /// It reaps, but late.
    Slow,
    /// Dead children stay past the grace, and it reaped others; or all of them are older than the window.
    Leaking,
    /// Children died in the window and past the grace, and it reaped none.
    NeverReaps,
}

/// What a whole report comes to: of the worst verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    None,
    Undecided,
    Held,
    Slow,
    /// A parent is `leaking` or `never_reaps`: `run --error-exitcode` goes by it.
    Leak,
}

/// A quantile is null where it is not known: the kernel counts the durations of one bucket in 32 bits, so of a parent with
/// billions of children it may have lost count of most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencySummary {
    pub count: u64,
    pub min_ns: u64,
    pub p50_ns: Option<u64>,
    pub p90_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub max_ns: u64,
    pub mean_ns: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// Wait calls for any child, since its last exec.
    pub any: u64,
    /// Wait calls for one pid, pidfd or process group, since its last exec.
    pub specific: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    pub kind: String,
    /// What was seen, a sentence each.
    pub evidence: Vec<String>,
    /// What to do.
    pub fix: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftRunning {
    pub pid: u32,
    /// Present where the process lives in a PID namespace of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    pub comm: String,
    pub command_line: Vec<String>,
    /// The parent it was born to.
    pub spawned_by: Named<'static>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named<'a> {
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    pub comm: Cow<'a, str>,
}

/// One line of `trace`. Its texts are the observation's: there are thousands a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventLine<'a> {
    pub time: Rfc3339,
    /// `fork`, `exec`, `exit`, `zombie`, `reap`, `reparent`, `lost`.
    pub event: &'static str,
    /// Absent on `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<EventProcess<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Named<'a>>,
    /// On `fork`, where the caller of clone is not the real parent (CLONE_PARENT).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<Named<'a>>,
    /// On `reparent`: who had it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Named<'a>>,
    /// On `zombie`, where a tracer was told instead of the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Named<'a>>,
    /// On `exec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<Vec<Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitDetail>,
    /// On `reap`: `wait` or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaper: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reap_latency_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teardown_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<&'static str>,
    /// On `lost`: everything lost so far, by reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// On `lost`: lines before this one that the reader was too slow for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
}

impl EventLine<'_> {
    /// One that says nothing yet but when and what.
    pub fn blank(event: &'static str, time: Rfc3339) -> Self {
        Self {
            time,
            event,
            process: None,
            parent: None,
            creator: None,
            from: None,
            held_by: None,
            command_line: None,
            executable: None,
            exit: None,
            how: None,
            reaper: None,
            reap_latency_ns: None,
            teardown_ns: None,
            precision: None,
            lost: None,
            lines: None,
        }
    }

    /// Lines that the reader was too slow for.
    pub fn lines_lost(time: Rfc3339, lines: u64) -> Self {
        Self { lines: Some(lines), ..Self::blank("lost", time) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventProcess<'a> {
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    pub start_time: Rfc3339,
    pub comm: Cow<'a, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ExitDetail {
    pub code: Option<u32>,
    pub signal: Option<u32>,
    pub core_dumped: bool,
}
