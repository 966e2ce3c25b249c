//! The one way of inputs, live and in a replay: source → order → recording → engine → subscribers.
//!
//! Owns what is asked of a source, and when. Must not judge, print, or know where inputs come from.

use std::{future::Future, io, time::Instant};

use crate::{
    engine::{Bounds, Engine, EnrichedEvent},
    model::{Identity, Input, Session, Stage, Task},
    recording::RecordingFile,
    source::{
        SetupError,
        host::self_usage,
        input::{Arrival, Batch, Moment, Source},
        reorder::Order,
    },
};

/// Room for so many events of one input is not worth giving back.
const EVENTS_KEPT: usize = 64;
/// When so many parents and processes have gone, the memory that they took is given back.
const MANY_GONE: usize = 1_024;
/// While the engine keeps no more parents and processes than this, suspects are looked for between two readings too: what
/// lives for a second, as under `run`, would be gone by the next one.
const FEW: usize = 4_096;
/// How often, then.
const LOOK_EVERY_NS: u64 = 250_000_000;
/// How often limits on processes are read: growth shows the sooner, the more often they are,
const PID_LIMITS_EVERY_NS: u64 = 5_000_000_000;
/// and in the beginning nothing is known of it.
const PID_LIMITS_AT_FIRST_EVERY_NS: u64 = 1_000_000_000;
const AT_FIRST_NS: u64 = 30_000_000_000;
/// Readings come about once a second: the nearest one.
const HALF_A_READING_NS: u64 = 500_000_000;
/// Most parents looked up in /proc at a time, in some 10 ms.
const LOOK_UPS_MAX: usize = 200;
/// The same at the end: as many as a report has rows, in some 200 ms.
const LAST_LOOK_UPS_MAX: usize = 4_096;

/// One that is shown what happens. An error ends the pipeline.
pub trait Subscriber {
    /// Something was observed.
    fn event(&mut self, _observation: &EnrichedEvent) -> io::Result<()> {
        Ok(())
    }

    /// A batch is over: the events so far should become visible.
    fn batch(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The counters have been read: this is the state. About once a second.
    fn reading(&mut self, _engine: &Engine) -> io::Result<()> {
        Ok(())
    }

    /// After a reading: finished parents that need no longer be kept one by one. Only for who is the only subscriber.
    fn done_with(&self, _engine: &Engine) -> Vec<Identity> {
        Vec::new()
    }
}

/// One that looks away.
impl Subscriber for () {}

/// Of whom it is asked in /proc what they run. A recording wants to know it at least of those that leave children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Details {
    /// Of nobody.
    None,
    /// Of parents that leave children unreaped, while they live, and of all at the end.
    OfLeakers,
    /// Of every parent, while it lives.
    OfAll,
}

/// Why a pipeline ended early.
#[derive(Debug)]
pub enum PipelineError {
    Source(SetupError),
    /// A subscriber could not take what it was shown.
    Subscriber(io::Error),
}

impl From<SetupError> for PipelineError {
    fn from(error: SetupError) -> Self {
        Self::Source(error)
    }
}

/// What is between a source and its subscribers.
pub struct Pipeline {
    order: Order,
    engine: Engine,
    recording: Option<RecordingFile>,
    details: Details,
    batch: Batch,
    enriched: Vec<EnrichedEvent>,
    /// The most that the engine kept since memory was last given back.
    most: usize,
    /// When suspects are looked for again between two readings.
    next_look_ns: u64,
    /// When limits on processes are read again.
    next_pid_limits_ns: u64,
    is_closed: bool,
    /// Every program that is started is looked up, for the label in its environment.
    labels: bool,
    /// The cgroups in which processes die are looked up.
    cgroup_names: bool,
}

impl Pipeline {
    /// `details`: of whom anybody wants to know what they run.
    pub fn new(session: &Session, recording: Option<RecordingFile>, details: Details) -> Self {
        Self {
            order: Order::default(),
            engine: Engine::new(Bounds::new(session.grace_ns)),
            cgroup_names: recording.is_some(),
            details: if recording.is_some() { details.max(Details::OfLeakers) } else { details },
            recording,
            batch: Batch::default(),
            enriched: Vec::new(),
            most: 0,
            next_look_ns: 0,
            next_pid_limits_ns: 0,
            is_closed: false,
            labels: false,
        }
    }

    /// Has every program that is started looked up in /proc, for the label in its environment.
    pub fn with_labels(self, labels: bool) -> Self {
        Self { labels, ..self }
    }

    /// Has the cgroups looked up in which processes die; a recording always has them.
    pub fn with_cgroup_names(self, asked: bool) -> Self {
        Self { cgroup_names: self.cgroup_names || asked, ..self }
    }

    /// Whether parents are looked up in /proc while they live.
    pub fn wants_details(&self) -> bool {
        self.details != Details::None
    }

    /// The engine, once the window is closed.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// What went wrong with the recording, if anything did.
    pub fn recording_failure(&self) -> Option<String> {
        self.recording.as_ref().and_then(RecordingFile::failure)
    }

    /// Takes inputs until `stop` is ready, then closes the window; by the time that `stop` gives, if it gives one.
    pub async fn run_until<T>(
        &mut self,
        source: &mut impl Source,
        stop: impl Future<Output = (T, Option<Instant>)>,
        subscribers: &mut [&mut dyn Subscriber],
    ) -> Result<T, PipelineError> {
        tokio::pin!(stop);
        let (ended, close_by) = loop {
            tokio::select! {
                ended = &mut stop => break ended,
                next = source.next(&mut self.batch) => next?,
            }
            if self.take_batch(source, subscribers)? == Moment::End {
                // The source has ended by itself.
                return Ok(stop.await.0);
            }
        };
        source.begin_closing(close_by);
        self.run_to_end(source, subscribers).await?;
        Ok(ended)
    }

    /// Takes all inputs of a source that ends by itself.
    pub async fn run_to_end(
        &mut self,
        source: &mut impl Source,
        subscribers: &mut [&mut dyn Subscriber],
    ) -> Result<(), PipelineError> {
        loop {
            self.batch.is_counted = self.engine.is_counted();
            source.next(&mut self.batch).await?;
            if self.take_batch(source, subscribers)? == Moment::End {
                return Ok(());
            }
        }
    }

    /// Puts a batch in order, applies what nothing older can overtake any more, and asks the source what is to be asked.
    fn take_batch(
        &mut self,
        source: &mut impl Source,
        subscribers: &mut [&mut dyn Subscriber],
    ) -> Result<Moment, PipelineError> {
        let Batch { complete_to_ns, moment, .. } = self.batch;
        let mut bereaved = Vec::new();
        let mut has_snapshot = false;
        let mut cgroups = Vec::new();
        for arrival in self.batch.drain() {
            let (time_ns, input) = match arrival {
                Arrival::Input(time_ns, input) => (time_ns, input),
                Arrival::Counters(counters) => {
                    self.order.push_counters(counters);
                    continue;
                }
            };
            has_snapshot |= matches!(input, Input::Snapshot(_));
            if self.cgroup_names {
                cgroups.extend(cgroup_to_look_up(&input, &self.engine).map(|id| (id, time_ns)));
            }
            if self.details != Details::None {
                bereaved.extend(parent_to_look_up(&input, &self.engine));
            }
            if self.labels {
                bereaved.extend(program_to_look_up(&input));
            }
            self.order.push(time_ns, input);
        }
        self.name_cgroups(source, cgroups);
        // Soon: a parent may not live until the next reading of the counters.
        bereaved.sort_unstable_by_key(|parent| parent.identity);
        bereaved.dedup_by_key(|parent| parent.identity);
        bereaved.truncate(LOOK_UPS_MAX);
        source.describe(&bereaved);
        self.apply(complete_to_ns, subscribers)?;
        if has_snapshot {
            self.give_memory_back();
        }
        self.most = self.most.max(self.engine.size());
        match moment {
            Moment::Within => {
                if complete_to_ns >= self.next_look_ns && self.engine.size() <= FEW {
                    self.look_closer(source, complete_to_ns);
                }
            }
            Moment::Reading => {
                if self.details != Details::None {
                    source.describe(&self.to_describe());
                }
                self.look_closer(source, complete_to_ns);
                if complete_to_ns.saturating_add(HALF_A_READING_NS) >= self.next_pid_limits_ns {
                    self.read_pid_limits(source, complete_to_ns);
                }
                self.flush();
                self.show(subscribers, |subscriber, engine| subscriber.reading(engine))?;
                for subscriber in subscribers {
                    let done = subscriber.done_with(&self.engine);
                    self.engine.retire(&done);
                }
            }
            // Only now is it known which parents leave what behind.
            Moment::LastReading => {
                self.look_closer(source, complete_to_ns);
                self.read_pid_limits(source, complete_to_ns);
                if self.details != Details::None {
                    source.describe(&self.engine.undescribed(0, LAST_LOOK_UPS_MAX));
                    source.describe(&self.engine.running_in_tree(LOOK_UPS_MAX));
                }
            }
            Moment::End => {
                self.close();
                self.flush();
            }
        }
        self.batch = Batch { inputs: std::mem::take(&mut self.batch.inputs), ..Batch::default() };
        Ok(moment)
    }

    /// Has the source name these cgroups, each with the time at which a process died in it. The answers come before that: the
    /// first event line shall have the name already.
    fn name_cgroups(&mut self, source: &mut impl Source, mut cgroups: Vec<(u64, u64)>) {
        if cgroups.is_empty() {
            return;
        }
        cgroups.sort_unstable();
        cgroups.dedup_by_key(|(id, _)| *id);
        let ids: Vec<u64> = cgroups.iter().map(|(id, _)| *id).collect();
        let first_ns = cgroups.iter().map(|(_, time_ns)| *time_ns).min().unwrap_or_default();
        for answer in source.name_cgroups(&ids) {
            self.order.push(first_ns.saturating_sub(1), answer);
        }
    }

    /// Has the source look at the suspects of this time.
    fn look_closer(&mut self, source: &mut impl Source, now_ns: u64) {
        self.next_look_ns = now_ns.saturating_add(LOOK_EVERY_NS);
        source.look_closer(&self.engine.suspects(now_ns));
    }

    /// Has the source read limits on processes, where anybody wants to know of processes more than their events.
    fn read_pid_limits(&mut self, source: &mut impl Source, now_ns: u64) {
        if self.details == Details::None {
            return;
        }
        let (began_ns, _) = self.engine.window();
        let is_first = now_ns.saturating_sub(began_ns) < AT_FIRST_NS;
        let every_ns = if is_first { PID_LIMITS_AT_FIRST_EVERY_NS } else { PID_LIMITS_EVERY_NS };
        self.next_pid_limits_ns = now_ns.saturating_add(every_ns);
        source.read_pid_limits(&self.engine.under_pid_limits());
    }

    fn apply(
        &mut self,
        complete_to_ns: u64,
        subscribers: &mut [&mut dyn Subscriber],
    ) -> Result<(), PipelineError> {
        while let Some(input) = self.order.next(complete_to_ns) {
            if let Some(recording) = &mut self.recording {
                recording.write(&input);
            }
            self.is_closed |= matches!(input, Input::End { .. });
            self.engine.apply(input, &mut self.enriched);
            for enriched_event in self.enriched.drain(..) {
                for subscriber in subscribers.iter_mut() {
                    subscriber.event(&enriched_event).map_err(PipelineError::Subscriber)?;
                }
            }
        }
        self.order.give_room_back();
        // A walk that finds very many gone tells of each: that room is not needed again.
        self.enriched.shrink_to(EVENTS_KEPT);
        self.show(subscribers, |subscriber, _| subscriber.batch())
    }

    fn show(
        &self,
        subscribers: &mut [&mut dyn Subscriber],
        what: impl Fn(&mut dyn Subscriber, &Engine) -> io::Result<()>,
    ) -> Result<(), PipelineError> {
        subscribers
            .iter_mut()
            .try_for_each(|subscriber| what(*subscriber, &self.engine))
            .map_err(PipelineError::Subscriber)
    }

    /// The parents of which it is not known what they run and has to be now, each once.
    fn to_describe(&self) -> Vec<Task> {
        let mut parents = self.engine.undescribed(1, LOOK_UPS_MAX);
        if self.details == Details::OfAll {
            parents.extend(self.engine.eldest_undescribed(LOOK_UPS_MAX));
            parents.sort_unstable_by_key(|parent| parent.identity);
            parents.dedup_by_key(|parent| parent.identity);
        }
        parents
    }

    /// A source that was cut off gave no end: the window ends with what there is.
    fn close(&mut self) {
        if !self.is_closed {
            let time_ns = self.engine.ended_ns();
            self.engine.apply(Input::End { time_ns }, &mut self.enriched);
        }
    }

    fn flush(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.flush();
        }
    }

    /// After many parents and processes have gone.
    fn give_memory_back(&mut self) {
        let size = self.engine.size();
        if self.most > size + MANY_GONE {
            self.most = size;
            self_usage::give_small_pieces_back();
        }
    }
}

/// The parent of one that has just died, if it is not known what it runs.
fn parent_to_look_up(input: &Input, engine: &Engine) -> Option<Task> {
    let Input::Lifecycle(event) = input else { return None };
    let Stage::Exit { parent, .. } = &event.stage else { return None };
    (parent.identity.tgid != 0 && engine.is_undescribed(parent.identity)).then_some(*parent)
}

/// The cgroup in which a process has just died, if it is not known what it is.
fn cgroup_to_look_up(input: &Input, engine: &Engine) -> Option<u64> {
    let Input::Lifecycle(event) = input else { return None };
    let Stage::Exit { account: Some(account), .. } = &event.stage else { return None };
    account.cgroup_id.filter(|id| engine.is_unnamed_cgroup(*id))
}

/// Who has just begun to run a program.
fn program_to_look_up(input: &Input) -> Option<Task> {
    let Input::Lifecycle(event) = input else { return None };
    matches!(event.stage, Stage::Exec { .. }).then_some(event.process)
}

#[cfg(test)]
mod tests;
