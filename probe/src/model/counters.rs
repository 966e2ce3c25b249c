//! What the kernel programs counted, for one parent or for many.
//!
//! Must not know the maps that hold it.

use super::{Identity, Task};

/// A latency distribution: exact count, sum, extremes; buckets by [`probe_common::bucket`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Distribution {
    pub count: u64,
    pub sum_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
    /// (bucket index, count), ascending, no zero counts.
    pub buckets: Vec<(u16, u64)>,
}

/// A death of which the kernel programs have not heard the release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Death {
    pub process: Identity,
    /// Whose child it died, or into whose hands it came since.
    pub parent: Identity,
    /// The kernel reaps it itself.
    pub autoreap: bool,
    /// Its parent's counters have it among the deaths.
    pub counted: bool,
}

/// What the kernel counted for one parent since the programs were attached: exact even when events were lost.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Counters {
    pub time_ns: u64,
    pub parent: Task,
    /// When the parent itself died; 0 while it lives.
    pub died_ns: u64,
    /// It is long dead: its record has been given back, and these are final.
    pub retired: bool,
    pub forked: u64,
    pub exited: u64,
    pub adopted: u64,
    pub reaped: u64,
    pub autoreaped: u64,
    /// Of `reaped`: seen only by their free.
    pub coarse: u64,
    /// Of `exited`: could not be followed to their reap, for want of room.
    pub untracked: u64,
    /// When it last ran another program, 0: not seen; and its `reaped` at that moment.
    pub exec_ns: u64,
    pub reaped_before_exec: u64,
    pub waits_any: u64,
    pub waits_specific: u64,
    pub reap_latency: Distribution,
    pub teardown: Distribution,
}

/// Books of parents that are gone and left nothing to tell: not kept one by one. Cumulative since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub parents: u64,
    pub forked: u64,
    pub exited: u64,
    pub adopted: u64,
    pub reaped: u64,
    pub autoreaped: u64,
    /// Of `reaped`: seen only by their free.
    pub coarse: u64,
}

impl std::ops::AddAssign for Settled {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.parents, other.parents),
            (&mut self.forked, other.forked),
            (&mut self.exited, other.exited),
            (&mut self.adopted, other.adopted),
            (&mut self.reaped, other.reaped),
            (&mut self.autoreaped, other.autoreaped),
            (&mut self.coarse, other.coarse),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}
