//! What a fleet runs (`dist/`), beside its real counterparts: rules and dashboard beside Prometheus, manifests beside kubectl.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use super::{
    cgroup::Cgroup,
    prometheus::Prometheus,
    running::Agent,
    support::{Telling, until, workload},
};

fn dist(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dist").join(path)
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("an installed program");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_rules_are_those_that_their_tests_describe() {
    said(Command::new("promtool").args(["check", "rules"]).arg(dist("prometheus/reapwatch.rules.yml")));
    said(Command::new("promtool").args(["test", "rules"]).arg(dist("prometheus/reapwatch.rules.test.yml")));
}

/// The queries of all panels, with what Grafana would put in the place of its variables.
fn queries() -> Vec<String> {
    let text = std::fs::read_to_string(dist("grafana/reapwatch.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets
        .map(|target| target["expr"].as_str().expect("a query").to_owned())
        .map(|query| query.replace("$__rate_interval", "1m").replace("$instance", ".*"))
        .collect()
}

#[test]
fn each_query_of_the_dashboard_is_answered_and_names_metrics_that_there_are() {
    let cgroup = Cgroup::with_pids_max("reapwatch-test-shipped", &[("", "300")]);
    let agent = Agent::start("");
    let prometheus = Prometheus::scraping(agent.port);
    let mut command = cgroup.command(workload());
    command.args(["exhausting", "--per-second", "10", "--most", "250", "--hold-ms", "60000"]);
    let _leaker = Telling::start_command(command);
    let queries = queries();
    assert!(queries.len() > 10, "{queries:?}");
    for query in queries {
        // A rate needs two readings, and a forecast more.
        until(&format!("{query} has series"), || (!prometheus.query(&query).is_empty()).then_some(()));
    }
}

#[test]
fn the_daemon_set_has_no_more_privileges_than_it_needs() {
    let text = said(Command::new("kubectl").arg("kustomize").arg(dist("kubernetes")));
    for part in [
        "hostPID: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "privileged: false",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for part in ["hostNetwork", "hostIPC", "SYS_ADMIN", "readOnly: false", "privileged: true"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("readOnly: true").count(), text.matches("mountPath: ").count(), "{text}");
}
