//! Programs of Python, Go, Perl, PHP and Rust: what their libraries reap, and what they leave to the program.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use libc::SIGKILL;
use serde_json::Value;

use super::{
    case::{Case, Expected, HOLD_MS},
    leaks, leaks_in_run,
    support::parent_in,
};

#[test]
fn asyncio_loops_closed_before_their_children_end() {
    leaks(
        "asyncio_pidfd_closed_loop.py",
        &Expected {
            came_to: &[("left", 4)],
            verdict: "leaking",
            causes: &["waits_only_for_specific_children"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn a_leaking_python_is_told_by_its_command_line() {
    leaks(
        "cmdline_lost.py",
        &Expected {
            came_to: &[("left", 3)],
            verdict: "never_reaps",
            causes: &["never_waits"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn go_starts_and_never_waits() {
    leaks(
        "go_start_nowait.go",
        &Expected {
            came_to: &[("left", 8)],
            verdict: "never_reaps",
            causes: &["never_waits"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn perl_keeps_pipes_open_and_waits_for_others() {
    leaks(
        "perl_late_ignore.pl",
        &Expected {
            came_to: &[("reaped", 5), ("left", 5)],
            verdict: "leaking",
            causes: &["waits_only_for_specific_children"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn php_opens_processes_and_never_closes_them() {
    let case = Case::new("php_proc_open.php");
    let expected = Expected {
        came_to: &[("left", 6)],
        verdict: "never_reaps",
        causes: &["never_waits"],
        causes_afterwards: &["unknown"],
    };
    // It kills itself.
    case.run_to(128 + SIGKILL, &[HOLD_MS]).check(&expected);
    case.watch().check(&expected);
}

#[test]
fn a_parent_that_reads_to_the_end_of_a_pipe_reaps_late() {
    // So long that looks find it there for three quarters of the time, though the first one be late on a busy host.
    Case::new("pipe_eof_blocked.py").run(&["8000"]).check(&Expected {
        came_to: &[("reaped", 1)],
        verdict: "slow",
        causes: &["waits_after_end_of_pipe"],
        causes_afterwards: &[],
    });
}

#[test]
fn parents_that_poll_pipes_to_their_end_are_not_said_never_to_wait_while_that_lasts() {
    for (program, left) in [("pipe_eof_daemon.py", 1), ("pipe_eof_pool.py", 3)] {
        let watched = Case::new(program).watch();
        watched.check(&Expected {
            came_to: &[("left", left)],
            verdict: "never_reaps",
            causes: &["unknown"],
            causes_afterwards: &["unknown"],
        });
        let cause = &parent_in(&watched.before, &watched.truth["pid"].into())["causes"][0];
        assert!(cause.to_string().contains("a pipe that a dead child left open"), "{cause:#}");
        assert_eq!(cause["now"], Value::Null, "it would take the status that the parent is about to read");
    }
}

#[test]
fn python_reaps_what_it_dropped_when_it_starts_the_next() {
    leaks_in_run(
        "popen_dropped_busy.py",
        &Expected {
            came_to: &[("reaped", 2), ("left", 1)],
            verdict: "leaking",
            causes: &["reaps_only_when_it_spawns"],
            causes_afterwards: &[],
        },
    );
}

#[test]
fn rust_drops_its_children() {
    leaks(
        "rust_child_dropped.rs",
        &Expected {
            came_to: &[("left", 5)],
            verdict: "never_reaps",
            causes: &["never_waits"],
            causes_afterwards: &["unknown"],
        },
    );
}
