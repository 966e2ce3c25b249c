//! `explain`: one process, watched for a moment or read from a recording, and a page about it.
//!
//! Owns whom to look at and when. Must not judge, and must not know how the page is written.

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::Path,
    time::Duration,
};

use foldhash::HashMap;

use super::{
    Failure,
    live::{self, Use, for_a_while},
    output, processes, replay,
    signals::Signals,
    unreadable,
};
use crate::{
    analysis::explain::{Looks, explain, find},
    cli::{ExplainArgs, Format, Global, nanoseconds},
    engine::EnrichedEvent,
    model::{Identity, Snapshot, Stage, Task, TaskState, WaitStatus},
    pipeline::Subscriber,
    recording::{Reader, RecordingError},
    render,
    report::explain::Explanation,
    source::{
        SetupError,
        bpf::options::{ForkStacks, Kills, Subscription},
        host::{
            condition::{self, Looked, NoProcess},
            namespace,
            process_directory::Directories,
            process_info,
        },
    },
};

/// The window is longer by enough for two looks at what a suspect does.
const GRACE: Duration = Duration::from_secs(1);
/// Most dead processes whose end is remembered.
const ENDS_MAX: usize = 65_536;

/// `reapwatch explain PID`.
pub async fn live(global: &Global, args: ExplainArgs, signals: Signals) -> Result<u8, Failure> {
    namespace::require_initial_pid()?;
    let looked = condition::look(args.pid).map_err(|why| not_explained(args.pid, why))?;
    // A zombie does nothing any more: whoever must reap it is watched.
    let watched = match looked.condition.state {
        TaskState::Zombie => looked.condition.parent,
        _ => args.pid,
    };
    let subscription =
        Subscription::events(vec![watched.max(1)], 0).with(ForkStacks::OfAll).with_kills(Kills::OfAll);
    let attached = live::attach(global, subscription, args.grace.unwrap_or(GRACE), None)?;
    let directories = Directories::learn();
    let task = same_process(&attached.first, args.pid, &looked, directories.tick_ns)
        .ok_or_else(|| not_listed(args.pid))?;
    let program = process_info::Reader::open().read(&task).map(|description| description.info);
    let mut ends = Ends::default();
    let watching = attached.open(None, Use::Report);
    let watched = watching.until(for_a_while(Some(args.duration), &signals), &mut ends).await?;
    let looks = Looks { first: Some(looked.condition), last: condition::look_again(&task), program };
    let status_of = |dead: &Task| ends.of(dead).or_else(|| condition::status_of(&directories, dead));
    let explanation = explain(&watched.view(), watched.session(), &task, &looks, &status_of);
    let explanation = output::command_lines(args.command_lines.command_lines).of_explanation(explanation);
    publish(&explanation, args.format)?;
    watched.finish()?;
    Ok(0)
}

/// `reapwatch explain PID --from RECORDING`.
pub fn recorded(path: &Path, args: &ExplainArgs) -> Result<u8, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &RecordingError::Io(error)))?;
    let reader = Reader::open(file).map_err(|error| unreadable(path, &error))?;
    let mut session = reader.session().clone();
    if let Some(grace) = args.grace {
        session.grace_ns = nanoseconds(grace);
    }
    let mut ends = Ends::default();
    let engine = replay::whole(path, reader, &session, &mut [&mut ends])?;
    let view = engine.view();
    let task = find(&view, args.pid).ok_or_else(|| {
        Failure::other(format!(
            "{} has nothing of a process {}: `reapwatch replay` lists the parents in it",
            path.display(),
            args.pid
        ))
    })?;
    let explanation = explain(&view, &session, &task, &Looks::default(), &|dead| ends.of(dead));
    let explanation = output::command_lines(args.command_lines.command_lines).of_explanation(explanation);
    publish(&explanation, args.format)?;
    Ok(0)
}

/// The process that was looked at, by the kernel's own names.
fn same_process(first: &Snapshot, pid: u32, looked: &Looked, tick_ns: u64) -> Option<Task> {
    let is_same = |task: &Task| {
        task.identity.tgid == pid
            && (task.identity.start_boottime_ns / tick_ns.max(1)).abs_diff(looked.start_ticks) <= 1
    };
    first.tasks.iter().map(|seen| seen.process).find(is_same)
}

/// /proc shows it, or did, and the kernel's task list does not.
fn not_listed(pid: u32) -> Failure {
    Failure::other(format!(
        "process {pid} is not in the kernel's task list: it has just ended, or this system hides it from eBPF programs"
    ))
}

fn not_explained(pid: u32, why: NoProcess) -> Failure {
    match why {
        NoProcess::None => Failure::other(format!(
            "there is no process {pid}: `ps -e` lists those there are, and --from explains one of a recording"
        )),
        NoProcess::Thread { process } => processes::is_thread(pid, process),
        NoProcess::Kernel => SetupError {
            what: format!("process {pid} is a kernel thread, which the kernel itself reaps"),
            remedy: "name a process of user space".into(),
        }
        .into(),
        NoProcess::Hidden(error) => SetupError {
            what: format!("cannot read /proc/{pid}: {error}"),
            remedy: "run it as root, or with CAP_SYS_PTRACE".into(),
        }
        .into(),
    }
}

fn publish(explanation: &Explanation, format: Format) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    match format {
        Format::Json => render::json::line(&mut bytes, explanation),
        Format::Text => {
            render::explain_text::page(&mut bytes, explanation, output::view(io::stdout().is_terminal()))
        }
    }
    .map_err(|error| Failure::other(format!("cannot render the page: {error}")))?;
    output::standard(&bytes)
}

/// How processes ended that are not reaped yet.
#[derive(Default)]
struct Ends(HashMap<Identity, WaitStatus>);

impl Ends {
    fn of(&self, dead: &Task) -> Option<WaitStatus> {
        self.0.get(&dead.identity).copied()
    }
}

impl Subscriber for Ends {
    fn event(&mut self, observation: &EnrichedEvent) -> io::Result<()> {
        let EnrichedEvent::Stage { event, .. } = observation else { return Ok(()) };
        match &event.stage {
            Stage::Exit { status, .. } if self.0.len() < ENDS_MAX => {
                self.0.insert(event.process.identity, *status);
            }
            Stage::Reap { .. } => {
                self.0.remove(&event.process.identity);
            }
            _ => {}
        }
        Ok(())
    }
}
