//! What Prometheus knows of an agent, against the workload's own truth.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::{
    cgroup::Cgroup,
    prometheus::Prometheus,
    running::{Agent, get, value_in},
    support::{Telling, until, workload},
};

/// Runs a scenario to its end in a cgroup; its truth.
fn run_in(cgroup: &Cgroup, scenario: &[&str]) -> Value {
    let output = cgroup.command(workload()).args(scenario).output().expect("the workload");
    truth(&output)
}

fn truth(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().find_map(|line| serde_json::from_str(line).ok()).expect("a truth")
}

#[test]
fn prometheus_finds_who_leaks_why_and_in_which_unit() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-leak.service");
    let agent = Agent::start("");
    let prometheus = Prometheus::scraping(agent.port);
    let mut command = cgroup.command(workload());
    command.args(["leak-all", "--count", "10", "--hold-ms", "30000"]);
    let _leaker = Telling::start_command(command);
    let unit = r#"kind="unit",workload="reapwatch-test-leak.service""#;
    let (labels, one) =
        prometheus.only(&format!(r#"reapwatch_leak_info{{{unit},parent="workload",cause="never_waits"}}"#));
    assert_eq!(one, 1.0);
    assert!(labels["pid"].as_str().is_some_and(|pid| pid.parse::<u32>().is_ok()), "{labels:#}");
    prometheus.until(&format!("reapwatch_unreaped_children{{{unit}}}"), 10.0);
    prometheus.until(&format!("reapwatch_children_exited_total{{{unit}}}"), 10.0);
    prometheus.until(&format!("reapwatch_children_reaped_total{{{unit}}}"), 0.0);
    let (_, age) = prometheus.only(&format!("reapwatch_oldest_unreaped_age_seconds{{{unit}}}"));
    assert!((0.3..60.0).contains(&age), "{age}");
    let (labels, _) = prometheus.only(&format!("reapwatch_parent_verdict{{{unit}}}"));
    assert_eq!(labels["verdict"], "never_reaps", "{labels:#}");
    let (_, up) = prometheus.only("up");
    assert_eq!(up, 1.0);
}

#[test]
fn counts_and_latencies_go_on_over_the_lives_of_parents_and_are_exact() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-lives.service");
    let agent = Agent::start("");
    let prometheus = Prometheus::scraping(agent.port);
    // Each lives on until its children have been counted.
    for _ in 0..3 {
        run_in(&cgroup, &["storm", "--count", "200", "--hold-ms", "6000"]);
    }
    let unit = r#"{kind="unit",workload="reapwatch-test-lives.service"}"#;
    for (name, expected) in [
        ("reapwatch_children_forked_total", 600.0),
        ("reapwatch_children_exited_total", 600.0),
        ("reapwatch_children_reaped_total", 600.0),
        ("reapwatch_children_abandoned_total", 0.0),
        ("reapwatch_reap_latency_seconds_count", 600.0),
        ("reapwatch_teardown_seconds_count", 600.0),
        ("reapwatch_unreaped_children", 0.0),
    ] {
        prometheus.until(&format!("{name}{unit}"), expected);
    }
    let buckets =
        r#"reapwatch_reap_latency_seconds_bucket{kind="unit",workload="reapwatch-test-lives.service""#;
    prometheus.until(&format!(r#"{buckets},le="+Inf"}}"#), 600.0);
    let (_, quantile) = prometheus.only(&format!("histogram_quantile(0.99, {buckets}}})"));
    assert!((0.0..60.0).contains(&quantile), "{quantile}");
    // No reset was seen in it.
    let (_, resets) = prometheus.only(&format!("resets(reapwatch_children_exited_total{unit}[5m])"));
    assert_eq!(resets, 0.0);
}

/// The workload itself lives long enough that a reading may meet it, and know what it is part of.
#[test]
fn the_children_of_parents_that_were_gone_at_once_are_in_the_sum_and_said_to_be() {
    let agent = Agent::start("");
    let (name, short_lived) = ("reapwatch_children_exited_total", [("workload", "short_lived")]);
    // Its program, or its name where it was asked about when it was ending.
    let path = workload().canonicalize().expect("the workload");
    let of_workload = [format!("0:{}", path.display()), "0:[workload]".to_owned()];
    let exited = || {
        let page = agent.page();
        let of = |workload: &str| value_in(&page, name, &[("workload", workload)]);
        let of_workload: f64 = of_workload.iter().filter_map(|workload| of(workload)).sum();
        (of("short_lived").expect("the series is always there"), of_workload)
    };
    let before = exited().0;
    let output = Command::new(workload()).args(["load", "--parents", "1", "--count", "300"]).output();
    let lives = truth(&output.expect("the workload"))["lives"].as_u64().expect("lives");
    assert_eq!(lives, 600, "half of them by one parent, each other one by a parent of its own");
    until("they are in the sum", || {
        let (short_lived, of_workload) = exited();
        (short_lived >= before + 300.0 && short_lived + of_workload >= before + 600.0).then_some(())
    });
    assert_eq!(agent.value("reapwatch_reap_latency_seconds_count", &short_lived), None, "{}", agent.page());
}

/// They live for a millisecond each, far too short to be asked what they are part of.
#[test]
fn what_parents_had_that_were_gone_at_once_is_their_cgroups_and_exact() {
    let name = |number: usize| format!("reapwatch-test-short-{number}.service");
    let cgroups: Vec<_> =
        (0..20).map(|number| Cgroup::new(&format!("system.slice/{}", name(number)))).collect();
    let agent = Agent::start("");
    // A parent of 200 and 200 parents of one in each, and in the last one deep below.
    let below = Cgroup::new(&format!("system.slice/{}/a/b/c", name(19)));
    for cgroup in cgroups[..19].iter().chain([&below]) {
        let truth = run_in(cgroup, &["load", "--parents", "1", "--count", "200"]);
        assert_eq!(truth["deaths"], 400);
    }
    for number in 0..20 {
        let name = name(number);
        let unit = [("kind", "unit"), ("workload", name.as_str())];
        for (metric, expected) in [
            ("reapwatch_children_forked_total", 400.0),
            ("reapwatch_children_exited_total", 400.0),
            ("reapwatch_children_reaped_total", 400.0),
            ("reapwatch_reap_latency_seconds_count", 400.0),
            ("reapwatch_teardown_seconds_count", 400.0),
            ("reapwatch_children_abandoned_total", 0.0),
        ] {
            agent.until_value(metric, &unit, expected);
        }
    }
}

#[test]
fn a_container_is_told_by_its_id_and_what_lies_below_it_is_not_believed() {
    let id = "ee40841f79d52f66f4958c8a484bd2dfb453228874dcca1a3f2ec6e8420ec87c";
    let lying = Cgroup::new(&format!("docker/{id}/system.slice/sshd.service"));
    let agent = Agent::start("");
    run_in(&lying, &["storm", "--count", "50", "--hold-ms", "6000"]);
    let container = [("kind", "container"), ("workload", id), ("runtime", "docker")];
    agent.until_value("reapwatch_children_exited_total", &container, 50.0);
    assert_eq!(agent.value("reapwatch_children_exited_total", &[("workload", "sshd.service")]), None);
}

#[test]
fn promtool_finds_nothing_wrong_also_with_a_hostile_name() {
    let agent = Agent::start("");
    let directory = tempfile::tempdir().expect("a directory");
    let evil = directory.path().join("a\"} 1\nup 7\n#\\");
    std::os::unix::fs::symlink(workload(), &evil).expect("a link");
    let mut command = Command::new(&evil);
    command.args(["leak-all", "--count", "3", "--hold-ms", "30000"]);
    let _leaker = Telling::start_command(command);
    let page = until("it is told of", || {
        Some(agent.page()).filter(|page| page.contains("reapwatch_leak_info{") && page.contains("up 7"))
    });
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    promtool.stdin.take().expect("piped").write_all(page.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("our own child");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}\n{page}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!page.lines().any(|line| line.starts_with("up ")), "{page}");
}

#[test]
fn both_formats_say_the_same() {
    let agent = Agent::start("");
    let (_, open_metrics) = get(agent.port, "/metrics", "application/openmetrics-text").expect("an answer");
    assert!(open_metrics.ends_with("# EOF\n"));
    for name in ["reapwatch_children_forked_total", "reapwatch_cpu_seconds_total", "reapwatch_build_info"] {
        for page in [&open_metrics, &agent.page()] {
            assert!(page.lines().any(|line| line.starts_with(name)), "{name} is not in {page}");
        }
    }
}
