//! What must not matter: a ring buffer far too small, a stopped collector, tens of thousands of zombies, a killed
//! predecessor. Detail may be lost and is said to be; totals are exact, by the workload's own truth.

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;
use support::{GRACE, check_invariants, parent_in, reapwatch, require_root, until, workload};

/// Each of these tests loads the whole machine.
static MACHINE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    require_root();
    MACHINE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: our own child.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

/// `run` on a storm; `meanwhile` gets the running reapwatch. Totals must be exact whatever was lost.
fn storm(count: u64, arguments: &[&str], meanwhile: impl FnOnce(&Child)) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let child = reapwatch()
        .args(arguments)
        .args(["run", "--format", "json", "--output"])
        .arg(&path)
        .arg("--")
        .arg(workload())
        .args(["storm", "--count", &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    meanwhile(&child);
    let output = child.wait_with_output().expect("our own child");
    assert!(output.status.success());
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    check_invariants(&report);
    let parent = parent_in(&report, &truth["pid"]);
    for (field, number) in
        [("forked", count), ("exited", count), ("reaped", count), ("unreaped", 0), ("abandoned", 0)]
    {
        assert_eq!(parent[field], number, "{field} of {report:#}");
    }
    assert_eq!(parent["reap_latency"]["count"], count);
    assert_eq!(report["complete"], report["lost"]["events"] == 0, "{report:#}");
    report
}

#[test]
fn a_ring_buffer_of_one_page_loses_detail_and_no_totals() {
    let _alone = alone();
    let report = storm(3_000, &["--ring-size", "4K"], |_| {});
    assert!(report["lost"]["events"].as_u64().is_some_and(|lost| lost > 1_000), "{report:#}");
}

#[test]
fn maps_of_a_handful_of_entries_lose_detail_and_no_totals() {
    let _alone = alone();
    let count: u64 = 3_000;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let status = reapwatch()
        .args(["--max-unreaped", "4", "--max-parents", "4", "run", "--format", "json", "--output"])
        .arg(&path)
        .arg("--")
        .arg(workload())
        .args(["load", "--threads", "8", "--count", &(count / 8).to_string()])
        .stdout(Stdio::null())
        .status()
        .expect("reapwatch");
    assert!(status.success());
    let report: Value = serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    check_invariants(&report);
    let parent = &report["parents"][0];
    for (field, number) in [("exited", count), ("reaped", count), ("unreaped", 0), ("abandoned", 0)] {
        assert_eq!(parent[field], number, "{field} of {report:#}");
    }
    assert_eq!(report["complete"], report["lost"]["map_full"] == 0, "{report:#}");
}

#[test]
fn zombies_beyond_the_maps_are_counted_and_found() {
    let _alone = alone();
    let (leaker, truth) = leaker(500);
    let report = watch_with(&["--max-unreaped", "8"]);
    end(leaker);
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!((&parent["unreaped"], &parent["exited"]), (&500.into(), &500.into()), "{parent:#}");
    assert_eq!(report["complete"], false, "{:#}", report["lost"]);
    let refused =
        report["tracer"]["maps"].as_array().expect("maps").iter().find(|map| map["name"] == "LIVES");
    assert!(refused.is_some_and(|map| map["refused"].as_u64() > Some(0)), "{:#}", report["tracer"]);
}

#[test]
fn a_collector_stopped_for_ten_seconds_loses_no_totals() {
    let _alone = alone();
    let report = storm(25_000, &["--ring-size", "64K"], |child| {
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let storms = || std::fs::read_to_string(&children).is_ok_and(|pids| !pids.is_empty()).then_some(());
        until("the storm begins", storms);
        signal(child, libc::SIGSTOP);
        // Not a wait for anything: the fault itself.
        std::thread::sleep(Duration::from_secs(10));
        signal(child, libc::SIGCONT);
    });
    assert!(report["lost"]["events"].as_u64().is_some_and(|lost| lost > 1_000), "{report:#}");
}

/// A parent with this many zombies, until it is killed.
fn leaker(count: u64) -> (Child, Value) {
    let mut child = Command::new(workload())
        .args(["leak-all", "--count", &count.to_string(), "--hold-ms", "120000", "--tell-first", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the workload");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("its truth");
    (child, serde_json::from_str(&line).expect("JSON"))
}

fn end(mut child: Child) {
    child.kill().expect("our own child");
    child.wait().expect("our own child");
}

fn watch() -> Value {
    watch_with(&[])
}

fn watch_with(options: &[&str]) -> Value {
    let output = reapwatch()
        .args(options)
        .args(["watch", "--duration", "1s", "--grace", GRACE, "--format", "json"])
        .output()
        .expect("reapwatch");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_slice(&output.stdout).expect("a report");
    check_invariants(&report);
    report
}

#[test]
fn thirty_thousand_zombies_at_the_start_are_counted() {
    let _alone = alone();
    let (leaker, truth) = leaker(30_000);
    let report = watch();
    end(leaker);
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!((&parent["unreaped"], &parent["exited"]), (&30_000.into(), &30_000.into()), "{parent:#}");
    assert_eq!(parent["verdict"], "never_reaps");
    assert_eq!(report["complete"], true, "{:#}", report["lost"]);
}

#[test]
fn one_killed_in_mid_storm_leaves_nothing_that_misleads_the_next() {
    let _alone = alone();
    let (leaker, truth) = leaker(50);
    let mut storm = Command::new(workload())
        .args(["storm", "--count", "6000"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the workload");
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let killed = reapwatch()
        .args(["watch", "--duration", "60s", "--record"])
        .arg(&recording)
        .stdout(Stdio::null())
        .spawn()
        .expect("reapwatch");
    until("it records", || std::fs::metadata(&recording).is_ok_and(|file| file.len() > 60_000).then_some(()));
    end(killed);
    let report = watch();
    end(leaker);
    storm.wait().expect("our own child");
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!((&parent["unreaped"], &parent["exited"]), (&50.into(), &50.into()), "{parent:#}");
    assert_eq!(report["complete"], true, "{:#}", report["lost"]);
}

#[test]
fn two_at_once_see_the_same() {
    let _alone = alone();
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| storm(2_000, &[], |_| {}));
        let other = scope.spawn(|| storm(2_000, &[], |_| {}));
        (one.join().expect("the first"), other.join().expect("the second"))
    });
    assert_eq!((&one["complete"], &other["complete"]), (&true.into(), &true.into()));
}
