//! All state, pure: inputs in, observations out. No I/O, no clock, no failure; time comes only in inputs.
//!
//! Owns who is whose child, which dead child is unreaped, and every parent's ledger. Must not know verdicts, reports,
//! sinks, or where inputs come from. Everything in it is bounded; what does not fit is counted.

mod death;
mod description;
mod distribution;
mod finished;
#[cfg(test)]
mod finished_tests;
mod parent;
mod process;
mod released;
mod suspects;
#[cfg(test)]
pub(crate) mod tests;
mod unfreed;
mod view;
mod walk;

use foldhash::HashMap;

pub use distribution::Tally;
pub use finished::{Bounds, Grounds, Sum};
use finished::{Finished, Moment};
pub use parent::{Books, Origin, Parent, Waits};
pub use process::{Process, State};
use released::Released;
use unfreed::Unfreed;
pub use view::View;

use crate::model::{
    Begin, Counters, Coverage, Identity, Input, Lifecycle, Losses, ReapHow, Scope, Settled, Stage, Task,
    Upkeep,
};

/// What the engine makes of an input: the stage with names and latencies filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    Stage {
        event: Lifecycle,
        /// On a reap: zombie → reap, as long as the reaper could have reaped it.
        reap_latency_ns: Option<u64>,
        /// On a reap or zombie: exit → zombie.
        teardown_ns: Option<u64>,
        /// Whether it was asked for: of the process and its stage.
        in_scope: bool,
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
    parents: HashMap<Identity, Parent>,
    begin: Begin,
    ended_ns: u64,
    losses: Losses,
    /// What parents had that the kernel has forgotten already.
    settled: Settled,
    upkeep: Upkeep,
    not_followed: u64,
    /// When the first walk of the task list ended.
    first_walk_ns: Option<u64>,
    released: Released,
    unfreed: Unfreed,
    finished: Finished,
    /// From how many processes on the eldest of those that run are no longer followed; at least the bound.
    crowded_at: usize,
}

impl Engine {
    /// One that keeps so many finished parents.
    pub fn new(bounds: Bounds) -> Self {
        Self { finished: Finished::new(bounds), ..Self::default() }
    }

    /// Takes one input; appends what was observed.
    pub fn apply(&mut self, input: Input, observations: &mut Vec<Observation>) {
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
                self.lifecycle(event, observations);
            }
            Input::Detail { identity, detail } => self.describe(identity, detail),
            Input::SignalMasks { identity, masks, .. } => self.looked_at(identity, masks),
            Input::Snapshot(snapshot) => self.snapshot(&snapshot, observations),
            Input::Unfreed(deaths) => self.unfreed = Unfreed::new(&deaths),
            Input::Counters(mut counters) => {
                self.unfreed.add_to(&mut counters);
                self.counters(*counters);
            }
            Input::Settled(settled) => {
                self.settled = settled;
                let mut dead = 0;
                self.parents.retain(|_, parent| {
                    let is_kept = parent.is_kept();
                    dead += usize::from(is_kept && parent.died_ns.is_some());
                    is_kept
                });
                self.finished.set_dead(dead);
            }
            Input::Losses { time_ns, losses } => {
                if losses != self.losses {
                    observations.push(Observation::Lost { time_ns, losses });
                }
                self.losses = losses;
            }
            Input::Upkeep(upkeep) => self.upkeep = *upkeep,
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

    /// Whether the ledgers are those that the kernel counted: not every event was asked for, or some were lost.
    pub fn is_counted(&self) -> bool {
        self.is_filtered() || self.losses() != Losses::default()
    }

    fn is_filtered(&self) -> bool {
        self.begin.coverage != Coverage::EveryEvent || matches!(self.begin.scope, Scope::Pids(_))
    }

    /// Everything lost, our own bounds included.
    pub fn losses(&self) -> Losses {
        Losses { map_full: self.losses.map_full + self.not_followed, ..self.losses }
    }

    /// What the tracer itself costs and holds, as last told.
    pub fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// When the window ended, or the time of the last input.
    pub fn ended_ns(&self) -> u64 {
        self.ended_ns
    }

    /// How many parents of those asked for are followed, and how many zombies they have as far as is known.
    pub fn parents_and_zombies(&self) -> (u64, u64) {
        let in_scope = |parent: &&Parent| self.root().is_none() || parent.member;
        let parents = self.parents.values().filter(in_scope);
        parents.fold((0, 0), |(count, zombies), parent| (count + 1, zombies + parent.zombies.len() as u64))
    }

    fn is_older(&self, process: &Process) -> bool {
        process.is_older(self.first_walk_ns)
    }

    /// How many parents and processes are kept one by one.
    pub fn size(&self) -> usize {
        self.parents.len() + self.processes.len()
    }

    /// Deaths of children so far, as far as is known.
    pub fn deaths(&self) -> u64 {
        let given_up = self.finished.sums(self.is_counted()).all().map(|sum| sum.ledger.exited);
        given_up
            .chain(self.parents.values().map(Parent::deaths))
            .fold(self.settled.exited, u64::saturating_add)
    }

    fn lifecycle(&mut self, mut event: Lifecycle, observations: &mut Vec<Observation>) {
        let identity = event.process.identity;
        let now = event.time_ns;
        let mut reap_latency_ns = None;
        let mut teardown_ns = None;
        self.evict_former_owner(identity, now, observations);
        // The free of a process that a walk of the task list has found gone before.
        if matches!(event.stage, Stage::Reap { .. }) && self.is_released(identity) {
            return;
        }
        match &mut event.stage {
            Stage::Fork { parent, creator } => self.fork(event.process, parent, creator, now),
            Stage::Exec { detail } => {
                let process = self.entry(event.process, None);
                process.task = event.process;
                process.program_ns = now;
                process.detail = Some(detail.clone());
                if let Some(parent) = self.parents.get_mut(&identity) {
                    parent.task = event.process;
                    parent.runs(now, Some(detail.clone()));
                    parent.exec_ns = Some(now);
                    parent.reaped_before_exec = parent.ledger.reaped;
                }
            }
            Stage::Exit { parent, status: _, autoreap } => {
                let process = self.entry(event.process, Some(*parent));
                process.task = event.process;
                if matches!(process.state, State::Running) {
                    process.state = State::Exited { exit_ns: now, autoreap: *autoreap };
                }
                // Whose zombie it is, the books say already.
                if !process.is_dead() {
                    process.parent = parent.identity;
                }
                self.parent_died(identity, now);
            }
            Stage::Zombie { parent, held_by, exit_ns, again } => {
                self.entry(event.process, Some(*parent));
                teardown_ns = (*exit_ns != 0).then(|| now.saturating_sub(*exit_ns));
                self.zombie(
                    identity,
                    *parent,
                    now,
                    *held_by,
                    if *again { None } else { teardown_ns },
                    *again,
                );
            }
            Stage::Reparent { parent, from, since_ns } => {
                self.name(from);
                if *since_ns != 0 && !self.is_known_dead(identity) {
                    // Its first notice was not told: it became a zombie of the parent it had.
                    self.entry(event.process, Some(*from));
                    self.zombie(identity, *from, *since_ns, None, None, false);
                }
                self.entry(event.process, Some(*parent));
                self.adopt(identity, *parent, now);
            }
            Stage::Reap { parent, reaper, how, precision, exit_ns, zombie_ns } => {
                self.name(parent);
                self.name(reaper);
                if *exit_ns != 0 && *zombie_ns >= *exit_ns {
                    teardown_ns = Some(*zombie_ns - *exit_ns);
                }
                let since = if *zombie_ns != 0 { *zombie_ns } else { *exit_ns };
                // Somebody who lived took it, even where that is learnt after that somebody's own end.
                let taken = reaper.identity.tgid != 0 && reaper.identity == parent.identity;
                reap_latency_ns = self.reap(event.process, *parent, taken, *how, *precision, since, now);
                // What the life in the kernel calls a wait may have been the kernel's own reaping.
                if *how == ReapHow::Auto {
                    reap_latency_ns = None;
                } else if reap_latency_ns.is_none() && *zombie_ns != 0 && taken && self.is_filtered() {
                    // That it had changed hands was not told; the kernel timed it from then on.
                    reap_latency_ns = Some(now.saturating_sub(*zombie_ns));
                }
            }
        }
        let in_scope = self.is_in_scope(&event, reap_latency_ns);
        if matches!(event.stage, Stage::Reap { .. }) {
            self.release(identity, now);
        }
        observations.push(Observation::Stage { event, reap_latency_ns, teardown_ns, in_scope });
    }

    fn is_known_dead(&self, identity: Identity) -> bool {
        self.processes.get(&identity).is_some_and(|process| process.is_dead())
    }

    /// Whether this stage of this process was asked for.
    fn is_in_scope(&self, event: &Lifecycle, reap_latency_ns: Option<u64>) -> bool {
        let process = event.process.identity;
        let of_whom = match &self.begin.scope {
            Scope::Host => true,
            Scope::Tree(_) => self.processes.get(&process).is_some_and(|process| process.member),
            Scope::Pids(pids) => {
                let parent = event.stage.parent().map_or(0, |parent| parent.identity.tgid);
                pids.contains(&process.tgid) || pids.contains(&parent)
            }
        };
        let of_what = match self.begin.coverage {
            Coverage::LateReaps { min_latency_ns } => {
                matches!(event.stage, Stage::Reap { .. })
                    && reap_latency_ns.is_some_and(|latency_ns| latency_ns >= min_latency_ns)
            }
            Coverage::EveryEvent | Coverage::Exceptions { .. } | Coverage::Unstated => true,
        };
        of_whom && of_what
    }

    /// Whether a process that is not known here has been released already: every process was seen by the first walk, or
    /// its birth or its death was told. Where events were lost, the kernel's counters take the place of the ledgers.
    fn is_released(&self, identity: Identity) -> bool {
        self.first_walk_ns.is_some()
            && self.begin.coverage == Coverage::EveryEvent
            && !self.processes.contains_key(&identity)
    }

    /// Fills in a comm that the kernel had no chance to read.
    fn name(&self, task: &mut Task) {
        if task.comm.0[0] != 0 || task.identity.tgid == 0 {
            return;
        }
        if let Some(known) = self.parents.get(&task.identity).map(|parent| parent.task) {
            *task = known;
        } else if let Some(known) = self.processes.get(&task.identity).map(|process| process.task) {
            *task = known;
        }
    }

    /// A tgid with a new start belongs to somebody else: whoever had it before has been released.
    fn evict_former_owner(&mut self, identity: Identity, now: u64, observations: &mut Vec<Observation>) {
        if let Some(former) = self.by_tgid.get(&identity.tgid).copied()
            && former != identity
            && former.start_boottime_ns < identity.start_boottime_ns
        {
            self.release_unseen(former, now, observations);
        }
    }

    fn entry(&mut self, task: Task, parent: Option<Task>) -> &mut Process {
        if self.processes.len() >= self.crowded_at.max(self.finished.bounds.processes_max)
            && !self.processes.contains_key(&task.identity)
        {
            self.make_room(task.identity);
        }
        self.by_tgid.insert(task.identity.tgid, task.identity);
        let root = self.root();
        let parent_identity = parent.map(|parent| parent.identity).unwrap_or_default();
        let member = root == Some(task.identity)
            || (!self.processes.contains_key(&task.identity)
                && self.processes.get(&parent_identity).is_some_and(|parent| parent.member));
        let process = self
            .processes
            .entry(task.identity)
            .or_insert_with(|| Box::new(Process::new(task, parent_identity)));
        process.member |= member;
        process
    }

    /// Too many are followed at once. Those that run carry no debt: the eldest go, so many at a time that it is cheap for
    /// each.
    fn make_room(&mut self, besides: Identity) {
        let at_once = self.finished.bounds.processes_max / 8;
        let running = self.processes.values().filter(|one| matches!(one.state, State::Running));
        let mut running: Vec<Identity> = running.map(|one| one.task.identity).collect();
        running.retain(|one| *one != besides && Some(*one) != self.root());
        running.sort_unstable_by_key(|one| (one.start_boottime_ns, one.tgid));
        running.truncate(at_once);
        for one in &running {
            self.forget(*one);
        }
        self.not_followed = self.not_followed.saturating_add(running.len().max(1) as u64);
        self.crowded_at = self.processes.len() + at_once;
    }

    fn parent_entry(&mut self, task: Task) -> Option<&mut Parent> {
        if task.identity.tgid == 0 {
            return None;
        }
        if self.parents.len() >= self.finished.bounds.parents_max
            && !self.parents.contains_key(&task.identity)
        {
            self.not_followed += 1;
            return None;
        }
        if let Some(died_ns) = self.finished.died_ns(&task.identity)
            && !self.parents.contains_key(&task.identity)
        {
            // Where the kernel counts, it has counted this.
            if self.is_filtered() {
                return None;
            }
            let resumed = Parent { died_ns: Some(died_ns), resumed: true, ..Parent::new(task) };
            self.parents.insert(task.identity, resumed);
            self.finished.one_more_dead();
        }
        let process = self.processes.get(&task.identity);
        let parent = self.parents.entry(task.identity).or_insert_with(|| Parent::new(task));
        if let Some(process) = process {
            parent.member |= process.member;
            if parent.detail.is_none() {
                parent.detail.clone_from(&process.detail);
                parent.program_ns = parent.program_ns.max(process.program_ns);
            }
            parent.name_if_nameless(&process.task);
        }
        parent.name(&task);
        Some(parent)
    }

    fn fork(&mut self, child: Task, parent: &Task, creator: &Task, now: u64) {
        let inherited =
            self.processes.get(&creator.identity).or_else(|| self.processes.get(&parent.identity));
        let (detail, member) =
            inherited.map_or((None, false), |process| (process.detail.clone(), process.member));
        let in_tree = self.root().is_some();
        let process = self.entry(child, Some(*parent));
        if !process.is_dead() {
            process.parent = parent.identity;
        }
        process.born_to = parent.identity;
        process.member |= member;
        if in_tree && process.member {
            // Not the parent where it was cloned as a sibling (CLONE_PARENT).
            let spawner = if creator.identity.tgid == 0 { parent } else { creator };
            process.spawned_by = Some(Box::new(*spawner));
        }
        if process.detail.is_none() {
            process.detail = detail;
        }
        if let Some(parent) = self.parent_entry(*parent) {
            parent.ledger.forked += 1;
            parent.last_fork_ns = now;
        }
    }

    /// It has left the process table.
    fn release(&mut self, identity: Identity, now: u64) {
        self.released.push(now, identity);
        self.forget(identity);
    }

    fn forget(&mut self, identity: Identity) {
        if self.by_tgid.get(&identity.tgid) == Some(&identity) {
            self.by_tgid.remove(&identity.tgid);
        }
        self.processes.remove(&identity);
    }

    fn counters(&mut self, counters: Counters) {
        let known = self.parents.contains_key(&counters.parent.identity);
        let filtered = self.is_filtered();
        let deaths = [counters.exited, counters.adopted, counters.reaped, counters.autoreaped];
        // A process that only waited is no parent.
        let has_children = deaths.iter().any(|count| *count != 0) || (filtered && counters.forked != 0);
        // Of a tree, the kernel counts forks of its members alone: where the events of a birth were lost, its counters tell.
        let in_tree = match self.processes.get(&counters.parent.identity) {
            _ if self.root().is_none() => false,
            Some(process) => process.member,
            None => counters.forked != 0,
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
            parent.waits = Some(Waits { any: counters.waits_any, specific: counters.waits_specific });
            if filtered && counters.exec_ns != 0 {
                parent.exec_ns = Some(counters.exec_ns);
                parent.reaped_before_exec = counters.reaped_before_exec;
            }
            if counters.exec_ns > parent.program_ns {
                // It was not told of: what is known is of the program before.
                parent.runs(counters.exec_ns, None);
            }
            parent.member |= in_tree;
            let (died_ns, time_ns) = (counters.died_ns, counters.time_ns);
            parent.counters = Some(Box::new(counters));
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
}
