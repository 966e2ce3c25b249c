//! `REAPWATCH_LABEL`: what was left is told by the label of the program that it belongs to.

use serde_json::{Value, json};

use super::{report_of, run, support};

fn group<'a>(report: &'a Value, label: &str) -> &'a Value {
    let groups = report["labels"].as_array().unwrap_or_else(|| panic!("no labels in {report:#}"));
    groups.iter().find(|one| one["label"] == label).unwrap_or_else(|| panic!("{label} is not in {report:#}"))
}

#[test]
fn each_suite_has_its_own_leaks_and_what_it_left_running() {
    let workload = support::workload();
    let workload = workload.to_str().expect("UTF-8");
    let script = format!(
        "REAPWATCH_LABEL='suite one' {workload} leak-all --count 3 --hold-ms {hold}; \
         REAPWATCH_LABEL=two {workload} leak-all --count 5 --hold-ms {hold}; \
         REAPWATCH_LABEL=server setsid sleep 3608 >/dev/null 2>&1 & \
         REAPWATCH_LABEL=$(printf 'a\\033[2J') {workload} leak-all --count 1 --hold-ms {hold}; sleep 0.3",
        hold = support::HOLD_MS
    );
    let output = run(&["--format", "json", "--left-running", "kill"], &["sh", "-c", &script]);
    let report = report_of(&output);
    let one = group(&report, "suite one");
    assert_eq!((&one["parents"], &one["abandoned"]), (&json!(1), &json!(3)), "{report:#}");
    assert_eq!(group(&report, "two")["abandoned"], 5);
    assert_eq!(group(&report, "server")["left_running"], 1);
    assert_eq!(
        report["labels"].as_array().map(Vec::len),
        Some(3),
        "one that is no label is none: {report:#}"
    );
    assert_eq!(report["left_running"][0]["label"], "server");
}

#[test]
fn with_labels_a_child_counts_under_its_own_and_not_its_parents() {
    // The runner itself never reaps what it starts under labels. Each lives long enough to be looked up.
    let script = "import os, time\n\
        for label in ('a', 'a', 'b'):\n\
        \x20   os.spawnvpe(os.P_NOWAIT, 'sleep', ['sleep', '0.3'], {**os.environ, 'REAPWATCH_LABEL': label})\n\
        time.sleep(1.2)\n";
    let output =
        run(&["--format", "json", "--labels"], &["env", "-u", "REAPWATCH_LABEL", "python3", "-c", script]);
    let report = report_of(&output);
    assert_eq!(group(&report, "a")["abandoned"], 2, "{report:#}");
    assert_eq!(group(&report, "b")["abandoned"], 1, "{report:#}");
}
