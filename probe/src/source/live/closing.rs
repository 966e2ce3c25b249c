//! How the window is closed: the order of the last events, snapshots, frees and counters.
//!
//! 1. Drain what the kernel has sent, and take a snapshot. Events after it do not count: they would unbalance the ledgers
//!    against it. Only where the kernel counts (`is_counting`) do they count, up to the last reading of the counters.
//! 2. Where some releases are seen only by their free, wait for the frees of the dead that the snapshot does not have.
//! 3. Wait a moment for stragglers, and drain again.
//! 4. Read the counters, and the losses.
//! 5. Where the ledgers are what the kernel counted, take another snapshot. It has to come after the counters: a child that
//!    they have as dead and that a later snapshot does not have has been reaped. With an earlier snapshot, a reap in
//!    between would be counted twice.
//! 6. Hand over answers, those to the last look at suspects too, and the end.
//!
//! Must not know what the ledgers become.

use std::{
    mem,
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashSet};

use super::{Batch, DeadChild, Host, Input, LifecycleEvent, Live, Moment, SetupError, Snapshot};
use crate::model::{Identity, Precision, Stage, TaskState};

/// Stragglers get this long after the snapshot.
const STRAGGLERS_TAKE: Duration = Duration::from_millis(15);
/// How long a free takes, mostly.
const FREES_TAKE: Duration = Duration::from_millis(60);
/// The longest wait for frees, where nothing else says who reaped: on a busy machine RCU takes its time.
const LAST_FREES: Duration = Duration::from_secs(2);
/// The longest that the names of fork sites may take at the end: those without are shown by module and address.
const LAST_NAMES_TAKE: Duration = Duration::from_secs(5);
/// How often to look whether all frees have come.
const LOOK_FOR_FREES_EVERY: Duration = Duration::from_millis(5);

/// A window that is being closed.
pub(super) struct Closing {
    /// Frees are not waited for any longer than to this time, and suspects not looked at.
    by: Option<Instant>,
    step: Step,
    walk: Walk,
    /// Released processes whose release is certain and whose free has not come.
    unfreed: Vec<DeadChild>,
    /// The same where only the free would say who reaped: that many frees are missing.
    frees_missed: u64,
}

/// What is to be done next.
enum Step {
    LastSnapshot,
    Frees { since: Instant },
    Stragglers { waited: bool },
    Counters,
    End { time_ns: u64 },
}

/// The snapshot that ends the window.
#[derive(Default)]
struct Walk {
    snapshot: Snapshot,
    there: HashMap<Identity, TaskState>,
}

impl Closing {
    pub(super) fn new(by: Option<Instant>) -> Self {
        Self { by, step: Step::LastSnapshot, walk: Walk::default(), unfreed: Vec::new(), frees_missed: 0 }
    }

    pub(super) fn by(&self) -> Option<Instant> {
        self.by
    }

    /// Nothing is left to be waited for, or it is waited no longer.
    fn are_frees_over(&mut self, deaths: Vec<DeadChild>, since: Instant) -> bool {
        let mut released = deaths;
        released.retain(|death| self.walk.lacks(&death.process));
        // A parent that has died is waited for longer: only the free may say who reaped, and its counters may have been
        // summed up already, so that what is missing cannot be added to them.
        let all_have_parents = released.iter().all(|death| self.walk.has_alive(&death.parent));
        let patience = if all_have_parents { FREES_TAKE } else { LAST_FREES };
        let time_is_up = since.elapsed() >= patience || self.by.is_some_and(|by| Instant::now() >= by);
        let over = time_is_up || released.is_empty();
        if over {
            let (known, unknown): (Vec<DeadChild>, Vec<DeadChild>) =
                released.into_iter().partition(|death| death.autoreap || self.walk.has_alive(&death.parent));
            tracing::debug!(known = known.len(), ?unknown, "released, and their free did not come");
            (self.unfreed, self.frees_missed) = (known, unknown.len() as u64);
        }
        over
    }
}

impl Walk {
    fn new(snapshot: Snapshot) -> Self {
        let there = snapshot.tasks.iter().map(|seen| (seen.process.identity, seen.state)).collect();
        Self { snapshot, there }
    }

    /// A dead process that began before the snapshot and is not in it was released.
    fn lacks(&self, process: &Identity) -> bool {
        process.start_boottime_ns < self.snapshot.began_ns && !self.there.contains_key(process)
    }

    /// A parent that lives has reaped its released children itself.
    fn has_alive(&self, parent: &Identity) -> bool {
        parent.is_init() || self.there.get(parent).is_some_and(|state| *state != TaskState::Zombie)
    }

    /// When an event counts as happened, if it belongs to the window. A free tells of a release before it; if the snapshot
    /// does not have the process, of a release before the snapshot. Where the kernel counts, the window ends with the last
    /// reading of the counters.
    fn when(&self, event: &LifecycleEvent, is_counting: bool) -> Option<u64> {
        match event.stage {
            Stage::Reap { precision: Precision::Coarse, .. }
                if !self.there.contains_key(&event.process.identity) =>
            {
                Some(event.time_ns.min(self.snapshot.began_ns))
            }
            // No count depends on it, and where the kernel counts, those who died after the snapshot are listed too.
            Stage::Killed { .. } => Some(event.time_ns),
            _ => (is_counting || event.time_ns <= self.snapshot.ended_ns).then_some(event.time_ns),
        }
    }
}

impl<H: Host> Live<H> {
    /// The next batch of a window that is being closed.
    pub(super) async fn close(&mut self, batch: &mut Batch) -> Result<(), SetupError> {
        let Some(mut closing) = self.closing.take() else { return Ok(()) };
        let done = self.step(&mut closing, batch).await;
        self.closing = Some(closing);
        done
    }

    async fn step(&mut self, closing: &mut Closing, batch: &mut Batch) -> Result<(), SetupError> {
        batch.inputs.append(&mut self.pending);
        match closing.step {
            Step::LastSnapshot => {
                if self.drain(batch, |event| Some(event.time_ns)) {
                    closing.walk = Walk::new(self.host.snapshot(0)?);
                    closing.step = if self.host.is_exact() {
                        Step::Stragglers { waited: false }
                    } else {
                        Step::Frees { since: Instant::now() }
                    };
                }
            }
            Step::Frees { since } => {
                let is_between_drains = self.drain_began_ns.is_none();
                if is_between_drains && closing.are_frees_over(self.host.deaths(), since) {
                    closing.step = Step::Stragglers { waited: false };
                } else if self.drain_last(closing, batch) {
                    tokio::time::sleep(LOOK_FOR_FREES_EVERY).await;
                }
            }
            Step::Stragglers { waited } => {
                if !waited {
                    tokio::time::sleep(STRAGGLERS_TAKE).await;
                    closing.step = Step::Stragglers { waited: true };
                }
                if self.drain_last(closing, batch) {
                    closing.step = Step::Counters;
                }
            }
            Step::Counters => self.read_last(closing, batch)?,
            Step::End { time_ns } => {
                batch.inputs.push((u64::MAX, Input::End { time_ns }));
                batch.complete_to_ns = u64::MAX;
                batch.moment = Moment::End;
            }
        }
        Ok(())
    }

    /// Takes some of the last events: those that belong to the window. Nothing is complete before the last snapshot.
    fn drain_last(&mut self, closing: &Closing, batch: &mut Batch) -> bool {
        let is_counting = self.is_counting;
        let is_over = self.drain(batch, |event| closing.walk.when(event, is_counting));
        batch.complete_to_ns = 0;
        is_over
    }

    /// The last counters, and after them, where it has to be, the last snapshot.
    fn read_last(&mut self, closing: &mut Closing, batch: &mut Batch) -> Result<(), SetupError> {
        if !closing.unfreed.is_empty() {
            // Their free may have come since.
            let followed: HashSet<DeadChild> = self.host.deaths().into_iter().collect();
            closing.unfreed.retain(|death| followed.contains(death));
        }
        if !closing.unfreed.is_empty() {
            batch.inputs.push((self.host.now_ns(), Input::Unfreed(mem::take(&mut closing.unfreed))));
        }
        let names_by = Instant::now() + LAST_NAMES_TAKE;
        let names_by = closing.by.map_or(names_by, |by| names_by.min(by));
        while !self.host.fork_sites(names_by, &mut batch.inputs) && Instant::now() < names_by {}
        let is_lossy = self.read_counters(batch, Some(closing.frees_missed));
        let mut last = mem::take(&mut closing.walk.snapshot);
        if is_lossy || batch.is_counted {
            last = self.host.snapshot(0)?;
        }
        closing.step = Step::End { time_ns: last.ended_ns };
        batch.inputs.push((last.ended_ns, Input::Snapshot(last)));
        batch.complete_to_ns = u64::MAX;
        batch.moment = Moment::LastReading;
        Ok(())
    }
}
