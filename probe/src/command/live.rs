//! What every live command does: attach, open the recording, drop privileges, watch to the end, print what watching
//! cost.
//!
//! Must not know why a command watches, or what it does with the results.

use std::time::{Duration, Instant};

use super::{
    Failure,
    output::{self, Recording, RecordingTarget},
    page::Both,
    signals::{Signals, WINDOW_CLOSES_WITHIN},
    status_line::StatusLine,
};
use crate::{
    analysis,
    cli::{Global, HookChoice, nanoseconds},
    engine::{Engine, View},
    model::{Identity, Session, Snapshot},
    pipeline::{Details, Pipeline, Subscriber},
    report::{Report, Tracer},
    source::{
        bpf::{
            options::{self, Subscription, TracerOptions},
            tracer,
        },
        host::{clock, privileges, self_usage},
        live::{Live, Pace, ThisHost},
        wakeups::Wakeups,
    },
};

/// The programs are attached, one snapshot is taken, and the recording has begun, so a command can be started now.
pub struct Attached {
    pub kernel: tracer::Tracer,
    pub first: Snapshot,
    wakeups: Wakeups,
    session: Session,
    recording: Option<Recording>,
    stats: bool,
    may_kill: bool,
    labels: bool,
}

/// What the command does with the observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Makes a report at the end.
    Report,
    /// Makes reports as long as it runs, in which every parent is part of a workload.
    Workloads,
    /// The same, and does to a parent what a person asks for.
    Table,
    /// Prints lines as events come, for a person or for a program.
    Lines { for_a_person: bool },
}

/// An open window.
pub struct Watching {
    source: Live<ThisHost>,
    pipeline: Pipeline,
    session: Session,
    stats: bool,
}

/// A closed window; nothing is attached any more.
pub struct Watched<T> {
    /// What ended the window.
    pub ended: T,
    engine: Engine,
    session: Session,
    recording_failure: Option<String>,
    stats: bool,
}

/// What to load and how large the maps are, from the command line and from what the command asks for.
pub fn tracer_options(global: &Global, subscription: Subscription) -> TracerOptions {
    TracerOptions {
        btf: global.btf.clone(),
        hooks: match global.hooks {
            HookChoice::Auto => options::HookChoice::Auto,
            HookChoice::Fentry => options::HookChoice::Fentry,
            HookChoice::Kprobe => options::HookChoice::Kprobe,
            HookChoice::Tracepoint => options::HookChoice::Tracepoint,
        },
        ring_bytes: global.ring_size,
        lives: global.max_unreaped,
        parents: global.max_parents,
        log_programs: global.log_programs,
        stats: global.stats,
        subscription,
    }
}

/// Attaches, takes a snapshot of the existing processes, and begins the recording, if one is asked for.
pub fn attach(
    global: &Global,
    subscription: Subscription,
    grace: Duration,
    recording: Option<RecordingTarget>,
) -> Result<Attached, Failure> {
    let mut kernel = tracer::Tracer::attach(&tracer_options(global, subscription))?;
    let wakeups = Wakeups::new(&kernel)?;
    let first = kernel.snapshot(0)?;
    let session = Session { anchor: clock::anchor(), hooks: kernel.hooks(), grace_ns: nanoseconds(grace) };
    let recording = recording.map(|recording| recording.begin(&session)).transpose()?;
    Ok(Attached {
        kernel,
        first,
        wakeups,
        session,
        recording,
        stats: global.stats,
        may_kill: false,
        labels: false,
    })
}

impl Attached {
    /// It will end processes, also those of other users: the privilege for that is kept.
    pub fn that_may_kill(self, may_kill: bool) -> Self {
        Self { may_kill, ..self }
    }

    /// Every program that is started is looked up, for the label in its environment.
    pub fn with_labels(self, labels: bool) -> Self {
        Self { labels, ..self }
    }

    /// Opens the window. Everything is open and the command has started, so only the privileges to read are needed from
    /// now on. No thread exists yet that would keep more. `root`: the command whose tree is watched.
    pub fn open(self, root: Option<Identity>, used_for: Use) -> Watching {
        let Self { kernel, first, wakeups, session, recording, stats, may_kill, labels } = self;
        let recording = recording.map(Recording::take_name);
        if let Err(error) = privileges::drop_to_reading(may_kill || used_for == Use::Table) {
            tracing::warn!(%error, "more privileges are kept than needed");
        }
        // The kernel's types and the code that reads them took room while the programs were loaded.
        self_usage::give_small_pieces_back();
        self_usage::give_code_back();
        let details = match used_for {
            Use::Report => Details::OfLeakers,
            Use::Workloads | Use::Table => Details::OfAll,
            Use::Lines { .. } => Details::None,
        };
        let pipeline = Pipeline::new(&session, recording, details)
            .with_labels(labels)
            .with_cgroup_names(matches!(used_for, Use::Lines { .. }));
        let pace = match used_for {
            Use::Lines { for_a_person: false } if !pipeline.wants_details() => Pace::Relaxed,
            Use::Table => Pace::OnLooked,
            Use::Report | Use::Workloads | Use::Lines { .. } => Pace::Prompt,
        };
        let begin = kernel.begin(first.began_ns, root);
        let source = Live::open(ThisHost::new(kernel, wakeups), begin, first, pace);
        Watching { source, pipeline, session, stats }
    }
}

impl Watching {
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Watches until `stop` is ready, closes the window by the deadline that `stop` returns, and detaches.
    pub async fn until<T>(
        self,
        stop: impl Future<Output = (T, Option<Instant>)>,
        subscriber: &mut dyn Subscriber,
    ) -> Result<Watched<T>, Failure> {
        let Self { mut source, mut pipeline, session, stats } = self;
        let ended = pipeline.run_until(&mut source, stop, &mut [subscriber]).await?;
        let recording_failure = pipeline.recording_failure();
        Ok(Watched { ended, engine: pipeline.into_engine(), session, recording_failure, stats })
    }

    /// The same for a command that prints no lines. `status_line`: show a status line if standard error is a terminal.
    pub async fn quietly_until<T>(
        self,
        stop: impl Future<Output = (T, Option<Instant>)>,
        status_line: bool,
    ) -> Result<Watched<T>, Failure> {
        self.noting_until(stop, status_line, &mut ()).await
    }

    /// The same, while `notes` are taken.
    pub async fn noting_until<T>(
        self,
        stop: impl Future<Output = (T, Option<Instant>)>,
        status_line: bool,
        notes: &mut dyn Subscriber,
    ) -> Result<Watched<T>, Failure> {
        let mut status_line = StatusLine::new(status_line);
        let watched = self.until(stop, &mut Both(&mut status_line, notes)).await?;
        status_line.clear();
        Ok(watched)
    }
}

impl<T> Watched<T> {
    pub fn report(&self) -> Report {
        analysis::report(&self.engine.view(), &self.session)
    }

    /// What the engine knows.
    pub fn view(&self) -> View<'_> {
        self.engine.view()
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Prints what watching cost, if asked for. Fails if the recording has failed.
    pub fn finish(self) -> Result<T, Failure> {
        let tracer = analysis::tracer(self.engine.tracer_stats());
        self.finish_with(&tracer)
    }

    /// The same with the costs from a report.
    pub fn finish_with(self, tracer: &Tracer) -> Result<T, Failure> {
        output::stats(self.stats, tracer);
        match self.recording_failure {
            Some(failure) => Err(Failure::Other(failure)),
            None => Ok(self.ended),
        }
    }
}

/// Waits for `duration` or a signal. After a signal, returns the deadline for closing the window.
pub async fn for_a_while(duration: Option<Duration>, signals: &Signals) -> ((), Option<Instant>) {
    let close_by = tokio::select! {
        () = time_up(duration) => None,
        first = signals.first() => Some(first.deadline(WINDOW_CLOSES_WITHIN)),
    };
    ((), close_by)
}

/// Waits for `duration`, or forever if there is none.
pub async fn time_up(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
