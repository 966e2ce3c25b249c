//! Notes: what explains a parent's children without accusing the parent.
//!
//! Must not know verdicts or causes.

use super::ns_pid;
use crate::{
    engine::{Killed, KilledBy, Parent, View},
    model::Task,
    report::{Note, NoteKind, Verdict, words},
};

/// Most kinds of kills that a note names.
const KILLS_NAMED: usize = 8;

/// All that apply to a parent with this verdict.
pub fn notes(view: &View<'_>, parent: &Parent, verdict: Verdict) -> Vec<Note> {
    let killed = if verdict >= Verdict::Held { view.killed_children(parent) } else { Vec::new() };
    statuses_lost(parent).into_iter().chain(children_killed(parent, &killed)).collect()
}

/// Who killed the children that it left.
fn children_killed(parent: &Parent, killed: &[Killed]) -> Option<Note> {
    let count: u64 = killed.iter().map(|kind| kind.count).sum();
    let left = (parent.zombies.len() as u64 + parent.ledger.abandoned).max(count);
    if count == 0 {
        return None;
    }
    let kind = if parent.died_ns.is_none() { "unreaped " } else { "abandoned " };
    let mut by: Vec<String> = killed.iter().take(KILLS_NAMED).map(killed_by).collect();
    let others: u64 = killed.iter().skip(KILLS_NAMED).map(|kind| kind.count).sum();
    if others > 0 {
        by.push(format!("{} in other ways", words::count(others)));
    }
    let who_died = if count < left {
        let are = if count == 1 { "is" } else { "are" };
        format!(
            "of its {}, {} {are} known to have been killed",
            words::children(left, kind),
            words::count(count)
        )
    } else if left == 1 {
        format!("its {kind}child was killed")
    } else {
        format!("all {} of it were killed", words::children(left, kind))
    };
    let hint = if killed.iter().any(|kind| kind.by == KilledBy::Parent) {
        ". Killing a child does not reap it: that takes a wait call after the kill"
    } else {
        ""
    };
    let text = format!("{who_died}: {}{hint}", by.join("; "));
    Some(Note { kind: NoteKind::ChildrenKilled, text })
}

fn killed_by(killed: &Killed) -> String {
    let signal = words::signal(killed.signal);
    let who = match &killed.by {
        KilledBy::Parent => "from this process itself".into(),
        KilledBy::Itself => "from the child itself".into(),
        KilledBy::Another { process, is_one: true } => format!("from {}", named(process)),
        KilledBy::Another { process, is_one: false } => {
            format!("from several processes named {}", words::called(&process.comm.text()))
        }
        KilledBy::Fault => "from the kernel, for a fault of the child".into(),
        KilledBy::OutOfMemory => "from the kernel, because memory ran out".into(),
        KilledBy::NamespaceEnd(init) => {
            format!("from the kernel, because {} ended, the init of the PID namespace", named(init))
        }
        KilledBy::Kernel => "from the kernel".into(),
    };
    format!("{} by {signal} {who}", words::count(killed.count))
}

fn named(process: &Task) -> String {
    let in_namespace = words::in_namespace(ns_pid(process));
    format!("{} (pid {}{in_namespace})", words::called(&process.comm.text()), process.identity.tgid)
}

/// It waits for children that the kernel reaps at once, so that its calls get no status. A program inherits an ignored
/// SIGCHLD through exec, often without knowing.
fn statuses_lost(parent: &Parent) -> Option<Note> {
    if parent.is_dead_namespace_init() {
        return None;
    }
    let autoreaped = parent.ledger.counts.autoreaped;
    let calls = parent.waits().map_or(0, |waits| waits.any + waits.specific);
    (autoreaped > 0 && calls > 0).then(|| Note {
        kind: NoteKind::ExitStatusesLost,
        text: format!(
            "the kernel reaped {} at once, because SIGCHLD is ignored (or SA_NOCLDWAIT set): no wait call gets their exit \
             status, it fails with ECHILD. Where nobody meant that, the process inherited it: set SIGCHLD to its default at \
             the start",
            words::children(autoreaped, "dead ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::tests::{play_in, task},
        model::{Begin, ChildCounts, WaitCalls},
    };

    #[test]
    fn a_status_is_lost_only_to_who_asks_for_it() {
        let kinds = |autoreaped, specific| {
            let mut parent = Parent::new(Task::default());
            parent.ledger.counts = ChildCounts { autoreaped, ..ChildCounts::default() };
            parent.waits = Some(Box::new(WaitCalls { specific, ..WaitCalls::default() }));
            statuses_lost(&parent).into_iter().map(|note| note.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(5, 5), [NoteKind::ExitStatusesLost]);
        assert!(kinds(5, 0).is_empty() && kinds(0, 5).is_empty());
    }

    fn said(script: &str) -> String {
        let engine = play_in(Begin { time_ns: 1, ..Begin::default() }, script);
        let view = engine.view();
        let parent = view.parent(task(2).identity).expect("a parent");
        let said =
            |verdict| notes(&view, parent, verdict).into_iter().map(|note| note.text).collect::<String>();
        assert_eq!(said(Verdict::Healthy), "", "nothing has to be explained");
        said(Verdict::Leaking)
    }

    #[test]
    fn a_note_says_who_killed_which_of_the_children_and_nothing_of_the_others() {
        let child = |pid: u32| format!("{pid} exit {pid} 2\n {pid} zombie {pid} 2\n");
        let killed = |pid: u32, by: u32| format!("{pid} killed {pid} {by} 9\n {}", child(pid));
        assert_eq!(said(&child(20)), "");
        let hint = "Killing a child does not reap it: that takes a wait call after the kill";
        assert_eq!(
            said(&killed(20, 2)),
            format!("its unreaped child was killed: 1 by SIGKILL from this process itself. {hint}")
        );
        assert_eq!(
            said(&(killed(20, 2) + &killed(21, 2) + &killed(22, 7) + &child(23))),
            format!(
                "of its 4 unreaped children, 3 are known to have been killed: 2 by SIGKILL from this process itself; 1 by \
                 SIGKILL from p7 (pid 7). {hint}"
            )
        );
        assert_eq!(
            said(&(killed(20, 0) + &killed(21, 21) + "30 exit 2 1\n")),
            "all 2 abandoned children of it were killed: 1 by SIGKILL from the kernel; 1 by SIGKILL from the child itself"
        );
    }
}
