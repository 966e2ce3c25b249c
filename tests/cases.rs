//! Programs made after public bug reports, some with the real program (node, php, tini, bwrap, tmux): exact counts, the
//! right verdict, and never a false cause. Each program says on top where it comes from, how it leaks and what is true.
//!
//! Must not know how reapwatch works: only its command line and JSON.

#[path = "cases/case.rs"]
mod case;
mod support;

use std::process::{Command, Stdio};

use case::{Case, Cause, Expected, GRACE, HOLD_MS, needed, told};
use serde_json::Value;
use support::{Watching, parent_in, reapwatch, signal, until_it_watches};

const NEVER_WAITS: &str = "never_waits";
const SPECIFIC: &str = "waits_only_for_specific_children";
const INHERITED: &str = "children_inherited_through_exec";
const ADOPTED: &str = "does_not_reap_adopted_children";
const HELD: &str = "held_by_tracer";

/// A leak: the same in `run`, in a `watch` begun before it and in one begun after it.
fn leaks(program: &str, expected: &Expected) {
    let in_watch: Vec<&str> = match expected.cause {
        // What `run` cannot tell yet, `watch` cannot either.
        Cause::StillFalse(kind) => {
            expected.false_causes.iter().filter(|one| **one != kind).copied().collect()
        }
        _ => expected.false_causes.to_vec(),
    };
    leaks_otherwise(program, expected, &in_watch);
}

/// The same, but that `watch` begun before it gives a false cause still, which it cannot tell yet: these are the others.
fn leaks_otherwise(program: &str, expected: &Expected, false_in_watch: &[&str]) {
    let case = Case::new(program);
    // Both wait for the grace to pass, most of the time.
    std::thread::scope(|scope| {
        scope.spawn(|| case.run(&[HOLD_MS]).check(expected));
        case.watch().check(&Expected { false_causes: false_in_watch, ..*expected });
    });
}

/// A leak that tells its truth at its end: `run` alone.
fn leaks_in_run(program: &str, expected: &Expected) {
    Case::new(program).run(&[HOLD_MS]).check(expected);
}

fn healthy(program: &str, arguments: &[&str], came_to: &[(&str, u64)]) -> case::Seen {
    let seen = Case::new(program).run(arguments);
    seen.check(&Expected { came_to, verdict: "healthy", false_causes: &[], cause: Cause::NotFalse });
    seen
}

#[test]
fn asyncio_loops_closed_before_their_children_end() {
    leaks(
        "asyncio_pidfd_closed_loop.py",
        &Expected {
            came_to: &[("left", 4)],
            verdict: "leaking",
            false_causes: &[NEVER_WAITS, INHERITED, ADOPTED, HELD],
            cause: Cause::Right(SPECIFIC),
        },
    );
}

#[test]
fn bash_execs_over_a_process_substitution() {
    leaks_otherwise(
        "bash_procsub_exec.sh",
        &Expected {
            came_to: &[("left", 1)],
            verdict: "never_reaps",
            false_causes: &[NEVER_WAITS, SPECIFIC, ADOPTED, HELD],
            cause: Cause::Right(INHERITED),
        },
        &[SPECIFIC, ADOPTED, HELD],
    );
}

#[test]
fn bwraps_own_init_reaps_orphans() {
    needed("bwrap");
    healthy("bwrap_real.sh", &["init"], &[("reaped", 5)]);
}

#[test]
fn bwrap_makes_sleep_the_init() {
    needed("bwrap");
    Case::new("bwrap_real.sh").run(&["as-pid-1", HOLD_MS]).check(&Expected {
        came_to: &[("left", 3)],
        verdict: "never_reaps",
        false_causes: &[SPECIFIC, HELD],
        cause: Cause::Right(ADOPTED),
    });
}

#[test]
fn clones_without_sigchld_are_not_seen_by_a_right_loop() {
    leaks_in_run(
        "clone_no_sigchld.c",
        &Expected {
            came_to: &[("left", 8), ("wait_calls", 32)],
            verdict: "never_reaps",
            false_causes: &[NEVER_WAITS, SPECIFIC, INHERITED, ADOPTED, HELD],
            cause: Cause::NotFalse,
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
            false_causes: &[SPECIFIC, INHERITED, ADOPTED, HELD],
            cause: Cause::Right(NEVER_WAITS),
        },
    );
}

#[test]
fn a_shell_execs_over_its_background_jobs() {
    leaks_otherwise(
        "exec_inherits_plain.sh",
        &Expected {
            came_to: &[("left", 3)],
            verdict: "never_reaps",
            false_causes: &[NEVER_WAITS, SPECIFIC, ADOPTED, HELD],
            cause: Cause::Right(INHERITED),
        },
        &[SPECIFIC, ADOPTED, HELD],
    );
}

#[test]
fn go_starts_and_never_waits() {
    leaks(
        "go_start_nowait.go",
        &Expected {
            came_to: &[("left", 8)],
            verdict: "never_reaps",
            false_causes: &[SPECIFIC, INHERITED, ADOPTED, HELD],
            cause: Cause::Right(NEVER_WAITS),
        },
    );
}

/// What the host's PID 1, which lives, is said to have done while a program ran.
fn init_while(program: &str) -> (Value, case::Seen) {
    let watching = Watching::start_graced("10m", GRACE);
    let seen = Case::new(program).run(&[]);
    let report = watching.end();
    let init = parent_in(&report, &1.into()).clone();
    assert_eq!(init["alive"], true, "{init:#}");
    assert_eq!(init["abandoned"], 0, "{init:#}");
    assert_eq!(seen.ran.report["totals"]["unreaped"], 0, "{:#}", seen.ran.report);
    (init, seen)
}

#[test]
fn orphans_of_the_host_are_reaped_by_its_init() {
    let (init, seen) = init_while("host_pid1_orphans.sh");
    // Others on this machine leave orphans too.
    assert!(init["exited"].as_u64() >= Some(5) && init["reaped"].as_u64() >= Some(5), "{init:#}");
    assert_eq!(seen.truth()["left"], 0, "its PID 1 reaps: {:?}", seen.truth());
    assert_eq!(seen.ran.report["totals"]["abandoned"], 0, "{:#}", seen.ran.report);
    let orphans = told("ORPHAN", &String::from_utf8_lossy(&seen.ran.output.stderr));
    assert_eq!(orphans.len(), 5);
    let events = seen.events();
    for orphan in orphans {
        let of = |event: &str| {
            let found =
                events.iter().find(|line| line["event"] == event && line["process"]["pid"] == orphan["pid"]);
            found.unwrap_or_else(|| panic!("no {event} of {orphan:?}"))["parent"]["pid"].clone()
        };
        assert_eq!((of("exit"), of("reap")), (1.into(), 1.into()), "{orphan:?}");
    }
}

#[test]
fn zombies_handed_on_to_the_hosts_init_are_abandoned_by_their_parents_and_reaped_by_it() {
    let (init, seen) = init_while("host_pid1_zombies_handed_on.sh");
    assert!(init["adopted"].as_u64() >= Some(200) && init["reaped"].as_u64() >= Some(200), "{init:#}");
    assert_eq!(seen.truth()["left"], 0, "its PID 1 reaps: {:?}", seen.truth());
    let (_, middles) = seen.truths.split_last().expect("truths");
    assert_eq!(middles.len(), 10);
    for middle in middles {
        seen.ran.expect(
            &middle["pid"].into(),
            &[("exited", 20), ("reaped", 0), ("abandoned", 20), ("adopted", 0)],
        );
    }
}

#[test]
fn waits_through_io_uring_are_waits() {
    leaks(
        "io_uring_waitid.c",
        &Expected {
            came_to: &[("reaped", 5), ("left", 3)],
            verdict: "leaking",
            false_causes: &[NEVER_WAITS, SPECIFIC, INHERITED, ADOPTED, HELD],
            cause: Cause::NotFalse,
        },
    );
}

#[test]
fn a_dead_leader_that_ps_shows_as_a_zombie_is_none() {
    let seen = healthy("leader_exited.c", &[HOLD_MS], &[("shown_z", 1)]);
    // Nor for a watch that begins when the leader is dead already.
    let case = Case::new("leader_exited.c");
    let alive = case.start(&["120000"]);
    let report = Watching::start_graced("1600ms", GRACE).report();
    let parents = report["parents"].as_array().expect("parents");
    assert!(!parents.iter().any(|parent| parent["pid"] == alive.pid()), "{report:#}");
    let latency = seen.parent()["reap_latency"]["max_ns"].as_u64().expect("a latency");
    assert!(latency < 1_000_000_000, "the leader's early death is no zombie: {latency}");
}

#[test]
fn servers_of_a_killed_agent_are_left_running() {
    let seen = healthy("mcp_orphans.py", &[], &[("reaped", 1)]);
    let pairs = told("RUNNING", &String::from_utf8_lossy(&seen.ran.output.stderr));
    let mut running: Vec<(u64, u64)> = pairs
        .iter()
        .flat_map(|pair| [(pair["wrapper"], seen.truth()["agent"]), (pair["server"], pair["wrapper"])])
        .collect();
    let left = seen.ran.report["left_running"].as_array().expect("a list");
    let mut told: Vec<(u64, u64)> = left
        .iter()
        .map(|one| (one["pid"].as_u64().expect("a pid"), one["spawned_by"]["pid"].as_u64().expect("a pid")))
        .collect();
    for (pid, _) in &running {
        // SAFETY: plain numbers; started by the program, and it sleeps for a minute.
        unsafe { libc::kill(i32::try_from(*pid).expect("a pid"), libc::SIGKILL) };
    }
    running.sort_unstable();
    told.sort_unstable();
    assert_eq!((running.len(), &told), (6, &running), "{:#}", seen.ran.report);
    assert_eq!(seen.ran.report["totals"]["abandoned"], 0, "{:#}", seen.ran.report);
}

#[test]
fn node_as_init_reaps_its_browsers_and_not_their_helpers() {
    needed("node");
    needed("unshare");
    leaks(
        "node_pid1_browser.sh",
        &Expected {
            came_to: &[("reaped", 4), ("left", 12)],
            verdict: "leaking",
            false_causes: &[NEVER_WAITS, INHERITED, HELD],
            cause: Cause::NotFalse,
        },
    );
}

#[test]
fn a_stopped_parent_is_no_parent_that_never_waits() {
    leaks(
        "parent_stopped.c",
        &Expected {
            came_to: &[("stopped", 1), ("left", 6)],
            verdict: "never_reaps",
            false_causes: &[NEVER_WAITS, SPECIFIC, INHERITED, ADOPTED, HELD],
            cause: Cause::NotFalse,
        },
    );
}

#[test]
fn a_child_killed_by_the_end_of_its_parents_thread_is_healthy() {
    let seen = healthy("pdeathsig_thread.c", &[], &[("signal", 9)]);
    let child = seen.truth()["child"];
    let exits: Vec<Value> = seen
        .events()
        .into_iter()
        .filter(|line| line["event"] == "exit" && line["process"]["pid"] == child)
        .collect();
    assert_eq!((exits.len(), &exits[0]["exit"]["signal"]), (1, &9.into()), "{exits:?}");
}

#[test]
fn perl_keeps_pipes_open_and_waits_for_others() {
    leaks(
        "perl_late_ignore.pl",
        &Expected {
            came_to: &[("reaped", 5), ("left", 5)],
            verdict: "leaking",
            false_causes: &[NEVER_WAITS, INHERITED, ADOPTED, HELD],
            cause: Cause::Right(SPECIFIC),
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
            false_causes: &[NEVER_WAITS, INHERITED, ADOPTED, HELD],
            // It named its group, no child.
            cause: Cause::StillFalse(SPECIFIC),
        },
    );
}

#[test]
fn php_opens_processes_and_never_closes_them() {
    let case = Case::new("php_proc_open.php");
    let expected = Expected {
        came_to: &[("left", 6)],
        verdict: "never_reaps",
        false_causes: &[SPECIFIC, INHERITED, ADOPTED, HELD],
        cause: Cause::Right(NEVER_WAITS),
    };
    // It kills itself.
    case.run_to(128 + libc::SIGKILL, &[HOLD_MS]).check(&expected);
    case.watch().check(&expected);
}

#[test]
fn an_init_that_set_up_before_its_exec_has_inherited_nothing() {
    needed("unshare");
    needed("nsenter");
    leaks(
        "pid1_entrypoint_setup.sh",
        &Expected {
            came_to: &[("reaped", 3), ("left", 5)],
            verdict: "never_reaps",
            false_causes: &[SPECIFIC, INHERITED, HELD],
            cause: Cause::Right(ADOPTED),
        },
    );
}

#[test]
fn tail_as_init_reaps_no_orphan() {
    needed("unshare");
    needed("nsenter");
    leaks(
        "pid1_tail_exec.sh",
        &Expected {
            came_to: &[("left", 6)],
            verdict: "never_reaps",
            false_causes: &[SPECIFIC, INHERITED, HELD],
            cause: Cause::Right(ADOPTED),
        },
    );
}

#[test]
fn a_parent_that_reads_to_the_end_of_a_pipe_reaps_late() {
    leaks_in_run(
        "pipe_eof_blocked.py",
        &Expected {
            came_to: &[("reaped", 1)],
            verdict: "slow",
            false_causes: &[NEVER_WAITS, INHERITED, ADOPTED, HELD],
            cause: Cause::NotFalse,
        },
    );
}

#[test]
fn python_reaps_what_it_dropped_when_it_starts_the_next() {
    leaks_in_run(
        "popen_dropped_busy.py",
        &Expected {
            came_to: &[("reaped", 2), ("left", 1)],
            verdict: "leaking",
            false_causes: &[NEVER_WAITS, INHERITED, ADOPTED, HELD],
            cause: Cause::NotFalse,
        },
    );
}

#[test]
fn a_leak_older_than_the_watch_is_no_parent_that_never_reaps() {
    leaks(
        "quiet_old_leak.c",
        &Expected {
            came_to: &[("reaped", 20), ("left", 7)],
            verdict: "leaking",
            false_causes: &[NEVER_WAITS, INHERITED, ADOPTED, HELD],
            cause: Cause::Right(SPECIFIC),
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
            false_causes: &[SPECIFIC, INHERITED, ADOPTED, HELD],
            cause: Cause::Right(NEVER_WAITS),
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
            false_causes: &[SPECIFIC, INHERITED, ADOPTED, HELD],
            // Its fix is what the program does already: ignore SIGCHLD.
            cause: Cause::StillFalse(NEVER_WAITS),
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
            false_causes: &[SPECIFIC, INHERITED, ADOPTED, HELD],
            // It would wait, if it were told.
            cause: Cause::StillFalse(NEVER_WAITS),
        },
    );
}

#[test]
fn one_wait_a_signal_leaves_those_whose_signals_coalesced() {
    let expected = Expected {
        came_to: &[("handler_runs", 4), ("left", 16)],
        verdict: "leaking",
        false_causes: &[NEVER_WAITS, SPECIFIC, INHERITED, ADOPTED, HELD],
        cause: Cause::NotFalse,
    };
    leaks("sigchld_coalesced.c", &expected);
}

#[test]
fn an_inherited_sig_ign_loses_statuses_and_leaves_no_zombie() {
    healthy("sigchld_ign_inherited.c", &[], &[("autoreaped", 5)]);
}

#[test]
fn a_subreaper_that_waits_for_its_own_child_leaves_the_orphan() {
    leaks_otherwise(
        "subreaper_live_orphan.c",
        &Expected {
            came_to: &[("reaped", 1), ("left", 1)],
            verdict: "leaking",
            // It has waited for every child that it started.
            false_causes: &[NEVER_WAITS, SPECIFIC, INHERITED, HELD],
            cause: Cause::Right(ADOPTED),
        },
        &[NEVER_WAITS, INHERITED, HELD],
    );
}

#[test]
fn tini_as_init_reaps_every_orphan() {
    needed("tini");
    needed("nsenter");
    let seen = healthy("tini_control.sh", &[], &[("reaped", 6)]);
    assert_eq!(seen.ran.report["totals"]["abandoned"], 0, "{:#}", seen.ran.report);
}

#[test]
fn a_tmux_server_is_judged_by_the_shells_it_leaves() {
    needed("tmux");
    let case = Case::new("tmux_real.sh");
    let seen = case.run(&[case.directory().to_str().expect("UTF-8")]);
    let (server, zombies) = (seen.parent(), seen.truth()["zombies"]);
    let left = server["abandoned"].as_u64().expect("a number");
    assert!(server["reaped"].as_u64() >= Some(8 - zombies), "{server:#}");
    assert_eq!(server["unreaped"], 0, "it is dead: {server:#}");
    // What its end leaves behind besides has not waited.
    let leaks = server["verdict"] == "leaking";
    assert!(leaks == (zombies > 0) && left >= zombies, "{zombies} zombies: {server:#}");
}

#[test]
fn a_trace_of_reaps_over_10_s_tells_no_reap_of_older_zombies_that_was_quicker() {
    let case = Case::new("trace_min_latency_noise.pl");
    let mut parent = case.start(&[]);
    let mut trace = reapwatch()
        .args(["trace", "--min-latency", "10s", "--format", "json", "--duration", "5m"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut trace);
    let mut go_on =
        || std::io::Write::write_all(parent.child.stdin.as_mut().expect("piped"), b"\n").expect("it reads");
    go_on();
    parent.next_truth();
    assert_eq!(parent.truth["left"], 0);
    // The frees that follow are what was taken for late reaps: births and deaths go by until they have come.
    for _ in 0..50 {
        assert!(Command::new("/bin/true").status().expect("/bin/true").success());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&trace, libc::SIGINT);
    let output = trace.wait_with_output().expect("our own child");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let of_parent: Vec<Value> = told.filter(|line| line["parent"]["pid"] == parent.pid()).collect();
    assert!(of_parent.is_empty(), "{of_parent:#?}");
}

#[test]
fn waits_of_another_thread_do_not_see_the_children() {
    leaks_in_run(
        "wnothread.c",
        &Expected {
            came_to: &[("left", 6)],
            verdict: "never_reaps",
            false_causes: &[NEVER_WAITS, SPECIFIC, INHERITED, ADOPTED, HELD],
            cause: Cause::NotFalse,
        },
    );
}

#[test]
fn an_init_that_cannot_end_for_a_zombie_of_its_shim_is_no_zombie() {
    let case = Case::new("zap_pid_ns.c");
    let seen = case.run(&[HOLD_MS]);
    seen.check(&Expected {
        came_to: &[("stuck", 1), ("reaped", 2)],
        verdict: "slow",
        false_causes: &[NEVER_WAITS, INHERITED, ADOPTED, HELD],
        cause: Cause::NotFalse,
    });
    let init = seen.truth()["init"];
    let reaps: Vec<Value> = seen
        .events()
        .into_iter()
        .filter(|line| line["event"] == "reap" && line["process"]["pid"] == init)
        .collect();
    let [reap] = &reaps[..] else { panic!("one reap: {reaps:#?}") };
    // It was stuck in its end, which is no fault of its parent's.
    let ns = |field: &str| reap[field].as_u64().expect("a duration");
    assert!(ns("teardown_ns") > ns("reap_latency_ns"), "{reap:#}");
    assert!(ns("teardown_ns") >= 1_500_000_000, "{reap:#}");
}

#[test]
fn four_thousand_zombies_in_one_burst_are_counted() {
    leaks(
        "zombie_burst.pl",
        &Expected {
            came_to: &[("left", 4000)],
            verdict: "never_reaps",
            false_causes: &[SPECIFIC, INHERITED, ADOPTED, HELD],
            cause: Cause::Right(NEVER_WAITS),
        },
    );
}
