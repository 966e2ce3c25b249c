//! The pages, by what is in them, and what hostile names cannot do to them.

use super::*;
use crate::report::{
    CauseKind, Lost, Rfc3339, WorkloadKind,
    metrics::{AlertCounts, SinkDrops, WorkloadCounts},
};

fn workload(name: &str) -> Workload {
    Workload { kind: WorkloadKind::Unit, name: name.to_owned().into(), container: None, runtime: None }
}

fn of_workload(workload: Workload, number: u64) -> WorkloadMetrics {
    let mut reap_latency = Buckets { sum_ns: 1_500_000_000, ..Buckets::default() };
    reap_latency.counts[0] = 3;
    reap_latency.counts[7] = number;
    WorkloadMetrics {
        workload,
        since: Rfc3339::new(),
        counts: WorkloadCounts { forked: number, exited: number, reaped: 5, ..WorkloadCounts::default() },
        reap_latency,
        teardown: Buckets::default(),
        unreaped: 2,
        oldest_unreaped_ns: 41_500_000_000,
    }
}

fn metrics(workloads: Vec<WorkloadMetrics>, parents: Vec<FlaggedParent>) -> Arc<Metrics> {
    Arc::new(Metrics {
        since: Rfc3339::new(),
        time: Rfc3339::new(),
        stale_after_ns: u64::MAX,
        workloads,
        parents,
        parents_beyond_limit: 4,
        pids: Vec::new(),
        pids_beyond_limit: 0,
        lost: Lost { events: 7, ..Lost::default() },
        alerts: AlertCounts { sent: 9, ..AlertCounts::default() },
        sinks: vec![SinkDrops { sink: "/a".into(), no_room: 3, ..SinkDrops::default() }],
        cpu_ns: 1_250_000_000,
        resident_bytes: 9 << 20,
    })
}

fn parent(comm: &str) -> FlaggedParent {
    FlaggedParent {
        workload: workload("a.service"),
        pid: 42,
        comm: comm.into(),
        verdict: Verdict::NeverReaps,
        cause: Some(CauseKind::NeverWaits),
    }
}

fn text_of(metrics: &Arc<Metrics>) -> String {
    page(metrics, MetricsFormat::Text).expect("a String takes everything")
}

#[test]
fn the_page_has_what_was_counted() {
    let page = text_of(&metrics(
        vec![of_workload(workload("a.service"), 10), of_workload(Workload::SHORT_LIVED, 6)],
        vec![parent("python3")],
    ));
    for line in [
        "# TYPE reapwatch_reap_latency_seconds histogram",
        r#"reapwatch_reap_latency_seconds_bucket{le="6.5536e-05",kind="unit",workload="a.service"} 3"#,
        r#"reapwatch_reap_latency_seconds_bucket{le="1.073741824",kind="unit",workload="a.service"} 13"#,
        r#"reapwatch_reap_latency_seconds_bucket{le="+Inf",kind="unit",workload="a.service"} 13"#,
        r#"reapwatch_reap_latency_seconds_sum{kind="unit",workload="a.service"} 1.5"#,
        r#"reapwatch_reap_latency_seconds_count{kind="unit",workload="a.service"} 13"#,
        "# TYPE reapwatch_children_forked_total counter",
        r#"reapwatch_children_forked_total{kind="unit",workload="a.service"} 10"#,
        r#"reapwatch_children_forked_total{kind="other",workload="short_lived"} 6"#,
        r#"reapwatch_unreaped_children{kind="unit",workload="a.service"} 2"#,
        r#"reapwatch_oldest_unreaped_age_seconds{kind="unit",workload="a.service"} 41.5"#,
        r#"reapwatch_parent_verdict{kind="unit",workload="a.service",parent="python3",pid="42",verdict="never_reaps"} 1"#,
        r#"reapwatch_leak_info{kind="unit",workload="a.service",parent="python3",pid="42",cause="never_waits"} 1"#,
        r#"reapwatch_lost_total{reason="events"} 7"#,
        r#"reapwatch_alerts_total{outcome="sent"} 9"#,
        r#"reapwatch_sink_dropped_total{sink="/a",reason="no_room"} 3"#,
        "reapwatch_cpu_seconds_total 1.25",
        "reapwatch_resident_memory_bytes 9437184",
        "reapwatch_parents_beyond_limit 4",
    ] {
        assert!(page.lines().any(|one| sorted(one) == sorted(line)), "{line}\nis not in\n{page}");
    }
    assert!(
        !page.contains(r#"_seconds_count{kind="other""#),
        "of short-lived parents no latency is known: {page}"
    );
}

/// The labels of a line in one order.
fn sorted(line: &str) -> Vec<String> {
    let mut parts: Vec<String> = line.split(['{', '}', ',']).map(str::to_owned).collect();
    parts.sort();
    parts
}

#[test]
fn the_reference_has_every_metric_with_its_type() {
    let reference = include_str!("../../../docs/reference/metrics.md");
    let page = text_of(&metrics(vec![of_workload(workload("a.service"), 1)], vec![parent("x")]));
    let mut types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).peekable();
    assert!(types.peek().is_some());
    for (name, kind) in types {
        let row = format!("| `{name}` | {kind} |");
        assert!(
            reference.contains(&row),
            "docs/reference/metrics.md has no row that begins {row}: run `cargo xtask docs`"
        );
    }
}

#[test]
fn a_hostile_name_is_one_bounded_label_and_no_line_of_its_own() {
    let evil = "x\"} 1\nreapwatch_lost_total{reason=\"events\"} 999\\\u{1b}[2J\u{202e}";
    let program = |name: &str| Workload { kind: WorkloadKind::Program, ..workload(name) };
    let long = "é".repeat(5_000);
    for format in [MetricsFormat::Text, MetricsFormat::OpenMetrics] {
        let harmless = page(&metrics(vec![of_workload(program("7:/x"), 1)], vec![parent("x")]), format);
        let harmless = harmless.expect("a page");
        for name in [evil, &long] {
            let page = page(&metrics(vec![of_workload(program(name), 1)], vec![parent(name)]), format);
            let page = page.expect("a page");
            assert_eq!(page.lines().count(), harmless.lines().count(), "{page}");
            assert!(!page.contains(['\u{1b}', '\u{202e}']), "{page}");
            assert!(page.lines().all(|line| line.len() < 4_096));
            let lines: Vec<&str> = page
                .lines()
                .filter(|line| line.contains("reapwatch_lost_total{reason=\"events\"}"))
                .collect();
            assert_eq!(lines, ["reapwatch_lost_total{reason=\"events\"} 7"]);
        }
    }
}

#[test]
fn open_metrics_is_given_to_who_likes_it_best() {
    let prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, expected) in [
        (prometheus, MetricsFormat::OpenMetrics),
        ("", MetricsFormat::Text),
        ("*/*", MetricsFormat::Text),
        ("text/html,*/*;q=0.8", MetricsFormat::Text),
        ("application/openmetrics-text;q=0.1, text/plain", MetricsFormat::Text),
        ("application/openmetrics-text;q=0", MetricsFormat::Text),
        ("application/openmetrics-text;q=nonsense", MetricsFormat::OpenMetrics),
    ] {
        assert_eq!(MetricsFormat::accepted(accept), expected, "{accept}");
    }
    let page = page(&metrics(Vec::new(), Vec::new()), MetricsFormat::OpenMetrics).expect("a page");
    assert!(page.ends_with("# EOF\n"), "{page}");
}

#[test]
fn limits_on_processes_have_their_use_and_the_interval_of_the_forecast() {
    let limit = |name: &str, exhausted_in| PidLimit {
        scope: crate::report::pids::PidScope::Cgroup,
        name: name.into(),
        used: 7,
        limit: 10,
        zombies: Some(3),
        most_zombies: None,
        refused: Some(2),
        growth: None,
        has_too_few_readings: false,
        exhausted_in,
    };
    let ends = |latest_ns| Some(crate::report::pids::ExhaustedIn { earliest_ns: 1_500_000_000, latest_ns });
    let mut all = Arc::unwrap_or_clone(metrics(Vec::new(), Vec::new()));
    all.pids =
        vec![limit("/a\n\u{202e}", ends(Some(2_000_000_000))), limit("/b", ends(None)), limit("/c", None)];
    all.pids_beyond_limit = 9;
    let page = text_of(&Arc::new(all));
    for line in [
        "reapwatch_pids_used{scope=\"cgroup\",name=\"/b\"} 7",
        "reapwatch_pids_limit{scope=\"cgroup\",name=\"/b\"} 10",
        "reapwatch_pids_zombies{scope=\"cgroup\",name=\"/b\"} 3",
        "reapwatch_pids_forks_refused_total{scope=\"cgroup\",name=\"/b\"} 2",
        "reapwatch_pids_exhausted_in_seconds{scope=\"cgroup\",name=\"/b\",bound=\"earliest\"} 1.5",
        "reapwatch_pids_exhausted_in_seconds{scope=\"cgroup\",name=\"/b\",bound=\"latest\"} +Inf",
        "reapwatch_pids_beyond_limit 9",
    ] {
        assert!(page.lines().any(|one| one == line), "{line}: {page}");
    }
    assert!(page.contains("name=\"/a\\\\x0a\\\\u{202e}\",bound=\"latest\"} 2"), "{page}");
    assert_eq!(page.matches("bound=").count(), 4, "no growth, no forecast");
}
