//! What a fleet runs (`dist/`), beside its real counterparts: rules and dashboard beside Prometheus. Of the manifests, what they ask for.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use super::{
    cgroup::Cgroup,
    prometheus::Prometheus,
    running::Agent,
    support::{Telling, reapwatch, until, workload},
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

/// A manifest of Kubernetes.
fn manifest(name: &str) -> Value {
    let text = std::fs::read_to_string(dist("kubernetes").join(name)).expect(name);
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_daemon_set_has_no_more_privileges_than_it_needs() {
    let pod = &manifest("daemonset.yaml")["spec"]["template"]["spec"];
    assert_eq!((&pod["hostPID"], &pod["automountServiceAccountToken"]), (&true.into(), &false.into()));
    assert!(pod["hostNetwork"].is_null() && pod["hostIPC"].is_null(), "{pod:#}");
    let containers = pod["containers"].as_array().expect("containers");
    assert_eq!(containers.len(), 1);
    let security = &containers[0]["securityContext"];
    for (key, expected) in
        [("privileged", false), ("allowPrivilegeEscalation", false), ("readOnlyRootFilesystem", true)]
    {
        assert_eq!(security[key], expected, "{key}: {security:#}");
    }
    assert_eq!(security["capabilities"]["drop"], serde_json::json!(["ALL"]));
    let added = serde_json::json!(["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]);
    assert_eq!(security["capabilities"]["add"], added);
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    for mount in containers[0]["volumeMounts"].as_array().expect("mounts") {
        assert_eq!(mount["readOnly"], true, "{mount:#}");
    }
}

#[test]
fn the_base_names_files_that_there_are_and_a_configuration_that_is_good() {
    let base = manifest("kustomization.yaml");
    let named = |list: &Value| -> Vec<String> {
        let names = list.as_array().expect("a list").iter();
        names.map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    for name in named(&base["resources"]) {
        assert!(manifest(&name)["kind"].is_string(), "{name}");
    }
    for name in named(&base["configMapGenerator"][0]["files"]) {
        let mut command = reapwatch();
        said(command.args(["agent", "--check-config", "--config"]).arg(dist("kubernetes").join(name)));
    }
}
