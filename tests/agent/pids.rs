//! Limits on processes: a leak is foretold to exhaust each of them, and then forks fail.

use std::process::Command;

use serde_json::Value;

use super::{
    cgroup::Cgroup,
    prometheus::Prometheus,
    running::Agent,
    support::{Telling, parent_in, reapwatch, replayed, require_root, until, validate, workload},
};

/// What fork says where there are too many processes.
const EAGAIN: i32 = libc::EAGAIN;
/// The workload and the agent do not read their clocks at the same moment.
const SLACK_S: f64 = 3.0;

/// The first alert about this limit, once there is one.
fn found(agent: &Agent, scope: &str, name: &str) -> Value {
    until(&format!("{scope} {name} is pressing"), || {
        let is_it = |one: &Value| one["pid_limit"]["scope"] == scope && one["pid_limit"]["name"] == name;
        agent.alerts().into_iter().find(|one| one["alert"] == "pids" && is_it(one))
    })
}

fn unix_s(alert: &Value) -> f64 {
    let time: jiff::Timestamp = alert["time"].as_str().expect("a time").parse().expect("RFC 3339");
    time.as_nanosecond() as f64 / 1e9
}

/// The kernel refused a fork when the alert said that it would.
fn is_foretold(alert: &Value, truth: &Value) {
    validate("alert", alert);
    assert_eq!((&alert["state"], &truth["errno"]), (&"found".into(), &EAGAIN.into()), "{alert:#} {truth}");
    let limit = &alert["pid_limit"];
    let (used, most) = (limit["used"].as_u64().expect("a number"), limit["limit"].as_u64().expect("one"));
    assert!(used < most, "it was told before: {limit:#}");
    let ends = &limit["exhausted_in"];
    let seconds = |what: &str| ends[what].as_f64().expect("a number") / 1e9;
    let in_s = truth["unix_s"].as_f64().expect("a number") - unix_s(alert);
    assert!(
        seconds("earliest_ns") - SLACK_S < in_s && in_s < seconds("latest_ns") + SLACK_S,
        "forks failed after {in_s} s: {limit:#}"
    );
}

#[test]
fn a_leak_in_a_cgroup_is_foretold_to_exhaust_it_and_then_forks_fail() {
    let cgroup = Cgroup::with_pids_max("reapwatch-test-pids/inner", &[("", "120"), ("inner", "1000")]);
    let agent = Agent::start("");
    let prometheus = Prometheus::scraping(agent.port);
    let mut command = cgroup.command(workload());
    command.args(["exhausting", "--per-second", "5", "--hold-ms", "60000"]);
    let mut leaker = Telling::start_command(command);
    let pid = leaker.child.id();
    // The limit above bites first.
    let name = "/reapwatch-test-pids";
    let alert = found(&agent, "cgroup", name);
    let truth = leaker.truth();
    is_foretold(&alert, &truth);
    // It and its zombies.
    assert_eq!(truth["forked"], 119);
    assert_eq!(alert["pid_limit"]["most_zombies"]["pid"], pid);
    assert!(alert["text"].as_str().is_some_and(|text| text.contains("`reapwatch reap ")), "{alert:#}");
    let scope = format!("scope=\"cgroup\",name=\"{name}\"");
    prometheus.until(&format!("reapwatch_pids_used{{{scope}}}"), 120.0);
    prometheus.until(&format!("reapwatch_pids_limit{{{scope}}}"), 120.0);
    prometheus.until(&format!("reapwatch_pids_zombies{{{scope}}}"), 119.0);
    prometheus.until(&format!("reapwatch_pids_exhausted_in_seconds{{{scope},bound=\"latest\"}}"), 0.0);
    prometheus.until(&format!("reapwatch_pids_limit{{name=\"{name}/inner\"}}"), 1_000.0);
    let (_, used) = prometheus.only("reapwatch_pids_used{scope=\"pid_max\"}");
    let (_, limit) = prometheus.only("reapwatch_pids_limit{scope=\"pid_max\"}");
    assert!(used > 120.0 && used < limit, "{used} of {limit}");
    drop(leaker);
    until("it is over", || {
        agent.alerts().into_iter().find(|one| one["state"] == "over" && one["id"] == alert["id"])
    });
}

#[test]
fn a_leak_of_a_user_is_foretold_to_exhaust_its_limit_and_then_forks_fail() {
    let agent = Agent::start("");
    let arguments = ["exhausting", "--per-second", "5", "--user", "54321", "--nproc", "130"];
    let mut leaker = Telling::start(&[&arguments[..], &["--hold-ms", "60000"]].concat());
    let alert = found(&agent, "user", "54321");
    let truth = leaker.truth();
    is_foretold(&alert, &truth);
    assert_eq!((&truth["forked"], &alert["pid_limit"]["limit"]), (&129.into(), &130.into()));
    assert_eq!(alert["pid_limit"]["most_zombies"]["pid"], leaker.child.id(), "{alert:#}");
}

#[test]
fn a_leak_in_a_pid_namespace_of_its_own_is_foretold_and_a_replay_says_the_same() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let record = |duration: &str| -> Value {
        let recording = directory.path().join(duration);
        let mut inner = reapwatch();
        inner.args(["record", "--duration", duration, "--output"]).arg(&recording).arg("--");
        inner.arg(workload()).args(["exhausting", "--per-second", "20", "--hold-ms", "60000"]);
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "sh", "-c"]);
        command.arg("echo 320 > /proc/sys/kernel/pid_max; exec \"$0\" \"$@\"");
        let output = command.arg(inner.get_program()).args(inner.get_args()).output().expect("unshare");
        assert!(output.status.success(), "{output:?}");
        let report = replayed(&recording);
        validate("report", &report);
        report
    };
    let seconds = |limit: &Value, what: &str| limit["exhausted_in"][what].as_f64().expect("a number") / 1e9;
    let report = record("9s");
    let limit = &report["pids"]["limits"][0];
    assert_eq!((&limit["scope"], &limit["limit"]), (&"pid_max".into(), &319.into()), "{:#}", report["pids"]);
    let used = limit["used"].as_u64().expect("a number");
    assert!((120..220).contains(&used), "{limit:#}");
    let left_s = (319 - used) as f64 / 20.0;
    let (earliest_s, latest_s) = (seconds(limit, "earliest_ns"), seconds(limit, "latest_ns"));
    assert!(earliest_s < left_s && left_s < latest_s, "{left_s} s: {limit:#}");
    let report = record("22s");
    let forked = parent_in(&report, &leaker_in(&report))["forked"].as_u64().expect("a number");
    // reapwatch with its threads and the workload have numbers too, and no fork succeeds any more.
    assert!((300..319).contains(&forked), "{report:#}");
    let limit = &report["pids"]["limits"][0];
    // A few low numbers that were given back are not given out again.
    let used = limit["used"].as_u64().expect("a number");
    assert!(limit["scope"] == "pid_max" && (forked + 1..=319).contains(&used), "{:#}", report["pids"]);
}

/// The pid of the leaker on the host: the workload knows only the one in its namespace.
fn leaker_in(report: &Value) -> Value {
    let parents = report["parents"].as_array().expect("parents");
    parents.iter().find(|parent| parent["comm"] == "workload").unwrap_or_else(|| panic!("{report:#}"))["pid"]
        .clone()
}

#[test]
fn explain_says_which_limits_a_process_is_under_and_a_replay_says_the_same_as_watch() {
    require_root();
    let cgroup = Cgroup::with_pids_max("reapwatch-test-explained", &[("", "77")]);
    let mut command = cgroup.command(workload());
    command.args(["exhausting", "--per-second", "100", "--most", "70", "--hold-ms", "60000"]);
    let mut leaker = Telling::start_command(command);
    leaker.truth();
    let explained = |format: &str| {
        let mut command = reapwatch();
        command.args(["explain", "--format", format, &leaker.child.id().to_string()]);
        let output = command.output().expect("reapwatch");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let page: Value = serde_json::from_str(&explained("json")).expect("JSON");
    validate("explain", &page);
    let limits = page["pid_limits"].as_array().expect("limits");
    let name = "/reapwatch-test-explained";
    let of_cgroup = limits.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{page:#}"));
    assert_eq!((&of_cgroup["used"], &of_cgroup["limit"]), (&71.into(), &77.into()), "{of_cgroup:#}");
    let sentence = format!("71 of 77 (92 %) of pids.max of the cgroup {name} in use, 70 of them zombies");
    let text = explained("text").replace("\n       ", " ");
    assert!(text.contains(&sentence), "{text}");
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("w.rec");
    let mut command = reapwatch();
    command.args(["watch", "--duration", "3s", "--format", "json", "--record"]).arg(&recording);
    let output = command.output().expect("reapwatch");
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("report", &report);
    assert_eq!(report, replayed(&recording));
    let limits = report["pids"]["limits"].as_array().expect("limits");
    assert!(limits.iter().any(|one| one["name"] == name && one["used"] == 71), "{:#}", report["pids"]);
}
