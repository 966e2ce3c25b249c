//! `run` and `record`: a command and everything descended from it.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};

use super::{
    Failure,
    live::{Attached, attach, collector, for_a_while, interrupted, recording, session},
    output::{self, Target},
};
use crate::{
    analysis,
    cli::{RecordArgs, RunArgs},
    collector::{NoObserver, Purpose},
    model::Identity,
    report::Finding,
    source::{
        kernel::{Asked, KernelOptions},
        namespace,
    },
};

/// After a signal the command gets this long to end before the report is made without it.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// `reapwatch run`.
pub async fn run(mut options: KernelOptions, args: RunArgs) -> Result<u8, Failure> {
    let target = Target::open(args.output.as_deref(), Target::StandardError)?;
    options.asked = Asked::Tree;
    let mut attached = attach(&options)?;
    let session = session(&attached.kernel, args.grace.grace);
    let recording = recording(args.record.as_deref(), &session)?;
    let (mut child, root) = spawn(&args.command, &mut attached)?;
    let mut collector = collector(attached, session, recording, Some(root), Purpose::Report);
    let ended = collector.run(command_ends(child.id()), &mut NoObserver).await?;
    let failure = collector.recording_failure();
    let (engine, session) = collector.into_parts();
    let report = analysis::report(&engine, &session);
    target.write(&report, args.format)?;
    output::stats(options.stats, &report.tracer);
    if let Some(failure) = failure {
        return Err(Failure::Other(failure));
    }
    match (ended, args.error_exitcode) {
        (_, Some(code)) if report.finding == Finding::Leak => Ok(code),
        (Ended::ByItself, _) => Ok(exit_code(reap(&mut child)?)),
        (Ended::Interrupted(signal), _) => Ok(128 + signal as u8),
    }
}

/// `reapwatch record`.
pub async fn record(mut options: KernelOptions, args: RecordArgs) -> Result<u8, Failure> {
    let tree = !args.command.is_empty();
    if tree {
        options.asked = Asked::Tree;
    }
    let mut attached = attach(&options)?;
    let session = session(&attached.kernel, args.grace.grace);
    let recording = recording(Some(&args.output), &session)?;
    let child = if tree { Some(spawn(&args.command, &mut attached)?) } else { None };
    let root = child.as_ref().map(|(_, root)| *root);
    let mut collector = collector(attached, session, recording, root, Purpose::Report);
    let code = match child {
        None => {
            collector.run(for_a_while(args.duration), &mut NoObserver).await?;
            0
        }
        Some((mut child, _)) => {
            let pid = child.id();
            let stop = async {
                tokio::select! {
                    ended = command_ends(pid) => Some(ended),
                    () = time_up(args.duration) => None,
                }
            };
            match collector.run(stop, &mut NoObserver).await? {
                Some(Ended::ByItself) => exit_code(reap(&mut child)?),
                Some(Ended::Interrupted(signal)) => 128 + signal as u8,
                None => 0,
            }
        }
    };
    output::stats(options.stats, &analysis::tracer(collector.engine().upkeep()));
    collector.recording_failure().map_or(Ok(code), |failure| Err(Failure::Other(failure)))
}

async fn time_up(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// Starts the command, our own child, and follows it. Its identity comes from the kernel's task list: it stays there,
/// unreaped, until the report is made.
fn spawn(command: &[OsString], attached: &mut Attached) -> Result<(Child, Identity), Failure> {
    let Attached { kernel, first } = attached;
    let Some((program, args)) = command.split_first() else {
        return Err(Failure::other("no command given"));
    };
    let own = namespace::own_process(&first.tasks)?;
    kernel.follow_descendants(own.identity)?;
    let child = Command::new(program)
        .args(args)
        .spawn()
        .map_err(|error| Failure::other(format!("cannot run {}: {error}", program.display())))?;
    let root = kernel
        .snapshot(0)?
        .tasks
        .iter()
        .filter(|seen| seen.parent.identity == own.identity)
        .map(|seen| seen.process)
        // By the pid it has in our PID namespace, which is ours to know it by.
        .find(|process| process.ns_pid == child.id() || process.identity.tgid == child.id())
        .ok_or_else(|| {
            Failure::other(format!(
                "{} (pid {}) is not in the kernel's task list",
                program.display(),
                child.id()
            ))
        })?
        .identity;
    Ok((child, root))
}

enum Ended {
    ByItself,
    Interrupted(i32),
}

/// Ends when the command is dead (and leaves it unreaped), or some time after a signal was passed on to it.
async fn command_ends(pid: u32) -> Ended {
    let pid = Pid::from_raw(pid as i32);
    let dead = tokio::task::spawn_blocking(move || {
        while let Err(nix::errno::Errno::EINTR) =
            waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
        {}
    });
    tokio::pin!(dead);
    let signal = tokio::select! {
        _ = &mut dead => return Ended::ByItself,
        signal = interrupted() => signal,
    };
    // A terminal's ^C has reached the command already; a second one does no harm.
    if let Ok(signal) = Signal::try_from(signal) {
        let _ = kill(pid, signal);
    }
    tokio::select! {
        _ = &mut dead => {}
        _ = interrupted() => {}
        () = tokio::time::sleep(LAST_CHANCE) => {}
    }
    Ended::Interrupted(signal)
}

fn reap(child: &mut Child) -> Result<ExitStatus, Failure> {
    child.wait().map_err(|error| Failure::other(format!("cannot wait for the command: {error}")))
}

fn exit_code(status: ExitStatus) -> u8 {
    status.code().map_or_else(|| 128 + status.signal().unwrap_or(0) as u8, |code| code as u8)
}
