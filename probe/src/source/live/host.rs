//! What the live source reads of the host, as a trait: tests put a host that never was in its place.
//!
//! Must not know when and in which order anything is read.

use std::{
    cell::OnceCell,
    future::Future,
    time::{Duration, Instant},
};

use foldhash::HashMap;

use super::interpreters::Interpreters;
use crate::{
    model::{
        Counters, DeadChild, Description, Evidence, FinishedInCgroup, FinishedParents, Input, LifecycleEvent,
        Losses, PidLimits, Snapshot, Task, TaskState, TracerStats,
    },
    source::{
        SetupError,
        bpf::{options::ForkStacks, tracer::Tracer},
        host::{
            cgroup_tree::{CgroupTree, Cgroups},
            clock,
            evidence::{self, Writers},
            fork_site::{Sites, Stack},
            pid_limits, process_info, self_usage,
        },
        wakeups::Wakeups,
    },
};

/// Most stacks taken at a time, in some 10 ms.
const STACKS_AT_ONCE: usize = 512;

/// A host with attached programs.
pub trait Host {
    /// CLOCK_BOOTTIME.
    fn now_ns(&self) -> u64;
    /// Whether the programs see each reap where it happens; otherwise some reaps are seen only by their free.
    fn is_exact(&self) -> bool;
    /// Sets when [`Self::ready`] ends if few events come: first after `first`, and then so often.
    fn tick(&mut self, first: Duration, every: Duration);
    /// Ends when many events wait, or with the next tick. May be dropped at any time.
    fn ready(&mut self) -> impl Future<Output = ()>;
    /// Takes waiting events, so many at most. True if none is left.
    fn drain(&mut self, most: usize, take: impl FnMut(LifecycleEvent)) -> bool;
    /// Reads the kernel's task list.
    fn snapshot(&mut self, settle_after_ns: u64) -> Result<Snapshot, SetupError>;
    /// The dead whose release the programs have not seen.
    fn deaths(&self) -> Vec<DeadChild>;
    /// Whether the kernel has little room left for the counters of more parents.
    fn is_crowded(&self) -> bool;
    /// Reads the counters of all parents, or of those that died long ago. True if all could be read.
    fn counters(&mut self, all: bool, closing: bool, take: impl FnMut(Counters)) -> bool;
    /// The summed counters of parents that the kernel has forgotten.
    fn finished_parents(&self) -> FinishedParents;
    /// The same by cgroup, read after it; `None` where that is not asked for or cannot be had.
    fn finished_in_cgroups(&self) -> Option<Vec<FinishedInCgroup>> {
        None
    }
    /// Which cgroups there are, and what they are part of.
    fn cgroups(&mut self) -> Cgroups {
        Cgroups::default()
    }
    /// The same of all cgroups, however far from the root, for who asks by a process.
    fn all_cgroups(&mut self) -> Cgroups;
    /// Has the programs forget the sum of a cgroup.
    fn forget_cgroup(&mut self, _cgroup_id: u64) {}
    /// Everything lost so far.
    fn losses(&mut self) -> Losses;
    /// What the tracer costs and holds.
    fn tracer_stats(&mut self) -> TracerStats;
    /// The processes that are there when the window opens.
    fn watch_begins(&mut self, _first: &Snapshot) {}
    /// Has the programs tell more of these processes, where that is asked for of suspects.
    fn look_closer(&mut self, _suspects: &[Task]) {}
    /// Sites of forks, and the names of those that could be looked up by that time. True if none is left.
    fn fork_sites(&mut self, _by: Instant, _inputs: &mut Vec<(u64, Input)>) -> bool {
        true
    }
    /// What a process runs and is part of; `None` if it has gone or is hidden.
    fn describe(&self, task: &Task) -> Option<Description>;
    /// What a process is doing; `None` if it has died or is hidden. The writers of pipes are not named.
    fn evidence(&self, task: &Task) -> Option<Evidence>;
    /// Who could write to these pipes, which these processes read from.
    fn pipe_writers(&self, pipes: &[u64], readers: &[Task]) -> HashMap<u64, Writers>;
    /// Which of these processes descend from that one: bit n stands for the one in place n.
    fn descendants(&self, of: &Task, processes: &[Task]) -> u16;
    /// How many processes there may be, of the host and of these processes, and how many there are.
    fn pid_limits(&mut self, of: &[Task]) -> PidLimits;
}

/// The host that we run on.
pub struct ThisHost {
    tracer: Tracer,
    wakeups: Wakeups,
    proc: process_info::Reader,
    suspects: evidence::Reader,
    pid_limits: pid_limits::Reader,
    /// `None` until the first stack comes.
    sites: Option<Sites>,
    sites_missed: u64,
    interpreters: Interpreters,
    /// `None` where the hierarchy is not seen from its root, or is not asked about.
    cgroup_tree: Option<CgroupTree>,
    /// The same for [`Host::all_cgroups`], opened when it is first asked about.
    all_cgroups: OnceCell<Option<CgroupTree>>,
}

impl ThisHost {
    pub fn new(tracer: Tracer, wakeups: Wakeups) -> Self {
        let cgroup_tree = if tracer.is_by_cgroup() { CgroupTree::open() } else { None };
        Self {
            tracer,
            wakeups,
            proc: process_info::Reader::open(),
            suspects: evidence::Reader::open(),
            pid_limits: pid_limits::Reader::open(),
            sites: None,
            sites_missed: 0,
            interpreters: Interpreters::default(),
            cgroup_tree,
            all_cgroups: OnceCell::new(),
        }
    }
}

impl ThisHost {
    /// Tells the programs of interpreters that have begun.
    fn find_interpreters(&mut self) {
        if !self.interpreters.are_pending() {
            return;
        }
        let sites = self.sites.get_or_insert_with(Sites::open);
        self.interpreters.look(|task| {
            let Some(interpreter) = sites.interpreter(task) else { return false };
            self.tracer.add_interpreter(task.identity, &interpreter);
            true
        });
    }
}

impl Host for ThisHost {
    fn now_ns(&self) -> u64 {
        clock::boottime_ns()
    }

    fn is_exact(&self) -> bool {
        self.tracer.is_exact()
    }

    fn tick(&mut self, first: Duration, every: Duration) {
        self.wakeups.tick(first, every);
    }

    async fn ready(&mut self) {
        self.wakeups.next().await;
    }

    fn drain(&mut self, most: usize, mut take: impl FnMut(LifecycleEvent)) -> bool {
        self.tracer.flush_log();
        if self.tracer.fork_stacks() != ForkStacks::OfAll {
            return self.tracer.drain(most, take);
        }
        let interpreters = &mut self.interpreters;
        self.tracer.drain(most, |event| {
            interpreters.ran(&event);
            take(event);
        })
    }

    fn snapshot(&mut self, settle_after_ns: u64) -> Result<Snapshot, SetupError> {
        self.tracer.snapshot(settle_after_ns)
    }

    fn deaths(&self) -> Vec<DeadChild> {
        self.tracer.deaths()
    }

    fn is_crowded(&self) -> bool {
        self.tracer.is_crowded()
    }

    fn counters(&mut self, all: bool, closing: bool, take: impl FnMut(Counters)) -> bool {
        self.tracer.counters(all, closing, take)
    }

    fn finished_parents(&self) -> FinishedParents {
        self.tracer.finished_parents()
    }

    fn finished_in_cgroups(&self) -> Option<Vec<FinishedInCgroup>> {
        self.cgroup_tree.as_ref()?;
        self.tracer.finished_in_cgroups()
    }

    fn cgroups(&mut self) -> Cgroups {
        let Some(tree) = &self.cgroup_tree else { return Cgroups::default() };
        let found = tree.walk();
        if found.is_whole {
            self.tracer.set_deep_cgroups(&found.deep);
        }
        found
    }

    fn all_cgroups(&mut self) -> Cgroups {
        let tree = self.all_cgroups.get_or_init(CgroupTree::open);
        // Where the hierarchy cannot be seen from its root, no cgroup can be named: that is the answer to each.
        tree.as_ref().map_or(Cgroups { is_whole: true, ..Cgroups::default() }, CgroupTree::walk_all)
    }

    fn forget_cgroup(&mut self, cgroup_id: u64) {
        self.tracer.forget_cgroup(cgroup_id);
    }

    fn losses(&mut self) -> Losses {
        self.tracer.losses()
    }

    fn tracer_stats(&mut self) -> TracerStats {
        // What is held for more names is none of what watching takes.
        if let Some(sites) = &mut self.sites {
            sites.rest();
        }
        let (programs, maps) = self.tracer.tracer_stats();
        let (cpu_ns, resident_bytes) = self_usage::cost();
        TracerStats { cpu_ns, resident_bytes, kernel_bytes: self_usage::kernel_bytes(), programs, maps }
    }

    fn watch_begins(&mut self, first: &Snapshot) {
        if self.tracer.fork_stacks() == ForkStacks::OfAll {
            let is_python =
                |task: &Task| task.comm.bytes().starts_with(b"python") || self.proc.is_python(task);
            let running = first.tasks.iter().filter(|seen| seen.state == TaskState::Running);
            let tasks: Vec<Task> = running.map(|seen| seen.process).filter(is_python).collect();
            tasks.into_iter().for_each(|task| self.interpreters.add(task));
        }
    }

    fn look_closer(&mut self, suspects: &[Task]) {
        if self.tracer.fork_stacks() == ForkStacks::OfTargets {
            suspects.iter().for_each(|task| self.interpreters.add(*task));
        }
        self.tracer.look_closer(suspects);
    }

    fn fork_sites(&mut self, by: Instant, inputs: &mut Vec<(u64, Input)>) -> bool {
        self.find_interpreters();
        let sites = &mut self.sites;
        let none_left = self.tracer.drain_stacks(STACKS_AT_ONCE, |stack| {
            let Stack { time_ns, creator, child, .. } = stack;
            let site = sites.get_or_insert_with(Sites::open).number(&stack);
            inputs.push((time_ns, Input::ForkSite { time_ns, child, creator, site }));
        });
        if let Some(sites) = &mut self.sites {
            sites.take_pythons().into_iter().for_each(|task| self.interpreters.add(task));
        }
        let missed = self.tracer.stacks_missed();
        if missed > self.sites_missed {
            self.sites_missed = missed;
            inputs.push((clock::boottime_ns(), Input::ForkSitesMissed(missed)));
        }
        let Some(sites) = &mut self.sites else { return none_left };
        let named =
            sites.named(by).into_iter().map(|(number, site)| Input::Site { number, site: Box::new(site) });
        let time_ns = clock::boottime_ns();
        inputs.extend(named.map(|input| (time_ns, input)));
        none_left && !sites.has_unnamed()
    }

    fn describe(&self, task: &Task) -> Option<Description> {
        self.proc.read(task)
    }

    fn evidence(&self, task: &Task) -> Option<Evidence> {
        self.suspects.look(task)
    }

    fn pipe_writers(&self, pipes: &[u64], readers: &[Task]) -> HashMap<u64, Writers> {
        self.suspects.pipe_writers(pipes, readers)
    }

    fn descendants(&self, of: &Task, processes: &[Task]) -> u16 {
        self.suspects.descendants(of, processes)
    }

    fn pid_limits(&mut self, of: &[Task]) -> PidLimits {
        self.pid_limits.read(of)
    }
}
