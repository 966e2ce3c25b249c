//! A host that never was, for tests of how a window is closed: no kernel, no root.
//!
//! Must not know the order in which it is read: it writes that order down.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::Duration,
};

use foldhash::HashMap;

use super::Host;
use crate::{
    model::{
        Counters, DeadChild, Description, Evidence, FinishedInCgroup, FinishedParents, Identity,
        LifecycleEvent, Losses, PidLimits, Precision, Readiness, ReapHow, Snapshot, Stage, Task, TaskEntry,
        TaskState, TracerStats, WaitStatus,
    },
    source::{
        SetupError,
        host::{cgroup_tree::Cgroups, evidence::Writers},
    },
};

/// What was read, in order; drains are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Snapshot,
    Deaths,
    Counters,
    Losses,
}

#[derive(Default)]
pub(crate) struct FakeHost {
    pub clock_ns: Cell<u64>,
    pub is_exact: bool,
    /// Events, each to be had from a drain of this number on.
    pub events: VecDeque<(u32, LifecycleEvent)>,
    /// Events come faster than anybody takes them.
    pub is_flooded: bool,
    pub tasks: Vec<TaskEntry>,
    /// The dead that the programs follow, and up to which look at them.
    pub followed: Vec<(DeadChild, u32)>,
    pub counters: Vec<Counters>,
    pub lost: Losses,
    /// What every process does but 404, which has gone.
    pub evidence: Evidence,
    /// How often the writers of pipes were looked for; each pipe has one.
    pub walks: Cell<u32>,
    /// The process from which that one descends, and how often that was asked.
    pub ancestor_of_writers: u32,
    pub descents: Cell<u32>,
    /// Which processes were looked at closer.
    pub looks_at: RefCell<Vec<u32>>,
    /// The kernel goes away after so many snapshots.
    pub snapshots_max: Option<u32>,
    pub drains: u32,
    pub snapshots: u32,
    pub looks: Cell<u32>,
    /// Sums of cgroups, the cgroups that there are, how often they were walked, and which were forgotten.
    pub sums: Option<Vec<FinishedInCgroup>>,
    pub tree: Cgroups,
    pub tree_walks: u32,
    pub forgotten: Vec<u64>,
    pub reads: RefCell<Vec<Read>>,
}

impl FakeHost {
    /// One whose clock stands at `now_ns` and goes on by 1 µs with each look at it.
    pub fn at(now_ns: u64) -> Self {
        Self { clock_ns: Cell::new(now_ns), ..Self::default() }
    }

    pub fn has_read(&self) -> Vec<Read> {
        self.reads.borrow().clone()
    }
}

impl Host for FakeHost {
    fn now_ns(&self) -> u64 {
        self.clock_ns.set(self.clock_ns.get() + 1_000);
        self.clock_ns.get()
    }

    fn is_exact(&self) -> bool {
        self.is_exact
    }

    fn tick(&mut self, _first: Duration, _every: Duration) {}

    async fn ready(&mut self) {
        tokio::task::yield_now().await;
    }

    fn drain(&mut self, most: usize, mut take: impl FnMut(LifecycleEvent)) -> bool {
        self.drains += 1;
        if self.is_flooded {
            for _ in 0..most {
                take(exit(self.now_ns(), 500, 1));
            }
            return false;
        }
        while self.events.front().is_some_and(|(from, _)| *from <= self.drains) {
            take(self.events.pop_front().expect("the front").1);
        }
        true
    }

    fn snapshot(&mut self, settle_after_ns: u64) -> Result<Snapshot, SetupError> {
        self.reads.borrow_mut().push(Read::Snapshot);
        self.snapshots += 1;
        if self.snapshots_max.is_some_and(|most| self.snapshots > most) {
            return Err(SetupError { what: "the kernel has gone".into(), remedy: "none".into() });
        }
        let began_ns = self.now_ns();
        let tasks = self.tasks.clone();
        Ok(Snapshot { began_ns, ended_ns: self.now_ns(), settle_after_ns, tasks })
    }

    fn deaths(&self) -> Vec<DeadChild> {
        self.reads.borrow_mut().push(Read::Deaths);
        self.looks.set(self.looks.get() + 1);
        let is_there = |until: u32| self.looks.get() <= until;
        self.followed.iter().filter(|(_, until)| is_there(*until)).map(|(death, _)| *death).collect()
    }

    fn is_crowded(&self) -> bool {
        false
    }

    fn counters(&mut self, _all: bool, _closing: bool, mut take: impl FnMut(Counters)) -> bool {
        self.reads.borrow_mut().push(Read::Counters);
        for counters in self.counters.clone() {
            take(Counters { time_ns: self.now_ns(), ..counters });
        }
        true
    }

    fn finished_parents(&self) -> FinishedParents {
        FinishedParents::default()
    }

    fn finished_in_cgroups(&self) -> Option<Vec<FinishedInCgroup>> {
        self.sums.clone()
    }

    fn cgroups(&mut self) -> Cgroups {
        self.tree_walks += 1;
        let Cgroups { workloads, deep, is_whole } = &self.tree;
        Cgroups { workloads: workloads.clone(), deep: deep.clone(), is_whole: *is_whole }
    }

    fn all_cgroups(&mut self) -> Cgroups {
        self.cgroups()
    }

    fn forget_cgroup(&mut self, cgroup_id: u64) {
        self.forgotten.push(cgroup_id);
    }

    fn losses(&mut self) -> Losses {
        self.reads.borrow_mut().push(Read::Losses);
        self.lost
    }

    fn tracer_stats(&mut self) -> TracerStats {
        TracerStats::default()
    }

    fn describe(&self, _task: &Task) -> Option<Description> {
        None
    }

    fn evidence(&self, task: &Task) -> Option<Evidence> {
        self.looks_at.borrow_mut().push(task.identity.tgid);
        (task.identity.tgid != 404).then(|| self.evidence.clone())
    }

    fn pipe_writers(&self, pipes: &[u64], _readers: &[Task]) -> HashMap<u64, Writers> {
        self.walks.set(self.walks.get() + 1);
        let writers = Writers { tasks: vec![task(77)], is_cut: false };
        pipes.iter().map(|pipe| (*pipe, writers.clone())).collect()
    }

    fn descendants(&self, of: &Task, processes: &[Task]) -> u16 {
        assert_eq!(processes, [task(77)]);
        self.descents.set(self.descents.get() + 1);
        u16::from(of.identity.tgid == self.ancestor_of_writers)
    }

    fn pid_limits(&mut self, _of: &[Task]) -> PidLimits {
        PidLimits { time_ns: self.now_ns(), ..PidLimits::default() }
    }
}

pub(crate) fn task(tgid: u32) -> Task {
    Task {
        identity: Identity { tgid, start_boottime_ns: u64::from(tgid) },
        ns_pid: tgid,
        comm: b"fake"[..].into(),
    }
}

pub(crate) fn seen(tgid: u32, parent: u32, state: TaskState) -> TaskEntry {
    TaskEntry {
        time_ns: 0,
        process: task(tgid),
        parent: task(parent),
        state,
        tracer: None,
        since_ns: 0,
        traits: crate::model::TaskTraits::default(),
    }
}

pub(crate) fn death(process: u32, parent: u32) -> DeadChild {
    DeadChild {
        process: task(process).identity,
        parent: task(parent).identity,
        autoreap: false,
        counted: true,
    }
}

pub(crate) fn exit(time_ns: u64, process: u32, parent: u32) -> LifecycleEvent {
    let stage = Stage::Exit {
        parent: task(parent),
        status: WaitStatus(0),
        autoreap: false,
        is_clone_child: false,
        account: None,
    };
    LifecycleEvent { time_ns, process: task(process), stage }
}

/// A release of which only the free is seen.
pub(crate) fn free(time_ns: u64, process: u32, parent: u32) -> LifecycleEvent {
    let stage = Stage::Reap {
        parent: task(parent),
        reaper: task(parent),
        how: ReapHow::Wait,
        precision: Precision::Coarse,
        exit_ns: 0,
        zombie_ns: 0,
        readiness: Readiness::Unknown,
    };
    LifecycleEvent { time_ns, process: task(process), stage }
}
