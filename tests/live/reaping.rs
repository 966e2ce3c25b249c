//! Parents that reap every child, by each means the kernel offers: exact counts, true latencies, no leak.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use super::{
    HEAVY,
    support::{GRACE, alone, check_latency, run},
    trace_of,
};

fn healthy(scenario: &[&str]) {
    let ran = run(scenario);
    let count = ran.truth["forked"].as_u64().expect("a count");
    ran.expect(
        &ran.truth["pid"],
        &[
            ("forked", count),
            ("exited", count),
            ("reaped", count),
            ("unreaped", 0),
            ("abandoned", 0),
            ("autoreaped", 0),
        ],
    );
    let latency = &ran.truth["latency"];
    if latency.is_object() {
        check_latency(ran.own(), &ran.truth);
    }
    // By its own clock a workload that means to be quick may have been late: a guest is held up for longer than the grace.
    let grace_ns = humantime::parse_duration(GRACE).expect("a duration").as_nanos() as u64;
    if latency["upper_max_ns"].as_u64().is_none_or(|ns| ns < grace_ns) {
        assert_eq!(ran.own()["verdict"], "healthy");
    } else if latency["lower_max_ns"].as_u64().is_some_and(|ns| ns > grace_ns) {
        assert_eq!(ran.own()["verdict"], "slow");
    }
}

#[test]
fn reaping_by_wait4_is_healthy() {
    healthy(&["reap-wait4"]);
}

#[test]
fn reaping_by_waitid_is_healthy() {
    healthy(&["reap-waitid"]);
}

#[test]
fn reaping_by_pidfd_is_healthy() {
    healthy(&["reap-pidfd"]);
}

#[test]
fn reaping_posix_spawned_children_is_healthy() {
    healthy(&["reap-posix-spawn"]);
}

#[test]
fn reaping_vforked_children_is_healthy() {
    healthy(&["reap-vfork"]);
}

#[test]
fn eight_threads_forking_and_waiting_are_healthy() {
    healthy(&["reap-threads"]);
}

#[test]
fn reaping_after_200_ms_is_true_and_no_leak() {
    healthy(&["reap-delayed"]);
}

#[test]
fn reaping_every_fifth_in_a_batch_is_true_and_no_leak() {
    healthy(&["reap-batch"]);
}

#[test]
fn a_look_without_reaping_does_not_count() {
    healthy(&["wnowait", "--delay-ms", "250"]);
}

#[test]
fn a_clone_without_an_exit_signal_is_healthy() {
    healthy(&["no-exit-signal"]);
}

#[test]
fn a_dead_leader_is_one_exit_and_one_reap() {
    let ran = run(&["dead-leader"]);
    ran.expect(&ran.truth["pid"], &[("exited", 1), ("reaped", 1), ("unreaped", 0)]);
    let max = ran.own()["reap_latency"]["max_ns"].as_u64().expect("a latency");
    // Its other thread said when it ended, long after.
    let bound = ran.truth["upper_ns"].as_u64().expect("a bound");
    assert!(max <= bound, "the leader's early death is no zombie: {max} > {bound}");
    assert_eq!(ran.own()["verdict"], "healthy");
}

#[test]
fn an_exec_from_another_thread_is_one_process_and_one_exit() {
    let ran = run(&["thread-exec"]);
    ran.expect(&ran.truth["pid"], &[("forked", 1), ("exited", 1), ("reaped", 1)]);
    let exits = trace_of(&ran, "exit", &ran.truth["child"]);
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert_eq!(exits[0]["exit"]["code"], 7);
}

#[test]
fn a_clone_parent_child_belongs_to_the_real_parent() {
    let ran = run(&["clone-parent"]);
    ran.expect(&ran.truth["pid"], &[("forked", 2), ("exited", 2), ("reaped", 2)]);
    let forks = trace_of(&ran, "fork", &ran.truth["sibling"]);
    assert_eq!(forks[0]["parent"]["pid"], ran.truth["pid"]);
    assert_eq!(forks[0]["creator"]["pid"], ran.truth["creator"]);
}

fn kernel_version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(|one: char| !one.is_ascii_digit()).filter_map(|part| part.parse().ok());
    (numbers.next().expect("a version"), numbers.next().expect("a version"))
}

#[test]
fn large_memory_is_teardown_and_not_reap_latency() {
    let _heavy = alone(&HEAVY);
    let ran = run(&["big-memory"]);
    let own = ran.own();
    let teardown = own["teardown"]["max_ns"].as_u64().expect("a teardown");
    let latency = own["reap_latency"]["max_ns"].as_u64().expect("a latency");
    let whole = ran.truth["latency"]["upper_max_ns"].as_u64().expect("a bound");
    // Before 6.16 sched_process_exit fires after the memory is gone: the longest part of the teardown is not seen.
    if kernel_version() >= (6, 16) {
        assert!(teardown > whole / 2, "teardown {teardown} of {whole}");
    }
    assert!(latency < whole / 4, "latency {latency} of {whole}");
    assert_eq!(own["verdict"], "healthy");
}

#[test]
fn twenty_thousand_cycles_are_counted_exactly() {
    let _heavy = alone(&HEAVY);
    // Fewer where a guest of `cargo xtask vm` says so: emulation is a hundred times slower.
    let count = std::env::var("REAPWATCH_CYCLES").unwrap_or_else(|_| "20000".into());
    healthy(&["storm", "--count", &count]);
}

#[test]
fn endings_are_decoded_as_the_wait_returned_them() {
    let ran = run(&["endings"]);
    ran.expect(&ran.truth["pid"], &[("exited", 5), ("reaped", 5)]);
    for ending in ran.truth["endings"].as_array().expect("endings") {
        let exits = trace_of(&ran, "exit", &ending["pid"]);
        for field in ["code", "signal", "core_dumped"] {
            assert_eq!(exits[0]["exit"][field], ending[field], "{ending} {exits:?}");
        }
    }
    let core = ran.truth["endings"][4]["core_dumped"] == true;
    assert!(core, "the core case was not exercised: {}", ran.truth);
}

#[test]
fn a_reused_pid_is_two_processes() {
    let ran = run(&["pid-reuse"]);
    assert!(ran.truth["reused"].is_u64(), "no pid was reused: {}", ran.truth);
    let count = ran.truth["forked"].as_u64().expect("a count");
    ran.expect(&ran.truth["pid"], &[("forked", count), ("exited", count), ("reaped", count)]);
    let exits = trace_of(&ran, "exit", &ran.truth["reused"]);
    assert_eq!(exits.len(), 2);
    assert_ne!(exits[0]["process"]["start_time"], exits[1]["process"]["start_time"]);
}
