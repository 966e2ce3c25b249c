//! The live loop: kernel → order → (record) → engine, on one task. Owns the wiring and the intervals.
//!
//! Must not judge or print: observations go to whoever asked, the engine to whoever reports.

use std::{
    future::Future,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashSet};

use crate::{
    engine::{Bounds, Engine, Observation},
    model::{
        Begin, Counters, Coverage, Death, Identity, Input, Lifecycle, Losses, Precision, Session, Snapshot,
        Stage, Task, TaskState, Upkeep,
    },
    record::RecordingFile,
    render,
    source::{SetupError, clock, detail, kernel::Kernel, order::Order, own, wakeups::Wakeups},
};

/// How long an event may stay in the ring buffer while little happens: parents are looked up in /proc while they are there,
/// and a person at a terminal sees no delay.
const DRAIN_EVERY: Duration = Duration::from_millis(20);
/// The same where a program reads: waking up, and waking the writer, costs more than all that is done then.
const DRAIN_EVERY_FOR_PROGRAMS: Duration = Duration::from_millis(200);
/// The same where next to none are sent: as often as the counters are read. Waking up is most of what watching an idle
/// host costs, 50 µs each time; much at once wakes us anyhow.
const DRAIN_EVERY_COUNTING: Duration = COUNTERS_EVERY;
/// How often the task list is walked.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);
/// How often losses and finished counters are read.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);
/// The same where the kernel has hardly any room left for the counters of more parents.
const COUNTERS_EVERY_WHEN_CROWDED: Duration = Duration::from_millis(200);
/// The dead who are missing from a walk this long are released.
const SETTLE_AFTER_NS: u64 = 1_000_000_000;
/// After the last walk, stragglers get this long.
const LAST_WORDS: Duration = Duration::from_millis(15);
/// Where some releases are seen only by their free: how long it takes, mostly.
const FREES_TAKE: Duration = Duration::from_millis(60);
/// How long it is waited for, at most, where nothing else says who reaped: on a busy machine RCU takes its time.
const LAST_FREES: Duration = Duration::from_secs(2);
/// How often it is looked whether all have come.
const LOOK_FOR_FREES_EVERY: Duration = Duration::from_millis(5);
/// So many events are taken, and then applied: all that fit the kernel's buffer would take megabytes here too.
const EVENTS_AT_ONCE: usize = 2_048;
/// When so many parents and processes have gone, the memory that they took is given back.
const MANY_GONE: usize = 1_024;
/// Most parents looked up in /proc at a time, in some 10 ms.
const LOOK_UPS_MAX: usize = 200;
/// The same at the end: as many as a report has rows, in some 200 ms.
const LAST_LOOK_UPS_MAX: usize = 4_096;

/// What a collection is for.
#[derive(Clone, Copy, PartialEq)]
pub enum Purpose {
    /// A report at its end, and until then a status line, if there is a terminal for it.
    Report { status_line: bool },
    /// Lines as they come, for a person or for a program.
    Lines { for_a_person: bool },
}

/// Somebody who wants every observation while it is fresh. An error ends the collection.
pub trait Observer {
    /// Takes one.
    fn take(&mut self, observation: &Observation) -> std::io::Result<()>;
    /// A batch is over: what was taken should become visible.
    fn batch_over(&mut self) -> std::io::Result<()>;
}

/// For commands that only report.
pub struct NoObserver;

impl Observer for NoObserver {
    fn take(&mut self, _observation: &Observation) -> std::io::Result<()> {
        Ok(())
    }
    fn batch_over(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What was taken of the events that the kernel has sent.
struct Taken {
    /// None was left.
    all: bool,
    newest_ns: u64,
}

/// Why a collection ended early.
#[derive(Debug)]
pub enum CollectError {
    Setup(SetupError),
    /// The observer could not take an observation.
    Observer(std::io::Error),
}

/// A live collection.
pub struct Collector {
    kernel: Kernel,
    wakeups: Wakeups,
    order: Order,
    engine: Engine,
    session: Session,
    recording: Option<RecordingFile>,
    observations: Vec<Observation>,
    proc: detail::Reader,
    began: Instant,
    status_line: bool,
    /// What the window covers.
    begin: Begin,
    purpose: Purpose,
    /// At the end: those of the dead who were released, it is known how, and whose free did not come.
    unfreed: Vec<Death>,
    /// How many of the same it is not known of who reaped them.
    frees_missed: u64,
    /// The most that the engine kept since memory was last given back.
    most: usize,
}

impl Collector {
    /// Opens the window. `first`: the walk made right after attaching.
    pub fn new(
        kernel: Kernel,
        wakeups: Wakeups,
        session: Session,
        recording: Option<RecordingFile>,
        first: Snapshot,
        root: Option<Identity>,
        purpose: Purpose,
    ) -> Self {
        let begin = kernel.begin(first.began_ns, root);
        let mut collector = Self {
            begin: begin.clone(),
            kernel,
            wakeups,
            order: Order::default(),
            engine: Engine::new(Bounds::new(session.grace_ns)),
            session,
            recording,
            observations: Vec::new(),
            proc: detail::Reader::open(),
            began: Instant::now(),
            status_line: purpose == Purpose::Report { status_line: true } && std::io::stderr().is_terminal(),
            purpose,
            unfreed: Vec::new(),
            frees_missed: 0,
            most: 0,
        };
        collector.order.push(begin.time_ns, Input::Begin(begin));
        let ended_ns = first.ended_ns;
        collector.order.push(ended_ns, Input::Snapshot(first));
        collector
    }

    /// The engine and the session, once the window is closed.
    pub fn into_parts(self) -> (Engine, Session) {
        (self.engine, self.session)
    }

    /// The engine as it is.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What went wrong with the recording, if anything did.
    pub fn recording_failure(&self) -> Option<String> {
        self.recording.as_ref().and_then(RecordingFile::failure)
    }

    /// Collects until `stop` is ready, then closes the window; by the time that `stop` gives, if it gives one.
    pub async fn run<T>(
        &mut self,
        stop: impl Future<Output = (T, Option<Instant>)>,
        observer: &mut dyn Observer,
    ) -> Result<T, CollectError> {
        // From before the first tick, so that the tick of a second never comes just too early.
        let mut next_counters = Instant::now() + COUNTERS_EVERY;
        let mut not_before = Instant::now() + COUNTERS_EVERY_WHEN_CROWDED;
        let mut next_snapshot = Instant::now() + SNAPSHOT_EVERY;
        let every = match self.purpose {
            _ if self.counting() => DRAIN_EVERY_COUNTING,
            Purpose::Lines { for_a_person: false } if !self.needs_details() => DRAIN_EVERY_FOR_PROGRAMS,
            Purpose::Report { .. } | Purpose::Lines { .. } => DRAIN_EVERY,
        };
        self.wakeups.tick(DRAIN_EVERY.min(every), every);
        tokio::pin!(stop);
        let (ended, close_by) = loop {
            tokio::select! {
                ended = &mut stop => break ended,
                () = self.wakeups.next() => {}
            }
            self.drain(observer)?;
            let now = Instant::now();
            if now >= next_snapshot {
                next_snapshot = (next_snapshot + SNAPSHOT_EVERY).max(now);
                let snapshot = self.kernel.snapshot(SETTLE_AFTER_NS).map_err(CollectError::Setup)?;
                self.order.push(snapshot.ended_ns, Input::Snapshot(snapshot));
                self.give_memory_back();
            }
            self.most = self.most.max(self.engine.size());
            if now >= next_counters {
                next_counters = (next_counters + COUNTERS_EVERY).max(now);
                not_before = now + COUNTERS_EVERY_WHEN_CROWDED;
                self.read_counters(false);
                self.look_up_undescribed(1, LOOK_UPS_MAX);
                if let Some(recording) = &mut self.recording {
                    recording.flush();
                }
                self.show_status();
            } else if now >= not_before {
                not_before = now + COUNTERS_EVERY_WHEN_CROWDED;
                if self.kernel.is_crowded() {
                    self.read_counters(false);
                }
            }
        };
        self.close(close_by, observer).await?;
        Ok(ended)
    }

    /// After many parents and processes have gone.
    fn give_memory_back(&mut self) {
        let size = self.engine.size();
        if self.most > size + MANY_GONE {
            self.most = size;
            own::give_small_pieces_back();
        }
    }

    async fn close(
        &mut self,
        close_by: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<(), CollectError> {
        self.drain(observer)?;
        let mut snapshot = self.kernel.snapshot(0).map_err(CollectError::Setup)?;
        let (began_ns, ended_ns) = (snapshot.began_ns, snapshot.ended_ns);
        let there: HashMap<Identity, TaskState> =
            snapshot.tasks.iter().map(|seen| (seen.process.identity, seen.state)).collect();
        // Only what happened within the window: later events would unbalance the ledgers against the last walk. A free
        // tells of a release before it; of one before the walk where the walk did not find the process any more. Where
        // the kernel counts, the window ends with the last reading of the counters.
        let counting = self.counting();
        let when = |event: &Lifecycle| match event.stage {
            Stage::Reap { precision: Precision::Coarse, .. }
                if !there.contains_key(&event.process.identity) =>
            {
                Some(event.time_ns.min(began_ns))
            }
            _ => (counting || event.time_ns <= ended_ns).then_some(event.time_ns),
        };
        if !self.kernel.hooks().exact {
            self.wait_for_frees(began_ns, &there, close_by, &when).await;
        }
        tokio::time::sleep(LAST_WORDS).await;
        self.take_events(&when);
        if !self.unfreed.is_empty() {
            let followed: HashSet<Death> = self.kernel.deaths().into_iter().collect();
            self.unfreed.retain(|death| followed.contains(death));
        }
        let lost = self.read_counters(true);
        // The ledgers will be what the kernel counted: a child that it counted as dead and that a walk *after* the reading
        // does not find has been reaped. After a walk before it, a reap in between would be counted twice.
        if lost || self.engine.is_counted() {
            snapshot = self.kernel.snapshot(0).map_err(CollectError::Setup)?;
        }
        let ended_ns = snapshot.ended_ns;
        self.order.push(ended_ns, Input::Snapshot(snapshot));
        // First of all the engine learns who leaves what: only then is it known whom to ask for.
        self.release(u64::MAX, observer)?;
        self.look_up_undescribed(0, LAST_LOOK_UPS_MAX);
        self.order.push(u64::MAX, Input::End { time_ns: ended_ns });
        self.release(u64::MAX, observer)?;
        if self.status_line {
            show("");
        }
        if let Some(recording) = &mut self.recording {
            recording.flush();
        }
        Ok(())
    }

    /// Where releases may be seen only by their free: who has died and is not among those who are `there`, in the last walk
    /// of the task list (begun at `walked_ns`), was released, and its free is on its way.
    async fn wait_for_frees(
        &mut self,
        walked_ns: u64,
        there: &HashMap<Identity, TaskState>,
        close_by: Option<Instant>,
        when: &impl Fn(&Lifecycle) -> Option<u64>,
    ) {
        let lives = |identity: &Identity| {
            identity.is_init() || there.get(identity).is_some_and(|state| *state != TaskState::Zombie)
        };
        let began = Instant::now();
        loop {
            let mut unfreed = self.kernel.deaths();
            unfreed.retain(|death| {
                death.process.start_boottime_ns < walked_ns && !there.contains_key(&death.process)
            });
            // Where the kernel does not reap and the parent has died too, only the free says who did.
            let (known, unknown): (Vec<Death>, _) =
                unfreed.into_iter().partition(|death| death.autoreap || lives(&death.parent));
            let patience = if unknown.is_empty() { FREES_TAKE } else { LAST_FREES };
            let time_is_up =
                began.elapsed() >= patience || close_by.is_some_and(|close_by| Instant::now() >= close_by);
            if (known.is_empty() && unknown.is_empty()) || time_is_up {
                tracing::debug!(known = known.len(), ?unknown, "released, and their free did not come");
                (self.unfreed, self.frees_missed) = (known, unknown.len() as u64);
                return;
            }
            self.take_events(when);
            tokio::time::sleep(LOOK_FOR_FREES_EVERY).await;
        }
    }

    /// Takes and applies all that the kernel had sent by now: who sends faster than that does not keep us here.
    fn drain(&mut self, observer: &mut dyn Observer) -> Result<(), CollectError> {
        let called_ns = clock::boottime_ns();
        loop {
            let drained_ns = clock::boottime_ns();
            let taken = self.take_some_events(&|event| Some(event.time_ns));
            if taken.all {
                return self.release(drained_ns, observer);
            }
            // What is still in the buffer came after what was taken.
            self.release(taken.newest_ns, observer)?;
            if taken.newest_ns > called_ns {
                return Ok(());
            }
        }
    }

    /// Whether the kernel counts and next to nothing is streamed.
    fn counting(&self) -> bool {
        matches!(self.begin.coverage, Coverage::Exceptions { .. })
    }

    /// Whether what /proc knows will be told: no line says it.
    fn needs_details(&self) -> bool {
        matches!(self.purpose, Purpose::Report { .. }) || self.recording.is_some()
    }

    /// Takes all that the kernel had sent by now; `when` says at what time it counts as happened, if it counts.
    fn take_events(&mut self, when: &impl Fn(&Lifecycle) -> Option<u64>) {
        let called_ns = clock::boottime_ns();
        loop {
            let taken = self.take_some_events(when);
            if taken.all || taken.newest_ns > called_ns {
                return;
            }
        }
    }

    fn take_some_events(&mut self, when: &impl Fn(&Lifecycle) -> Option<u64>) -> Taken {
        self.kernel.flush_log();
        let needs_details = self.needs_details();
        let Self { kernel, order, engine, .. } = self;
        let (mut newest_ns, mut bereaved) = (0, Vec::new());
        let all = kernel.drain(EVENTS_AT_ONCE, |mut event| {
            newest_ns = newest_ns.max(event.time_ns);
            if let Some(time_ns) = when(&event) {
                event.time_ns = time_ns;
                if let Stage::Exit { parent, .. } = &event.stage
                    && needs_details
                    && parent.identity.tgid != 0
                    && engine.is_undescribed(parent.identity)
                {
                    bereaved.push(*parent);
                }
                order.push(event.time_ns, Input::Lifecycle(event));
            }
        });
        // Soon: a parent may not live until the next reading of the counters.
        bereaved.sort_unstable_by_key(|parent| parent.identity);
        bereaved.dedup_by_key(|parent| parent.identity);
        bereaved.truncate(LOOK_UPS_MAX);
        self.look_up(&bereaved);
        Taken { all, newest_ns }
    }

    /// Asks /proc for what the engine does not know of parents.
    fn look_up_undescribed(&mut self, least_unreaped: u64, most: usize) {
        if self.needs_details() {
            let undescribed = self.engine.undescribed(least_unreaped, most);
            self.look_up(&undescribed);
        }
    }

    fn look_up(&mut self, tasks: &[Task]) {
        for task in tasks {
            // Of before the look: an exec meanwhile comes after what may be of the program before it.
            let time_ns = clock::boottime_ns();
            let detail = self.proc.read(task).unwrap_or_default();
            self.order.push(time_ns, Input::Detail { identity: task.identity, detail });
        }
    }

    /// Reads what the kernel has counted and lost. True where anything was lost so far.
    fn read_counters(&mut self, closing: bool) -> bool {
        let counting = self.counting();
        let Self { kernel, order, unfreed, .. } = self;
        let unfreed = Unfreed::by_parent(unfreed);
        let complete = kernel.counters(counting || closing, closing, |mut counters| {
            if let Some(unfreed) = unfreed.get(&counters.parent.identity) {
                unfreed.add_to(&mut counters);
            }
            order.push(counters.time_ns, Input::Counters(Box::new(counters)));
        });
        let time_ns = clock::boottime_ns();
        if counting && complete {
            self.order.push(time_ns, Input::Settled(self.kernel.settled()));
        }
        let mut losses = self.kernel.losses();
        losses.probe_missed += self.frees_missed;
        self.order.push(time_ns, Input::Losses { time_ns, losses });
        if closing {
            let (programs, maps) = self.kernel.upkeep();
            let (cpu_ns, resident_bytes) = own::cost();
            let upkeep = Upkeep { cpu_ns, resident_bytes, programs, maps };
            self.order.push(time_ns, Input::Upkeep(Box::new(upkeep)));
        }
        losses != Losses::default()
    }

    fn release(&mut self, drained_ns: u64, observer: &mut dyn Observer) -> Result<(), CollectError> {
        while let Some(input) = self.order.next(drained_ns) {
            if let Some(recording) = &mut self.recording {
                recording.write(&input);
            }
            self.engine.apply(input, &mut self.observations);
            for observation in self.observations.drain(..) {
                observer.take(&observation).map_err(CollectError::Observer)?;
            }
        }
        self.order.give_room_back();
        observer.batch_over().map_err(CollectError::Observer)
    }

    fn show_status(&self) {
        if !self.status_line {
            return;
        }
        let (parents, unreaped) = self.engine.parents_and_zombies();
        let losses = self.engine.losses();
        let line = render::status_line::status_line(
            self.began.elapsed().as_nanos() as u64,
            self.engine.deaths(),
            parents,
            unreaped,
            losses.events + losses.map_full + losses.probe_missed,
            terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0)),
        );
        show(&line);
    }
}

/// In place of the status line that is there. A terminal that has gone is no failure.
fn show(line: &str) {
    let mut terminal = std::io::stderr().lock();
    let _ = write!(terminal, "\r\x1b[K{line}").and_then(|()| terminal.flush());
}

/// What one parent's counters lack: releases of which no free came.
#[derive(Default)]
struct Unfreed {
    exited: u64,
    reaped: u64,
    autoreaped: u64,
}

impl Unfreed {
    fn by_parent(deaths: &[Death]) -> HashMap<Identity, Self> {
        let mut found: HashMap<Identity, Self> = HashMap::default();
        for death in deaths {
            let one = found.entry(death.parent).or_default();
            one.exited += u64::from(!death.counted);
            one.reaped += u64::from(!death.autoreap);
            one.autoreaped += u64::from(death.autoreap);
        }
        found
    }

    fn add_to(&self, counters: &mut Counters) {
        counters.exited += self.exited;
        counters.reaped += self.reaped;
        counters.coarse += self.reaped;
        counters.autoreaped += self.autoreaped;
    }
}
