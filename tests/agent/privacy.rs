//! What leaves the host of command lines.

use serde_json::Value;

use super::{
    cgroup::Cgroup,
    running::Agent,
    support::{LOOK_MS, Ran, Telling, reapwatch, run_command, validate, workload},
};

/// A password that is a number, because the workload takes nothing else.
const PASSWORD: &str = "8675309";

#[test]
fn an_alert_has_the_command_line_without_the_password_in_it() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-privacy.service");
    for (more, expected) in [
        ("", vec!["--count", "5", "--password", "[redacted]"]),
        ("command_lines = \"full\"", vec!["--count", "5", "--password", PASSWORD]),
        ("command_lines = \"name\"", vec![]),
    ] {
        let agent = Agent::start(more);
        let mut command = cgroup.command(workload());
        command.args(["leak-all", "--hold-ms", "60000", "--count", "5", "--password", PASSWORD]);
        let leaker = Telling::start_command(command);
        let alerts = agent.alerts_about(&Value::from(leaker.child.id()), "found");
        validate("alert", &alerts[0]);
        let told = alerts[0]["command_line"].as_array().expect("arguments");
        let last = &told[told.len().saturating_sub(4)..];
        assert_eq!(last, expected, "{more}: {:#}", alerts[0]);
        let file = std::fs::read_to_string(agent.alerts_path()).expect("alerts");
        assert_eq!(file.contains(PASSWORD), more.contains("full"), "{file}");
        assert!(!agent.page().contains(PASSWORD));
    }
}

#[test]
fn a_report_and_a_trace_of_a_recording_have_as_much_of_command_lines_as_is_asked_for() {
    let workload = workload();
    let workload = workload.to_str().expect("UTF-8");
    let ran: Ran =
        run_command(&[workload, "leak-all", "--count", "3", "--hold-ms", LOOK_MS, "--password", PASSWORD]);
    let replay = |how: &str, view: &str, format: &str| {
        let mut command = reapwatch();
        command.args(["replay", "--command-lines", how, "--as", view, "--format", format]);
        let output = command.arg(ran.directory.path().join("f.rec")).output().expect("reapwatch");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (view, format) in [("report", "json"), ("report", "html"), ("trace", "json"), ("trace", "text")] {
        let [full, redacted, name] = ["full", "redacted", "name"].map(|how| replay(how, view, format));
        assert!(full.contains(PASSWORD) && full.contains("--password"), "{full}");
        assert!(!redacted.contains(PASSWORD) && redacted.contains("[redacted]"), "{redacted}");
        assert!(!name.contains(PASSWORD) && !name.contains("--password"), "{name}");
    }
    let report: Value = serde_json::from_str(&replay("name", "report", "json")).expect("JSON");
    validate("report", &report);
}
