//! `run` and `record`: a command and everything descended from it.

use std::time::Instant;

use super::{
    Failure,
    child::{self, Child, Ended},
    live::{attach, begin, collector, for_a_while, session, time_up},
    output::{self, RecordingTarget, Target},
    signals::{First, Signals, WINDOW_CLOSES_WITHIN},
};
use crate::{
    analysis,
    cli::{RecordArgs, RunArgs},
    collector::{NoObserver, Purpose},
    report::Finding,
    source::options::{Asked, KernelOptions},
};

/// `reapwatch run`.
pub async fn run(mut options: KernelOptions, args: RunArgs, signals: Signals) -> Result<u8, Failure> {
    let target = Target::open(args.output.as_deref(), Target::StandardError)?;
    let recording = target.and_recording(args.record.as_deref())?;
    options.asked = Asked::Tree;
    let mut attached = attach(&options)?;
    let session = session(&attached.kernel, args.grace.grace);
    let recording = begin(recording, &session)?;
    let (mut child, root) = match child::start(&args.command, &signals, &mut attached)? {
        child::Started::Child(child, root) => (child, root),
        child::Started::NotBecauseOf(first) => return Ok(not_started(first)),
    };
    let purpose = Purpose::Report { status_line: args.progress };
    let mut collector = collector(attached, session, recording, Some(root), purpose);
    let ended = collector.run(ends(&child, &signals), &mut NoObserver).await;
    let ended = ended.inspect_err(|_| child.is_left_running())?;
    let failure = collector.recording_failure();
    let (engine, session) = collector.into_parts();
    let report = analysis::report(&engine.view(), &session);
    let on_stderr = matches!(target, Target::StandardError);
    target.write(&report, args.format)?;
    output::stats(options.stats, &report.tracer);
    // The report says it.
    if !on_stderr {
        child.is_left_running();
    }
    if let Some(failure) = failure {
        return Err(Failure::Other(failure));
    }
    match (ended, args.error_exitcode) {
        (_, Some(code)) if report.finding == Finding::Leak => Ok(code),
        (Ended::ByItself, _) => child.exit_code(),
        (Ended::Interrupted(first), _) => Ok(first.exit_code()),
    }
}

/// `reapwatch record`.
pub async fn record(mut options: KernelOptions, args: RecordArgs, signals: Signals) -> Result<u8, Failure> {
    let recording = RecordingTarget::open(&args.output)?;
    let tree = !args.command.is_empty();
    if tree {
        options.asked = Asked::Tree;
    }
    let mut attached = attach(&options)?;
    let session = session(&attached.kernel, args.grace.grace);
    let recording = Some(recording.begin(&session)?);
    let child = if tree {
        match child::start(&args.command, &signals, &mut attached)? {
            child::Started::Child(child, root) => Some((child, root)),
            child::Started::NotBecauseOf(first) => return Ok(not_started(first)),
        }
    } else {
        None
    };
    let root = child.as_ref().map(|(_, root)| *root);
    let purpose = Purpose::Report { status_line: args.progress || !tree };
    let mut collector = collector(attached, session, recording, root, purpose);
    let code = match child {
        None => {
            collector.run(for_a_while(args.duration, &signals), &mut NoObserver).await?;
            0
        }
        Some((mut child, _)) => {
            let stop = async {
                tokio::select! {
                    (ended, close_by) = ends(&child, &signals) => (Some(ended), close_by),
                    () = time_up(args.duration) => (None, None),
                }
            };
            let ended = collector.run(stop, &mut NoObserver).await;
            child.is_left_running();
            match ended? {
                Some(Ended::ByItself) => child.exit_code()?,
                Some(Ended::Interrupted(first)) => first.exit_code(),
                None => 0,
            }
        }
    };
    output::stats(options.stats, &analysis::tracer(collector.engine().upkeep()));
    collector.recording_failure().map_or(Ok(code), |failure| Err(Failure::Other(failure)))
}

/// When the command ends, or a signal has come and it has had its time; and until when the window is to be closed.
async fn ends(child: &Child, signals: &Signals) -> (Ended, Option<Instant>) {
    let ended = child.ends(signals).await;
    let close_by = match ended {
        Ended::ByItself => None,
        Ended::Interrupted(first) => Some(first.deadline(WINDOW_CLOSES_WITHIN)),
    };
    (ended, close_by)
}

fn not_started(first: First) -> u8 {
    output::say("a signal came before everything was attached: the command was not started");
    first.exit_code()
}
