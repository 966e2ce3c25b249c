//! A program that is run for each alert: with what, how long, with which privileges, and when it is not.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{
    alerts::leaker,
    cgroup::Cgroup,
    running::Agent,
    support::{check_refused, reapwatch, require_root, until},
};

/// A directory that only root can change, as a program to run must be in.
fn of_root() -> tempfile::TempDir {
    require_root();
    tempfile::tempdir_in("/usr/local").expect("a directory")
}

fn program(directory: &tempfile::TempDir, script: &str) -> String {
    let path = directory.path().join("told");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a program");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    path.display().to_string()
}

#[test]
fn a_program_is_run_for_each_alert_one_at_a_time_and_not_for_longer_than_it_may() {
    let directory = of_root();
    let cgroup = Cgroup::new("system.slice/reapwatch-test-exec.service");
    let out = directory.path().join("out");
    let lock = directory.path().join("lock");
    // The first one hangs. Who finds another one running says so.
    let script = format!(
        "mkdir {lock} || echo '\"two at once\"' >> {out}\n\
         grep -E 'CapEff|NoNewPrivs' /proc/self/status > {out}.status\n\
         cat >> {out}\n\
         [ -e {out}.hung ] || {{ touch {out}.hung; rmdir {lock}; sleep 600; }}\n\
         rmdir {lock}",
        lock = lock.display(),
        out = out.display()
    );
    let program = program(&directory, &script);
    let agent = Agent::start(&format!("exec.program = \"{program}\"\nexec.within = \"1s\""));
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    agent.alerts_about(&pid, "found");
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    let told = until("each was told", || {
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(!all.contains(&"two at once".into()), "{all:#?}");
        let told: Vec<Value> = all.into_iter().filter(|one| one["pid"] == pid).collect();
        (told.len() >= alerts.len()).then_some(told)
    });
    assert_eq!(told, alerts);
    let sink = format!("exec {program}");
    let labels = [("sink", sink.as_str()), ("reason", "refused")];
    agent.until_value("reapwatch_sink_dropped_total", &labels, 1.0);
    // It has no more privileges than the agent: CAP_SYS_PTRACE and CAP_BPF.
    let status = std::fs::read_to_string(format!("{}.status", out.display())).expect("its status");
    let capabilities =
        status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).expect("its capabilities");
    let capabilities = u64::from_str_radix(capabilities, 16).expect("a number");
    assert_eq!(capabilities & !(1 << 19 | 1 << 39), 0, "{status}");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

#[test]
fn a_program_that_others_can_change_is_refused_before_anything_is_attached() {
    let directory = of_root();
    let path = program(&directory, "true");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o775)).expect("ours");
    let config = directory.path().join("agent.toml");
    let text = format!("prometheus.listen = \"none\"\nexec.program = \"{path}\"\n");
    std::fs::write(&config, text).expect("a configuration");
    let output = reapwatch().args(["agent", "--config"]).arg(&config).output().expect("reapwatch");
    check_refused(&output, 1, &format!("others than root can change {path}: chown root, chmod go-w"));
}
