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
    engine::{Engine, Observation},
    model::{
        Begin, Counters, Coverage, Death, Identity, Input, Lifecycle, Losses, Precision, Session, Snapshot,
        Stage, TaskState, Upkeep,
    },
    record::RecordingFile,
    sink,
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
/// Most parents looked up in /proc at a reading of the counters.
const LOOK_UPS_MAX: usize = 200;
/// Most identities remembered as looked up in /proc.
const LOOKED_UP_MAX: usize = 65_536;

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
    looked_up: HashSet<Identity>,
    observations: Vec<Observation>,
    ticks_per_second: u64,
    began: Instant,
    status_line: bool,
    /// What the window covers.
    begin: Begin,
    purpose: Purpose,
    /// At the end: those of the dead who were released, it is known how, and whose free did not come.
    unfreed: Vec<Death>,
    /// How many of the same it is not known of who reaped them.
    frees_missed: u64,
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
            engine: Engine::default(),
            session,
            recording,
            looked_up: HashSet::default(),
            observations: Vec::new(),
            ticks_per_second: procfs::ticks_per_second(),
            began: Instant::now(),
            status_line: purpose == Purpose::Report { status_line: true } && std::io::stderr().is_terminal(),
            purpose,
            unfreed: Vec::new(),
            frees_missed: 0,
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
            }
            if now >= next_counters {
                next_counters = (next_counters + COUNTERS_EVERY).max(now);
                self.read_counters(false);
                if let Some(recording) = &mut self.recording {
                    recording.flush();
                }
                self.show_status();
            }
        };
        self.close(close_by, observer).await?;
        Ok(ended)
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
            let followed = self.kernel.deaths();
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
        // Init lives as long as the kernel, even where a sandbox does not list it.
        let lives = |identity: &Identity| {
            identity.tgid == 1 || there.get(identity).is_some_and(|state| *state != TaskState::Zombie)
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

    fn drain(&mut self, observer: &mut dyn Observer) -> Result<(), CollectError> {
        let drained_ns = clock::boottime_ns();
        self.take_events(&|event| Some(event.time_ns));
        self.release(drained_ns, observer)
    }

    /// Whether the kernel counts and next to nothing is streamed.
    fn counting(&self) -> bool {
        matches!(self.begin.coverage, Coverage::Exceptions { .. })
    }

    /// Whether what /proc knows will be told: no line says it.
    fn needs_details(&self) -> bool {
        matches!(self.purpose, Purpose::Report { .. }) || self.recording.is_some()
    }

    /// Takes what the kernel has sent; `when` says at what time it counts as happened, if it counts.
    fn take_events(&mut self, when: &impl Fn(&Lifecycle) -> Option<u64>) {
        self.kernel.flush_log();
        let needs_details = self.needs_details();
        let Self { kernel, order, looked_up, ticks_per_second, .. } = self;
        kernel.drain(|mut event| {
            if let Some(time_ns) = when(&event) {
                event.time_ns = time_ns;
                if needs_details {
                    look_up(&event, looked_up, *ticks_per_second, order);
                }
                order.push(event.time_ns, Input::Lifecycle(event));
            }
        });
    }

    /// Reads what the kernel has counted and lost. True where anything was lost so far.
    fn read_counters(&mut self, closing: bool) -> bool {
        let counting = self.counting();
        let Self { kernel, order, looked_up, ticks_per_second, unfreed, .. } = self;
        let ticks_per_second = *ticks_per_second;
        let mut look_ups = LOOK_UPS_MAX;
        if looked_up.len() >= LOOKED_UP_MAX {
            looked_up.clear();
        }
        let complete = kernel.counters(counting || closing, closing, |mut counters| {
            add_unfreed(&mut counters, unfreed);
            let time_ns = counters.time_ns;
            let identity = counters.parent.identity;
            if counting && counters.died_ns == 0 && look_ups > 0 && looked_up.insert(identity) {
                look_ups -= 1;
                if let Some(detail) = detail::read(identity, ticks_per_second) {
                    order.push(time_ns, Input::Detail { identity, detail });
                }
            }
            order.push(time_ns, Input::Counters(Box::new(counters)));
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
        observer.batch_over().map_err(CollectError::Observer)
    }

    fn show_status(&self) {
        if !self.status_line {
            return;
        }
        let (parents, unreaped) = self
            .engine
            .parents()
            .filter(|(_, parent)| self.engine.root().is_none() || parent.member)
            .fold((0, 0), |(count, unreaped), (_, parent)| {
                (count + 1, unreaped + parent.zombies.len() as u64)
            });
        let losses = self.engine.losses();
        let line = sink::status::status_line(
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

/// Adds the releases of which no free came.
fn add_unfreed(counters: &mut Counters, unfreed: &[Death]) {
    for death in unfreed.iter().filter(|death| death.parent == counters.parent.identity) {
        counters.exited += u64::from(!death.counted);
        if death.autoreap {
            counters.autoreaped += 1;
        } else {
            counters.reaped += 1;
            counters.coarse += 1;
        }
    }
}

/// A parent whose first child dies is looked up once, while it is there; after an exec, once more.
fn look_up(event: &Lifecycle, looked_up: &mut HashSet<Identity>, ticks_per_second: u64, order: &mut Order) {
    match &event.stage {
        Stage::Exit { parent, .. } => {
            if looked_up.len() >= LOOKED_UP_MAX {
                looked_up.clear();
            }
            if parent.identity.tgid != 0
                && looked_up.insert(parent.identity)
                && let Some(detail) = detail::read(parent.identity, ticks_per_second)
            {
                order.push(event.time_ns, Input::Detail { identity: parent.identity, detail });
            }
        }
        Stage::Exec { .. } => {
            looked_up.remove(&event.process.identity);
        }
        Stage::Reap { .. } => {
            looked_up.remove(&event.process.identity);
        }
        _ => {}
    }
}
