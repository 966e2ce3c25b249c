//! One parent: its books, its unreaped children, its latencies.
//!
//! Must not know other parents, nor judge.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::{
    Process, State,
    abandoned::Abandoned,
    fork_site::SitesOfParent,
    histogram::Histogram,
    late_reaps::{AT_SPAWN_NS, LateReaps, TWO_LOOKS_NS},
    left_open::LeftOpen,
    provenance::Provenance,
};
use crate::model::{
    Blocked, ChildCounts, Counters, Evidence, Identity, Kill, PackedCounters, ProcessInfo, Task, WaitCalls,
    Workload,
};

/// Room for so many zombies is not worth giving back.
const ROOM_KEPT: usize = 1_024;

/// What was counted, before it is checked and summed up for a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub counts: ChildCounts,
    /// Zombies still there when the parent died.
    pub abandoned: u64,
}

/// A zombie, as its parent leaves it behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    pub child: Identity,
    pub waited_ns: u64,
    pub held_by: Option<Box<Task>>,
    /// It was dead before the window began.
    pub older: bool,
    pub provenance: Provenance,
    pub is_clone_child: bool,
    pub is_though_ignored: bool,
    pub label: Box<[u8]>,
}

impl std::ops::AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        self.counts += other.counts;
        self.abandoned = self.abandoned.saturating_add(other.abandoned);
    }
}

/// A child that was released, it was not seen by whom.
#[derive(Clone, Debug)]
pub(super) struct Untold {
    pub since_ns: u64,
    pub released_ns: u64,
    pub left: Left,
}

/// What was counted of a parent when a reading of the counters first found children of it unreaped; it is kept until a reading
/// finds none.
#[derive(Clone, Debug)]
pub(super) struct FirstLeft {
    /// Later readings: 0 where none tells what it has done since.
    later: u32,
    exec_ns: u64,
    waits: WaitCalls,
    reaped: u64,
}

impl FirstLeft {
    fn of(counters: &Counters) -> Self {
        let Counters { exec_ns, waits, counts, .. } = counters;
        Self { later: 0, exec_ns: *exec_ns, waits: *waits, reaped: counts.reaped }
    }
}

/// What a parent did while children of it lay unreaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhileLeft {
    /// Wait calls that it began: for any child, and for certain ones.
    pub any: u64,
    pub specific: u64,
    pub reaped: u64,
}

/// Most of those remembered for one parent, until its counters say whether it lives.
const UNTOLD_MAX: usize = 4096;

/// How many children were dead while they were its, by these counts.
pub(super) fn dead(counts: &ChildCounts) -> u64 {
    counts.exited.saturating_add(counts.adopted)
}

/// A process with children.
#[derive(Clone, Debug)]
pub struct Parent {
    pub task: Task,
    pub info: Option<Arc<ProcessInfo>>,
    /// What it is part of; `None` where that is not known.
    pub workload: Option<Arc<Workload>>,
    /// /proc was asked what it runs, since it runs it.
    pub(super) is_described: bool,
    /// Whether it is a subreaper, as the task list said with the last zombie of its; `None`: it had none then.
    pub is_subreaper: Option<bool>,
    /// When it began the program that `detail` is of; 0 where that was not seen.
    pub(super) program_ns: u64,
    /// What it was doing when it was last looked at as a suspect; it stays when the parent dies.
    pub evidence: Option<Box<Evidence>>,
    /// From which look on that was so, and up to which. Recordings before 3.10 do not have the looks that found what the one
    /// before had.
    pub evidence_ns: u64,
    /// No look at its program of now came before the last one.
    pub is_looked_at_once: bool,
    /// Since when looks find that its main thread was not taken off a CPU in between.
    pub still_ns: u64,
    pub looked_ns: u64,
    /// When a look last found it free to go on.
    pub free_ns: Option<u64>,
    /// Whether it reads from a pipe that one of its zombies left open.
    pub pipe: LeftOpen,
    /// `None`: it has reaped none late.
    pub(super) late_reaps: Option<Box<LateReaps>>,
    /// When the kernel last reaped a child of it at once, 0: it was not seen to.
    pub last_autoreap_ns: u64,
    pub in_tree: bool,
    pub died_ns: Option<u64>,
    /// The signal that it died of, where that was seen.
    pub killed_by: Option<u8>,
    pub exec_ns: Option<u64>,
    /// Children reaped by the program it ran before its last exec: no credit to the one it runs now.
    pub reaped_before_exec: u64,
    pub last_fork_ns: u64,
    pub ledger: Ledger,
    /// Where its children were forked.
    pub sites: SitesOfParent,
    /// Its unreaped children; `unreaped` is their number.
    pub zombies: HashSet<Identity>,
    /// `None`: it has abandoned none.
    pub(super) abandoned: Option<Box<Abandoned>>,
    pub reap_latency: Histogram,
    pub teardown: Histogram,
    /// In a view, where the ledger is that of its counters: how it waits.
    pub(crate) waits: Option<Box<WaitCalls>>,
    /// `None`: the last reading found no unreaped child.
    pub(super) first_left: Option<Box<FirstLeft>>,
    /// SIGCHLDs of its children that were merged into one that was pending; `None`: not known.
    pub coalesced: Option<u64>,
    /// Zombies of the first walk: dead before anything was counted.
    pub older: u64,
    /// A reaped child was older than the tracer: its latency is a lower bound.
    pub reaped_late_at_least: bool,
    /// Where not every event is told: released by somebody, perhaps for it by the kernel, when it had died.
    pub(super) untold: Vec<Untold>,
    /// In a view: how many have died since the last walk, of whom it is not known whether they are zombies. They are not in the ledger.
    pub(super) not_walked: u64,
    /// In a view: its ledger is not whole, for the kernel had no room to count for it.
    pub is_uncounted: bool,
    pub(super) counters: Option<PackedCounters>,
    /// How many children had died by the last reading before the last walk: what became of later ones no walk has told yet.
    pub(super) dead_by_walk: u64,
    /// An input came for it after its ledger had gone into a sum: to which this one will be added.
    pub(super) resumed: bool,
    /// Its counters were in the reading that is under way.
    pub(super) in_reading: bool,
}

impl Parent {
    pub(crate) fn new(task: Task) -> Self {
        Self {
            task,
            info: None,
            workload: None,
            is_described: false,
            is_subreaper: None,
            program_ns: 0,
            evidence: None,
            evidence_ns: 0,
            is_looked_at_once: false,
            still_ns: 0,
            looked_ns: 0,
            free_ns: None,
            pipe: LeftOpen::default(),
            late_reaps: None,
            last_autoreap_ns: 0,
            in_tree: false,
            died_ns: None,
            killed_by: None,
            exec_ns: None,
            reaped_before_exec: 0,
            last_fork_ns: 0,
            ledger: Ledger::default(),
            sites: SitesOfParent::default(),
            zombies: HashSet::default(),
            untold: Vec::new(),
            abandoned: None,
            reap_latency: Histogram::default(),
            teardown: Histogram::default(),
            waits: None,
            first_left: None,
            coalesced: None,
            older: 0,
            reaped_late_at_least: false,
            not_walked: 0,
            is_uncounted: false,
            counters: None,
            dead_by_walk: 0,
            resumed: false,
            in_reading: false,
        }
    }

    /// At the end of a reading of all counters: false where they were told before and now no longer are. What it had is
    /// in the sum of those that left nothing to tell.
    pub(super) fn is_kept(&mut self) -> bool {
        let in_reading = std::mem::take(&mut self.in_reading);
        in_reading || self.counters.as_ref().is_none_or(PackedCounters::is_retired)
    }

    /// One of its zombies is gone; false where it had no such one. The room that tens of thousands took is given back.
    pub(super) fn let_go(&mut self, zombie: &Identity) -> bool {
        let had_it = self.zombies.remove(zombie);
        if self.zombies.capacity() > ROOM_KEPT && self.zombies.len() < self.zombies.capacity() / 8 {
            self.zombies.shrink_to(2 * self.zombies.len());
        }
        had_it
    }

    /// The evidence of the program that it runs now, or ran when it died: not that of before its last exec, and none that
    /// is said to be of after its death.
    pub fn current_evidence(&self) -> Option<&Evidence> {
        let is_before_death = self.died_ns.is_none_or(|died_ns| self.looked_ns <= died_ns);
        let is_since_exec = self.exec_ns.is_none_or(|exec_ns| self.looked_ns >= exec_ns);
        self.evidence.as_deref().filter(|_| is_before_death && is_since_exec)
    }

    /// Since when it is known to do what the evidence says.
    pub fn evidence_since_ns(&self) -> u64 {
        self.evidence_ns.max(self.exec_ns.unwrap_or(0))
    }

    /// How many children have died, those included of which the last walk of the task list does not tell yet.
    pub fn died_in_all(&self) -> u64 {
        self.ledger.counts.exited.saturating_add(self.not_walked)
    }

    /// Whether the program it runs now has reaped anything.
    pub fn has_reaped(&self) -> bool {
        self.ledger.counts.reaped > self.reaped_before_exec
    }

    /// It reaps a child; late, where it had waited longer than `late_ns`. `at_least`: it may have waited longer than that.
    pub(super) fn reaps(&mut self, now: u64, latency_ns: u64, late_ns: u64, at_least: bool) {
        self.reap_latency.record(latency_ns);
        if latency_ns > late_ns {
            let is_at_spawn = self.last_fork_ns != 0 && now.saturating_sub(self.last_fork_ns) <= AT_SPAWN_NS;
            // Nothing is known of what it did after the last look but that it was no longer than to the next one.
            let until_ns = now.min(self.looked_ns.saturating_add(TWO_LOOKS_NS));
            let mut late = self.late_reaps.take().unwrap_or_default();
            late.add(now, is_at_spawn);
            // Of pipes it waits only for the end of one that a dead child left open.
            let may_be_why = |evidence: &&Evidence| match &evidence.blocked {
                Blocked::PipeRead(read) => {
                    self.pipe.by().is_some_and(|by| by.may_have_just_ended(read.pipe, now))
                }
                _ => true,
            };
            if let Some(evidence) = self.current_evidence().filter(may_be_why).filter(|_| !at_least) {
                late.while_doing(evidence, [self.evidence_since_ns(), until_ns], latency_ns);
            }
            self.late_reaps = Some(late);
        }
    }

    /// It reaps a child: that tells whether it waits for the end of a pipe, if the writer still runs.
    pub(super) fn reaps_at_pipe(
        &mut self,
        child: Identity,
        now: u64,
        processes: &HashMap<Identity, Box<Process>>,
    ) {
        let writer = self.pipe.by().and_then(|by| processes.get(&by.found.writer.identity));
        if writer.is_some_and(|writer| matches!(writer.state, State::Running)) {
            let has_threads = self.evidence.as_ref().is_some_and(|evidence| evidence.threads != 1);
            self.pipe.reaps(child, has_threads, now);
        }
    }

    /// It has a new child.
    pub(super) fn forks(&mut self, now: u64) {
        self.last_fork_ns = now;
        if let Some(late) = self.late_reaps.as_deref_mut() {
            late.spawned(now, !self.zombies.is_empty());
        }
    }

    /// How it waits; `None`: not counted yet.
    pub fn waits(&self) -> Option<WaitCalls> {
        let counted = self.counters.as_ref().map(|counters| counters.unpack().waits);
        counted.or(self.waits.as_deref().copied())
    }

    /// Its counters were read anew.
    pub(super) fn counted(&mut self, counters: &Counters) {
        if let (Some(late), Some(before)) = (self.late_reaps.as_deref_mut(), &self.counters) {
            let before = before.unpack();
            let calls = |counters: &Counters| counters.waits.any + counters.waits.specific;
            let is_without_birth =
                calls(counters) > calls(&before) && counters.counts.forked == before.counts.forked;
            late.calls_without_birth += u64::from(is_without_birth);
        }
        self.counters = Some(PackedCounters::from(counters));
        if self.leaves() == 0 {
            self.first_left = None;
            return;
        }
        match self.first_left.as_deref_mut() {
            Some(first) if first.exec_ns == counters.exec_ns => first.later += 1,
            _ => self.first_left = Some(Box::new(FirstLeft::of(counters))),
        }
    }

    /// The task list was walked, after the last reading.
    pub(super) fn walked(&mut self) {
        self.dead_by_walk = self.counters.as_ref().map_or(0, |counters| dead(&counters.head().counts));
    }

    /// What it did between the first reading that found children of it unreaped and the last one; `None` where no two readings
    /// did.
    pub fn while_left(&self) -> Option<WhileLeft> {
        let first = self.first_left.as_deref().filter(|first| first.later > 0)?;
        let now = self.waits()?;
        Some(WhileLeft {
            any: now.any.saturating_sub(first.waits.any),
            specific: now.specific.saturating_sub(first.waits.specific),
            reaped: self.ledger.counts.reaped.saturating_sub(first.reaped),
        })
    }

    /// Its late reaps.
    pub fn late_reaps(&self) -> &LateReaps {
        self.late_reaps.as_deref().unwrap_or(LateReaps::NONE)
    }

    pub(super) fn late_reaps_mut(&mut self) -> &mut LateReaps {
        self.late_reaps.get_or_insert_default()
    }

    /// Its zombies that outlived it.
    pub fn abandoned(&self) -> &Abandoned {
        self.abandoned.as_deref().unwrap_or(Abandoned::NONE)
    }

    /// One of its zombies outlived it.
    pub(super) fn abandon(&mut self, left: Left, kill: Option<&Kill>) {
        self.ledger.abandoned += 1;
        self.abandoned.get_or_insert_default().add(left, self.task.identity, kill);
    }

    /// One that was taken for reaped outlived it.
    pub(super) fn abandon_after_all(&mut self, left: Left, kill: Option<&Kill>) {
        self.ledger.counts.reaped = self.ledger.counts.reaped.saturating_sub(1);
        self.abandon(left, kill);
    }

    /// One was released, it was not seen by whom, and whether this parent had died by then is not known yet.
    pub(super) fn released_untold(&mut self, untold: Untold) {
        if self.untold.len() < UNTOLD_MAX {
            self.untold.push(untold);
        }
    }

    /// It lived at that time: what was released by then it may have reaped.
    pub(super) fn lived_at(&mut self, time_ns: u64) {
        self.untold.retain(|untold| untold.released_ns > time_ns);
        self.untold.shrink_to_fit();
    }

    /// The kernel's word on when it died: what was released since, the kernel took.
    pub(super) fn died_at(&mut self, died_ns: u64) {
        self.died_ns = Some(died_ns);
        for Untold { since_ns, released_ns, left } in std::mem::take(&mut self.untold) {
            if released_ns >= died_ns {
                self.abandon(Left { waited_ns: died_ns.saturating_sub(since_ns), ..left }, None);
            }
        }
    }

    /// One that was taken for abandoned had been reaped.
    pub(super) fn reclassify_as_reaped(
        &mut self,
        child: Identity,
        waited_ns: u64,
        held: bool,
        kill: Option<&Kill>,
    ) {
        if let Some(abandoned) = self.abandoned.as_deref_mut() {
            abandoned.remove(child, self.task.identity, waited_ns, held, kill);
        }
        self.ledger.abandoned = self.ledger.abandoned.saturating_sub(1);
        self.ledger.counts.reaped += 1;
    }

    /// Children that died so far, as far as is known.
    pub(super) fn deaths(&self) -> u64 {
        self.counters.as_ref().map_or(self.ledger.counts.exited, |counters| counters.head().counts.exited)
    }
}
