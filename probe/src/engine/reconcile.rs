//! What the kernel counted, beside what the events said: which of the two is right, and the ledger that follows. Both are
//! kept as they came; a ledger is reconciled when it is read.
//!
//! Must not know which hooks count, nor who asks.

use super::{Engine, Histogram, Parent, parent::dead};
use crate::model::{Counters, Coverage, FinishedParents, Identity, Losses, Scope};

impl Engine {
    /// Whether the ledgers are those that the kernel counted: not every event was asked for, or some were lost.
    pub fn is_counted(&self) -> bool {
        self.is_filtered() || self.losses() != Losses::default()
    }

    pub(super) fn is_filtered(&self) -> bool {
        self.begin.coverage != Coverage::EveryEvent || matches!(self.begin.scope, Scope::Pids(_))
    }

    pub(super) fn counters(&mut self, counters: Box<Counters>) {
        let known = self.parents.contains_key(&counters.parent.identity);
        let filtered = self.is_filtered();
        let deaths = [
            counters.counts.exited,
            counters.counts.adopted,
            counters.counts.reaped,
            counters.counts.autoreaped,
        ];
        // A process that only waited is no parent.
        let has_children =
            deaths.iter().any(|count| *count != 0) || (filtered && counters.counts.forked != 0);
        // Of a tree, the kernel counts forks of its members alone: where the events of a birth were lost, its counters tell.
        let in_tree = match self.processes.get(&counters.parent.identity) {
            _ if self.root().is_none() => false,
            Some(process) => process.in_tree,
            None => counters.counts.forked != 0,
        };
        if !known && !(has_children && (in_tree || self.root().is_none())) {
            return;
        }
        // What is in a sum already is final.
        if !known && self.finished.died_ns(&counters.parent.identity).is_some() {
            return;
        }
        let identity = counters.parent.identity;
        if let Some(parent) = self.parent_entry(counters.parent) {
            parent.coalesced = counters.coalesced;
            if filtered && counters.exec_ns != 0 {
                parent.exec_ns = Some(counters.exec_ns);
                parent.reaped_before_exec = counters.reaped_before_exec;
            }
            if counters.exec_ns > parent.program_ns {
                // It was not told of: what is known is of the program before.
                parent.runs(counters.exec_ns, None);
            }
            parent.in_tree |= in_tree;
            let (died_ns, time_ns) = (counters.died_ns, counters.time_ns);
            parent.counted(&counters);
            parent.in_reading = true;
            if died_ns == 0 {
                parent.lived_at(time_ns);
                return;
            }
            self.parent_died(identity, died_ns);
            if let Some(parent) = self.parents.get_mut(&identity) {
                parent.died_at(died_ns);
            }
        }
    }

    /// Up to when the kernel has counted every death of a child, in the counters of its parent or, where the parent is
    /// gone, in the sum; `None`: it is not known to have.
    fn all_counted_by(&self) -> Option<u64> {
        let is_all_there =
            matches!(self.begin.coverage, Coverage::Exceptions { .. }) && self.losses().map_full == 0;
        self.read_ns.filter(|_| is_all_there)
    }

    /// This parent with the ledger that counts.
    pub(super) fn reconciled(
        &self,
        parent: &Parent,
        zombie_since: impl Fn(&Identity) -> Option<u64>,
    ) -> Parent {
        if let Some(counters) = &parent.counters {
            return parent.reconciled_with(counters.unpack(), zombie_since);
        }
        let uncounted = match self.all_counted_by() {
            // What is told of it beside the zombies of before the watch is counted elsewhere.
            Some(time_ns) => {
                parent.reconciled_with(Counters { time_ns, ..Counters::default() }, zombie_since)
            }
            None => parent.clone(),
        };
        Parent { is_uncounted: true, ..uncounted }
    }

    /// All counters were read. Forgets the parents whose entry the kernel has given up: they are in its sum.
    pub(super) fn counters_end(&mut self, finished: FinishedParents) {
        self.finished_in_kernel = finished;
        let read = self.parents.values().filter(|parent| parent.in_reading);
        let last_ns = read.filter_map(|parent| Some(parent.counters.as_ref()?.time_ns())).max();
        self.read_ns = self.read_ns.max(last_ns).max(Some(self.ended_ns));
        let is_all_counted = self.all_counted_by().is_some();
        let mut dead = 0;
        self.parents.retain(|_, parent| {
            let is_in_sum =
                is_all_counted && parent.counters.is_none() && parent.died_ns.is_some() && parent.older == 0;
            let is_kept = parent.is_kept() && !is_in_sum;
            dead += usize::from(is_kept && parent.died_ns.is_some());
            is_kept
        });
        self.finished.set_dead(dead);
    }
}

impl Parent {
    /// The same; `None` where the kernel has not told what it counted.
    pub(super) fn reconciled(&self, zombie_since: impl Fn(&Identity) -> Option<u64>) -> Option<Self> {
        Some(self.reconciled_with(self.counters.as_ref()?.unpack(), zombie_since))
    }

    /// This parent with the ledger that the kernel counted. What is unreaped comes from
    /// the task list, which was walked after the counters were read; `zombie_since` says when one of them became a zombie.
    fn reconciled_with(&self, counters: Counters, zombie_since: impl Fn(&Identity) -> Option<u64>) -> Self {
        let counted = self.counters.is_some().then_some(counters.waits);
        let waits = counted.map(Box::new).or_else(|| self.waits.clone());
        let mut parent = Self { counters: None, waits, ..self.clone() };
        // Those that died after the reading are not in it; of some it is only known that they were born after it.
        parent
            .zombies
            .retain(|zombie| zombie_since(zombie).unwrap_or(zombie.start_boottime_ns) <= counters.time_ns);
        let ledger = &mut parent.ledger;
        ledger.counts = counters.counts;
        parent.reap_latency = Histogram::from(counters.reap_latency);
        parent.teardown = Histogram::from(counters.teardown);
        let unreaped = parent.zombies.len() as u64;
        // Dead by the reading, not known to be reaped by then, and no longer in the task list.
        let gone = (self.older.saturating_add(counters.counts.exited).saturating_add(ledger.counts.adopted))
            .saturating_sub(
                ledger.counts.reaped.saturating_add(ledger.counts.autoreaped).saturating_add(unreaped),
            );
        if self.died_ns.is_some() {
            // Those that could not be followed have been reaped.
            let reaped = gone.min(counters.untracked);
            ledger.counts.reaped += reaped;
            ledger.abandoned = gone - reaped;
        } else {
            // A parent that lives has reaped them since, or their free is still to come. Those that died after the last walk may be
            // zombies.
            parent.not_walked = gone.min(dead(&counters.counts).saturating_sub(self.dead_by_walk));
            ledger.counts.reaped += gone - parent.not_walked;
            ledger.abandoned = 0;
        }
        // A zombie whose death no program saw is in the task list all the same.
        ledger.counts.exited = (ledger.counts.reaped.saturating_add(ledger.counts.autoreaped))
            .saturating_add(unreaped.saturating_add(ledger.abandoned))
            .saturating_sub(ledger.counts.adopted);
        // Whom the events took for abandoned had been reaped after all.
        if ledger.abandoned == 0 {
            parent.abandoned = None;
        }
        parent
    }
}
