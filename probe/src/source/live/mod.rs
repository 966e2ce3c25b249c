//! The running kernel as a source: when events are drained, when counters are read and snapshots taken.
//!
//! Owns the intervals, and in `closing` the order of the last readings. Must not know the engine or print.

mod cgroup_names;
mod cgroups;
mod closing;
#[cfg(test)]
pub(crate) mod fake;
mod host;
mod interpreters;
mod suspects;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use host::{Host, ThisHost};

use super::{
    SetupError,
    input::{Batch, Moment, Source},
};
use crate::model::{Begin, Coverage, DeadChild, Description, Input, LifecycleEvent, Losses, Snapshot, Task};
use cgroup_names::CgroupNames;
use cgroups::Cgroups;
use closing::Closing;
use suspects::{Suspects, Turn};

/// Drain interval while little happens: short enough to find a parent still in /proc, and to look immediate on a
/// terminal.
const DRAIN_EVERY: Duration = Duration::from_millis(20);
/// The same where only a program reads the lines: waking up, and waking the writer, costs more than the work itself.
const DRAIN_EVERY_FOR_PROGRAMS: Duration = Duration::from_millis(200);
/// The same where the kernel counts and sends next to nothing: as often as the counters are read. Waking up is most of
/// what watching an idle host costs, 50 µs each time; many events at once wake us before that.
const DRAIN_EVERY_COUNTING: Duration = COUNTERS_EVERY;
/// How often the kernel's task list is read.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);
/// The same while somebody looks at what is unreaped now, if that takes little of the time.
const SNAPSHOT_EVERY_FOR_ONLOOKERS: Duration = COUNTERS_EVERY;
/// So long after a reading nothing that is older comes any more (`reorder`).
const STRAGGLERS_COME_WITHIN: Duration = Duration::from_millis(12);
/// It takes little if it takes one of so many parts.
const SNAPSHOT_SHARE: u32 = 500;
/// How often losses and the counters of finished parents are read.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);
/// The same where the kernel has little room left for the counters of more parents.
const COUNTERS_EVERY_WHEN_CROWDED: Duration = Duration::from_millis(200);
/// A dead process counts as released if it died this long before a snapshot that does not have it.
const SETTLE_AFTER_NS: u64 = 1_000_000_000;
/// How long the names of fork sites may take at a time; the rest follows.
const NAMES_TAKE: Duration = Duration::from_millis(10);
/// Most events of a batch: all that fit the kernel's buffer would take megabytes here too.
const EVENTS_AT_ONCE: usize = 2_048;

/// How soon events are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A person sees them, or a parent has to be found in /proc while it lives.
    Prompt,
    /// The same, and what is unreaped now is looked at all the time.
    OnLooked,
    /// A program reads them.
    Relaxed,
}

/// The running kernel.
pub struct Live<H> {
    host: H,
    /// Whether the kernel counts and sends next to nothing.
    is_counting: bool,
    /// What goes into the next batch: the begin of the window, or answers.
    pending: Vec<(u64, Input)>,
    /// A drain is under way, begun at this time.
    drain_began_ns: Option<u64>,
    next_counters: Instant,
    /// The counters are not read again before, however crowded the kernel is.
    not_before: Instant,
    next_snapshot: Instant,
    is_on_looked: bool,
    /// When an onlooker is shown what was read last.
    shown_at: Option<Instant>,
    suspects: Suspects,
    cgroups: Cgroups,
    cgroup_names: CgroupNames,
    /// Set once the window is to be closed.
    closing: Option<Closing>,
}

impl<H: Host> Live<H> {
    /// Opens the window. `first`: the snapshot taken right after attaching.
    pub fn open(mut host: H, begin: Begin, first: Snapshot, pace: Pace) -> Self {
        let is_counting = matches!(begin.coverage, Coverage::Exceptions { .. });
        let every = match pace {
            _ if is_counting => DRAIN_EVERY_COUNTING,
            Pace::Relaxed => DRAIN_EVERY_FOR_PROGRAMS,
            Pace::Prompt | Pace::OnLooked => DRAIN_EVERY,
        };
        // Before the first tick is set, so that the tick of a second never comes just too early.
        let now = Instant::now();
        host.tick(DRAIN_EVERY.min(every), every);
        host.watch_begins(&first);
        let began = (begin.time_ns, Input::Begin(begin));
        Self {
            host,
            is_counting,
            pending: vec![began, (first.ended_ns, Input::Snapshot(first))],
            drain_began_ns: None,
            next_counters: now + COUNTERS_EVERY,
            not_before: now + COUNTERS_EVERY_WHEN_CROWDED,
            next_snapshot: now
                + if pace == Pace::OnLooked { SNAPSHOT_EVERY_FOR_ONLOOKERS } else { SNAPSHOT_EVERY },
            is_on_looked: pace == Pace::OnLooked,
            shown_at: None,
            suspects: Suspects::default(),
            cgroups: Cgroups::default(),
            cgroup_names: CgroupNames::default(),
            closing: None,
        }
    }

    /// Takes some of the events that the kernel had sent when the drain began; `when` says at what time an event counts as
    /// happened, if it counts. True if that was the last of them: events that come faster than this takes them do not
    /// prolong a drain.
    fn drain(&mut self, batch: &mut Batch, when: impl Fn(&LifecycleEvent) -> Option<u64>) -> bool {
        let drained_ns = self.host.now_ns();
        let began_ns = *self.drain_began_ns.get_or_insert(drained_ns);
        let mut newest_ns = 0;
        let none_left = self.host.drain(EVENTS_AT_ONCE, |mut event| {
            newest_ns = newest_ns.max(event.time_ns);
            if let Some(time_ns) = when(&event) {
                event.time_ns = time_ns;
                batch.inputs.push((time_ns, Input::Lifecycle(event)));
            }
        });
        // After the events: the site of each child that they are about was sent before them.
        self.host.fork_sites(Instant::now() + NAMES_TAKE, &mut batch.inputs);
        // What is still in the buffer came after what was taken.
        batch.complete_to_ns = if none_left { drained_ns } else { newest_ns };
        let is_over = none_left || newest_ns > began_ns;
        if is_over {
            self.drain_began_ns = None;
        }
        is_over
    }

    /// Reads what is due.
    fn read(&mut self, batch: &mut Batch) -> Result<(), SetupError> {
        let now = Instant::now();
        if !self.is_on_looked {
            self.walk(batch, now)?;
        }
        if now >= self.next_counters {
            self.next_counters = (self.next_counters + COUNTERS_EVERY).max(now);
            self.not_before = now + COUNTERS_EVERY_WHEN_CROWDED;
            self.read_counters(batch, None);
            batch.moment = Moment::Reading;
        } else if now >= self.not_before {
            self.not_before = now + COUNTERS_EVERY_WHEN_CROWDED;
            if self.host.is_crowded() {
                self.read_counters(batch, None);
            }
        }
        // What is unreaped is exact if it is read after what was counted.
        if self.is_on_looked {
            self.walk(batch, now)?;
        }
        Ok(())
    }

    /// Reads the kernel's task list, if that is due.
    fn walk(&mut self, batch: &mut Batch, now: Instant) -> Result<(), SetupError> {
        if now < self.next_snapshot {
            return Ok(());
        }
        let began = Instant::now();
        let snapshot = self.host.snapshot(SETTLE_AFTER_NS)?;
        batch.inputs.push((snapshot.ended_ns, Input::Snapshot(snapshot)));
        let every = match self.is_on_looked {
            true => (began.elapsed() * SNAPSHOT_SHARE).clamp(SNAPSHOT_EVERY_FOR_ONLOOKERS, SNAPSHOT_EVERY),
            false => SNAPSHOT_EVERY,
        };
        self.next_snapshot = (self.next_snapshot + every).max(now);
        Ok(())
    }

    /// Reads what the kernel has counted and lost. True if anything was lost so far. `frees_missed`: the last reading, at
    /// which so many frees have not come.
    fn read_counters(&mut self, batch: &mut Batch, frees_missed: Option<u64>) -> bool {
        let is_closing = frees_missed.is_some();
        let complete = self.host.counters(self.is_counting || is_closing, is_closing, |counters| {
            batch.push_counters(&counters);
        });
        let time_ns = self.host.now_ns();
        if self.is_counting && complete {
            let finished = self.host.finished_parents();
            if let Some(sums) = self.cgroups.read(&mut self.host, Instant::now()) {
                batch.inputs.push((time_ns, Input::FinishedInCgroups(sums.into())));
            }
            batch.inputs.push((time_ns, Input::FinishedParents(finished)));
        }
        let mut losses = self.host.losses();
        losses.probe_missed += frees_missed.unwrap_or(0);
        batch.inputs.push((time_ns, Input::Losses { time_ns, losses }));
        if is_closing {
            batch.inputs.push((time_ns, Input::TracerStats(Box::new(self.host.tracer_stats()))));
        }
        losses != Losses::default()
    }
}

impl<H: Host> Source for Live<H> {
    async fn next(&mut self, batch: &mut Batch) -> Result<(), SetupError> {
        if self.closing.is_some() {
            return self.close(batch).await;
        }
        if let Some(shown_at) = self.shown_at {
            tokio::time::sleep_until(shown_at.into()).await;
            self.shown_at = None;
            self.drain(batch, |event| Some(event.time_ns));
            batch.moment = Moment::Reading;
            return Ok(());
        }
        if self.drain_began_ns.is_none() {
            self.host.ready().await;
        }
        batch.inputs.append(&mut self.pending);
        if self.drain(batch, |event| Some(event.time_ns)) {
            self.read(batch)?;
            // An onlooker is shown what has just been read: for that all that came before it must be there.
            if self.is_on_looked && batch.moment == Moment::Reading {
                batch.moment = Moment::Within;
                self.shown_at = Some(Instant::now() + STRAGGLERS_COME_WITHIN);
            }
        }
        Ok(())
    }

    fn begin_closing(&mut self, by: Option<Instant>) {
        self.closing = Some(Closing::new(by));
    }

    fn describe(&mut self, parents: &[Task]) {
        for task in parents {
            // The time before the look: a later exec must come after an answer that may be of the program before it.
            let time_ns = self.host.now_ns();
            let Description { info, workload } = self.host.describe(task).unwrap_or_default();
            self.pending.push((time_ns, Input::ProcessInfo { identity: task.identity, info, workload }));
        }
    }

    fn look_closer(&mut self, suspects: &[Task]) {
        let closing = self.closing.as_ref();
        let turn = Turn::begin(closing.is_some(), closing.and_then(Closing::by));
        self.pending.extend(self.suspects.look(&self.host, suspects, turn));
        self.host.look_closer(suspects);
    }

    fn name_cgroups(&mut self, ids: &[u64]) -> Vec<Input> {
        self.cgroup_names.look_up(&mut self.host, ids, Instant::now())
    }

    fn read_pid_limits(&mut self, of: &[Task]) {
        let limits = self.host.pid_limits(of);
        self.pending.push((limits.time_ns, Input::PidLimits(Box::new(limits))));
    }
}
