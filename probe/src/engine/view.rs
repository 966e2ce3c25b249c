//! What the engine knows at a moment, for whoever reports: with the ledgers that count, as often as wanted.
//!
//! Owns which source a ledger is taken from, and which parents are listed one by one. Changes nothing. Must not judge.

use std::borrow::Cow;

use foldhash::HashMap;

use super::{
    Engine, Grounds, LooksDead, Parent, Process, State,
    finished::{Sum, Sums},
};
use crate::model::{Begin, FinishedParents, Identity, Losses, TracerStats};

/// The engine at a moment. Where not every event was asked for, or some were lost, what the kernel counted takes the place
/// of what the events told; that is exact where the last walk of the task list came after the last reading of the counters. Else
/// a ledger lacks those children of a living parent that died since the walk and were not reaped by the reading.
pub struct View<'a> {
    pub(super) engine: &'a Engine,
    parents: HashMap<Identity, Cow<'a, Box<Parent>>>,
    sums: Sums,
}

impl Engine {
    /// All of it as of now.
    pub fn view(&self) -> View<'_> {
        let is_counted = self.is_counted();
        // Of one that no program has seen die, `since_ns` is when a walk found it.
        let zombie_since = |zombie: &Identity| match self.processes.get(zombie)?.state {
            State::Zombie { since_ns, at_least: false, .. } => Some(since_ns),
            _ => None,
        };
        let reconciled = |parent: &Parent| is_counted.then(|| self.reconciled(parent, zombie_since));
        let mut parents = self
            .parents
            .iter()
            .map(|(identity, parent)| {
                (
                    *identity,
                    reconciled(parent).map_or(Cow::Borrowed(parent), |parent| Cow::Owned(Box::new(parent))),
                )
            })
            .collect();
        let sums = self.finished.fold(&mut parents, is_counted, self.root().is_some());
        View { engine: self, parents, sums }
    }
}

impl View<'_> {
    /// Every parent that is kept one by one, in no order.
    pub fn parents(&self) -> impl Iterator<Item = &Parent> {
        self.parents.values().map(|parent| &***parent)
    }

    /// Those of them that the window is about.
    pub fn parents_asked_for(&self) -> impl Iterator<Item = &Parent> {
        self.parents().filter(|parent| self.engine.is_asked_for(parent))
    }

    /// The parent with this identity, if it is kept.
    pub fn parent(&self, identity: Identity) -> Option<&Parent> {
        self.parents.get(&identity).map(|parent| &***parent)
    }

    /// Every process not yet released, in no order.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.engine.processes.values().map(Box::as_ref)
    }

    /// Those that the last walk of the task list found ending, or with a main thread that has ended, and that are no zombies;
    /// in no order.
    pub fn looking_dead(&self) -> impl Iterator<Item = (&Process, &LooksDead)> {
        let walked_ns = self.engine.walked_ns;
        self.processes().filter_map(move |process| {
            let looks = process.looks_dead.as_deref().filter(|looks| looks.last_ns >= walked_ns)?;
            matches!(process.state, State::Running | State::Exited { .. }).then_some((process, looks))
        })
    }

    /// Who has this identity, if it is still in the process table.
    pub fn process(&self, identity: Identity) -> Option<&Process> {
        self.engine.processes.get(&identity).map(Box::as_ref)
    }

    /// What was asked for.
    pub fn begin(&self) -> &Begin {
        &self.engine.begin
    }

    /// The root of the watched tree, if only a tree is watched.
    pub fn root(&self) -> Option<Identity> {
        self.engine.root()
    }

    /// Start of the window, and its end or the last input.
    pub fn window(&self) -> (u64, u64) {
        self.engine.window()
    }

    /// Everything lost, our own bounds included.
    pub fn losses(&self) -> Losses {
        self.engine.losses()
    }

    /// Whether this zombie was one before the window began.
    pub fn is_older(&self, process: &Process) -> bool {
        self.engine.is_older(process)
    }

    /// What the tracer itself costs and holds, as last told.
    pub fn tracer_stats(&self) -> &TracerStats {
        &self.engine.tracer_stats
    }

    /// The ledgers of parents that are gone and left nothing to tell, summed up.
    pub fn finished_parents(&self) -> FinishedParents {
        let mut finished = self.engine.finished_in_kernel;
        finished += self.sums.without_findings();
        finished
    }

    /// The ledgers of parents that are gone, left something to tell, and are not among those that are kept one by one.
    pub fn others(&self) -> impl Iterator<Item = (&Grounds, &Sum)> {
        self.sums.telling.iter()
    }
}
