//! Slow reaps of a parent, by what its threads did when the child died.
//!
//! Must not know which reaps are slow, nor judge.

use crate::model::Readiness;

/// How many, and for how long the children had waited in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    pub count: u64,
    pub total_ns: u64,
}

/// Slow reaps, in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlowReaps {
    /// No thread of the parent was in a wait call.
    pub not_waiting: Waited,
    /// Those that were, were in calls that do not take the child.
    pub waiting_otherwise: Waited,
    /// One was in a wait call, it is not known for which child.
    pub waiting: Waited,
    /// One was in a call that takes the child.
    pub waiting_for_it: Waited,
    pub unknown: Waited,
}

impl SlowReaps {
    /// One more.
    pub(super) fn count(&mut self, readiness: Readiness, latency_ns: u64) {
        let part = match readiness {
            Readiness::NotWaiting => &mut self.not_waiting,
            Readiness::WaitingOtherwise => &mut self.waiting_otherwise,
            Readiness::Waiting => &mut self.waiting,
            Readiness::WaitingForIt => &mut self.waiting_for_it,
            Readiness::Unknown => &mut self.unknown,
        };
        part.count = part.count.saturating_add(1);
        part.total_ns = part.total_ns.saturating_add(latency_ns);
    }
}
