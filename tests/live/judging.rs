//! Verdicts and causes: the same from `run`, `watch` and their recordings, and none that is not known.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::process::Stdio;

use serde_json::{Value, json};

use super::support::{
    GRACE, HOLD_MS, LOOK_MS, Telling, Watching, check_invariants, parent_in, reapwatch, replayed,
    require_root, run, signal, until, until_it_watches, workload,
};

/// What is said of a parent: its verdict, and the kinds of its causes. Evidence differs in how much is known.
fn judged(report: &Value, pid: &Value) -> Value {
    let parent = parent_in(report, pid);
    let causes = parent["causes"].as_array().expect("causes");
    json!({
        "verdict": parent["verdict"],
        "causes": causes.iter().map(|cause| &cause["kind"]).collect::<Vec<_>>(),
        "held": parent["held"],
        "older": parent["older"],
        "waits": parent["waits"],
        "left": parent["unreaped"].as_u64().zip(parent["abandoned"].as_u64()).map(|(some, more)| some + more),
    })
}

/// Runs a workload until it has told its truth, and has ended where it `ends` by itself.
fn truth(scenario: &[&str], ends: bool) -> Value {
    let mut telling = Telling::start(scenario);
    let truth = telling.truth();
    if ends {
        assert!(telling.child.wait().expect("our own child").success());
    }
    truth
}

/// Runs a scenario under `run`, `watch` and `watch --record`; what each says of the parent that the truth names so.
fn every_way(scenario: &[&str], who: &str) -> Vec<(&'static str, Value)> {
    let ran = run(scenario);
    let mut all = vec![("run", judged(&ran.report, &ran.truth[who]))];
    all.push(("its replay", judged(&replayed(&ran.directory.path().join("f.rec")), &ran.truth[who])));

    let watching = Watching::start(&[]);
    let told = truth(scenario, true);
    all.push(("watch", judged(&watching.end(), &told[who])));

    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("w.rec");
    let watching = Watching::start_recording(&recording);
    let told = truth(scenario, true);
    all.push(("watch --record", judged(&watching.end(), &told[who])));
    all.push(("the replay of that", judged(&replayed(&recording), &told[who])));
    all
}

#[track_caller]
fn the_same(scenario: &[&str], who: &str, verdict: &str, causes: &[&str]) {
    let all = every_way(scenario, who);
    let (first, said) = &all[0];
    for (way, other) in &all {
        assert_eq!(other, said, "{way} is not as {first}: {scenario:?}");
    }
    assert_eq!((&said["verdict"], &said["causes"]), (&json!(verdict), &json!(causes)), "{said:#}");
}

#[test]
fn who_never_waits_is_judged_the_same_by_run_and_watch() {
    the_same(&["leak-all", "--hold-ms", LOOK_MS], "pid", "never_reaps", &["never_waits"]);
}

#[test]
fn who_waits_for_some_only_is_judged_the_same_by_run_and_watch() {
    the_same(&["leak-some", "--hold-ms", HOLD_MS], "pid", "leaking", &["waits_only_for_specific_children"]);
}

#[test]
fn who_inherits_children_through_exec_is_judged_the_same_by_run_and_watch() {
    let causes = ["children_inherited_through_exec"];
    the_same(&["exec-leaker", "--hold-ms", HOLD_MS], "pid", "never_reaps", &causes);
}

#[test]
fn who_dies_over_its_zombies_is_judged_the_same_by_run_and_watch() {
    the_same(&["parent-dies-zombies", "--hold-ms", LOOK_MS], "middle", "never_reaps", &["never_waits"]);
}

#[test]
fn who_does_not_reap_what_it_adopts_is_judged_the_same_by_run_and_watch() {
    let causes = ["subreaper_does_not_reap_orphans"];
    the_same(&["subreaper", "--hold-ms", HOLD_MS], "adopter", "leaking", &causes);
}

#[test]
fn who_reaps_late_is_judged_the_same_by_run_and_watch() {
    the_same(&["reap-delayed", "--delay-ms", "400"], "pid", "slow", &["unknown"]);
}

#[test]
fn whose_children_a_tracer_holds_is_judged_the_same_by_run_and_watch() {
    the_same(&["traced", "--hold-ms", HOLD_MS], "middle", "held", &["held_by_tracer"]);
}

#[test]
fn the_init_of_a_container_is_judged_the_same_by_run_and_watch_and_the_kernels_waits_are_not_its_own() {
    let scenario = ["pidns", "--hold-ms", HOLD_MS];
    the_same(&scenario, "init", "leaking", &["init_does_not_reap_orphans"]);
    let ran = run(&scenario);
    // When it dies the kernel waits for all that is left in its namespace, in its name.
    let init = ran.parent(&ran.truth["init"]);
    assert_eq!(init["waits"], json!({"any": 0, "specific": 1}), "{init:#}");
}

#[test]
fn what_an_init_of_before_the_watch_left_when_it_ended_is_not_said_to_be_reaped() {
    require_root();
    let program = workload();
    let program = program.to_str().expect("UTF-8");
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("w.rec");
    for recorded in [false, true] {
        let mut outside = Telling::start(&["in-pid-namespace", program, "leak-until-told", "--reaped", "0"]);
        let left = outside.truth()["left"].clone();
        let children = format!("/proc/{0}/task/{0}/children", outside.child.id());
        let init: u64 = until("the init", || {
            std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        });
        let watching = if recorded { Watching::start_recording(&recording) } else { Watching::start(&[]) };
        outside.go_on();
        assert!(outside.child.wait().expect("our own child").success());
        let report = watching.end();
        let parent = parent_in(&report, &json!(init));
        assert_eq!((&parent["reaped"], &parent["abandoned"]), (&json!(0), &left), "{parent:#}");
        assert_eq!(parent["older"], left, "{parent:#}");
    }
}

#[test]
fn a_leak_that_is_older_than_the_watch_and_quiet_is_called_that_and_nothing_more() {
    require_root();
    let mut leaker = Telling::start(&["leak-until-told", "--hold-ms", "30000"]);
    leaker.truth();
    leaker.go_on();
    let told = leaker.truth();
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("w.rec");
    for recorded in [false, true] {
        let report = if recorded {
            let watching = Watching::start_recording(&recording);
            std::thread::sleep(std::time::Duration::from_millis(700));
            watching.end()
        } else {
            Watching::start_for("700ms", &[]).report()
        };
        let parent = parent_in(&report, &told["pid"]);
        assert_eq!((&parent["verdict"], &parent["older"]), (&json!("leaking"), &told["left"]), "{parent:#}");
        assert_eq!((&parent["reaped"], &parent["unreaped"]), (&json!(0), &told["left"]), "{parent:#}");
        assert_eq!(parent["causes"][0]["kind"], "unknown", "{parent:#}");
        let evidence = parent["causes"][0]["evidence"][0].as_str().expect("a sentence");
        assert!(evidence.contains("older than the watch"), "{evidence}");
    }
    assert_eq!(parent_in(&replayed(&recording), &told["pid"])["verdict"], "leaking");
}

#[test]
fn init_of_the_host_lives_and_abandons_nothing() {
    let watching = Watching::start(&[]);
    // Zombies that come to it dead, and an orphan that comes to it alive.
    truth(&["parent-dies-zombies", "--hold-ms", HOLD_MS], true);
    truth(&["double-fork", "--child-ms", "100"], true);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let report = watching.end();
    // Elsewhere a subreaper on the way may adopt them.
    if let Some(init) =
        report["parents"].as_array().expect("parents").iter().find(|parent| parent["pid"] == 1)
    {
        assert_eq!((&init["alive"], &init["abandoned"]), (&json!(true), &json!(0)), "{init:#}");
    }
}

#[test]
fn a_zombie_outside_the_tree_does_not_make_the_reaps_of_the_tree_coarse() {
    require_root();
    let mut stranger = Telling::start(&["leak-until-told", "--hold-ms", "30000"]);
    stranger.truth();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let mut child = reapwatch()
        .args(["run", "--grace", GRACE, "--format", "json", "--output"])
        .arg(&path)
        .arg("--")
        .arg(workload())
        .args(["leak-until-told", "--reaped", "4", "--left", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut child);
    stranger.go_on();
    stranger.truth();
    // Its command reads a line, reaps, and ends.
    drop(child.stdin.take());
    let output = child.wait_with_output().expect("our own child");
    assert!(output.status.success());
    let report: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("a JSON report");
    check_invariants(&report);
    assert_eq!(report["totals"]["reaped"], 4, "{report:#}");
    assert_eq!(report["hooks"]["precision"], "exact", "{report:#}");
}

#[test]
fn a_trace_of_late_reaps_shows_none_that_is_not_known_to_be_late() {
    require_root();
    let mut stranger = Telling::start(&["leak-until-told", "--hold-ms", "30000"]);
    stranger.truth();
    let mut tracer = reapwatch()
        .args(["trace", "--min-latency", "60s", "--format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut tracer);
    stranger.go_on();
    stranger.truth();
    signal(&tracer, libc::SIGINT);
    let output = tracer.wait_with_output().expect("our own child");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn no_leak_is_not_the_headline_above_what_was_left_running() {
    require_root();
    let output = reapwatch()
        .args(["run", "--"])
        .arg(workload())
        .args(["double-fork", "--child-ms", "1000"])
        .stdout(Stdio::null())
        .output()
        .expect("reapwatch");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("1 process was left running."), "{said}");
}

#[test]
fn a_window_shorter_than_the_grace_says_so() {
    require_root();
    let output = reapwatch()
        .args(["run", "--grace", "60s", "--"])
        .arg(workload())
        .args(["leak-all", "--count", "3"])
        .stdout(Stdio::null())
        .output()
        .expect("reapwatch");
    let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    assert!(said.contains("not longer than the grace of 1 m 0 s"), "{said}");
    assert!(said.contains("left 3 dead children unreaped"), "{said}");
}

#[test]
fn who_polls_a_pipe_that_a_dead_child_left_open_is_not_said_never_to_wait() {
    require_root();
    // The daemon forks twice, so nobody sees whose it was; Python polls the two pipes and waits when both have ended.
    let program = "import subprocess\n\
        print('{}', flush=True)\n\
        subprocess.run(['sh', '-c', '(sleep 600 &); exit 3'], capture_output=True)";
    let watching = Watching::start(&[]);
    let mut command = std::process::Command::new("python3");
    command.args(["-c", program]);
    let mut telling = Telling::start_command(command);
    telling.truth();
    let pid = telling.child.id();
    let children = || std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let is_zombie = |child: &str| {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        status.contains("State:\tZ")
    };
    until("a zombie", || children().split_whitespace().any(is_zombie).then_some(()));
    // Longer than the grace.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let report = watching.end();
    let daemon = daemon_of(pid);
    drop(telling);
    signal_pid(daemon);
    let parent = parent_in(&report, &json!(pid));
    let cause = &parent["causes"][0];
    assert_eq!(cause["kind"], "unknown", "{parent:#}");
    let evidence = cause["evidence"].to_string();
    assert!(evidence.contains("a pipe that a dead child left open"), "{evidence}");
    assert!(cause["now"].is_null(), "{cause:#}");
}

/// The process that sleeps at the writing end of a pipe which this one reads.
fn daemon_of(reader: u32) -> i32 {
    let pipes_of = |pid: &str| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
    };
    let read: Vec<_> = pipes_of(&reader.to_string())
        .into_iter()
        .filter(|path| path.to_string_lossy().starts_with("pipe:"))
        .collect();
    let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().into_string().ok());
    let found = pids
        .filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n")
        })
        .find(|pid| pipes_of(pid).iter().any(|pipe| read.contains(pipe)));
    found.expect("the daemon").parse().expect("a pid")
}

fn signal_pid(pid: i32) {
    // SAFETY: kill takes a pid and a signal.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
}
