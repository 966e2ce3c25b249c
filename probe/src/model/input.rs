//! The closed list of inputs: all that the engine is given, and all that is recorded.
//!
//! Must not know who gives them.

use std::sync::Arc;

use super::{
    Begin, Counters, DeadChild, Evidence, FinishedInCgroup, FinishedParents, Identity, LifecycleEvent,
    Losses, PidLimits, ProcessInfo, Site, Snapshot, Task, TracerStats, Workload,
};

/// All the engine is ever told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The hooks are attached and the window is open.
    Begin(Begin),
    Lifecycle(LifecycleEvent),
    /// What a process runs and is part of, read from /proc.
    ProcessInfo {
        identity: Identity,
        info: ProcessInfo,
        workload: Option<Workload>,
    },
    /// What a suspect was doing, read from /proc from this time on.
    Evidence {
        time_ns: u64,
        identity: Identity,
        evidence: Box<Evidence>,
    },
    /// A child was forked, at this site. Sites have numbers; 0 stands for those that are not told apart.
    ForkSite {
        time_ns: u64,
        child: Identity,
        creator: Task,
        site: u32,
    },
    /// The site with this number. It may come after the forks at it.
    Site {
        number: u32,
        site: Box<Site>,
    },
    /// Forks so far whose site was asked for and did not arrive.
    ForkSitesMissed(u64),
    Snapshot(Snapshot),
    /// Processes that were released without their free: no counters have their release. They add to the counters that are
    /// read after this.
    Unfreed(Vec<DeadChild>),
    Counters(Box<Counters>),
    /// What of the next [`Input::FinishedParents`] was in which cgroup, where that is asked for: at least as much as that has.
    FinishedInCgroups(Arc<[FinishedInCgroup]>),
    /// The books of parents that the kernel has already forgotten. It ends a reading of all counters: a parent whose
    /// counters were told before, and now are not, nor were retired, is among the forgotten.
    FinishedParents(FinishedParents),
    Losses {
        time_ns: u64,
        losses: Losses,
    },
    /// Which workload the cgroup with this id is; `None`: none that has a name.
    Cgroup {
        id: u64,
        workload: Option<Arc<Workload>>,
    },
    /// Limits on how many processes there can be, and what is used of them.
    PidLimits(Box<PidLimits>),
    TracerStats(Box<TracerStats>),
    /// The window is closed.
    End {
        time_ns: u64,
    },
}

impl Input {
    /// When it was so; `None` where it does not say.
    pub fn time_ns(&self) -> Option<u64> {
        match self {
            Self::Begin(begin) => Some(begin.time_ns),
            Self::Lifecycle(event) => Some(event.time_ns),
            Self::Evidence { time_ns, .. }
            | Self::ForkSite { time_ns, .. }
            | Self::Losses { time_ns, .. }
            | Self::End { time_ns } => Some(*time_ns),
            Self::Snapshot(snapshot) => Some(snapshot.ended_ns),
            Self::Counters(counters) => Some(counters.time_ns),
            Self::PidLimits(limits) => Some(limits.time_ns),
            Self::ProcessInfo { .. }
            | Self::Site { .. }
            | Self::Cgroup { .. }
            | Self::ForkSitesMissed(_)
            | Self::Unfreed(_)
            | Self::FinishedInCgroups(_)
            | Self::FinishedParents(_)
            | Self::TracerStats(_) => None,
        }
    }
}
