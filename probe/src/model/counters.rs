//! What the kernel programs counted, for one parent or for many.
//!
//! Must not know the maps that hold it.

use probe_common::child_counts::ChildCounts;

use super::{Identity, Task, Workload};

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
pub struct DeadChild {
    pub process: Identity,
    /// Whose child it died, or into whose hands it came since.
    pub parent: Identity,
    /// The kernel reaps it itself.
    pub autoreap: bool,
    /// Its parent's counters have it among the deaths.
    pub counted: bool,
}

/// Wait calls that a parent began since its last exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitCalls {
    /// For any child, and for certain ones, a group among them: every call.
    pub any: u64,
    pub specific: u64,
    /// Of all: the arguments of so many were read, those of the first 8 and then of one in 64. 0: how it waits is not known.
    pub read: u64,
    /// Of all: so many were to be read and could not be.
    pub unread: u64,
    /// Of `read`: for a process group.
    pub group: u64,
    /// Of `read`: for a child or a group that does not exist. The kernel cannot tell it from a call for any child: of `any`.
    pub absent: u64,
    /// Of `read`: take no dead child away (WNOWAIT, or a waitid without WEXITED).
    pub peeking: u64,
    /// Of `read`: see the children of the calling thread alone (__WNOTHREAD).
    pub own_thread: u64,
    /// Of `read`: see only children that do not send SIGCHLD (__WCLONE without __WALL).
    pub clone_only: u64,
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
    pub counts: ChildCounts,
    /// Of `exited`: could not be followed to their reap, for want of room.
    pub untracked: u64,
    /// When it last ran another program, 0: not seen; and its `reaped` at that moment.
    pub exec_ns: u64,
    pub reaped_before_exec: u64,
    pub waits: WaitCalls,
    /// SIGCHLDs of its children since its last exec that were merged into one that was pending; `None`: not known. Of
    /// children that a tracer held none are counted.
    pub coalesced: Option<u64>,
    pub reap_latency: Distribution,
    pub teardown: Distribution,
    /// The cgroup that [`FinishedInCgroup`] will have it in; 0: none.
    pub cgroup_id: u64,
}

/// The sum over parents that ended with nothing to report, whose entries the kernel programs have freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinishedParents {
    pub parents: u64,
    pub counts: ChildCounts,
}

impl std::ops::AddAssign for FinishedParents {
    fn add_assign(&mut self, other: Self) {
        self.parents = self.parents.saturating_add(other.parents);
        self.counts += other.counts;
    }
}

/// Of [`FinishedParents`]: those that were in one cgroup, or further down in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FinishedInCgroup {
    /// The inode of its directory; never 0.
    pub cgroup_id: u64,
    pub workload: CgroupWorkload,
    /// The cgroup has gone: the kernel has forgotten this sum, and begins anew should anything more come.
    pub is_last: bool,
    pub finished: FinishedParents,
    /// Buckets as wide as metrics have them, each told by the first bucket in it. No extremes are known.
    pub reap_latency: Distribution,
    pub teardown: Distribution,
}

/// What a cgroup is part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CgroupWorkload {
    /// Not looked up so far.
    #[default]
    Pending,
    /// Nothing that has a name, or it was gone before anybody looked.
    None,
    Is(Workload),
}
