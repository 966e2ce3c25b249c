//! The promise, on the real kernel: each row of the table of scenarios, judged by the workload's own truth.

mod filtered;
mod hostile;
mod judging;
mod many_parents;
mod naming;
mod support;
mod suspects;
mod watching;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    sync::Mutex,
};

use serde_json::{Value, json};
use support::{
    GRACE, HOLD_MS, check_invariants, check_latency, loaded_programs, parent_in, reapwatch, require_root,
    run, run_command, until, validate, workload,
};

/// Held by tests that load the machine so much that others would measure them.
static HEAVY: Mutex<()> = Mutex::new(());

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
    let _heavy = HEAVY.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
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
    let _heavy = HEAVY.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // Fewer where a guest of `cargo xtask vm` says so: emulation is a hundred times slower.
    let count = std::env::var("REAPWATCH_CYCLES").unwrap_or_else(|_| "20000".into());
    healthy(&["storm", "--count", &count]);
}

#[test]
fn a_parent_that_never_reaps_is_told_with_its_exact_count() {
    let ran = run(&["leak-all", "--count", "10", "--hold-ms", HOLD_MS]);
    ran.expect(&ran.truth["pid"], &[("forked", 10), ("exited", 10), ("reaped", 0), ("abandoned", 10)]);
    assert_eq!(ran.own()["verdict"], "never_reaps");
    assert_eq!(ran.own()["causes"][0]["kind"], "never_waits");
    assert!(ran.own()["oldest_unreaped_ns"].as_u64().is_some_and(|ns| ns >= 700_000_000));
}

#[test]
fn a_parent_that_reaps_some_and_never_others_leaks() {
    let ran = run(&["leak-some", "--hold-ms", HOLD_MS]);
    ran.expect(&ran.truth["pid"], &[("exited", 12), ("reaped", 7), ("abandoned", 5)]);
    assert_eq!(ran.own()["verdict"], "leaking");
}

#[test]
fn children_inherited_through_exec_are_told_apart() {
    let ran = run(&["exec-leaker", "--hold-ms", HOLD_MS]);
    ran.expect(&ran.truth["pid"], &[("exited", 10), ("reaped", 0), ("abandoned", 10)]);
    assert_eq!(ran.own()["verdict"], "never_reaps");
    assert_eq!(ran.own()["causes"][0]["kind"], "children_inherited_through_exec");
}

fn autoreaped(scenario: &str, count: u64) {
    let ran = run(&[scenario]);
    ran.expect(
        &ran.truth["pid"],
        &[
            ("forked", count),
            ("exited", count),
            ("autoreaped", count),
            ("reaped", 0),
            ("unreaped", 0),
            ("abandoned", 0),
        ],
    );
    assert_eq!(ran.own()["verdict"], "healthy");
    let zombies: Vec<Value> = trace_all(&ran)
        .into_iter()
        .filter(|line| line["event"] == "zombie" && line["parent"]["pid"] == ran.truth["pid"])
        .collect();
    assert!(zombies.is_empty(), "an autoreaped child is never a zombie: {zombies:#?}");
}

#[test]
fn sigchld_ignored_is_autoreap() {
    autoreaped("sigchld-ignored", 20);
}

#[test]
fn sa_nocldwait_is_autoreap() {
    autoreaped("sa-nocldwait", 20);
}

#[test]
fn a_dead_leader_under_ignored_sigchld_is_autoreap() {
    autoreaped("dead-leader-ignored", 1);
}

#[test]
fn zombies_of_a_parent_that_dies_are_abandoned() {
    let ran = run(&["parent-dies-zombies", "--hold-ms", HOLD_MS]);
    ran.expect(&ran.truth["pid"], &[("exited", 1), ("reaped", 1), ("abandoned", 0)]);
    ran.expect(&ran.truth["middle"], &[("exited", 6), ("reaped", 0), ("abandoned", 6), ("unreaped", 0)]);
    assert_eq!(ran.parent(&ran.truth["middle"])["verdict"], "never_reaps");
    assert_eq!(ran.parent(&ran.truth["middle"])["alive"], false);
}

fn left_running(ran: &support::Ran, spawner: &Value) {
    let left = ran.report["left_running"].as_array().expect("a list");
    let mut pids: Vec<u64> = left.iter().filter_map(|entry| entry["pid"].as_u64()).collect();
    let mut expected: Vec<u64> =
        ran.truth["running"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    pids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(pids, expected, "{:#}", ran.report);
    assert!(left.iter().all(|entry| entry["spawned_by"]["pid"] == *spawner), "{:#}", ran.report);
}

#[test]
fn running_children_of_a_dead_parent_are_left_running_with_who_spawned_them() {
    let ran = run(&["parent-dies-running"]);
    left_running(&ran, &ran.truth["middle"]);
}

#[test]
fn a_daemon_is_still_a_descendant() {
    let ran = run(&["double-fork"]);
    left_running(&ran, &ran.truth["first"]);
}

#[test]
fn a_subreaper_that_does_not_reap_is_flagged() {
    let ran = run(&["subreaper", "--hold-ms", HOLD_MS]);
    let adopter = &ran.truth["adopter"];
    // It reaps the middle process it forked, and nothing it adopted.
    ran.expect(adopter, &[("forked", 1), ("exited", 5), ("adopted", 4), ("reaped", 1), ("abandoned", 8)]);
    assert_eq!(ran.parent(adopter)["verdict"], "leaking");
    ran.expect(&ran.truth["middle"], &[("exited", 4), ("abandoned", 4)]);
    let kinds: Vec<&Value> = ran.parent(adopter)["causes"]
        .as_array()
        .expect("causes")
        .iter()
        .map(|cause| &cause["kind"])
        .collect();
    assert!(kinds.contains(&&json!("does_not_reap_adopted_children")), "{kinds:?}");
}

fn pid_namespace(levels: &str) {
    let ran = run(&["pidns", "--levels", levels, "--hold-ms", HOLD_MS]);
    let parents = ran.report["parents"].as_array().expect("parents");
    // The innermost init: the only parent that adopted.
    let init =
        parents.iter().find(|parent| parent["adopted"] == 4).unwrap_or_else(|| panic!("{:#}", ran.report));
    assert_eq!(init["ns_pid"], 1);
    assert_eq!(
        (&init["exited"], &init["reaped"], &init["abandoned"]),
        (&json!(5), &json!(1), &json!(8)),
        "{init:#}"
    );
    assert_eq!(init["verdict"], "leaking");
    if levels == "1" {
        assert_eq!(init["pid"], ran.truth["init"], "pids are those of the initial namespace");
    }
}

#[test]
fn an_init_of_a_pid_namespace_that_does_not_reap_is_flagged() {
    pid_namespace("1");
}

#[test]
fn an_init_two_namespaces_deep_is_flagged() {
    pid_namespace("2");
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
fn a_child_held_by_a_tracer_is_not_blamed_on_its_parent() {
    let ran = run(&["traced", "--hold-ms", HOLD_MS]);
    let middle = &ran.truth["middle"];
    ran.expect(middle, &[("forked", 2), ("exited", 1), ("unreaped", 1), ("held", 1), ("reaped", 0)]);
    assert_eq!((&ran.parent(middle)["verdict"], &ran.report["finding"]), (&json!("held"), &json!("held")));
    assert_eq!(ran.parent(middle)["held_by"]["pid"], ran.truth["tracer"]);
    assert_eq!(ran.parent(middle)["causes"][0]["kind"], "held_by_tracer");
    let zombies = trace_of(&ran, "zombie", &ran.truth["child"]);
    assert_eq!(zombies[0]["held_by"]["pid"], ran.truth["tracer"]);
}

#[test]
fn a_child_the_tracer_let_go_is_timed_from_then_on() {
    let ran = run(&["traced", "--hold-ms", HOLD_MS, "--after-ms", "100", "--wait", "1"]);
    let middle = &ran.truth["middle"];
    ran.expect(middle, &[("forked", 2), ("exited", 2), ("reaped", 2), ("unreaped", 0)]);
    let max = ran.parent(middle)["reap_latency"]["max_ns"].as_u64().expect("a latency");
    let bound = ran.truth["upper_ns"].as_u64().expect("a bound");
    assert!(max <= bound, "{max} > {bound}");
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

#[test]
fn hostile_names_do_no_harm() {
    let ran = run(&["hostile-names", "--hold-ms", HOLD_MS]);
    ran.expect(&ran.truth["pid"], &[("exited", 3), ("abandoned", 3)]);
    let recording = ran.directory.path().join("f.rec");
    for arguments in [["--as", "report"], ["--as", "trace"]] {
        let text = reapwatch().arg("replay").args(arguments).arg(&recording).output().expect("replay");
        let text = String::from_utf8(text.stdout).expect("UTF-8");
        assert!(text.contains("\\x1b"), "{text}");
        assert!(!text.chars().any(|one| (one.is_control() && one != '\n') || one == '\u{202e}'), "{text:?}");
    }
}

#[test]
fn zombies_older_than_the_tracer_are_counted_with_their_parent() {
    require_root();
    let mut leaker = Command::new(workload())
        .args(["leak-all", "--count", "9", "--hold-ms", "30000", "--tell-first", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the workload");
    let mut line = String::new();
    BufReader::new(leaker.stdout.take().expect("its output")).read_line(&mut line).expect("its truth");
    let truth: Value = serde_json::from_str(&line).expect("JSON");
    let output = reapwatch()
        .args(["watch", "--duration", "1s", "--grace", GRACE, "--format", "json"])
        .output()
        .expect("reapwatch");
    leaker.kill().expect("our own workload");
    leaker.wait().expect("our own workload");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    check_invariants(&report);
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!((&parent["unreaped"], &parent["exited"]), (&json!(9), &json!(9)), "{parent:#}");
    // What it did before is not known.
    assert_eq!((&parent["verdict"], &parent["older"]), (&json!("leaking"), &json!(9)), "{parent:#}");
    assert_eq!(parent["causes"][0]["kind"], "unknown", "{parent:#}");
    assert_eq!(parent["oldest_at_least"], true);
    assert!(parent["oldest_unreaped_ns"].as_u64().is_some_and(|ns| ns >= 900_000_000), "{parent:#}");
}

fn program(name: &str) -> String {
    format!("{}/../tests/programs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_seeds_worker_manager_never_reaps() {
    let ran = run_command(&[
        "/usr/bin/env",
        "WORKERS=100",
        "WORKER_SECONDS=0.1",
        "HOLD_SECONDS=2",
        "python3",
        &program("worker_manager.py"),
    ]);
    let worst = &ran.report["parents"][0];
    assert_eq!((&worst["verdict"], &worst["abandoned"]), (&json!("never_reaps"), &json!(100)), "{worst:#}");
    assert!(worst["comm"].as_str().is_some_and(|comm| comm.starts_with("python3")), "{worst:#}");
}

#[test]
fn the_seeds_broken_daemon_never_reaps() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = directory.path().join("broken_daemon");
    let compiled =
        Command::new("cc").arg("-o").arg(&daemon).arg(program("broken_daemon.c")).status().expect("cc");
    assert!(compiled.success());
    let ran = run_command(&[daemon.to_str().expect("UTF-8"), "50", "1"]);
    let worst = &ran.report["parents"][0];
    assert_eq!(
        (&worst["verdict"], &worst["abandoned"], &worst["exited"]),
        (&json!("never_reaps"), &json!(50), &json!(50))
    );
}

#[test]
fn the_seeds_backgrounder_leaks_only_where_it_execs() {
    let script = program("bash_backgrounder.sh");
    let ran = run_command(&["/bin/bash", &script, "execs", "20", "1.5"]);
    let worst = &ran.report["parents"][0];
    assert_eq!((&worst["verdict"], &worst["abandoned"]), (&json!("never_reaps"), &json!(20)), "{worst:#}");
    assert_eq!(worst["causes"][0]["kind"], "children_inherited_through_exec");
    for form in ["reaps", "loops"] {
        let ran = run_command(&["/bin/bash", &script, form, "20", "0.5"]);
        let script_parent = ran.report["parents"]
            .as_array()
            .and_then(|parents| parents.iter().max_by_key(|parent| parent["exited"].as_u64()))
            .expect("the script");
        assert_eq!(script_parent["verdict"], "healthy", "{form}: {script_parent:#}");
        assert_eq!(script_parent["abandoned"], 0, "{form}");
    }
}

#[test]
fn the_exit_code_is_the_commands_or_the_leaks() {
    require_root();
    let code = |arguments: &[&str]| {
        reapwatch()
            .args(["run", "--grace", GRACE])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("reapwatch")
            .code()
    };
    let workload = workload();
    let workload = workload.to_str().expect("UTF-8");
    assert_eq!(code(&["--", workload, "exit-now", "--code", "7"]), Some(7));
    assert_eq!(code(&["--", workload, "exit-now", "--signal", "15"]), Some(128 + 15));
    assert_eq!(code(&["--error-exitcode", "9", "--", workload, "reap-wait4", "--count", "3"]), Some(0));
    assert_eq!(code(&["--error-exitcode", "9", "--", workload, "leak-all", "--hold-ms", HOLD_MS]), Some(9));
    assert_eq!(
        code(&["--error-exitcode", "9", "--", workload, "parent-dies-zombies", "--hold-ms", HOLD_MS]),
        Some(9)
    );
    // A tracer's doing, and what was left running, are no leak of the command's.
    assert_eq!(code(&["--error-exitcode", "9", "--", workload, "traced", "--hold-ms", HOLD_MS]), Some(0));
    assert_eq!(code(&["--error-exitcode", "9", "--", workload, "double-fork", "--child-ms", "500"]), Some(0));
}

#[test]
fn a_parent_that_dies_over_a_child_that_has_just_died_is_undecided_and_so_is_the_exit_code() {
    require_root();
    let output = reapwatch()
        .args(["run", "--grace", "60s", "--error-exitcode", "9", "--format", "json", "--"])
        .arg(workload())
        .arg("parent-dies-zombies")
        .output()
        .expect("reapwatch");
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stderr).expect("a report");
    check_invariants(&report);
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let middle = parent_in(&report, &truth["middle"]);
    assert_eq!((&middle["verdict"], &middle["abandoned"]), (&json!("undecided"), &json!(6)), "{middle:#}");
    assert_eq!(report["finding"], "undecided");
}

/// Ids of all loaded programs of ours: their names are those of the functions.
fn our_programs(pid: u32) -> usize {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    entries
        .flatten()
        .filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().contains("bpf"))
        })
        .count()
}

#[test]
fn killed_in_full_flow_it_leaves_a_whole_report_or_none_and_nothing_attached() {
    require_root();
    let _heavy = HEAVY.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGKILL] {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, recording) = (directory.path().join("r.json"), directory.path().join("f.rec"));
        let mut tracer = reapwatch()
            .args(["run", "--format", "json", "--output"])
            .arg(&path)
            .arg("--record")
            .arg(&recording)
            .arg("--")
            .arg(workload())
            .args(["storm", "--count", "3000"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("reapwatch");
        let full_flow = || std::fs::metadata(&recording).is_ok_and(|file| file.len() > 60_000).then_some(());
        until("the recording grows", full_flow);
        let before = loaded_programs();
        let pid = tracer.id();
        assert!(our_programs(pid) > 5);
        // SAFETY: our own child.
        unsafe { libc::kill(pid as i32, signal) };
        let status = tracer.wait().expect("our own child");
        let mut errors = String::new();
        tracer.stderr.take().expect("piped").read_to_string(&mut errors).expect("UTF-8");
        assert!(!errors.contains("panicked"), "{errors}");
        let report = std::fs::read_to_string(&path).unwrap_or_default();
        if signal == libc::SIGKILL {
            assert_eq!(report, "");
        } else {
            assert_eq!(status.code(), Some(128 + signal), "{errors}");
            assert!(report.ends_with("}\n"), "half a report");
            check_invariants(&serde_json::from_str(&report).expect("a whole report"));
        }
        let replayed =
            reapwatch().args(["replay", "--format", "json"]).arg(&recording).output().expect("replay");
        assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
        check_invariants(&serde_json::from_slice(&replayed.stdout).expect("a report"));
        // Other tests come and go; the programs loaded when this one was killed must all go.
        until("every program is gone", || {
            let now = loaded_programs();
            let mine = before.iter().filter(|id| now.contains(id)).count();
            (mine == 0 || mine < before.len().saturating_sub(5)).then_some(())
        });
    }
}

#[test]
fn trace_gives_valid_lines_in_order_of_time() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("t.rec");
    let mut tracer = reapwatch()
        .args(["trace", "--format", "json", "--duration", "60s", "--record"])
        .arg(&recording)
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    // The recording is created once the programs are attached.
    until("attached", || recording.exists().then_some(()));
    let output =
        Command::new(workload()).args(["reap-wait4", "--count", "5"]).output().expect("the workload");
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let mut lines = BufReader::new(tracer.stdout.take().expect("piped")).lines();
    let mut reaps = 0;
    let mut last = String::new();
    while reaps < 5 {
        let line: Value = serde_json::from_str(&lines.next().expect("a line").expect("UTF-8")).expect("JSON");
        validate("event", &line);
        let time = line["time"].as_str().expect("a time").to_owned();
        assert!(time >= last, "{time} after {last}");
        last = time;
        reaps += u64::from(line["event"] == "reap" && line["reaper"]["pid"] == truth["pid"]);
    }
    drop(lines);
    // The reader has gone: a normal end, as soon as something happens.
    until("the end", || {
        Command::new(workload()).arg("exit-now").status().expect("the workload");
        tracer.try_wait().expect("our own child")
    });
    assert_eq!(tracer.wait().expect("our own child").code(), Some(0));
}

/// All lines of the run's recording.
fn trace_all(ran: &support::Ran) -> Vec<Value> {
    let output = reapwatch()
        .args(["replay", "--as", "trace", "--format", "json"])
        .arg(ran.directory.path().join("f.rec"))
        .output()
        .expect("replay");
    let lines: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    for line in &lines {
        validate("event", line);
    }
    lines
}

/// The lines of one event of one process.
fn trace_of(ran: &support::Ran, event: &str, pid: &Value) -> Vec<Value> {
    trace_all(ran)
        .into_iter()
        .filter(|line| line["event"] == event && line["process"]["pid"] == *pid)
        .collect()
}

/// A command of an ordinary user with these capabilities and no others.
fn as_nobody(program: &std::path::Path, capabilities: &[caps::Capability], tracefs: bool) -> Command {
    use std::os::unix::process::CommandExt;

    use caps::CapSet;
    use nix::{
        mount::{MsFlags, mount},
        sched::{CloneFlags, unshare},
        unistd::{Gid, Uid, setgid, setgroups, setuid},
    };
    let wanted: caps::CapsHashSet = capabilities.iter().copied().collect();
    let mut command = Command::new(program);
    let become_nobody = move || {
        let other = |error: caps::errors::CapsError| std::io::Error::other(error.to_string());
        let unlimited = libc::RLIM_INFINITY;
        // As LimitMEMLOCK=infinity of the unit: before Linux 5.11 maps count as locked memory.
        let _ =
            nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK, unlimited, unlimited);
        if tracefs {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
            match mount(
                Some("tracefs"),
                "/sys/kernel/tracing",
                Some("tracefs"),
                MsFlags::empty(),
                None::<&str>,
            ) {
                // Mounted there already, as on most hosts.
                Ok(()) | Err(nix::errno::Errno::EBUSY) => {}
                Err(error) => return Err(error.into()),
            }
        }
        caps::securebits::set_keepcaps(true).map_err(other)?;
        setgroups(&[])?;
        setgid(Gid::from_raw(65_534))?;
        setuid(Uid::from_raw(65_534))?;
        for set in [CapSet::Permitted, CapSet::Inheritable, CapSet::Effective, CapSet::Ambient] {
            caps::set(None, set, &wanted).map_err(other)?;
        }
        Ok(())
    };
    // SAFETY: only system calls and small allocations between fork and exec.
    unsafe { command.pre_exec(become_nobody) };
    command
}

#[test]
fn an_ordinary_user_with_two_capabilities_sees_the_same() {
    use std::os::unix::fs::PermissionsExt;

    use caps::Capability;
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let (program, work) = (directory.path().join("reapwatch"), directory.path().join("workload"));
    std::fs::copy(support::binary(), &program).expect("a copy others can run");
    std::fs::copy(workload(), &work).expect("a copy others can run");
    let hooks = std::env::var("REAPWATCH_HOOKS").unwrap_or_else(|_| "auto".into());
    let two = vec![Capability::CAP_BPF, Capability::CAP_PERFMON];
    let three = [two.clone(), vec![Capability::CAP_DAC_READ_SEARCH]].concat();
    for (capabilities, tracefs) in [(&two, false), (&three, true)] {
        let output = as_nobody(&program, capabilities, tracefs)
            .args(["--hooks", &hooks, "run", "--format", "json", "--"])
            .arg(&work)
            .args(["reap-wait4", "--count", "20"])
            .output()
            .expect("reapwatch");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stderr).expect("a report");
        check_invariants(&report);
        let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
        let parent = parent_in(&report, &truth["pid"]);
        // Each free that no program was run for, as on some hosts, is a reap of which nothing else tells.
        let missed = report["lost"]["probe_missed"].as_u64().expect("a count");
        assert_eq!((&parent["reaped"], &parent["exited"]), (&json!(20 - missed), &json!(20)), "{report:#}");
        assert!(missed == 0 && parent["verdict"] == "healthy" || report["complete"] == false, "{report:#}");
        // Without the exact hooks the waits need tracefs; without that only the frees are seen.
        let reap = report["hooks"]["reap"].as_str().expect("a hook");
        if reap.contains("release_task") {
            assert_eq!(report["hooks"]["precision"], "exact", "{report:#}");
        } else {
            assert_eq!(reap.contains("sys_exit_wait4"), tracefs, "{report:#}");
            assert!(tracefs || report["hooks"]["precision"] == "coarse", "{report:#}");
        }
    }
    let output =
        as_nobody(&program, &[], false).args(["watch", "--duration", "1s"]).output().expect("reapwatch");
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("CAP_BPF") && errors.contains("to do: "), "{errors}");
}

#[test]
fn once_loaded_only_what_reading_needs_is_held() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let mut watcher = reapwatch()
        .args(["watch", "--duration", "60s", "--record"])
        .arg(&recording)
        .stdout(Stdio::null())
        .spawn()
        .expect("reapwatch");
    let status = || std::fs::read_to_string(format!("/proc/{}/status", watcher.id())).unwrap_or_default();
    let field = |name: &str| {
        status().lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    };
    // CAP_SYS_PTRACE (19) and CAP_BPF (39).
    let wanted = format!("{:016x}", 1u64 << 19 | 1u64 << 39);
    until("privileges are dropped", || (field("CapPrm").as_deref() == Some(&wanted)).then_some(()));
    assert_eq!(field("CapEff"), Some(wanted));
    assert_eq!(field("NoNewPrivs").as_deref(), Some("1"));
    let catches_interrupts = || {
        u64::from_str_radix(&field("SigCgt")?, 16).ok().filter(|caught| caught & 1 << (libc::SIGINT - 1) != 0)
    };
    until("it catches SIGINT", catches_interrupts);
    // SAFETY: our own child.
    unsafe { libc::kill(watcher.id() as i32, libc::SIGINT) };
    assert!(watcher.wait().expect("our own child").success());
}

#[test]
fn log_statements_that_are_off_are_not_in_the_programs() {
    use probe::source::bpf::{
        options::{HookChoice, Subscription, TracerOptions},
        stats::ProgramCost,
        tracer::Tracer,
    };
    require_root();
    let costs = |log_programs| {
        let options = TracerOptions {
            stats: false,
            lives: 1_024,
            parents: 1_024,
            subscription: Subscription::Everything,
            btf: "/sys/kernel/btf/vmlinux".into(),
            hooks: HookChoice::Auto,
            ring_bytes: Some(1 << 16),
            log_programs,
        };
        Tracer::attach(&options).expect("attached").costs()
    };
    let (off, on) = (costs(false), costs(true));
    let bytes = |costs: &[(String, ProgramCost)], name: &str| {
        costs.iter().find(|one| one.0 == name).map(|one| one.1.translated_bytes).expect("the program")
    };
    // A log statement that stayed would cost more than this.
    assert!(bytes(&off, "process_exit") + 500 < bytes(&on, "process_exit"), "{off:?} {on:?}");
    assert_eq!(bytes(&off, "process_fork"), bytes(&on, "process_fork"), "it has no log statement");
}
