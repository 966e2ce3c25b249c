//! `watch` and `trace`: the whole host, for a while. And what every live command shares: attaching, signals.

use std::{
    io::{self, IsTerminal},
    path::Path,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    Failure,
    outlet::Outlet,
    output::{self, Target},
};
use crate::{
    analysis,
    cli::{Format, TraceArgs, WatchArgs},
    collector::{Collector, NoObserver, Observer, Purpose},
    engine::Observation,
    model::{DEFAULT_GRACE_NS, Identity, Session, Snapshot},
    record::RecordingFile,
    report::EventLine,
    sink,
    source::{
        clock,
        kernel::{Asked, Kernel, KernelOptions},
        privileges,
    },
};

/// Programs attached, the task list walked once.
pub struct Attached {
    pub kernel: Kernel,
    pub first: Snapshot,
}

/// Attaches, then looks at what is there already.
pub fn attach(options: &KernelOptions) -> Result<Attached, Failure> {
    let mut kernel = Kernel::attach(options)?;
    let first = kernel.snapshot(0)?;
    Ok(Attached { kernel, first })
}

/// What is true for the whole of a live command.
pub fn session(kernel: &Kernel, grace: Duration) -> Session {
    Session { anchor: clock::anchor(), hooks: kernel.hooks(), grace_ns: nanoseconds(grace) }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The recording, if one is asked for.
pub fn recording(path: Option<&Path>, session: &Session) -> Result<Option<RecordingFile>, Failure> {
    path.map(|path| {
        RecordingFile::create(path, session)
            .map_err(|error| Failure::other(format!("cannot record to {}: {error}", path.display())))
    })
    .transpose()
}

/// Ends when SIGINT or SIGTERM comes; which.
pub async fn interrupted() -> i32 {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => nix::libc::SIGINT,
        _ = terminate.recv() => nix::libc::SIGTERM,
    }
}

/// Ends after `duration`, or with a signal.
pub async fn for_a_while(duration: Option<Duration>) {
    let time_up = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = time_up => {}
        _ = interrupted() => {}
    }
}

/// Starts collecting. Everything is open and started by now: the rest is reading.
pub fn collector(
    attached: Attached,
    session: Session,
    recording: Option<RecordingFile>,
    root: Option<Identity>,
    purpose: Purpose,
) -> Collector {
    let Attached { kernel, first } = attached;
    if let Err(error) = privileges::drop_to_reading() {
        tracing::warn!(%error, "more privileges are kept than needed");
    }
    Collector::new(kernel, session, recording, first, root, purpose)
}

/// `reapwatch watch`.
pub async fn watch(mut options: KernelOptions, args: WatchArgs) -> Result<u8, Failure> {
    let target = Target::open(args.output.as_deref(), Target::StandardOutput)?;
    // A recording is for every view; a report alone needs the counters and what is slow.
    if args.record.is_none() {
        options.asked = Asked::Counters { slow_ns: nanoseconds(args.grace.grace) };
    }
    let attached = attach(&options)?;
    let session = session(&attached.kernel, args.grace.grace);
    let recording = recording(args.record.as_deref(), &session)?;
    let mut collector = collector(attached, session, recording, None, Purpose::Report);
    collector.run(for_a_while(Some(args.duration)), &mut NoObserver).await?;
    let failure = collector.recording_failure();
    let (engine, session) = collector.into_parts();
    let report = analysis::report(&engine, &session);
    target.write(&report, args.format)?;
    output::stats(options.stats, &report.tracer);
    failure.map_or(Ok(0), |failure| Err(Failure::Other(failure)))
}

/// `reapwatch trace`.
pub async fn trace(mut options: KernelOptions, args: TraceArgs) -> Result<u8, Failure> {
    let min_latency_ns = nanoseconds(args.min_latency);
    options.asked = Asked::Events { pids: args.pid, min_latency_ns };
    let attached = attach(&options)?;
    let session = session(&attached.kernel, Duration::from_nanos(DEFAULT_GRACE_NS));
    let recording = recording(args.record.as_deref(), &session)?;
    let mut lines = Lines::new(session.clone(), args.format, false);
    let purpose = Purpose::Lines { for_a_person: io::stdout().is_terminal() };
    let mut collector = collector(attached, session, recording, None, purpose);
    collector.run(for_a_while(args.duration), &mut lines).await?;
    lines.finish()?;
    output::stats(options.stats, &analysis::tracer(collector.engine().upkeep()));
    collector.recording_failure().map_or(Ok(0), |failure| Err(Failure::Other(failure)))
}

/// Observations to standard output, a line each.
pub struct Lines {
    outlet: Outlet,
    session: Session,
    format: Format,
    view: sink::terminal::View,
}

impl Lines {
    /// `patient`: a slow reader is waited for.
    pub fn new(session: Session, format: Format, patient: bool) -> Self {
        let view = output::view(io::stdout().is_terminal());
        Self { outlet: Outlet::new(patient), session, format, view }
    }

    /// Hands over the rest. Lines that a slow reader missed are a failure that says so.
    pub fn finish(self) -> Result<(), Failure> {
        let lost = self.outlet.finish().map_err(|error| Failure::writing("standard output", &error))?;
        if lost.stands_still {
            return Err(Failure::other(format!(
                "the reader of standard output stands still: {} lines were left out, and those it has not taken",
                lost.lines
            )));
        }
        match lost.lines {
            0 => Ok(()),
            lines => Err(Failure::other(format!(
                "the reader of standard output was too slow: {lines} lines were left out; write to a file, or ask for \
                 less (--pid, --min-latency)"
            ))),
        }
    }

    fn write(&mut self, line: &EventLine) -> io::Result<()> {
        let (format, view) = (self.format, self.view);
        self.outlet.line(|out| match format {
            Format::Json => sink::json::line(out, line),
            Format::Text => sink::trace_text::line(out, line, view),
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
