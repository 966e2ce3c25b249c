//! What the agent has counted of each workload since it began: the content of all metrics.
//!
//! Owns the bounds of histograms. Counts never go down, except where a workload starts anew. Must not know how metrics are
//! written or sent.

use std::ops::AddAssign;

use super::{CauseKind, Lost, Rfc3339, Verdict, Workload, pids::PidLimit};

/// Upper bounds of the histograms, in ns, from 66 µs to 18 minutes: powers of two, because there the kernel's own buckets begin
/// and end, so that each count is exact. Each bucket is four times as wide as the one before.
pub const BOUNDS_NS: [u64; 13] = [
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
    1 << 26,
    1 << 28,
    1 << 30,
    1 << 32,
    1 << 34,
    1 << 36,
    1 << 38,
    1 << 40,
];

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// When the counts began.
    pub since: Rfc3339,
    /// When they were as they are here.
    pub time: Rfc3339,
    /// If no others have come after this time, in ns, something is wrong.
    pub stale_after_ns: u64,
    /// Of each workload, in order of their names.
    pub workloads: Vec<WorkloadMetrics>,
    /// The parents that are not healthy, the worst first.
    pub parents: Vec<FlaggedParent>,
    /// How many more of those there are.
    pub parents_beyond_limit: u64,
    /// The limits on processes, the one first that makes forks fail first.
    pub pids: Vec<PidLimit>,
    /// How many more of those there are, and how many processes and cgroups could not be looked at.
    pub pids_beyond_limit: u64,
    /// What was lost since the counts began, by reason.
    pub lost: Lost,
    /// Alerts so far.
    pub alerts: AlertCounts,
    /// What sinks have dropped so far.
    pub sinks: Vec<SinkDrops>,
    /// CPU time of the agent so far, in ns.
    pub cpu_ns: u64,
    /// Resident memory of the agent, in bytes.
    pub resident_bytes: u64,
}

/// How many alerts there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// Offered to the sinks.
    pub sent: u64,
    /// Silenced by the configuration.
    pub silenced: u64,
    /// Left out because their workload had too many.
    pub beyond_limit: u64,
}

impl AlertCounts {
    /// By the stable name of what became of them.
    pub fn by_outcome(&self) -> [(&'static str, u64); 3] {
        [("sent", self.sent), ("silenced", self.silenced), ("beyond_limit", self.beyond_limit)]
    }
}

/// What a sink has dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkDrops {
    /// Where it delivers to.
    pub sink: String,
    /// For want of room: its reader is too slow.
    pub no_room: u64,
    /// Because writing had failed.
    pub failed: u64,
    /// Because the receiver refused them for good.
    pub refused: u64,
    /// Because newer metrics came first.
    pub outdated: u64,
}

impl SinkDrops {
    /// Each reason by its name, which is stable.
    pub fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            ("no_room", self.no_room),
            ("failed", self.failed),
            ("refused", self.refused),
            ("outdated", self.outdated),
        ]
    }
}

/// What one workload has had since it is counted.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadMetrics {
    /// Which.
    pub workload: Workload,
    /// When its counts began.
    pub since: Rfc3339,
    /// What became of its children.
    pub counts: WorkloadCounts,
    /// From zombie to reap.
    pub reap_latency: Buckets,
    /// From exit to zombie.
    pub teardown: Buckets,
    /// Zombies there now.
    pub unreaped: u64,
    /// How long the oldest of them has waited, in ns.
    pub oldest_unreaped_ns: u64,
}

/// Counts of children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkloadCounts {
    /// Born.
    pub forked: u64,
    /// Died.
    pub exited: u64,
    /// Taken away by a wait call.
    pub reaped: u64,
    /// Taken away by the kernel at once.
    pub autoreaped: u64,
    /// Received dead from a parent that died.
    pub adopted: u64,
    /// Left behind dead by a parent that died.
    pub abandoned: u64,
}

impl WorkloadCounts {
    /// What these have more than others; 0 where they have less.
    pub fn more_than(&self, other: &Self) -> Self {
        Self {
            forked: self.forked.saturating_sub(other.forked),
            exited: self.exited.saturating_sub(other.exited),
            reaped: self.reaped.saturating_sub(other.reaped),
            autoreaped: self.autoreaped.saturating_sub(other.autoreaped),
            adopted: self.adopted.saturating_sub(other.adopted),
            abandoned: self.abandoned.saturating_sub(other.abandoned),
        }
    }
}

impl AddAssign for WorkloadCounts {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.forked, other.forked),
            (&mut self.exited, other.exited),
            (&mut self.reaped, other.reaped),
            (&mut self.autoreaped, other.autoreaped),
            (&mut self.adopted, other.adopted),
            (&mut self.abandoned, other.abandoned),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Durations by [`BOUNDS_NS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// How many were below each bound and not below the one before; the last: the others.
    pub counts: [u64; BOUNDS_NS.len() + 1],
    /// All durations together, in ns.
    pub sum_ns: u64,
}

impl Buckets {
    /// How many durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// What these have more than others; 0 where they have less.
    pub fn more_than(&self, other: &Self) -> Self {
        let mut more = *self;
        for (count, less) in more.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_sub(less);
        }
        more.sum_ns = self.sum_ns.saturating_sub(other.sum_ns);
        more
    }
}

impl AddAssign for Buckets {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }
}

/// A parent that lives and is not healthy.
#[derive(Clone, Debug, PartialEq)]
pub struct FlaggedParent {
    /// What it is part of.
    pub workload: Workload,
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its short name.
    pub comm: String,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The strongest cause, if there is a verdict that has one.
    pub cause: Option<CauseKind>,
}
