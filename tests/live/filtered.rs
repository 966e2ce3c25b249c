//! Recordings of a filtered trace: what was not asked for must not look as if it had not happened.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::support::{
    Telling, check_invariants, parent_in, reapwatch, replayed, require_root, signal, until, until_it_watches,
    workload,
};

/// The report of a recording of `trace` with these filters, made while the workloads ran one after the other; and their
/// truths.
fn recorded(filter: &[&str], workloads: &[&[&str]]) -> (Value, Vec<Value>) {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("f.rec");
    let mut tracing = reapwatch()
        .arg("trace")
        .args(filter)
        .arg("--record")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut tracing);
    let truths = workloads.iter().map(|scenario| truth_of(scenario)).collect();
    signal(&tracing, libc::SIGINT);
    assert!(ended(&mut tracing));
    let report = replayed(&path);
    check_invariants(&report);
    (report, truths)
}

fn ended(child: &mut Child) -> bool {
    until("it ends", || child.try_wait().expect("our own child")).success()
}

fn truth_of(scenario: &[&str]) -> Value {
    let output = Command::new(workload()).args(scenario).output().expect("the workload");
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().find_map(|line| serde_json::from_str(line).ok()).expect("a truth")
}

fn expect(report: &Value, truth: &Value, expected: &[(&str, u64)]) {
    let parent = parent_in(report, &truth["pid"]);
    for (field, number) in expected {
        assert_eq!(parent[field], *number, "{field} of {parent:#}");
    }
}

#[test]
fn a_recording_of_one_pid_has_the_kernels_counts_of_all_others_and_accuses_none_of_them() {
    let other = Telling::start(&["sit", "--ms", "600000"]);
    let pid = other.child.id().to_string();
    let healthy: &[&str] = &["storm", "--count", "400"];
    let leaking: &[&str] = &["leak-some", "--hold-ms", "700"];
    let (report, truths) = recorded(&["--pid", &pid], &[healthy, leaking]);
    expect(&report, &truths[0], &[("forked", 400), ("exited", 400), ("reaped", 400), ("abandoned", 0)]);
    let parent = parent_in(&report, &truths[0]["pid"]);
    assert_eq!(parent["verdict"], "healthy", "{parent:#}");
    assert_eq!(parent["causes"].as_array().map(Vec::len), Some(0), "{parent:#}");
    assert_eq!(parent["reap_latency"]["count"], 400, "{parent:#}");
    // What it left behind is counted; how long each had waited was not asked for.
    expect(&report, &truths[1], &[("exited", 12), ("reaped", 7), ("abandoned", 5)]);
    // Unless a walk of the task list saw them meanwhile.
    let verdict = &parent_in(&report, &truths[1]["pid"])["verdict"];
    assert!(verdict == "undecided" || verdict == "healthy", "{report:#}");
    assert_eq!(report["scope"]["kind"], "pids", "{report:#}");
    assert_eq!(report["scope"]["pids"][0].to_string(), pid);
    assert_eq!(report["not_covered"].as_array().map(Vec::len), Some(1), "{report:#}");
}

#[test]
fn a_recording_of_late_reaps_has_the_kernels_counts_of_the_quick_ones() {
    let quick: &[&str] = &["storm", "--count", "300"];
    let late: &[&str] = &["reap-delayed", "--delay-ms", "400"];
    let (report, truths) = recorded(&["--min-latency", "200ms"], &[quick, late]);
    expect(&report, &truths[0], &[("forked", 300), ("exited", 300), ("reaped", 300), ("abandoned", 0)]);
    assert_eq!(parent_in(&report, &truths[0]["pid"])["verdict"], "healthy", "{report:#}");
    let slow = parent_in(&report, &truths[1]["pid"]);
    assert_eq!(slow["reaped"], truths[1]["reaped"], "{slow:#}");
    assert!(slow["reap_latency"]["max_ns"].as_u64().is_some_and(|ns| ns >= 400_000_000), "{slow:#}");
    assert_eq!(report["coverage"]["kind"], "late_reaps", "{report:#}");
    assert_eq!(report["coverage"]["min_latency_ns"], 200_000_000);
}
