//! What a fleet runs (`dist/`), beside its real counterparts: rules and dashboard beside Prometheus, the example of rsyslog
//! beside rsyslog. Of the manifests, what they ask for; of the other examples, what they name.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{
    alerts::leaker,
    cgroup::Cgroup,
    prometheus::Prometheus,
    running::{Agent, Killed},
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

/// With the paths of the example in a directory of the test, and nothing else changed.
#[test]
fn rsyslog_takes_the_example_and_writes_each_alert_with_its_fields() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let example = std::fs::read_to_string(dist("rsyslog/reapwatch.conf")).expect("the example");
    let ours = example
        .replace("/run/reapwatch-syslog", &file("socket"))
        .replace("/var/log/reapwatch.json", &file("out"));
    assert!(ours.contains(&file("socket")) && ours.contains(&file("out")), "{ours}");
    std::fs::write(file("rsyslog.conf"), ours).expect("written");
    said(Command::new("rsyslogd").args(["-N1", "-f", &file("rsyslog.conf")]));
    let mut rsyslogd = Command::new("rsyslogd");
    rsyslogd.args(["-n", "-f", &file("rsyslog.conf"), "-i", &file("pid")]).stdin(Stdio::null());
    let _rsyslogd = Killed(rsyslogd.spawn().expect("Debian's package rsyslog"));
    let cgroup = Cgroup::new("system.slice/reapwatch-test-example.service");
    let agent = Agent::start(&format!("syslog.to = \"unix:{}\"", file("socket")));
    let leaker = leaker(&cgroup, "60000");
    let pid = leaker.child.id().to_string();
    let line = until("its leak is written", || {
        let text = std::fs::read_to_string(file("out")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.find(|line| line["fields"]["pid"] == pid.as_str())
    });
    let alert = agent.alerts_about(&leaker.child.id().into(), "found").swap_remove(0);
    assert_eq!(line["message"], alert["text"]);
    assert_eq!((&line["alert"], &line["severity"]), (&"leak".into(), &"warning".into()));
    assert_eq!(line["fields"]["workload"], "reapwatch-test-example.service");
    assert_eq!((&line["fields"]["id"], &line["fields"]["state"]), (&alert["id"], &"found".into()));
}

/// An example in YAML.
fn example(path: &str) -> Value {
    let text = std::fs::read_to_string(dist(path)).expect(path);
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the comments of an example say that the agent is told, which must be a configuration.
fn agent_is_told(path: &str) -> String {
    let text = std::fs::read_to_string(dist(path)).expect(path);
    let keys = text.lines().filter_map(|line| {
        let line = line.strip_prefix('#')?.rsplit(": ").next()?.trim();
        line.split_once(" = \"").is_some().then(|| format!("{line}\n"))
    });
    let config: String = keys.collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &config).expect("written");
    said(reapwatch().args(["agent", "--check-config", "--config"]).arg(file.path()));
    config
}

#[test]
fn the_collectors_pipelines_are_of_parts_that_there_are_and_take_what_the_agent_sends() {
    let collector = example("otel/collector.yaml");
    for (name, pipeline) in collector["service"]["pipelines"].as_object().expect("pipelines") {
        for kind in ["receivers", "processors", "exporters"] {
            for part in pipeline[kind].as_array().expect(kind) {
                let part = part.as_str().expect("a name");
                assert!(collector[kind].get(part).is_some(), "{name}: {part} is not in {kind}");
            }
        }
    }
    let listens = &collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"];
    let told = agent_is_told("otel/collector.yaml");
    assert!(told.contains(&format!("http://{}\"", listens.as_str().expect("an address"))), "{told}");
    assert!(told.contains("otlp.transport = \"grpc\""), "{told}");
}

#[test]
fn vectors_parts_take_from_each_other_what_the_agent_writes() {
    let vector = example("vector/reapwatch.yaml");
    let has = |name: &str| ["sources", "transforms"].iter().any(|kind| vector[kind].get(name).is_some());
    for kind in ["transforms", "sinks"] {
        for (name, part) in vector[kind].as_object().expect(kind) {
            for input in part["inputs"].as_array().expect("inputs") {
                assert!(has(input.as_str().expect("a name")), "{name} takes from {input}");
            }
        }
    }
    let told = agent_is_told("vector/reapwatch.yaml");
    let file = vector["sources"]["reapwatch_alerts"]["include"][0].as_str().expect("a file");
    assert_eq!(told, format!("alerts.output = {file:?}\n"));
    let page = vector["sources"]["reapwatch_metrics"]["endpoints"][0].as_str().expect("a URL");
    let defaults = said(reapwatch().args(["agent", "--print-config"]));
    let listen = page.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics")).expect("a page");
    assert!(defaults.contains(&format!("listen = {listen:?}")), "{defaults}");
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
