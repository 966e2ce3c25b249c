//! Who is explained, and what is said of it.

use super::*;
use crate::{
    engine::tests::{play_in, task},
    model::{Begin, TaskState},
    report::{Finding, Verdict, explain::Life},
};

/// A child that dies in the first half of the window is past the grace at its end.
const GRACE_NS: u64 = 500_000;

fn explained_with(began_ns: u64, script: &str, pid: u32, looks: &Looks) -> Explanation {
    let session = Session { grace_ns: GRACE_NS, ..Session::default() };
    let begin = Begin { time_ns: began_ns, ..Begin::default() };
    let engine = play_in(begin, script);
    let view = engine.view();
    let found = find(&view, pid).unwrap_or_else(|| task(pid));
    explain(&view, &session, &found, looks, &|dead| (dead.identity.tgid == 20).then_some(WaitStatus(7 << 8)))
}

fn explained(script: &str, pid: u32) -> Explanation {
    explained_with(1, script, pid, &Looks::default())
}

/// A child of 2 that dies at 30.
const DEAD: &str = "20 fork 20 2\n 30 exit 20 2\n 31 zombie 20 2\n";
const REAPED: &str = "22 fork 22 2\n 40 exit 22 2\n 41 zombie 22 2\n 60 reap 22 2\n";

#[test]
fn a_parent_is_judged_as_in_a_report_and_its_zombies_are_listed() {
    let script = DEAD.to_owned() + REAPED;
    let page = explained(&script, 2);
    let session = Session { grace_ns: GRACE_NS, ..Session::default() };
    let report =
        super::super::report(&play_in(Begin { time_ns: 1, ..Begin::default() }, &script).view(), &session);
    assert_eq!(Some(&page.parent), report.parents.iter().find(|parent| parent.pid == 2));
    assert_eq!((page.parent.verdict, page.finding), (Verdict::Leaking, Finding::Leak));
    assert_eq!((page.process.state, page.process.about.len()), (Life::Running, 0));
    let [child] = page.unreaped.as_slice() else { panic!("{:?}", page.unreaped) };
    assert_eq!((child.pid, child.unreaped_ns, child.at_least), (20, 1_000_000 - 31, false));
    assert_eq!(child.exit.and_then(|exit| exit.code), Some(7));
    assert_eq!(
        page.because,
        [
            "1 dead child of it is unreaped, and the oldest has waited 1000 µs, longer than the grace of 500 µs",
            "in the window of 1000 µs it reaped 1 of 2 dead children; the slowest reap took 19 ns"
        ]
    );
}

#[test]
fn a_zombie_leads_to_its_parent_unless_it_had_dead_children_itself() {
    let page = explained(DEAD, 20);
    assert_eq!((page.process.pid, page.process.state, page.parent.pid), (20, Life::Zombie, 2));
    assert_eq!(page.process.must_reap.as_ref().map(|parent| parent.pid), Some(2));
    assert_eq!((page.process.since_ns, page.process.at_least), (Some(1_000_000 - 31), false));
    assert!(page.process.about[1].contains("exited with 7"), "{:?}", page.process.about);
    // 3 is a child of 2, and leaves one behind.
    let leaves =
        "10 fork 3 2\n 20 fork 20 3\n 30 exit 20 3\n 31 zombie 20 3\n 900000 exit 3 2\n 900001 zombie 3 2\n";
    let page = explained(leaves, 3);
    assert_eq!((page.process.state, page.parent.pid, page.parent.ledger.abandoned), (Life::Zombie, 3, 1));
    assert!(page.because[0].starts_with("1 dead child of it was unreaped"), "{:?}", page.because);
}

#[test]
fn a_zombie_that_a_tracer_holds_names_both() {
    let held = "20 fork 20 2\n 30 exit 20 2\n 31 held 20 2 9\n";
    let page = explained(held, 20);
    let said = &page.process.about[2];
    assert!(said.contains("p2 (pid 2)") && said.contains("its tracer, p9 (pid 9)"), "{said}");
    assert_eq!(page.parent.verdict, Verdict::Held);
    assert_eq!(page.unreaped[0].held_by.as_ref().map(|tracer| tracer.pid), Some(9));
}

#[test]
fn why_a_parent_is_healthy_and_what_does_not_count() {
    let page = explained(REAPED, 2);
    assert_eq!((page.parent.verdict, page.unreaped.len()), (Verdict::Healthy, 0));
    assert_eq!(page.because[0], "it has no unreaped children");
    assert!(page.because[1].contains("it reaped 1 of 1 dead child;"), "{:?}", page.because);
    // What the program before the last exec reaped is no credit to the one after it.
    let after_exec = explained(&(REAPED.to_owned() + "70 exec 2 0\n"), 2).because;
    assert!(after_exec[1].starts_with("in the window of 1000 µs there was none"), "{after_exec:?}");
    assert!(
        after_exec[1].contains("before its last exec reaped 1 child, which do not count"),
        "{after_exec:?}"
    );
    let leaks =
        explained(&(REAPED.to_owned() + "70 exec 2 0\n 80 fork 80 2\n 90 exit 80 2\n 91 zombie 80 2\n"), 2);
    assert_eq!(leaks.parent.verdict, Verdict::NeverReaps);
    assert!(leaks.because[1].contains("it reaped 0 of 1 dead child"), "{:?}", leaks.because);
    let ignored = "22 fork 22 2\n 40 ignored 22 2\n 41 auto 22 2\n";
    let autoreaped = explained(ignored, 2).because;
    assert!(autoreaped[1].contains("the kernel reaped 1 child at once"), "{autoreaped:?}");
    // One without children is known from the task list alone.
    let none = explained_with(100, "101 walk 2 3\n", 3, &Looks::default());
    assert_eq!(
        (none.parent.verdict, none.finding, none.parent.alive),
        (Verdict::Healthy, Finding::None, true)
    );
    assert!(none.because[1].starts_with("none of its children died in the window"), "{:?}", none.because);
}

#[test]
fn zombies_older_than_the_window_are_said_to_be() {
    let page = explained_with(100, "101 walk 2 20:2 21:2\n", 2, &Looks::default());
    assert_eq!(page.parent.verdict, Verdict::Leaking);
    assert!(page.because[0].contains("at least") && page.because[0].ends_with("before the window began"));
    assert!(page.because[1].ends_with("and it reaped none"), "{:?}", page.because);
    assert!(page.unreaped.iter().all(|child| child.at_least));
    // It reaps one of them after all.
    let page = explained_with(100, "101 walk 2 20:2 21:2\n 200 reap 21 2\n", 2, &Looks::default());
    assert!(page.because[1].contains("it reaped 1 of 2 dead children"), "{:?}", page.because);
}

fn looks(first: TaskState, last: TaskState, function: &str, descriptors: Option<u64>) -> Looks {
    let condition = |state| Condition {
        state,
        parent: 1,
        status: None,
        threads_left: 1,
        kernel_function: function.into(),
        descriptors,
    };
    Looks { first: Some(condition(first)), last: Some(condition(last)), program: None }
}

#[test]
fn one_that_is_stuck_in_its_exit_is_no_zombie() {
    let walk = "101 walk 2\n";
    let stuck = looks(TaskState::Exiting, TaskState::Exiting, "request_wait_answer", None);
    let process = explained_with(100, walk, 2, &stuck).process;
    assert_eq!((process.state, process.at_least, process.must_reap), (Life::Ending, true, None));
    assert!(process.about[0].starts_with("it is stuck in its exit, for at least "), "{:?}", process.about);
    assert!(process.about[1].contains("FUSE"), "{:?}", process.about);
    assert!(process.about[2].contains("cannot be known"), "{:?}", process.about);
    assert!(process.now.contains("umount -f") && !process.fix.is_empty());
    // One that has just begun to end is not stuck, and of an unknown function nothing is claimed.
    let begun = looks(TaskState::Running, TaskState::Exiting, "nfs_wait", Some(3));
    let process = explained_with(100, walk, 2, &begun).process;
    assert!(process.about[0].starts_with("it is ending, for a moment so far"), "{:?}", process.about);
    assert_eq!(process.about[1], "it waits in the kernel's nfs_wait");
    assert_eq!((process.descriptors, process.now.as_str()), (Some(3), ""));
    // In a recording, its exit was seen.
    let process = explained("20 fork 20 2\n 30 exit 20 2\n", 20).process;
    assert_eq!(
        (process.state, process.since_ns, process.at_least),
        (Life::Ending, Some(1_000_000 - 30), false)
    );
}

#[test]
fn a_main_thread_that_has_ended_is_no_zombie() {
    let dead_leader = looks(TaskState::DeadLeader, TaskState::DeadLeader, "", Some(6));
    let process = explained_with(100, "101 walk 2\n", 2, &dead_leader).process;
    assert_eq!(
        (process.state, process.threads_left, process.descriptors),
        (Life::DeadLeader, Some(1), Some(6))
    );
    assert!(process.about[0].contains("it is no zombie") && process.about[1].contains("6 descriptors"));
}

#[test]
fn one_that_is_gone_is_said_to_be() {
    let page = explained("20 fork 20 2\n 30 exit 20 2\n 31 zombie 20 2\n 40 reap 20 2\n", 20);
    assert_eq!((page.process.state, page.parent.alive), (Life::Gone, false));
}
