//! What the live source reads of the host, as a trait: tests put a host that never was in its place.
//!
//! Must not know when and in which order anything is read.

use std::{future::Future, time::Duration};

use foldhash::HashMap;

use crate::{
    model::{
        Counters, DeadChild, Evidence, FinishedParents, LifecycleEvent, Losses, ProcessInfo, Snapshot, Task,
        TracerStats,
    },
    source::{
        SetupError,
        bpf::tracer::Tracer,
        host::{
            clock,
            evidence::{self, Writers},
            process_info, self_usage,
        },
        wakeups::Wakeups,
    },
};

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
    /// Everything lost so far.
    fn losses(&mut self) -> Losses;
    /// What the tracer costs and holds.
    fn tracer_stats(&mut self) -> TracerStats;
    /// What a process runs; `None` if it has gone or is hidden.
    fn describe(&self, task: &Task) -> Option<ProcessInfo>;
    /// What a process is doing; `None` if it has died or is hidden. The writers of pipes are not named.
    fn evidence(&self, task: &Task) -> Option<Evidence>;
    /// Who could write to these pipes, which these processes read from.
    fn pipe_writers(&self, pipes: &[u64], readers: &[Task]) -> HashMap<u64, Writers>;
}

/// The host that we run on.
pub struct ThisHost {
    tracer: Tracer,
    wakeups: Wakeups,
    proc: process_info::Reader,
    suspects: evidence::Reader,
}

impl ThisHost {
    pub fn new(tracer: Tracer, wakeups: Wakeups) -> Self {
        Self { tracer, wakeups, proc: process_info::Reader::open(), suspects: evidence::Reader::open() }
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

    fn drain(&mut self, most: usize, take: impl FnMut(LifecycleEvent)) -> bool {
        self.tracer.flush_log();
        self.tracer.drain(most, take)
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

    fn losses(&mut self) -> Losses {
        self.tracer.losses()
    }

    fn tracer_stats(&mut self) -> TracerStats {
        let (programs, maps) = self.tracer.tracer_stats();
        let (cpu_ns, resident_bytes) = self_usage::cost();
        TracerStats { cpu_ns, resident_bytes, programs, maps }
    }

    fn describe(&self, task: &Task) -> Option<ProcessInfo> {
        self.proc.read(task)
    }

    fn evidence(&self, task: &Task) -> Option<Evidence> {
        self.suspects.look(task)
    }

    fn pipe_writers(&self, pipes: &[u64], readers: &[Task]) -> HashMap<u64, Writers> {
        self.suspects.pipe_writers(pipes, readers)
    }
}
