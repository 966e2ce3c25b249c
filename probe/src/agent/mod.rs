//! What the agent knows beside the engine: what each workload has had since the agent began, over the lives of its parents, and
//! which alerts are open. Readings in; metrics and alerts out.
//!
//! Owns both, in bounded memory. Must not read a clock, do I/O, or know where metrics and alerts go. What is to be counted apart
//! and what is worth an alert is told in [`Limits`] and [`Rules`].

mod alerts;
mod buckets;
mod cgroups;
mod chosen;
mod flagged;
mod lasting;
mod pace;
mod pressure;
mod tallied;
mod workloads;

pub use crate::analysis::Pattern;
pub use alerts::{Rules, Silence};
pub use pressure::PidRules;

use std::sync::Arc;

use alerts::Alerts;
use workloads::Workloads;

use crate::{
    analysis::{self, time::rfc3339},
    engine::Engine,
    model::{FinishedInCgroup, FinishedParents, Identity, Session},
    report::{alert::Alert, metrics::Metrics},
};

/// How much is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most workloads with counts of their own.
    pub workloads: usize,
    /// Most parents that are named in metrics.
    pub parents: usize,
    /// Most limits on processes in metrics.
    pub pid_limits: usize,
    /// A workload without a living parent for so long makes room for another, if there is no other room.
    pub idle_ns: u64,
}

/// What parents had that the kernel has forgotten.
#[derive(Debug, Default)]
struct Finished {
    in_all: FinishedParents,
    /// Where it was, as far as is known.
    in_cgroups: Arc<[FinishedInCgroup]>,
}

/// What is known since the agent began.
#[derive(Debug)]
pub struct Agent {
    limits: Limits,
    workloads: Workloads,
    alerts: Alerts,
    /// The kernel's sums over finished parents as they were at the last reading.
    finished: Finished,
}

/// What a moment gives.
#[derive(Debug)]
pub struct Observed {
    pub metrics: Metrics,
    pub alerts: Vec<Alert>,
}

impl Agent {
    pub fn new(limits: Limits, rules: Rules) -> Self {
        Self {
            limits,
            workloads: Workloads::default(),
            alerts: Alerts::new(rules),
            finished: Finished::default(),
        }
    }

    /// Goes on with other limits and rules. Nothing that was counted is lost.
    pub fn reconfigure(&mut self, limits: Limits, rules: Rules) {
        self.limits = limits;
        self.alerts.reconfigure(rules);
    }

    /// The counters were read: takes over what was counted. To be told of each time, because a parent may be gone by the next.
    ///
    /// The kernel adds up the finished after it has told of those that are not, so a parent that finished in between is in both.
    /// With the sum of the reading before it is in neither, and comes with the next: nothing is ever counted twice.
    pub fn read(&mut self, engine: &Engine) {
        let finished = Finished {
            in_all: engine.finished_in_kernel(),
            in_cgroups: Arc::clone(engine.finished_in_cgroups()),
        };
        let before = std::mem::replace(&mut self.finished, finished);
        self.workloads.fold(engine, &before, self.limits);
    }

    /// Those of whom nothing more is needed here: what they had is in their workloads, and no profile would say where they forked.
    pub fn done_with(engine: &Engine) -> Vec<Identity> {
        let tallies = engine.tallies().filter(|tally| tally.is_final() && !tally.has_sites());
        tallies.map(|tally| tally.identity).collect()
    }

    /// What there is to say of it now. `cost`: CPU time of this process so far in ns, and its resident memory. What sinks
    /// have dropped, and when the next comes, is left to who knows it.
    pub fn observe(&mut self, engine: &Engine, session: &Session, cost: (u64, u64)) -> Observed {
        let view = engine.view();
        let (began_ns, now_ns) = view.window();
        let chosen =
            chosen::chosen(&view, &self.workloads, session.grace_ns, |parent| self.alerts.is_open(parent));
        let mut parents = analysis::parents(&view, session, |parent| chosen.contains(&parent));
        let walked_ns = engine.walked_ns();
        analysis::as_of_walk(&mut parents, session.grace_ns, now_ns.saturating_sub(walked_ns));
        let lost = analysis::lost(view.losses());
        let mut pids = analysis::pids::all(&view);
        let alerts = self.alerts.observe(&view, &parents, &pids, lost, session, &self.workloads);
        let pids_beyond_limit =
            pids.len().saturating_sub(self.limits.pid_limits) as u64 + view.pids_left_out();
        pids.truncate(self.limits.pid_limits);
        let (parents, parents_beyond_limit) =
            flagged::flagged(&parents, &self.workloads, self.limits.parents);
        let (cpu_ns, resident_bytes) = cost;
        let metrics = Metrics {
            since: rfc3339(session, began_ns),
            time: rfc3339(session, now_ns),
            stale_after_ns: u64::MAX,
            workloads: self.workloads.metrics(&view, session, walked_ns),
            parents,
            parents_beyond_limit,
            pids,
            pids_beyond_limit,
            lost,
            alerts: self.alerts.counts(),
            sinks: Vec::new(),
            cpu_ns,
            resident_bytes,
        };
        Observed { metrics, alerts }
    }
}

#[cfg(test)]
mod tests;
