//! Each thing that can be too small, and all at once, under every kind of load, with `run` and with `watch`.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{
    alone,
    support::{GRACE, HOLD_MS, Telling, Watching, check_invariants, parent_in, reapwatch, workload},
};

const TOO_SMALL: [&[&str]; 4] = [
    &["--ring-size", "4K"],
    &["--max-unreaped", "4"],
    &["--max-parents", "4"],
    &["--max-unreaped", "4", "--max-parents", "4", "--ring-size", "4K"],
];
const LOADS: [&[&str]; 7] = [
    &["storm", "--count", "400"],
    &["load", "--threads", "4", "--parents", "1", "--count", "60"],
    &["load", "--parents", "1", "--count", "250"],
    &["reap-batch"],
    &["sigchld-ignored"],
    &["parent-dies-zombies", "--hold-ms", HOLD_MS],
    &["subreaper", "--hold-ms", HOLD_MS],
];

fn of_truth(truth: &Value, field: &str) -> u64 {
    truth[field].as_u64().unwrap_or(0)
}

/// Who died on the load itself. Of parents that live as shortly as their child each is one, which reaped the other.
fn own_children(truth: &Value) -> u64 {
    of_truth(truth, "exited").max(of_truth(truth, "deaths") / 2)
}

/// The load's own books, and who left zombies behind, are exact; what is missing is said.
fn check_run(report: &Value, truth: &Value, what: &str) {
    check_invariants(report);
    let own = parent_in(report, &truth["pid"]);
    let fields = [
        ("exited", own_children(truth)),
        ("reaped", own_children(truth) - of_truth(truth, "autoreaped")),
        ("autoreaped", of_truth(truth, "autoreaped")),
        ("unreaped", 0),
        ("abandoned", 0),
    ];
    for (field, number) in fields {
        assert_eq!(own[field], number, "{what}: {field} of {own:#}, lost {:#}", report["lost"]);
    }
    check_complete(report, what);
}

/// Nothing is missing that is not said to be.
fn check_complete(report: &Value, what: &str) {
    let lost = report["lost"].as_object().expect("lost").values().all(|number| *number == 0);
    assert_eq!(report["complete"], lost, "{what}: {:#}", report["lost"]);
}

fn truth_of(text: &[u8]) -> Value {
    let text = String::from_utf8_lossy(text);
    text.lines().find_map(|line| serde_json::from_str(line).ok()).expect("a truth")
}

#[test]
fn every_load_under_run_with_too_little_of_everything_is_counted_exactly() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    for options in TOO_SMALL {
        for load in LOADS {
            let what = format!("{options:?} {load:?}");
            let output = reapwatch()
                .args(options)
                .args(["run", "--grace", GRACE, "--format", "json", "--output"])
                .arg(&path)
                .arg("--")
                .arg(workload())
                .args(load)
                .output()
                .expect("reapwatch");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("panicked"), "{what}: {said}");
            let report: Value =
                serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
            check_run(&report, &truth_of(&output.stdout), &what);
        }
    }
}

#[test]
fn every_load_under_watch_with_too_little_of_everything_hides_no_leak_and_accuses_nobody() {
    let _alone = alone();
    for options in TOO_SMALL {
        let watching = Watching::start(options);
        let mut deaths = 0;
        let mut healthy = Vec::new();
        for load in LOADS {
            let output = Command::new(workload()).args(load).stdin(Stdio::null()).output();
            let output = output.expect("the workload");
            assert!(output.status.success());
            let truth = truth_of(&output.stdout);
            deaths += of_truth(&truth, "exited").max(of_truth(&truth, "deaths"));
            healthy.push(truth["pid"].clone());
        }
        let mut leaker =
            Telling::start(&["vfork-leak", "--count", "20", "--tell-first", "1", "--hold-ms", "120000"]);
        let leak = leaker.truth();
        // Past the grace: this long is what makes it a leak.
        std::thread::sleep(std::time::Duration::from_millis(HOLD_MS.parse().expect("ms")));
        let report = watching.end();
        drop(leaker);
        let what = format!("{options:?}, lost {:#}", report["lost"]);
        let parent = parent_in(&report, &leak["pid"]);
        assert_eq!((&parent["exited"], &parent["unreaped"]), (&20.into(), &20.into()), "{what}: {parent:#}");
        // Who cannot know when they died does not say that it was long ago.
        let judged = parent["verdict"] == "never_reaps";
        let undecided = parent["verdict"] == "undecided" && report["complete"] == false;
        assert!(judged || undecided, "{what}: {parent:#}");
        // Whoever reaped all is not said to have left some.
        let shown = report["parents"].as_array().expect("parents");
        for pid in &healthy {
            let left = |parent: &&Value| parent["unreaped"] != 0 || parent["abandoned"] != 0;
            let found = shown.iter().filter(|parent| parent["pid"] == *pid).find(left);
            assert_eq!(found, None, "{what}");
        }
        // The sums lack whatever the parents' map had no room for, and that is said.
        let whole = report["totals"]["exited"].as_u64() >= Some(deaths);
        assert!(whole || report["lost"]["map_full"] != 0, "{what}: {:#}", report["totals"]);
        check_complete(&report, &what);
    }
}

#[test]
fn two_deaths_at_the_same_instant_on_two_cpus_make_no_distribution_that_contradicts_itself() {
    let _alone = alone();
    let watching = Watching::start(&[]);
    let mut parents = Telling::start(&["same-instant", "--count", "1000"]);
    let truth = parents.truth();
    let report = watching.end();
    parents.go_on();
    for pid in truth["parents"].as_array().expect("pids") {
        let parent = parent_in(&report, pid);
        assert_eq!((&parent["exited"], &parent["reaped"]), (&2.into(), &2.into()), "{parent:#}");
        for distribution in ["teardown", "reap_latency"] {
            let ns = |field: &str| parent[distribution][field].as_u64().expect("a number");
            let ordered = [ns("min_ns"), ns("p50_ns"), ns("p90_ns"), ns("p99_ns"), ns("max_ns")];
            assert!(ordered.is_sorted() && ns("count") == 2, "{parent:#}");
            assert!((ns("min_ns")..=ns("max_ns")).contains(&ns("mean_ns")), "{parent:#}");
        }
    }
}
