//! Wait calls and SIGCHLD: which children a call can reap, and when a handler runs.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use super::{case::Expected, healthy, leaks, leaks_in_run};

#[test]
fn clones_without_sigchld_are_not_seen_by_a_right_loop() {
    leaks_in_run(
        "clone_no_sigchld.c",
        &Expected {
            came_to: &[("left", 8)],
            verdict: "never_reaps",
            causes: &["wait_flags_exclude_children"],
            causes_afterwards: &[],
        },
    );
}

#[test]
fn waits_through_io_uring_are_waits() {
    leaks(
        "io_uring_waitid.c",
        &Expected {
            came_to: &[("reaped", 5), ("left", 3)],
            verdict: "leaking",
            causes: &["unknown"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn children_that_leave_the_process_group_are_not_waited_for() {
    leaks_in_run(
        "pgid_escape.c",
        &Expected {
            came_to: &[("reaped", 3), ("left", 4)],
            verdict: "leaking",
            causes: &["waits_only_for_its_process_group"],
            causes_afterwards: &[],
        },
    );
}

#[test]
fn sigchld_ignored_too_late_leaves_those_dead_before() {
    leaks(
        "sig_ign_too_late.c",
        &Expected {
            came_to: &[("autoreaped", 6), ("left", 4)],
            verdict: "never_reaps",
            causes: &["sigchld_ignored_too_late"],
            // Nobody saw whether it was ignored when they died.
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn ignored_sigchld_reaps_no_child_that_its_parent_traces() {
    leaks(
        "traced_by_own_parent.c",
        &Expected {
            came_to: &[("autoreaped", 0), ("left", 4)],
            verdict: "never_reaps",
            causes: &["never_waits"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn a_right_handler_never_runs_where_sigchld_is_blocked() {
    leaks(
        "sigchld_blocked_inherited.c",
        &Expected {
            came_to: &[("left", 8)],
            verdict: "never_reaps",
            causes: &["sigchld_blocked"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn one_wait_a_signal_leaves_those_whose_signals_coalesced() {
    let expected = Expected {
        came_to: &[("handler_runs", 4), ("left", 16)],
        verdict: "leaking",
        causes: &["one_wait_per_sigchld"],
        causes_afterwards: &["unknown"],
    };
    leaks("sigchld_coalesced.c", &expected);
}

#[test]
fn an_inherited_sig_ign_loses_statuses_and_leaves_no_zombie() {
    let seen = healthy("sigchld_ign_inherited.c", &[], &[("autoreaped", 5)]);
    let notes = &seen.parent()["notes"];
    assert_eq!(notes[0]["kind"], "exit_statuses_lost", "{notes:#}");
}

#[test]
fn waits_of_another_thread_do_not_see_the_children() {
    leaks_in_run(
        "wnothread.c",
        &Expected {
            came_to: &[("left", 6)],
            verdict: "never_reaps",
            causes: &["wait_flags_exclude_children"],
            causes_afterwards: &[],
        },
    );
}
