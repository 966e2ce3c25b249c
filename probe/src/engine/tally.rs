//! What was counted of each parent since the watch began, as it was counted: numbers that only grow, for who sums them up
//! over the lives of parents.
//!
//! Must not reconcile those that live: what is unreaped now, and who is to blame, is in a view.

use std::sync::Arc;

use super::{Engine, Parent};
use crate::model::{
    ChildCounts, Counters, Distribution, FinishedInCgroup, FinishedParents, Identity, PackedCounters,
    Workload,
};

/// One parent that is kept one by one, alive or dead.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    pub identity: Identity,
    parent: &'a Parent,
}

impl<'a> Tally<'a> {
    pub fn is_alive(&self) -> bool {
        self.parent.died_ns.is_none()
    }

    /// Nothing will be added any more.
    pub fn is_final(&self) -> bool {
        !self.is_alive() && self.parent.counters.as_ref().is_some_and(PackedCounters::is_retired)
    }

    /// Whether it is known where some of its children were forked.
    pub fn has_sites(&self) -> bool {
        !self.parent.sites.is_empty()
    }

    /// `None` where it is not known.
    pub fn workload(&self) -> Option<&'a Arc<Workload>> {
        self.parent.workload.as_ref()
    }

    /// The cgroup whose sum will have it; 0: none.
    pub fn cgroup_id(&self) -> u64 {
        self.parent.counters.as_ref().map_or(0, |counters| counters.head().cgroup_id)
    }

    /// By the kernel; where the kernel had no room for it, as far as events told.
    pub fn counts(&self) -> ChildCounts {
        let counters = self.parent.counters.as_ref();
        counters.map_or(self.parent.ledger.counts, |counters| counters.head().counts)
    }

    /// What it left behind when it died.
    pub fn abandoned(&self) -> u64 {
        if self.is_alive() {
            return 0;
        }
        let reconciled = self.parent.reconciled(|_| None);
        reconciled.map_or(self.parent.ledger.abandoned, |parent| parent.ledger.abandoned)
    }

    /// Reap latency and teardown; `None` where the kernel had no room for it.
    pub fn latencies(&self) -> Option<(Distribution, Distribution)> {
        let Counters { reap_latency, teardown, .. } = self.parent.counters.as_ref()?.unpack();
        Some((reap_latency, teardown))
    }
}

impl Engine {
    /// What parents had that the kernel has forgotten already: its sum when all counters were last read.
    pub fn finished_in_kernel(&self) -> FinishedParents {
        self.finished_in_kernel
    }

    /// The same by cgroup, as far as is known.
    pub fn finished_in_cgroups(&self) -> &Arc<[FinishedInCgroup]> {
        &self.finished_in_cgroups
    }

    /// Each parent that is kept one by one, in no order; also those that a report does not list.
    pub fn tallies(&self) -> impl Iterator<Item = Tally<'_>> {
        self.parents.iter().map(|(identity, parent)| Tally { identity: *identity, parent })
    }

    /// What those had that are no longer kept one by one: the counts, and what they abandoned. What the kernel has summed up is
    /// not in it.
    pub fn given_up(&self) -> (ChildCounts, u64) {
        let sums = self.finished.sums(self.is_counted());
        sums.all().fold((ChildCounts::default(), 0), |(mut counts, abandoned), sum| {
            counts += sum.ledger.counts;
            (counts, abandoned.saturating_add(sum.ledger.abandoned))
        })
    }
}
