//! All state, pure: inputs in, observations out. No I/O, no clock, no failure; time comes only in inputs.
//!
//! Owns who is whose child, which dead child is unreaped, and every parent's ledger. Must not know verdicts, reports,
//! sinks, or where inputs come from. Everything in it is bounded; what does not fit is counted.

mod abandoned;
mod death;
mod description;
mod ended;
mod finished;
#[cfg(test)]
mod finished_tests;
mod fork_site;
mod histogram;
mod kill;
mod late_reaps;
mod left_open;
mod lifecycle;
mod parent;
mod pids;
mod process;
mod provenance;
mod reconcile;
mod released;
mod snapshot;
mod suspects;
mod tables;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod unfreed;
mod view;

use std::sync::Arc;

use foldhash::HashMap;

use description::LastDescription;
pub use ended::Ended;
pub use finished::{Bounds, Grounds, Sum};
use finished::{Finished, Moment};
use fork_site::ForkSites;
pub use fork_site::{AtSite, SitesOfParent};
pub use histogram::Histogram;
use kill::Kills;
pub use kill::{Killed, KilledBy};
pub use late_reaps::{AT_SPAWN_NS, SlowReaps, TWO_LOOKS_NS, Waited};
pub use left_open::{Grade, LeftOpenBy};
pub use parent::{Ledger, Parent, WhileLeft};
use pids::Pids;
pub use pids::{PidUse, PidZombies};
pub use process::{LooksDead, Process, State};
pub use provenance::{Provenance, Provenances};
use released::Released;
pub use tally::Tally;
use unfreed::Unfreed;
pub use view::View;

use crate::model::{
    Begin, Coverage, FinishedInCgroup, FinishedParents, Identity, Input, LifecycleEvent, Losses, Scope,
    Stage, TracerStats, Workload,
};

/// What the engine makes of an input: the stage with names and latencies filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum EnrichedEvent {
    Stage {
        event: LifecycleEvent,
        /// On a reap: zombie → reap, as long as the reaper could have reaped it.
        reap_latency_ns: Option<u64>,
        /// On a reap or zombie: exit → zombie.
        teardown_ns: Option<u64>,
        /// Whether it was asked for: of the process and its stage.
        in_scope: bool,
        /// Of a process whose exit was told: how it ended, who it was and what it used.
        ended: Option<Arc<Ended>>,
    },
    Lost {
        time_ns: u64,
        losses: Losses,
    },
}

/// The state of the host's dead and their parents.
#[derive(Debug, Default)]
pub struct Engine {
    /// Boxed: a table has up to twice the room that it needs.
    processes: HashMap<Identity, Box<Process>>,
    /// The youngest identity that bears a tgid.
    by_tgid: HashMap<u32, Identity>,
    parents: HashMap<Identity, Box<Parent>>,
    last_description: LastDescription,
    begin: Begin,
    ended_ns: u64,
    losses: Losses,
    /// What parents had that the kernel has forgotten already.
    finished_in_kernel: FinishedParents,
    finished_in_cgroups: Arc<[FinishedInCgroup]>,
    tracer_stats: TracerStats,
    pids: Pids,
    not_followed: u64,
    /// When all counters were last read.
    read_ns: Option<u64>,
    /// When the first walk of the task list ended.
    first_snapshot_ns: Option<u64>,
    /// When the last walk of the task list began.
    walked_ns: u64,
    released: Released,
    unfreed: Unfreed,
    finished: Finished,
    /// Which workloads the cgroups are in which processes died, by id.
    cgroups: HashMap<u64, Option<Arc<Workload>>>,
    fork_sites: ForkSites,
    kills: Kills,
    /// From how many processes on the eldest of those that run are no longer followed; at least the bound.
    crowded_at: usize,
}

impl Engine {
    /// One that keeps so many finished parents.
    pub fn new(bounds: Bounds) -> Self {
        Self { finished: Finished::new(bounds), ..Self::default() }
    }

    /// Takes one input; appends what was observed.
    pub fn apply(&mut self, input: Input, enriched: &mut Vec<EnrichedEvent>) {
        match input {
            Input::Begin(begin) => {
                self.ended_ns = begin.time_ns;
                self.begin = begin;
            }
            Input::Lifecycle(event) => {
                // A filter for late reaps lets nothing else through.
                if self.begin.coverage == Coverage::Unstated && !matches!(event.stage, Stage::Reap { .. }) {
                    self.begin.coverage = Coverage::EveryEvent;
                }
                self.ended_ns = self.ended_ns.max(event.time_ns);
                self.lifecycle(event, enriched);
            }
            Input::ProcessInfo { identity, info, workload } => self.describe(identity, info, workload),
            Input::Evidence { time_ns, identity, evidence } => self.looked_at(time_ns, identity, evidence),
            Input::ForkSite { time_ns, child, creator, site } => {
                self.forked_at(child, creator, site, time_ns)
            }
            Input::Site { number, site } => self.named_site(number, site),
            Input::ForkSitesMissed(missed) => self.fork_sites.missed = missed,
            Input::Snapshot(snapshot) => self.snapshot(&snapshot, enriched),
            Input::Unfreed(deaths) => self.unfreed = Unfreed::new(&deaths),
            Input::Counters(mut counters) => {
                self.unfreed.add_to(&mut counters);
                self.counters(counters);
            }
            Input::FinishedInCgroups(sums) => self.finished_in_cgroups = sums,
            Input::FinishedParents(finished_in_kernel) => self.counters_end(finished_in_kernel),
            Input::Losses { time_ns, losses } => {
                if losses != self.losses {
                    enriched.push(EnrichedEvent::Lost { time_ns, losses });
                }
                self.losses = losses;
            }
            Input::Cgroup { id, workload } => self.named_cgroup(id, workload),
            Input::PidLimits(limits) => self.pids.read(*limits),
            Input::TracerStats(tracer_stats) => self.tracer_stats = *tracer_stats,
            Input::End { time_ns } => self.ended_ns = time_ns,
        }
        if self.finished.is_due() {
            self.give_up();
        }
    }

    /// Whoever is finished and beyond what is kept goes into the sums.
    fn give_up(&mut self) {
        let moment =
            Moment { now_ns: self.ended_ns, is_counted: self.is_counted(), is_tree: self.root().is_some() };
        let owners = self.processes.values().map(|process| process.parent);
        self.finished.give_up(&mut self.parents, owners, moment);
    }

    /// Forgets those of these parents that are finished: what they had goes into the sums. For who has reported them.
    pub fn retire(&mut self, reported: &[Identity]) {
        for parent in reported {
            self.finished.retire(&mut self.parents, *parent, self.ended_ns);
        }
    }

    /// The root of the watched tree, if only a tree is watched.
    pub fn root(&self) -> Option<Identity> {
        if let Scope::Tree(root) = self.begin.scope { Some(root) } else { None }
    }

    /// Everything lost, our own bounds included.
    pub fn losses(&self) -> Losses {
        Losses { map_full: self.losses.map_full + self.not_followed, ..self.losses }
    }

    /// What the tracer itself costs and holds, as last told.
    pub fn tracer_stats(&self) -> &TracerStats {
        &self.tracer_stats
    }

    /// Start of the window, and its end or the last input.
    pub fn window(&self) -> (u64, u64) {
        (self.begin.time_ns, self.ended_ns)
    }

    /// When the window ended, or the time of the last input.
    pub fn ended_ns(&self) -> u64 {
        self.ended_ns
    }

    /// When the last walk of the task list began: what is unreaped is known from then.
    pub fn walked_ns(&self) -> u64 {
        self.walked_ns
    }

    /// How many parents of those asked for are followed, and how many zombies they have as far as is known.
    pub fn parents_and_zombies(&self) -> (u64, u64) {
        let parents = self.parents.values().filter(|parent| self.is_asked_for(parent));
        parents.fold((0, 0), |(count, zombies), parent| (count + 1, zombies + parent.zombies.len() as u64))
    }

    /// Whether a parent is one of those that the window is about.
    fn is_asked_for(&self, parent: &Parent) -> bool {
        self.root().is_none() || parent.in_tree
    }

    fn is_older(&self, process: &Process) -> bool {
        process.is_older(self.first_snapshot_ns)
    }

    /// How many parents and processes are kept one by one.
    pub fn size(&self) -> usize {
        self.parents.len() + self.processes.len()
    }

    /// Deaths of children so far, as far as is known.
    pub fn deaths(&self) -> u64 {
        let given_up = self.finished.sums(self.is_counted()).all().map(|sum| sum.ledger.counts.exited);
        given_up
            .chain(self.parents.values().map(|parent| parent.deaths()))
            .fold(self.finished_in_kernel.counts.exited, u64::saturating_add)
    }
}
