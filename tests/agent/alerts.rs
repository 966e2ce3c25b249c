//! What a person is told, and how often.

use std::process::Stdio;

use serde_json::Value;

use super::{
    cgroup::Cgroup,
    running::{Agent, Killed, value_in},
    support::{Telling, signal, until, validate, workload},
};

fn states(alerts: &[Value]) -> Vec<&str> {
    alerts.iter().map(|one| one["state"].as_str().expect("a state")).collect()
}

/// A leaker that tells its truth at its end, which may be cut short.
pub fn leaker(cgroup: &Cgroup, hold_ms: &str) -> Telling {
    let mut command = cgroup.command(workload());
    command.args(["leak-all", "--count", "5", "--hold-ms", hold_ms]);
    Telling::start_command(command)
}

/// The agent looks more often than the task list is walked.
#[test]
fn metrics_name_the_cause_of_a_leak_that_goes_on_without_interruption() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-goes-on.service");
    let agent = Agent::start("");
    let mut command = cgroup.command(workload());
    command.args(["fork-leak-for-ever", "--every-ms", "50"]).stdout(Stdio::null());
    let leaker = Killed(command.spawn().expect("the workload"));
    let pid = leaker.0.id().to_string();
    let workload = ("workload", "reapwatch-test-goes-on.service");
    let named = [workload, ("pid", &*pid), ("cause", "never_waits")];
    until("its cause is known", || agent.value("reapwatch_leak_info", &named));
    let left = |page: &str| value_in(page, "reapwatch_unreaped_children", &[workload]).unwrap_or(0.0);
    let left_first = left(&agent.page());
    // Two walks find more of them.
    let mut walks = Vec::new();
    until("two walks have come", || {
        let page = agent.page();
        assert_eq!(value_in(&page, "reapwatch_leak_info", &named), Some(1.0), "{page}");
        let left = left(&page);
        if left > walks.last().copied().unwrap_or(left_first) {
            walks.push(left);
        }
        (walks.len() == 2).then_some(())
    });
}

#[test]
fn a_leak_is_told_when_found_when_its_cause_is_known_and_when_it_is_over() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-alert.service");
    let agent = Agent::start("");
    let leaker = leaker(&cgroup, "60000");
    // The shell has become the workload.
    let pid = Value::from(leaker.child.id());
    let cause_known = || {
        let alerts = agent.alerts_about(&pid, "found");
        alerts.iter().any(|one| one["cause"]["kind"] == "never_waits").then_some(alerts)
    };
    until("its cause is known", cause_known);
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    for alert in &alerts {
        validate("alert", alert);
        assert_eq!(alert["alert"], "leak");
        assert_eq!(alert["workload"]["name"], "reapwatch-test-alert.service", "{alert:#}");
        assert_eq!(alert["id"], alerts[0]["id"]);
    }
    let cause_at_once = alerts[0]["cause"]["kind"] == "never_waits";
    let expected: &[&str] =
        if cause_at_once { &["found", "over"] } else { &["found", "cause_known", "over"] };
    assert_eq!(states(&alerts), expected, "{alerts:#?}");
    assert_eq!((&alerts[0]["unreaped"], &alerts[0]["verdict"]), (&5.into(), &"never_reaps".into()));
    let last = alerts.last().expect("three");
    assert_eq!(last["alive"], false);
    assert!(last["text"].as_str().is_some_and(|text| text.contains("has ended")), "{last:#}");
}

#[test]
fn what_is_silenced_is_counted_and_not_told_until_the_silence_is_taken_away() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-silent.service");
    let silence = "[[alerts.silence]]\nworkload = \"reapwatch-test-*.service\"\n";
    let agent = Agent::start(silence);
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    until("it is silenced", || {
        agent.value("reapwatch_alerts_total", &[("outcome", "silenced")]).filter(|count| *count >= 1.0)
    });
    assert!(!agent.alerts().iter().any(|one| one["pid"] == pid), "{:#?}", agent.alerts());
    agent.configure("");
    signal(&agent.child, libc::SIGHUP);
    let alerts = agent.alerts_about(&pid, "found");
    assert_eq!(alerts[0]["workload"]["name"], "reapwatch-test-silent.service");
}

#[test]
fn a_file_that_is_rotated_is_opened_anew_and_no_line_is_lost() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-rotated.service");
    let agent = Agent::start("");
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    agent.alerts_about(&pid, "found");
    let old = agent.directory.path().join("alerts.jsonl.1");
    std::fs::rename(agent.alerts_path(), &old).expect("a rotation");
    signal(&agent.child, libc::SIGHUP);
    until("it is opened anew", || agent.alerts_path().exists().then_some(()));
    drop(leaker);
    agent.alerts_about(&pid, "over");
    let before = std::fs::read_to_string(&old).expect("the old file");
    // Leaks of other tests come and go meanwhile.
    let of_it: Vec<Value> = before
        .lines()
        .map(|line| serde_json::from_str(line).expect("a whole line"))
        .filter(|alert: &Value| alert["pid"] == pid)
        .collect();
    let states = states(&of_it);
    assert!(states.contains(&"found") && !states.contains(&"over"), "{before}");
}
