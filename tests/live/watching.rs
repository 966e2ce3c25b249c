//! `watch`, where the kernel counts and little is streamed: the same truths as in the full stream.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::process::Command;

use serde_json::Value;

use super::support::{HOLD_MS, LOOK_MS, Telling, Watching, is_emulated, parent_in, workload};

/// The report of a `watch` during which the workload ran, and the workload's truth.
fn watch(scenario: &[&str]) -> (Value, Value) {
    let watching = Watching::start(&[]);
    let output = Command::new(workload()).args(scenario).output().expect("the workload");
    assert!(output.status.success());
    let report = watching.end();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let truth = said.lines().find_map(|line| serde_json::from_str(line).ok()).expect("a truth");
    (report, truth)
}

fn expect(report: &Value, pid: &Value, expected: &[(&str, u64)]) {
    let parent = parent_in(report, pid);
    for (field, number) in expected {
        assert_eq!(parent[field], *number, "{field} of {pid} in {report:#}");
    }
}

/// A parent that is gone and left nothing to tell is in the sum of such.
fn settled(report: &Value, truth: &Value, deaths: u64) {
    let kept = report["parents"].as_array().expect("parents");
    assert!(!kept.iter().any(|parent| parent["pid"] == truth["pid"]), "{report:#}");
    assert!(report["settled"]["exited"].as_u64().is_some_and(|exited| exited >= deaths), "{report:#}");
}

#[test]
fn watching_a_parent_that_never_reaps_tells_its_exact_count_and_age() {
    let (report, truth) = watch(&["leak-all", "--count", "10", "--hold-ms", LOOK_MS]);
    expect(&report, &truth["pid"], &[("forked", 10), ("exited", 10), ("reaped", 0), ("abandoned", 10)]);
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!(parent["verdict"], "never_reaps", "{parent:#}");
    assert_eq!(parent["causes"][0]["kind"], "never_waits");
    assert!(parent["oldest_unreaped_ns"].as_u64().is_some_and(|ns| ns >= 700_000_000), "{parent:#}");
}

#[test]
fn watching_a_parent_that_reaps_some_and_never_others_tells_both() {
    let (report, truth) = watch(&["leak-some", "--hold-ms", HOLD_MS]);
    expect(&report, &truth["pid"], &[("exited", 12), ("reaped", 7), ("abandoned", 5)]);
    assert_eq!(parent_in(&report, &truth["pid"])["verdict"], "leaking");
}

#[test]
fn watching_zombies_handed_on_tells_both_parents() {
    let (report, truth) = watch(&["subreaper", "--hold-ms", HOLD_MS]);
    expect(
        &report,
        &truth["adopter"],
        &[("forked", 1), ("exited", 5), ("adopted", 4), ("reaped", 1), ("abandoned", 8)],
    );
    expect(&report, &truth["middle"], &[("exited", 4), ("abandoned", 4)]);
    assert_eq!(parent_in(&report, &truth["adopter"])["verdict"], "leaking");
}

#[test]
fn watching_late_reaps_tells_how_late() {
    let (report, truth) = watch(&["reap-delayed", "--delay-ms", "400"]);
    let parent = parent_in(&report, &truth["pid"]);
    super::support::check_latency(parent, &truth);
    assert_eq!(parent["verdict"], "slow", "{parent:#}");
    // It looks until a child is dead, by a call that leaves the child; a child may be dead before. Only from its first late
    // reap on the kernel finds out what its calls are for.
    let late = |part: &str| parent["slow_reaps"][part]["count"].as_u64().expect("a count");
    let (at_first, later) = (late("waiting"), late("waiting_otherwise") + late("not_waiting"));
    assert_eq!(Some(at_first + later), parent["reaped"].as_u64(), "{parent:#}");
    assert!(at_first <= 1, "{parent:#}");
}

#[test]
fn watching_healthy_parents_come_and_go_sums_them_up() {
    let (report, truth) = watch(&["storm", "--count", "500"]);
    settled(&report, &truth, 500);
    // Each life of this load is a parent's and its child's: two deaths each, one settled parent.
    let (report, truth) = watch(&["load", "--parents", "1", "--count", "300"]);
    settled(&report, &truth, truth["lives"].as_u64().expect("lives"));
    assert!(report["settled"]["parents"].as_u64().is_some_and(|parents| parents >= 300), "{report:#}");
}

#[test]
fn watching_a_parent_that_was_read_before_it_was_settled_counts_it_once() {
    // It lives on for longer than the second between two readings of the counters.
    let (report, truth) = watch(&["storm", "--count", "400", "--hold-ms", "2500"]);
    settled(&report, &truth, 400);
}

#[test]
fn watching_ignored_sigchld_is_autoreap() {
    let (report, truth) = watch(&["sigchld-ignored"]);
    // Where only frees show it, they come after the parent's own end: it is still kept then.
    let kept =
        report["parents"].as_array().expect("parents").iter().find(|parent| parent["pid"] == truth["pid"]);
    let books = kept.unwrap_or(&report["settled"]);
    assert!(books["autoreaped"].as_u64().is_some_and(|autoreaped| autoreaped >= 20), "{report:#}");
    assert_eq!((&books["unreaped"], &books["abandoned"]), (&0.into(), &0.into()), "{books:#}");
}

/// A zombie that is reaped while `watch` ends must not stand as unreaped and once more as reaped.
#[test]
fn watching_ends_in_the_middle_of_batches_of_reaps_and_counts_each_death_once() {
    // Under emulation a batch takes seconds: fewer tries find as many points of it.
    let tries = if is_emulated() { 3 } else { 8 };
    for duration_ms in (0..tries).map(|number| 37 * number) {
        let watching = Watching::start(&[]);
        let mut parent = Telling::start(&["batches", "--count", "200", "--ms", "30"]);
        let truth = parent.truth();
        // Not a wait for anything: the watch ends at some point of a batch, each time at another.
        std::thread::sleep(std::time::Duration::from_millis(duration_ms));
        let report = watching.end();
        let found = parent_in(&report, &truth["pid"]);
        let number = |field: &str| found[field].as_u64().expect("a number");
        assert!(number("exited") > 0, "{duration_ms} ms: {found:#}");
        assert!(number("exited") <= number("forked"), "{duration_ms} ms: {found:#}");
    }
}
