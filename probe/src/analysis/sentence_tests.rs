//! Every headline, from reports made by hand.

use super::headline;
use crate::report::{
    Ledger, Named, Parent, Verdict,
    sample::{left_running, parent, sample},
};

/// A parent without a unit, with these counts of children.
fn plain(verdict: Verdict, ledger: Ledger) -> Parent {
    Parent { unit: None, ledger, causes: Vec::new(), ..parent("sh", verdict) }
}

#[test]
fn where_a_parent_is_pid_1_of_a_namespace_is_said() {
    let mut report = sample(vec![Parent { ns_pid: Some(1), ..parent("node", Verdict::NeverReaps) }]);
    assert!(
        headline(&report).starts_with(
            "node (pid 4242, PID 1 of a PID namespace, worker-manager.service) has not reaped any of 100"
        ),
        "{}",
        headline(&report)
    );
    report.parents[0].ns_pid = Some(17);
    assert!(
        headline(&report).starts_with("node (pid 4242, 17 in its PID namespace, worker"),
        "{}",
        headline(&report)
    );
}

#[test]
fn a_held_zombie_names_the_tracer_and_not_the_parent_as_the_one_to_blame() {
    let tracer = Named { pid: 99, ns_pid: None, comm: "gdb".into() };
    let ledger = Ledger { exited: 300, unreaped: 300, ..Ledger::default() };
    let report = sample(vec![Parent { held: 300, held_by: Some(tracer), ..plain(Verdict::Held, ledger) }]);
    assert_eq!(
        headline(&report),
        "The tracer gdb (pid 99) holds 300 dead children of sh (pid 4242), which cannot reap them before; the oldest has waited 41 s."
    );
}

#[test]
fn zombies_older_than_the_watch_are_called_that() {
    let ledger = Ledger { exited: 7, unreaped: 7, ..Ledger::default() };
    let report = sample(vec![Parent { older: 7, oldest_at_least: true, ..plain(Verdict::Leaking, ledger) }]);
    assert_eq!(
        headline(&report),
        "sh (pid 4242) leaves 7 dead children unreaped, older than the watch; the oldest has waited at least 41 s."
    );
}

#[test]
fn a_window_shorter_than_the_grace_is_said_and_so_is_what_was_lost() {
    let ledger = Ledger { exited: 3, unreaped: 3, ..Ledger::default() };
    let mut report = sample(vec![plain(Verdict::Undecided, ledger)]);
    report.parents[0].oldest_unreaped_ns = 1_000_000_000;
    assert_eq!(
        headline(&report),
        "Undecided: sh (pid 4242) has not reaped 3 dead children, dead for 1.0 s; that is not long enough to call it a leak."
    );
    report.complete = false;
    assert_eq!(
        headline(&report),
        "Undecided, because not everything was seen: sh (pid 4242) has not reaped 3 dead children."
    );
    report.window.duration_ns = 2_000_000_000;
    assert_eq!(
        headline(&report),
        "sh (pid 4242) has not reaped 3 dead children. The window of 2.0 s was not longer than the grace of 5.0 s, too short to call it \
         a leak: a shorter --grace judges sooner."
    );
}

#[test]
fn no_leak_is_not_the_headline_above_what_was_left_running() {
    let ledger = Ledger { exited: 5, reaped: 5, ..Ledger::default() };
    let mut report = sample(vec![plain(Verdict::Healthy, ledger)]);
    report.parents[0].reap_latency.max_ns = 3_000_000;
    assert_eq!(headline(&report), "No leak: 1 parent reaped 5 dead children; the slowest reap took 3.0 ms.");
    report.left_running = vec![left_running("x"); 2];
    assert_eq!(
        headline(&report),
        "2 processes were left running. No dead child was left past the grace: 1 parent reaped 5 dead children; the \
         slowest reap took 3.0 ms."
    );
}

#[test]
fn who_has_the_kernel_reap_has_not_reaped_in_0_ns() {
    let ledger = Ledger { exited: 5, autoreaped: 5, ..Ledger::default() };
    let report = sample(vec![plain(Verdict::Healthy, ledger)]);
    assert_eq!(
        headline(&report),
        "No leak: 1 parent; the kernel reaped 5 dead children at once (SIGCHLD ignored or SA_NOCLDWAIT)."
    );
    assert!(headline(&sample(Vec::new())).starts_with("No leak: no process with children"));
}

#[test]
fn every_verdict_has_a_sentence() {
    let ledger = Ledger { exited: 2, unreaped: 2, ..Ledger::default() };
    for (verdict, expected) in [
        (Verdict::Healthy, "No leak: 1 parent, and no dead child that anybody had to reap."),
        (Verdict::Undecided, "Undecided: sh (pid 4242) has not reaped 2 dead children, dead for 41 s"),
        (Verdict::Held, "A tracer holds 0 dead children of sh (pid 4242)"),
        (Verdict::Slow, "No leak, but sh (pid 4242) reaps late: 0 dead children waited up to 0 ns."),
        (
            Verdict::Leaking,
            "sh (pid 4242) reaped 0 of 2 dead children and leaves 2; the oldest has waited 41 s.",
        ),
        (
            Verdict::NeverReaps,
            "sh (pid 4242) has not reaped any of 2 dead children; the oldest has waited 41 s.",
        ),
    ] {
        let said = headline(&sample(vec![plain(verdict, ledger)]));
        assert!(said.starts_with(expected), "{said}");
    }
}
