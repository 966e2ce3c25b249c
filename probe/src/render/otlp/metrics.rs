//! Metrics as one request.
//!
//! Owns the names of the metrics, which are stable: Prometheus makes of each the name that it has on the page of metrics. Must not
//! know who receives them.

use prost::Message;

use super::{
    SCHEMA_URL, epoch_ns, of_workload,
    proto::{
        CUMULATIVE, Data, ExportMetrics, Gauge, Histogram, HistogramPoint, KeyValue, Metric, Number,
        NumberPoint, ResourceMetrics, ScopeMetrics, Sum,
    },
    resource, scope, signed, text, whole,
};
use crate::{
    render::{label, seconds, snake_case},
    report::{
        Rfc3339, Verdict, Workload,
        metrics::{BOUNDS_NS, Buckets, FlaggedParent, Metrics, WorkloadMetrics},
        origin::Origin,
        pids::PidLimit,
    },
};

/// The request.
pub fn metrics(metrics: &Metrics, origin: &Origin) -> Vec<u8> {
    let of_scope = ScopeMetrics { scope: Some(scope()), metrics: all(metrics) };
    let of_resource = ResourceMetrics {
        resource: Some(resource(origin)),
        scope_metrics: vec![of_scope],
        schema_url: SCHEMA_URL.into(),
    };
    ExportMetrics { resource_metrics: vec![of_resource] }.encode_to_vec()
}

const CHILDREN: &str = "{child}";

type Count = fn(&WorkloadMetrics) -> u64;

/// Each counter of a workload.
const COUNTS: [(&str, Count); 6] = [
    ("reapwatch.children.forked", |one| one.counts.forked),
    ("reapwatch.children.exited", |one| one.counts.exited),
    ("reapwatch.children.reaped", |one| one.counts.reaped),
    ("reapwatch.children.autoreaped", |one| one.counts.autoreaped),
    ("reapwatch.children.adopted", |one| one.counts.adopted),
    ("reapwatch.children.abandoned", |one| one.counts.abandoned),
];

fn all(metrics: &Metrics) -> Vec<Metric> {
    let time_ns = epoch_ns(&metrics.time);
    let since_ns = epoch_ns(&metrics.since);
    let workloads = &metrics.workloads;
    let mut all = vec![
        histogram("reapwatch.reap_latency", workloads, time_ns, |one| &one.reap_latency),
        histogram("reapwatch.teardown", workloads, time_ns, |one| &one.teardown),
    ];
    for (name, count) in COUNTS {
        let points = workloads.iter().map(|one| Point {
            since: Some(epoch_ns(&one.since)),
            number: Number::Whole(signed(count(one))),
            attributes: of_workload(&one.workload),
        });
        all.push(sum(name, CHILDREN, time_ns, points));
    }
    all.push(gauge(
        "reapwatch.unreaped_children",
        CHILDREN,
        time_ns,
        workloads
            .iter()
            .map(|one| Point::now(Number::Whole(signed(one.unreaped)), of_workload(&one.workload))),
    ));
    all.push(gauge(
        "reapwatch.oldest_unreaped_age",
        "s",
        time_ns,
        workloads
            .iter()
            .map(|one| Point::now(Number::Real(seconds(one.oldest_unreaped_ns)), of_workload(&one.workload))),
    ));
    all.extend(of_parents(metrics, time_ns));
    all.extend(of_limits(metrics, time_ns));
    all.extend(own(metrics, since_ns, time_ns));
    all.retain(|metric| !is_empty(metric));
    all
}

/// Those that are not healthy.
fn of_parents(metrics: &Metrics, time_ns: u64) -> [Metric; 3] {
    let point = |parent: &FlaggedParent, key: &str, value: String| {
        let mut attributes = of_workload(&parent.workload);
        attributes.push(text("process.executable.name", label(&parent.comm)));
        attributes.push(whole("process.pid", parent.pid.into()));
        attributes.push(text(key, value));
        Point::now(Number::Whole(1), attributes)
    };
    let verdicts =
        metrics.parents.iter().map(|parent| point(parent, "reapwatch.verdict", snake_case(&parent.verdict)));
    let leaks = metrics.parents.iter().filter(|parent| parent.verdict >= Verdict::Leaking).map(|parent| {
        let cause = parent.cause.map_or_else(String::new, |cause| snake_case(&cause));
        point(parent, "reapwatch.cause", cause)
    });
    let more = Point::now(Number::Whole(signed(metrics.parents_beyond_limit)), Vec::new());
    [
        gauge("reapwatch.parent_verdict", "{parent}", time_ns, verdicts),
        gauge("reapwatch.leak_info", "{parent}", time_ns, leaks),
        gauge("reapwatch.parents_beyond_limit", "{parent}", time_ns, [more]),
    ]
}

/// How near the limits on processes are.
fn of_limits(metrics: &Metrics, time_ns: u64) -> [Metric; 6] {
    let limits = &metrics.pids;
    let of = |limit: &PidLimit| vec![text("scope", limit.scope.name()), text("name", label(&limit.name))];
    let count = |limit: &PidLimit, count: u64| Point::now(Number::Whole(signed(count)), of(limit));
    let ends = limits.iter().filter_map(|limit| Some((limit, limit.exhausted_in?)));
    let ends = ends.flat_map(|(limit, ends)| {
        ends.bounds_s().map(|(bound, at_s)| {
            let mut attributes = of(limit);
            attributes.push(text("bound", bound));
            Point::now(Number::Real(at_s), attributes)
        })
    });
    // Since the cgroup was made, which is not known.
    let refused = limits.iter().filter_map(|limit| Some(count(limit, limit.refused?)));
    let more = Point::now(Number::Whole(signed(metrics.pids_beyond_limit)), Vec::new());
    let processes = "{process}";
    [
        gauge("reapwatch.pids_used", processes, time_ns, limits.iter().map(|limit| count(limit, limit.used))),
        gauge(
            "reapwatch.pids_limit",
            processes,
            time_ns,
            limits.iter().map(|limit| count(limit, limit.limit)),
        ),
        gauge(
            "reapwatch.pids_zombies",
            processes,
            time_ns,
            limits.iter().filter_map(|limit| Some(count(limit, limit.zombies?))),
        ),
        sum("reapwatch.pids_forks_refused", "{fork}", time_ns, refused),
        gauge("reapwatch.pids_exhausted_in", "s", time_ns, ends),
        gauge("reapwatch.pids_beyond_limit", "{limit}", time_ns, [more]),
    ]
}

/// What was lost, and what the agent itself does and costs.
fn own(metrics: &Metrics, since_ns: u64, time_ns: u64) -> Vec<Metric> {
    let counted = |attributes: Vec<KeyValue>, count: u64| Point {
        since: Some(since_ns),
        number: Number::Whole(signed(count)),
        attributes,
    };
    let lost = metrics.lost.by_reason().map(|(reason, count)| counted(vec![text("reason", reason)], count));
    let alerts =
        metrics.alerts.by_outcome().map(|(outcome, count)| counted(vec![text("outcome", outcome)], count));
    let dropped = metrics.sinks.iter().flat_map(|one| {
        one.by_reason().map(|(reason, count)| {
            counted(vec![text("sink", label(&one.sink)), text("reason", reason)], count)
        })
    });
    let cpu = Point {
        since: Some(since_ns),
        number: Number::Real(seconds(metrics.cpu_ns)),
        attributes: Vec::new(),
    };
    let memory = Point::now(Number::Whole(signed(metrics.resident_bytes)), Vec::new());
    vec![
        sum("reapwatch.lost", "{input}", time_ns, lost),
        sum("reapwatch.alerts", "{alert}", time_ns, alerts),
        sum("reapwatch.sink_dropped", "{delivery}", time_ns, dropped),
        sum("reapwatch.cpu", "s", time_ns, [cpu]),
        gauge("reapwatch.resident_memory", "By", time_ns, [memory]),
        gauge(
            "reapwatch.build_info",
            "{build}",
            time_ns,
            [Point::now(Number::Whole(1), vec![text("version", super::VERSION)])],
        ),
    ]
}

/// A number with what it is of.
struct Point {
    /// When it began to be counted, in ns since the epoch; `None` where it is how things are now.
    since: Option<u64>,
    number: Number,
    attributes: Vec<KeyValue>,
}

impl Point {
    fn now(number: Number, attributes: Vec<KeyValue>) -> Self {
        Self { since: None, number, attributes }
    }

    fn at(self, time_ns: u64) -> NumberPoint {
        NumberPoint {
            start_time_unix_nano: self.since.unwrap_or(0),
            time_unix_nano: time_ns,
            value: Some(self.number),
            attributes: self.attributes,
        }
    }
}

fn sum(name: &str, unit: &str, time_ns: u64, points: impl IntoIterator<Item = Point>) -> Metric {
    let data_points = points.into_iter().map(|point| point.at(time_ns)).collect();
    metric(
        name,
        unit,
        Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true }),
    )
}

fn gauge(name: &str, unit: &str, time_ns: u64, points: impl IntoIterator<Item = Point>) -> Metric {
    let data_points = points.into_iter().map(|point| point.at(time_ns)).collect();
    metric(name, unit, Data::Gauge(Gauge { data_points }))
}

/// In seconds. The workload of short-lived parents has none: the kernel sums up only their counts.
fn histogram(
    name: &str,
    workloads: &[WorkloadMetrics],
    time_ns: u64,
    of: impl Fn(&WorkloadMetrics) -> &Buckets,
) -> Metric {
    let bounds: Vec<f64> = BOUNDS_NS.iter().map(|bound_ns| seconds(*bound_ns)).collect();
    let known = workloads.iter().filter(|one| one.workload != Workload::SHORT_LIVED);
    let data_points = known.map(|one| point(&one.workload, &one.since, time_ns, of(one), &bounds)).collect();
    metric(name, "s", Data::Histogram(Histogram { data_points, aggregation_temporality: CUMULATIVE }))
}

fn point(
    workload: &Workload,
    since: &Rfc3339,
    time_ns: u64,
    buckets: &Buckets,
    bounds: &[f64],
) -> HistogramPoint {
    HistogramPoint {
        start_time_unix_nano: epoch_ns(since),
        time_unix_nano: time_ns,
        count: buckets.count(),
        sum: Some(seconds(buckets.sum_ns)),
        bucket_counts: buckets.counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        attributes: of_workload(workload),
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.into(), description: String::new(), unit: unit.into(), data: Some(data) }
}

fn is_empty(metric: &Metric) -> bool {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.is_empty(),
        Some(Data::Sum(sum)) => sum.data_points.is_empty(),
        Some(Data::Histogram(histogram)) => histogram.data_points.is_empty(),
        None => true,
    }
}
