//! More short-lived parents than are listed one by one: the totals are exact, the report has an end, and nobody hides
//! behind them.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::process::Command;

use serde_json::Value;

use super::support::{HOLD_MS, Telling, Watching, parent_in, run, workload};

/// Most dead parents that left nothing to tell, and most of the others, that are listed one by one.
const LISTED_MAX: usize = 1_024;
/// Enough that some are not listed.
const DEAD_CHILDREN: u64 = 1_300;
/// No command takes more memory.
const RESIDENT_MAX_BYTES: u64 = 40_000_000;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value:#}"))
}

fn parents(report: &Value) -> &[Value] {
    report["parents"].as_array().expect("parents")
}

fn check_size(report: &Value) {
    assert!(number(&report["tracer"]["resident_bytes"]) < RESIDENT_MAX_BYTES, "{:#}", report["tracer"]);
    let dead = |alone: bool| {
        let quiet = |parent: &&Value| parent["abandoned"] == 0 && parent["verdict"] == "healthy";
        parents(report).iter().filter(|parent| parent["alive"] == false && quiet(parent) == alone).count()
    };
    assert!(dead(true) <= LISTED_MAX && dead(false) <= LISTED_MAX, "{} listed", parents(report).len());
    let verdicts = report["other"]["verdicts"].as_object().expect("verdicts");
    assert_eq!(verdicts.values().map(number).sum::<u64>(), number(&report["other"]["parents"]));
}

#[test]
fn totals_are_exact_where_most_parents_are_no_longer_listed() {
    let ran = run(&["load", "--parents", "1", "--count", &DEAD_CHILDREN.to_string()]);
    check_size(&ran.report);
    let totals = &ran.report["totals"];
    for field in ["forked", "exited", "reaped"] {
        assert_eq!(number(&totals[field]), 2 * DEAD_CHILDREN, "{totals:#}");
    }
    // The load itself is one more.
    let settled = &ran.report["settled"];
    assert_eq!(
        number(&settled["parents"]) + parents(&ran.report).len() as u64,
        DEAD_CHILDREN + 1,
        "{settled:#}"
    );
    assert!(number(&settled["parents"]) >= DEAD_CHILDREN - LISTED_MAX as u64);
    assert_eq!(ran.report["other"]["parents"], 0);
    ran.expect(
        &ran.truth["pid"],
        &[("forked", DEAD_CHILDREN), ("exited", DEAD_CHILDREN), ("reaped", DEAD_CHILDREN)],
    );
}

#[test]
fn what_parents_left_is_counted_where_they_are_no_longer_listed() {
    let ran = run(&["load", "--leavers", "1", "--count", &DEAD_CHILDREN.to_string()]);
    check_size(&ran.report);
    let totals = &ran.report["totals"];
    for (field, lives) in [("forked", 2), ("exited", 2), ("adopted", 1), ("reaped", 2), ("abandoned", 1)] {
        assert_eq!(number(&totals[field]), lives * DEAD_CHILDREN, "{field} of {totals:#}");
    }
    let other = &ran.report["other"];
    assert_eq!(number(&other["parents"]), DEAD_CHILDREN - LISTED_MAX as u64, "{other:#}");
    assert_eq!(other["abandoned"], other["parents"]);
}

/// Each leaves a zombie to somebody else, and there is hardly any room for counters.
#[test]
fn a_leaker_does_not_hide_behind_any_number_of_dead_parents() {
    let watching = Watching::start(&["--max-parents", "16"]);
    let count = DEAD_CHILDREN.to_string();
    let output = Command::new(workload())
        .args(["load", "--leavers", "1", "--count", &count])
        .output()
        .expect("a load");
    assert!(output.status.success());
    let mut leaker = Telling::start(&["leak-until-told", "--reaped", "0", "--left", "20"]);
    let truth = leaker.truth();
    std::thread::sleep(std::time::Duration::from_millis(HOLD_MS.parse().expect("a number")));
    let report = watching.end();
    check_size(&report);
    let found = parent_in(&report, &truth["pid"]);
    assert_eq!((&found["unreaped"], &found["verdict"]), (&20.into(), &"never_reaps".into()), "{found:#}");
    let before = parents(&report).iter().take_while(|parent| parent["pid"] != truth["pid"]);
    // Other tests' leakers may leave more.
    assert!(before.into_iter().all(|parent| parent["verdict"] == "never_reaps"), "{report:#}");
}
