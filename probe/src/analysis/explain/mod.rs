//! One process of a window, and the one parent that its explanation is about: the verdict and the causes are those of a
//! report.
//!
//! Owns who is explained. Must not judge: that is `verdict`'s and `cause`'s. Must not ask /proc: what it said is handed in.

mod because;
mod life;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use super::{command_line, finding, ns_pid, owned, time};
use crate::{
    engine::{Parent as Known, Process, State, View},
    model::{Condition, Identity, Kill, Killer, ProcessInfo, Scope, Session, Task, WaitStatus},
    report::{
        ExitDetail, Ledger, Other, Report, Settled,
        explain::{Explanation, KilledBy, SCHEMA, Sender, UnreapedChild},
    },
};

/// Most unreaped children listed.
const UNREAPED_MAX: usize = 256;

/// What /proc said of the process before the window and after it; nothing in a recording.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    pub first: Option<Condition>,
    pub last: Option<Condition>,
    /// What it runs.
    pub program: Option<ProcessInfo>,
}

/// The youngest process with this pid that is known.
pub fn find(view: &View<'_>, pid: u32) -> Option<Task> {
    let tasks = view.processes().map(|process| process.task).chain(view.parents().map(|parent| parent.task));
    tasks.filter(|task| task.identity.tgid == pid).max_by_key(|task| task.identity.start_boottime_ns)
}

/// Explains it. `status_of` says how a dead process ended, where that is known.
pub fn explain(
    view: &View<'_>,
    session: &Session,
    task: &Task,
    looks: &Looks,
    status_of: &dyn Fn(&Task) -> Option<WaitStatus>,
) -> Explanation {
    let process = life::asked(view, session, task, looks, status_of);
    let explained = explained(view, task);
    let unknown;
    let known = match view.parent(explained.identity) {
        Some(known) => known,
        None => {
            unknown = Known::new(explained);
            &unknown
        }
    };
    let report = super::report(view, session);
    let mut parent = super::parent(view, session, known, report.complete);
    parent.alive &= view.process(explained.identity).is_some() || !life::has_died(view, explained.identity);
    // A report asks what parents run that have dead children.
    if let Some(program) = &looks.program
        && known.info.is_none()
        && explained.identity == task.identity
    {
        parent.command_line = command_line(program);
        parent.executable = super::text(&program.executable).into_owned();
    }
    let report = Report {
        finding: finding::finding(std::slice::from_ref(&parent), &Other::default(), &report.lost),
        // What was not asked for is not of this parent.
        not_covered: match &view.begin().scope {
            Scope::Pids(pids) if pids.contains(&parent.pid) => Vec::new(),
            _ => report.not_covered,
        },
        totals: parent.ledger,
        settled: Settled::default(),
        other: Other::default(),
        parents: Vec::new(),
        ..report
    };
    let (unreaped, unreaped_more) = unreaped(view, session, known, UNREAPED_MAX, status_of);
    Explanation {
        schema: SCHEMA,
        process,
        because: because::because(&report, &parent, known),
        finding: report.finding,
        grace_ns: report.grace_ns,
        window: report.window,
        hooks: report.hooks,
        complete: report.complete,
        lost: report.lost,
        not_covered: report.not_covered,
        parent,
        unreaped,
        unreaped_more,
        pid_limits: super::pids::of(view, explained.identity),
    }
}

/// Whom the explanation of this process is about. A zombie that had no dead children itself says nothing: its parent does.
fn explained(view: &View<'_>, task: &Task) -> Task {
    let of = |identity: Identity| {
        let process = view.process(identity).map(|process| process.task);
        process.or_else(|| view.parent(identity).map(|parent| parent.task))
    };
    let had_dead_children = view
        .parent(task.identity)
        .is_some_and(|known| super::ledger(&known.ledger, known.zombies.len() as u64) != Ledger::default());
    match view.process(task.identity) {
        Some(process) if !had_dead_children && matches!(process.state, State::Zombie { .. }) => {
            of(process.parent).unwrap_or(*task)
        }
        _ => of(task.identity).unwrap_or(*task),
    }
}

/// Its unreaped children, those first that have been dead for the longest, at most so many, and how many more there are.
pub(super) fn unreaped(
    view: &View<'_>,
    session: &Session,
    known: &Known,
    most: usize,
    status_of: &dyn Fn(&Task) -> Option<WaitStatus>,
) -> (Vec<UnreapedChild>, u64) {
    let (_, end_ns) = view.window();
    let mut zombies: Vec<_> = (known.zombies.iter())
        .filter_map(|child| view.process(*child))
        .filter_map(|process| match &process.state {
            State::Zombie { since_ns, held_by, at_least } => Some((process, *since_ns, held_by, *at_least)),
            _ => None,
        })
        .collect();
    type Zombie<'a> = (&'a Process, u64, &'a Option<Box<Task>>, bool);
    let age = |(process, since_ns, _, at_least): &Zombie<'_>| {
        (*since_ns, Reverse(*at_least), process.task.identity)
    };
    let more = zombies.len().saturating_sub(most) as u64;
    // Tens of thousands need not be sorted to list some.
    if more > 0 {
        zombies.select_nth_unstable_by_key(most, age);
        zombies.truncate(most);
    }
    zombies.sort_by_key(age);
    let listed = zombies.into_iter().map(|(process, since_ns, held_by, at_least)| {
        let task = &process.task;
        UnreapedChild {
            pid: task.identity.tgid,
            ns_pid: ns_pid(task),
            start_time: time::rfc3339(session, task.identity.start_boottime_ns),
            comm: task.comm.text().into_owned(),
            command_line: process.info.as_deref().map(command_line).unwrap_or_default(),
            unreaped_ns: end_ns.saturating_sub(since_ns),
            at_least,
            exit: status_of(task).or_else(|| process.ended.as_ref().map(|ended| ended.status)).map(exit),
            killed_by: view.kill(task.identity).map(killed_by),
            first_parent: process.first_parent().as_ref().map(owned),
            held_by: held_by.as_deref().map(owned),
        }
    });
    (listed.collect(), more)
}

/// The published form of who killed it.
fn killed_by(kill: &Kill) -> KilledBy {
    let (sender, process) = match &kill.by {
        Killer::Process(task) => (Sender::Process, Some(owned(task))),
        Killer::Fault => (Sender::Fault, None),
        Killer::OutOfMemory => (Sender::OutOfMemory, None),
        Killer::NamespaceEnd(init) => (Sender::NamespaceEnd, Some(owned(init))),
        Killer::Kernel => (Sender::Kernel, None),
    };
    KilledBy { sender, process }
}

/// The published form of a wait status.
pub(in crate::analysis) fn exit(status: WaitStatus) -> ExitDetail {
    ExitDetail { code: status.code(), signal: status.signal(), core_dumped: status.core_dumped() }
}
