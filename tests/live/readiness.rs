//! Whether a parent waited when its child died, as the parent itself arranged it. Part of the live tests.

use serde_json::Value;

use super::{support::run, trace_of};

#[test]
fn what_the_parents_threads_did_when_each_child_died_is_told() {
    let ran = run(&["readiness"]);
    for child in ran.truth["children"].as_array().expect("children") {
        let reaps = trace_of(&ran, "reap", &child["pid"]);
        let told: Vec<&Value> = reaps.iter().map(|line| &line["readiness"]).collect();
        assert_eq!(told, [&child["readiness"]], "{child}");
    }
}

#[test]
fn slow_reaps_are_split_by_what_the_threads_did() {
    // It looks until the child is dead, by a call that leaves the child, and reaps it later. A child may be dead before it
    // looks.
    let workload = super::support::workload();
    let command = [workload.as_os_str(), "reap-delayed".as_ref(), "--delay-ms".as_ref(), "300".as_ref()];
    let ran = super::support::run_with("100ms", 0, &command);
    let own = ran.own();
    let part = |part: &str, what: &str| own["slow_reaps"][part][what].as_u64().expect("a number");
    let sum = |what| part("waiting_otherwise", what) + part("not_waiting", what);
    assert_eq!(Some(sum("count")), own["reaped"].as_u64(), "{own:#}");
    let (total, longest) = (Some(sum("total_ns")), own["reap_latency"]["max_ns"].as_u64());
    assert!(total >= longest && longest >= Some(300_000_000), "{own:#}");
    for other in ["waiting", "waiting_for_it", "unknown"] {
        assert_eq!(part(other, "count"), 0, "{other}: {own:#}");
    }
}
