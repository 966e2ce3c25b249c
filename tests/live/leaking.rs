//! Parents that leave zombies: each is found with its exact count, its verdict and its cause.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::support::{
    GRACE, HOLD_MS, LOOK_MS, check_invariants, parent_in, reapwatch, require_root, run, workload,
};

#[test]
fn a_parent_that_never_reaps_is_told_with_its_exact_count() {
    let ran = run(&["leak-all", "--count", "10", "--hold-ms", LOOK_MS]);
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

#[test]
fn zombies_of_a_parent_that_dies_are_abandoned() {
    let ran = run(&["parent-dies-zombies", "--hold-ms", HOLD_MS]);
    ran.expect(&ran.truth["pid"], &[("exited", 1), ("reaped", 1), ("abandoned", 0)]);
    ran.expect(&ran.truth["middle"], &[("exited", 6), ("reaped", 0), ("abandoned", 6), ("unreaped", 0)]);
    assert_eq!(ran.parent(&ran.truth["middle"])["verdict"], "never_reaps");
    assert_eq!(ran.parent(&ran.truth["middle"])["alive"], false);
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
