//! Children whose parent is not the one that started them, or not alone with them: those of a subreaper, of the init of a
//! PID namespace, of a dead parent, and those that a tracer holds.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use serde_json::{Value, json};

use super::{
    support::{HOLD_MS, Ran, run},
    trace_of,
};

fn left_running(ran: &Ran, spawner: &Value) {
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
    assert!(kinds.contains(&&json!("subreaper_does_not_reap_orphans")), "{kinds:?}");
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
    // Of this child alone: the tracer is a child of the same parent, and reaped as late as the host lets it.
    let reaps = trace_of(&ran, "reap", &ran.truth["child"]);
    let max = reaps.last().expect("its reap")["reap_latency_ns"].as_u64().expect("a latency");
    let bound = ran.truth["upper_ns"].as_u64().expect("a bound");
    assert!(max <= bound, "{max} > {bound}");
}
