//! States and times: a stopped parent, a dead leader, zombies older than the watch, thousands of them at one moment.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{
    case::{Case, Expected, GRACE, HOLD_MS, told},
    healthy, leaks,
    support::{Watching, reapwatch, signal, until_it_watches},
};

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
fn a_stopped_parent_is_no_parent_that_never_waits() {
    leaks(
        "parent_stopped.c",
        &Expected {
            came_to: &[("stopped", 1), ("left", 6)],
            verdict: "never_reaps",
            causes: &["parent_stopped"],
            // Nobody saw it wait.
            causes_afterwards: &["unknown"],
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
fn a_leak_older_than_the_watch_is_no_parent_that_never_reaps() {
    leaks(
        "quiet_old_leak.c",
        &Expected {
            came_to: &[("reaped", 20), ("left", 7)],
            verdict: "leaking",
            causes: &["waits_only_for_specific_children"],
            causes_afterwards: &["unknown"],
        },
    );
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
fn four_thousand_zombies_in_one_burst_are_counted() {
    leaks(
        "zombie_burst.pl",
        &Expected {
            came_to: &[("left", 4000)],
            verdict: "never_reaps",
            causes: &["never_waits"],
            causes_afterwards: &["unknown"],
        },
    );
}
