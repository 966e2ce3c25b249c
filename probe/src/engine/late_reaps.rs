//! The late reaps of one parent: how many came with a birth, and what its threads did when the child died.
//!
//! Most parents reap none late, so it takes no memory of theirs until they do. Must not know which reaps are late, nor judge.

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
    const NONE: Self = {
        let none = Waited { count: 0, total_ns: 0 };
        Self {
            not_waiting: none,
            waiting_otherwise: none,
            waiting: none,
            waiting_for_it: none,
            unknown: none,
        }
    };

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

/// A reap so shortly before or after a birth comes with it.
pub const AT_SPAWN_NS: u64 = 50_000_000;

/// Reaps that came later than is allowed.
#[derive(Clone, Debug, Default)]
pub struct LateReaps {
    pub count: u64,
    /// Those of them that came with a birth.
    pub at_spawn: u64,
    /// The last one, while no birth has come since; 0: there is none.
    last_ns: u64,
    /// Those whose readiness was told.
    pub slow: SlowReaps,
}

impl LateReaps {
    /// Of a parent that has reaped none late.
    pub(super) const NONE: &Self = &Self { count: 0, at_spawn: 0, last_ns: 0, slow: SlowReaps::NONE };

    /// One more; `is_at_spawn`: a birth came shortly before.
    pub(super) fn add(&mut self, now: u64, is_at_spawn: bool) {
        self.count = self.count.saturating_add(1);
        if is_at_spawn {
            self.at_spawn = self.at_spawn.saturating_add(1);
        } else {
            self.last_ns = now;
        }
    }

    /// A birth.
    pub(super) fn spawned(&mut self, now: u64) {
        let last_ns = std::mem::take(&mut self.last_ns);
        if last_ns != 0 && now.saturating_sub(last_ns) <= AT_SPAWN_NS {
            self.at_spawn = self.at_spawn.saturating_add(1);
        }
    }
}
