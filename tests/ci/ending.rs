//! `--left-running`: what it fails for, whom it ends, and whom it leaves alone.

use std::fs;

use serde_json::{Value, json};

use super::{report_of, run};

const JSON: [&str; 4] = ["--format", "json", "--error-exitcode", "9"];

/// The script leaves a `sleep` of so many seconds, which no other test does. It must not hold our pipes: we read them to their end.
fn left<'a>(report: &'a Value, sleeps: &str) -> &'a Value {
    let all = report["left_running"].as_array().expect("left running");
    let is_it = |one: &&Value| one["command_line"] == json!(["sleep", sleeps]);
    all.iter().find(is_it).unwrap_or_else(|| panic!("{report:#}"))
}

fn is_alive(left: &Value) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", left["pid"])).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn kill(left: &Value) {
    let pid = left["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("ours");
}

#[test]
fn what_is_left_running_fails_only_where_it_is_to_and_is_left_alone() {
    let script = ["sh", "-c", "setsid sleep 3601 >/dev/null 2>&1 & sleep 0.2"];
    let output = run(&JSON, &script);
    let report = report_of(&output);
    assert_eq!((output.status.code(), &report["check"]["failed"]), (Some(0), &json!(false)));
    assert!(is_alive(left(&report, "3601")));
    kill(left(&report, "3601"));
    let output = run(&[&JSON[..], &["--left-running", "fail"]].concat(), &script);
    let report = report_of(&output);
    assert_eq!((output.status.code(), &report["check"]["failures"]), (Some(9), &json!(["left_running"])));
    assert!(is_alive(left(&report, "3601")), "fail ends nobody");
    kill(left(&report, "3601"));
}

#[test]
fn what_a_suppression_names_may_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let rules = directory.path().join("daemons.toml");
    fs::write(
        &rules,
        "[[suppression]]\nname = \"daemon\"\nfinding = \"left_running\"\ncommand = \"sleep 3602\"\n",
    )
    .expect("rules");
    let script =
        ["sh", "-c", "setsid sleep 3602 >/dev/null 2>&1 & setsid sleep 3603 >/dev/null 2>&1 & sleep 0.2"];
    let rules = rules.to_str().expect("UTF-8");
    let output = run(&[&JSON[..], &["--left-running", "kill", "--suppressions", rules]].concat(), &script);
    let report = report_of(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(left(&report, "3602")["suppressed_by"], "daemon");
    assert!(is_alive(left(&report, "3602")), "it is meant to stay");
    kill(left(&report, "3602"));
    assert_eq!(left(&report, "3603")["ended"], "terminated");
    assert!(!is_alive(left(&report, "3603")));
}

#[test]
fn whatever_was_left_is_ended_by_term_or_kill_of_any_user_and_named() {
    let script = "setsid sleep 3604 >/dev/null 2>&1 & setpriv --reuid 65534 --clear-groups sleep 3605 >/dev/null 2>&1 & \
                  setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 & sleep 0.5";
    let options = [&JSON[..], &["--left-running", "kill", "--kill-after", "1s"]].concat();
    let output = run(&options, &["sh", "-c", script]);
    let report = report_of(&output);
    assert_eq!((output.status.code(), &report["check"]["failed"]), (Some(0), &json!(false)), "{report:#}");
    assert_eq!(left(&report, "3604")["ended"], "terminated");
    assert_eq!(left(&report, "3605")["ended"], "terminated", "of another user");
    let all = report["left_running"].as_array().expect("left running");
    let stubborn = all.iter().find(|one| one["comm"] == "sh" && one["ended"] == "killed");
    assert!(stubborn.is_some(), "{report:#}");
    assert!(all.iter().all(|one| !is_alive(one)), "{report:#}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("left running: sleep 3604 (pid ") && said.contains("ended by SIGKILL"), "{said}");
}

#[test]
fn a_bystander_in_the_same_group_and_session_is_not_hit() {
    // Started by the test, so in the group that the command is in too.
    let mut bystander = std::process::Command::new("sleep").arg("3606").spawn().expect("sleep");
    let output = run(
        &[&JSON[..], &["--left-running", "kill"]].concat(),
        &["sh", "-c", "sleep 3607 >/dev/null 2>&1 & sleep 0.2"],
    );
    let report = report_of(&output);
    assert_eq!(left(&report, "3607")["ended"], "terminated");
    assert!(bystander.try_wait().expect("our own child").is_none(), "it was hit");
    bystander.kill().expect("our own child");
    bystander.wait().expect("our own child");
}
