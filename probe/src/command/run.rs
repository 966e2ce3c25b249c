//! `run` and `record`: a command and everything descended from it.
//!
//! Must not judge: `--error-exitcode` goes by what the report says of the check.

use std::{
    ffi::OsString,
    time::{Duration, Instant},
};

use super::{
    Failure,
    check::{self, Check},
    child::{self, Child, Ended},
    left_running,
    live::{self, Attached, Use, Watched, for_a_while, time_up},
    output::{self, RecordingTarget, Target},
    page::PageNotes,
    signals::{First, Signals, WINDOW_CLOSES_WITHIN},
};
use crate::{
    analysis::check::LeftRunningRule,
    cli::{Global, RecordArgs, RunArgs},
    source::bpf::options::{ForkStacks, Kills, Subscription},
};

/// `reapwatch run`.
pub async fn run(global: &Global, args: RunArgs, signals: Signals) -> Result<u8, Failure> {
    let target = Target::open(args.output.as_deref(), Target::StandardError)?;
    let check = Check::open(&args.check, &target)?;
    let recording = target.and_recording(args.record.as_deref())?;
    let is_of_all = args.stacks || check.wants_fork_sites();
    let fork_stacks = if is_of_all { ForkStacks::OfAll } else { ForkStacks::OfTargets };
    let subscription = Subscription::tree().with(fork_stacks).with_kills(Kills::OfAll);
    let may_kill = check.left_running == LeftRunningRule::Kill;
    let attached = live::attach(global, subscription, args.grace.grace, recording)?;
    let mut attached = attached.that_may_kill(may_kill).with_labels(args.labels);
    let (mut child, root) = match child::start(&args.command, &signals, &mut attached)? {
        child::Started::Child(child, root) => (child, root),
        child::Started::NotBecauseOf(first) => return Ok(not_started(first)),
    };
    let watching = attached.open(Some(root), Use::Report);
    let command_lines = output::command_lines(args.command_lines.command_lines);
    let subject = command_lines.of_command(words(&args.command));
    let mut notes = PageNotes::new(args.format, subject.clone(), args.record.as_deref(), command_lines);
    let watched = watching.noting_until(ends(&child, &signals), args.progress, &mut notes).await;
    let watched = watched.inspect_err(|_| child.is_left_running())?;
    let mut report = watched.report();
    check.suppress(&mut report);
    if may_kill {
        left_running::end(&mut report, args.kill_after, command_lines);
    }
    check.conclude(&mut report);
    // Rules go by whole command lines, whatever is told of them.
    let report = command_lines.of_report(report);
    let on_stderr = matches!(target, Target::StandardError);
    notes.write(target, (&watched.view(), watched.session()), &report, args.format)?;
    let ended = watched.finish_with(&report.tracer);
    // On standard error, the report itself says what is left running.
    if !on_stderr {
        child.is_left_running();
    }
    let ended = ended?;
    check.publish(&report, &subject)?;
    match (ended, check::exit_code(&report)) {
        (_, Some(code)) => Ok(code),
        (Ended::ByItself, _) => child.exit_code(),
        (Ended::Interrupted(first), _) => Ok(first.exit_code()),
    }
}

/// `reapwatch record`.
pub async fn record(global: &Global, args: RecordArgs, signals: Signals) -> Result<u8, Failure> {
    let recording = Some(RecordingTarget::open(&args.output)?);
    let grace = args.grace.grace;
    if args.command.is_empty() {
        let watching = live::attach(global, with_details(Subscription::default()), grace, recording)?
            .open(None, Use::Report);
        watching.quietly_until(for_a_while(args.duration, &signals), true).await?.finish()?;
        return Ok(0);
    }
    let attached = live::attach(global, with_details(Subscription::tree()), grace, recording)?;
    for_a_command(attached, &args.command, args.duration, args.progress, &signals, |_| Ok(())).await
}

/// With what a recording is to hold beside the stages.
fn with_details(subscription: Subscription) -> Subscription {
    subscription.with(ForkStacks::OfTargets).with_kills(Kills::OfAll)
}

/// Starts a command and watches it and its descendants until it ends, the duration is over or a signal interrupts; then
/// `tell` gets what was seen. Returns the exit code: the command's, or 0 where it runs on.
pub(super) async fn for_a_command(
    mut attached: Attached,
    command: &[OsString],
    duration: Option<Duration>,
    status_line: bool,
    signals: &Signals,
    tell: impl FnOnce(&Watched<Option<Ended>>) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let (mut child, root) = match child::start(command, signals, &mut attached)? {
        child::Started::Child(child, root) => (child, root),
        child::Started::NotBecauseOf(first) => return Ok(not_started(first)),
    };
    let stop = async {
        tokio::select! {
            (ended, close_by) = ends(&child, signals) => (Some(ended), close_by),
            () = time_up(duration) => (None, None),
        }
    };
    let watched = attached.open(Some(root), Use::Report).quietly_until(stop, status_line).await;
    child.is_left_running();
    let watched = watched?;
    tell(&watched)?;
    let code = match watched.ended {
        Some(Ended::ByItself) => child.exit_code()?,
        Some(Ended::Interrupted(first)) => first.exit_code(),
        None => 0,
    };
    watched.finish()?;
    Ok(code)
}

/// Waits until the command ends, or until its time after a signal is over. Returns why, and the deadline for closing
/// the window.
async fn ends(child: &Child, signals: &Signals) -> (Ended, Option<Instant>) {
    let ended = child.ends(signals).await;
    let close_by = match ended {
        Ended::ByItself => None,
        Ended::Interrupted(first) => Some(first.deadline(WINDOW_CLOSES_WITHIN)),
    };
    (ended, close_by)
}

/// The words of a command as text.
fn words(command: &[OsString]) -> Vec<String> {
    command.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn not_started(first: First) -> u8 {
    output::say("a signal came before everything was attached: the command was not started");
    first.exit_code()
}
