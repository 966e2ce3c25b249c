//! What was counted of each parent since the watch began, as it was counted: numbers that only grow, for who sums them up
//! over the lives of parents.
//!
//! Must not reconcile: what is unreaped now, and who is to blame, is in the rest of a view.

use super::{Engine, Parent, View};
use crate::model::{ChildCounts, Distribution, FinishedParents, Identity, ProcessInfo};

/// One parent that is kept one by one, alive or dead.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    pub parent: Identity,
    pub is_alive: bool,
    /// `None` where it is not known.
    pub info: Option<&'a ProcessInfo>,
    /// By the kernel; where the kernel had no room for it, as far as events told.
    pub counts: ChildCounts,
    /// Of a dead parent. It is known later than the counts.
    pub abandoned: u64,
    /// `None` where the kernel had no room for it.
    pub reap_latency: Option<&'a Distribution>,
    pub teardown: Option<&'a Distribution>,
}

impl Engine {
    /// What parents had that the kernel has forgotten already: its sum when all counters were last read.
    pub fn finished_in_kernel(&self) -> FinishedParents {
        self.finished_in_kernel
    }
}

impl View<'_> {
    /// Each parent that is kept one by one, in no order; also those that a report does not list.
    pub fn tallies(&self) -> impl Iterator<Item = Tally<'_>> {
        self.engine.parents.iter().map(|(identity, known)| self.tally(*identity, known))
    }

    fn tally<'a>(&'a self, identity: Identity, known: &'a Parent) -> Tally<'a> {
        let counters = known.counters.as_deref();
        Tally {
            parent: identity,
            is_alive: known.died_ns.is_none(),
            info: known.info.as_deref(),
            counts: counters.map_or(known.ledger.counts, |counters| counters.counts),
            abandoned: self.parent(identity).map_or(0, |reconciled| reconciled.ledger.abandoned),
            reap_latency: counters.map(|counters| &counters.reap_latency),
            teardown: counters.map(|counters| &counters.teardown),
        }
    }

    /// What those had that the engine has given up one by one: the counts, and what they abandoned. What the kernel has summed
    /// up is not in it.
    pub fn given_up(&self) -> (ChildCounts, u64) {
        let sums = self.engine.finished.sums(self.engine.is_counted());
        sums.all().fold((ChildCounts::default(), 0), |(mut counts, abandoned), sum| {
            counts += sum.ledger.counts;
            (counts, abandoned.saturating_add(sum.ledger.abandoned))
        })
    }
}
