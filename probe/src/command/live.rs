//! `watch` and `trace`: the whole host, for a while. And what every live command shares: attaching, giving up privileges.

use std::{
    fs::File,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use super::{
    Failure,
    outlet::Outlet,
    output::{self, Recording, RecordingTarget, Target},
    signals::{Signals, WINDOW_CLOSES_WITHIN},
};
use crate::{
    analysis,
    cli::{Format, TraceArgs, WatchArgs},
    collector::{Collector, NoObserver, Observer, Purpose},
    engine::Observation,
    model::{DEFAULT_GRACE_NS, Identity, Session, Snapshot},
    render,
    report::EventLine,
    source::{
        clock,
        kernel::Kernel,
        options::{Asked, KernelOptions},
        privileges,
        wakeups::Wakeups,
    },
};

/// Programs attached, the task list walked once.
pub struct Attached {
    pub kernel: Kernel,
    wakeups: Wakeups,
    pub first: Snapshot,
}

/// Attaches, then looks at what is there already.
pub fn attach(options: &KernelOptions) -> Result<Attached, Failure> {
    let mut kernel = Kernel::attach(options)?;
    let wakeups = Wakeups::new(&kernel)?;
    let first = kernel.snapshot(0)?;
    Ok(Attached { kernel, wakeups, first })
}

/// What is true for the whole of a live command.
pub fn session(kernel: &Kernel, grace: Duration) -> Session {
    Session { anchor: clock::anchor(), hooks: kernel.hooks(), grace_ns: nanoseconds(grace) }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Begins the recording, if one is asked for.
pub fn begin(recording: Option<RecordingTarget>, session: &Session) -> Result<Option<Recording>, Failure> {
    recording.map(|recording| recording.begin(session)).transpose()
}

/// Ends after `duration`, or with a signal; with it, until when the window is to be closed.
pub async fn for_a_while(duration: Option<Duration>, signals: &Signals) -> ((), Option<Instant>) {
    let close_by = tokio::select! {
        () = time_up(duration) => None,
        first = signals.first() => Some(first.deadline(WINDOW_CLOSES_WITHIN)),
    };
    ((), close_by)
}

/// Ends after `duration`, if there is one.
pub async fn time_up(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// Starts collecting. Everything is open and the command has started: the rest is reading, and no thread was started yet
/// that would keep more privileges than that.
pub fn collector(
    attached: Attached,
    session: Session,
    recording: Option<Recording>,
    root: Option<Identity>,
    purpose: Purpose,
) -> Collector {
    let Attached { kernel, wakeups, first } = attached;
    let recording = recording.map(Recording::take_name);
    if let Err(error) = privileges::drop_to_reading() {
        tracing::warn!(%error, "more privileges are kept than needed");
    }
    Collector::new(kernel, wakeups, session, recording, first, root, purpose)
}

/// `reapwatch watch`.
pub async fn watch(mut options: KernelOptions, args: WatchArgs, signals: Signals) -> Result<u8, Failure> {
    let target = Target::open(args.output.as_deref(), Target::StandardOutput)?;
    let recording = target.and_recording(args.record.as_deref())?;
    // A recording is for every view; a report alone needs the counters and what is slow.
    if recording.is_none() {
        options.asked = Asked::Counters { slow_ns: nanoseconds(args.grace.grace) };
    }
    let attached = attach(&options)?;
    let session = session(&attached.kernel, args.grace.grace);
    let recording = begin(recording, &session)?;
    let mut collector = collector(attached, session, recording, None, Purpose::Report { status_line: true });
    collector.run(for_a_while(Some(args.duration), &signals), &mut NoObserver).await?;
    let failure = collector.recording_failure();
    let (engine, session) = collector.into_parts();
    let report = analysis::report(&engine.view(), &session);
    target.write(&report, args.format)?;
    output::stats(options.stats, &report.tracer);
    failure.map_or(Ok(0), |failure| Err(Failure::Other(failure)))
}

/// `reapwatch trace`.
pub async fn trace(mut options: KernelOptions, args: TraceArgs, signals: Signals) -> Result<u8, Failure> {
    let recording = Target::StandardOutput.and_recording(args.record.as_deref())?;
    let min_latency_ns = nanoseconds(args.min_latency);
    options.asked = Asked::Events { pids: args.pid, min_latency_ns };
    let attached = attach(&options)?;
    let session = session(&attached.kernel, Duration::from_nanos(DEFAULT_GRACE_NS));
    let recording = begin(recording, &session)?;
    let purpose = Purpose::Lines { for_a_person: io::stdout().is_terminal() };
    let mut collector = collector(attached, session.clone(), recording, None, purpose);
    let mut lines = Lines::new(output::standard_output()?, session, args.format, false)?;
    collector.run(for_a_while(args.duration, &signals), &mut lines).await?;
    lines.finish()?;
    output::stats(options.stats, &analysis::tracer(collector.engine().upkeep()));
    collector.recording_failure().map_or(Ok(0), |failure| Err(Failure::Other(failure)))
}

/// Observations, a line each.
pub struct Lines {
    outlet: Outlet,
    session: Session,
    format: Format,
    view: render::terminal::View,
}

impl Lines {
    /// `patient`: a slow reader is waited for.
    pub fn new(out: File, session: Session, format: Format, patient: bool) -> Result<Self, Failure> {
        let view = output::view(out.is_terminal());
        let outlet =
            Outlet::new(out, patient).map_err(|error| Failure::writing("standard output", &error))?;
        Ok(Self { outlet, session, format, view })
    }

    /// Hands over the rest. Lines that a slow reader missed are a failure that says so.
    pub fn finish(self) -> Result<(), Failure> {
        let lost = self.outlet.finish().map_err(|error| Failure::writing("standard output", &error))?;
        match (lost.left_out, lost.not_taken) {
            (0, 0) => Ok(()),
            (lines, 0) => Err(Failure::other(format!(
                "the reader of standard output was too slow: {lines} lines were left out; write to a file, or ask for \
                 less (--pid, --min-latency)"
            ))),
            (lines, rest) => Err(Failure::other(format!(
                "the reader of standard output stands still or is too slow to wait for: {lines} lines were left out, \
                 and the last {rest} were not written, of which the first may be cut"
            ))),
        }
    }

    fn write(&mut self, line: &EventLine) -> io::Result<()> {
        let (format, view) = (self.format, self.view);
        self.outlet.line(|out| match format {
            Format::Json => render::json::line(out, line),
            Format::Text => render::event_text::line(out, line, view),
        })
    }
}

impl Observer for Lines {
    /// Writes one, if it is asked for.
    fn take(&mut self, observation: &Observation) -> io::Result<()> {
        let Some(line) = analysis::event_line(observation, &self.session) else { return Ok(()) };
        if let Some(lines) = self.outlet.take_lost() {
            self.write(&EventLine::lines_lost(line.time, lines))?;
        }
        self.write(&line)
    }

    /// A reader that waits for a line sees it soon.
    fn batch_over(&mut self) -> io::Result<()> {
        self.outlet.hand_over()
    }
}
