//! What is sent, read with OpenTelemetry's own types.

use std::{collections::BTreeSet, sync::Arc};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest,
        metrics::v1::{
            ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{AggregationTemporality, Metric, metric::Data, number_data_point::Value as Number},
};
use prost::Message;

use super::*;
use crate::{
    render::metrics_text::{MetricsFormat, page},
    report::{
        Verdict, WorkloadKind,
        metrics::{BOUNDS_NS, FlaggedParent, Metrics, SinkDrops, WorkloadMetrics},
        pids::{ExhaustedIn, PidLimit, PidScope},
        sample,
    },
};

const HOUR_NS: u64 = 3_600_000_000_000;
/// 2026-01-01.
const NEW_YEAR_NS: u64 = 1_767_225_600_000_000_000;

fn origin() -> Origin {
    Origin { host_name: "node-1".into(), machine_id: "0123456789abcdef0123456789abcdef".into(), pid: 7 }
}

fn workload(kind: WorkloadKind, name: &str) -> Workload {
    Workload { kind, name: name.to_owned().into(), container: None, runtime: None }
}

fn some_metrics() -> Metrics {
    let mut one = WorkloadMetrics {
        workload: workload(WorkloadKind::Unit, "a.service"),
        since: Rfc3339::from("2026-01-01T01:00:00.000000000Z").expect("it fits"),
        counts: Default::default(),
        reap_latency: Default::default(),
        teardown: Default::default(),
        unreaped: 2,
        oldest_unreaped_ns: 41_500_000_000,
    };
    one.counts.forked = 10;
    one.reap_latency.counts[0] = 3;
    one.reap_latency.counts[13] = 4;
    one.reap_latency.sum_ns = 1_500_000_000;
    let short_lived = WorkloadMetrics { workload: Workload::SHORT_LIVED, ..one.clone() };
    let parent = FlaggedParent {
        workload: one.workload.clone(),
        pid: 42,
        comm: "python3".into(),
        verdict: Verdict::NeverReaps,
        cause: None,
    };
    Metrics {
        workloads: vec![one, short_lived],
        parents: vec![parent],
        pids: vec![PidLimit {
            scope: PidScope::Cgroup,
            name: "/a".into(),
            used: 7,
            limit: 10,
            zombies: Some(3),
            most_zombies: None,
            refused: Some(1),
            growth: None,
            has_too_few_readings: false,
            exhausted_in: Some(ExhaustedIn { earliest_ns: HOUR_NS, latest_ns: None }),
        }],
        sinks: vec![SinkDrops { sink: "/a".into(), no_room: 3, ..SinkDrops::default() }],
        cpu_ns: 1_250_000_000,
        ..sample::metrics()
    }
}

fn sent(from: &Metrics) -> Vec<Metric> {
    let request = ExportMetricsServiceRequest::decode(&*metrics(from, &origin())).expect("OTLP");
    let of_resource = &request.resource_metrics[0];
    let attributes = &of_resource.resource.as_ref().expect("a resource").attributes;
    for (key, value) in [
        ("service.name", "reapwatch"),
        ("host.name", "node-1"),
        ("host.id", "0123456789abcdef0123456789abcdef"),
    ] {
        assert_eq!(attribute(attributes, key), Some(value.into()));
    }
    of_resource.scope_metrics[0].metrics.clone()
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

fn named<'a>(all: &'a [Metric], name: &str) -> &'a Metric {
    all.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn counts_are_cumulative_since_they_began() {
    let all = sent(&some_metrics());
    let Some(Data::Sum(forked)) = &named(&all, "reapwatch.children.forked").data else { panic!("a sum") };
    assert!(forked.is_monotonic);
    assert_eq!(forked.aggregation_temporality(), AggregationTemporality::Cumulative);
    let point = &forked.data_points[0];
    assert_eq!(point.value, Some(Number::AsInt(10)));
    assert_eq!(
        (point.start_time_unix_nano, point.time_unix_nano),
        (NEW_YEAR_NS + HOUR_NS, NEW_YEAR_NS + 2 * HOUR_NS)
    );
    assert_eq!(attribute(&point.attributes, "reapwatch.workload.name"), Some("a.service".into()));
    let Some(Data::Sum(cpu)) = &named(&all, "reapwatch.cpu").data else { panic!("a sum") };
    assert_eq!(cpu.data_points[0].value, Some(Number::AsDouble(1.25)));
    assert_eq!(cpu.data_points[0].start_time_unix_nano, NEW_YEAR_NS);
    let Some(Data::Gauge(unreaped)) = &named(&all, "reapwatch.unreaped_children").data else {
        panic!("a gauge")
    };
    assert_eq!(
        (&unreaped.data_points[0].value, unreaped.data_points[0].start_time_unix_nano),
        (&Some(Number::AsInt(2)), 0)
    );
}

#[test]
fn histograms_have_the_bounds_of_prometheus_and_all_that_was_counted() {
    let all = sent(&some_metrics());
    let metric = named(&all, "reapwatch.reap_latency");
    let Some(Data::Histogram(latency)) = &metric.data else { panic!("a histogram") };
    assert_eq!((metric.unit.as_str(), latency.data_points.len()), ("s", 1), "short_lived has none");
    assert_eq!(latency.aggregation_temporality(), AggregationTemporality::Cumulative);
    let point = &latency.data_points[0];
    let bounds: Vec<f64> = BOUNDS_NS.iter().map(|bound_ns| *bound_ns as f64 / 1e9).collect();
    assert_eq!((&point.explicit_bounds, point.bucket_counts.len()), (&bounds, bounds.len() + 1));
    assert_eq!((point.count, point.sum), (7, Some(1.5)));
    assert_eq!((point.bucket_counts[0], point.bucket_counts[13]), (3, 4));
}

/// The name that Prometheus gives it: dots are underscores, then the unit, then `_total`.
fn in_prometheus(metric: &Metric) -> String {
    let unit = match metric.unit.as_str() {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    let total = if matches!(metric.data, Some(Data::Sum(_))) { "_total" } else { "" };
    format!("{}{unit}{total}", metric.name.replace('.', "_"))
}

#[test]
fn prometheus_gives_each_the_name_that_it_has_on_the_page_and_none_is_missing() {
    let from = some_metrics();
    let sent: BTreeSet<String> = sent(&from).iter().map(in_prometheus).collect();
    let page = page(&Arc::new(from), MetricsFormat::Text).expect("a page");
    let on_page: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(sent, on_page);
}

#[test]
fn workloads_have_the_attributes_of_the_semantic_conventions() {
    let id = "ee40841f79d52f66f4958c8a484bd2dfb453228874dcca1a3f2ec6e8420ec87c";
    let of = |workload: Workload| {
        let bytes = logs(&[Arc::new(about(workload))], &origin());
        let request = ExportLogsServiceRequest::decode(&*bytes).expect("OTLP");
        request.resource_logs[0].scope_logs[0].log_records[0].attributes.clone()
    };
    let docker = of(Workload { runtime: Some("docker"), ..workload(WorkloadKind::Container, id) });
    assert_eq!(attribute(&docker, "container.id"), Some(id.into()));
    assert_eq!(attribute(&docker, "container.runtime.name"), Some("docker".into()));
    let lxc = of(Workload { runtime: Some("lxc"), ..workload(WorkloadKind::Container, "web") });
    assert_eq!(
        (attribute(&lxc, "container.name"), attribute(&lxc, "container.id")),
        (Some("web".into()), None)
    );
    let pod = of(Workload { container: Some(id.into()), ..workload(WorkloadKind::Pod, "uid-1") });
    assert_eq!(attribute(&pod, "k8s.pod.uid"), Some("uid-1".into()));
    assert_eq!(attribute(&pod, "container.id"), Some(id.into()));
}

fn about(workload: Workload) -> crate::report::alert::Alert {
    let mut alert = sample::leak("python3", "python3 leaves\n100 dead children");
    if let Some(parent) = &mut alert.parent {
        parent.workload = Some(workload);
    }
    alert
}

#[test]
fn an_alert_is_a_log_record_with_what_it_is_about() {
    let alerts = [Arc::new(sample::leak("python3", "python3 leaves\n100 dead children"))];
    let request = ExportLogsServiceRequest::decode(&*logs(&alerts, &origin())).expect("OTLP");
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (NEW_YEAR_NS, NEW_YEAR_NS));
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
    assert_eq!(record.event_name, "reapwatch.leak.found");
    let body = record.body.as_ref().and_then(|body| body.value.clone());
    assert_eq!(body, Some(Value::StringValue("python3 leaves\\x0a100 dead children".into())));
    for (key, value) in [
        ("process.pid", "4242"),
        ("process.executable.name", "python3"),
        ("reapwatch.workload.kind", "unit"),
        ("reapwatch.cause", "never_waits"),
    ] {
        assert_eq!(attribute(&record.attributes, key), Some(value.into()), "{key}");
    }
}

#[test]
fn what_was_refused_in_part_is_read_from_the_answer() {
    assert_eq!(refused(&[]), Ok(None));
    let partial = ExportMetricsPartialSuccess { rejected_data_points: 3, error_message: "too\nold".into() };
    let answer = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    assert_eq!(refused(&answer), Ok(Some((3, "too\\x0aold".into()))));
    assert!(refused(b"<html>").is_err());
}
