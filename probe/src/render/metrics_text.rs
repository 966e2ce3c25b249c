//! Metrics in the two text formats that Prometheus reads.
//!
//! Owns the names of metrics and labels, which are stable, and how hostile text becomes a label. Must not know who asks.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric, MetricEncoder, prometheus_text, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};

use super::{label, seconds, snake_case};
use crate::report::{
    Verdict, Workload,
    metrics::{BOUNDS_NS, Buckets, FlaggedParent, Metrics, WorkloadMetrics},
    pids::PidLimit,
};

/// Which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// The format that Prometheus has always read.
    Text,
    OpenMetrics,
}

impl MetricsFormat {
    /// As HTTP names it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What an Accept header asks for: OpenMetrics if that is what it likes best, by its weights.
    pub fn accepted(accept: &str) -> Self {
        let best = |media: &str| {
            let matching = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next()?;
                let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok());
                name.eq_ignore_ascii_case(media).then_some(weight.unwrap_or(1.0))
            });
            matching.fold(0.0, f64::max)
        };
        let open_metrics = best("application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= best("text/plain") { Self::OpenMetrics } else { Self::Text }
    }
}

/// The whole page.
pub fn page(metrics: &Arc<Metrics>, format: MetricsFormat) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(Arc::clone(metrics))));
    let mut page = String::new();
    match format {
        MetricsFormat::Text => prometheus_text::encode(&mut page, &registry)?,
        MetricsFormat::OpenMetrics => text::encode(&mut page, &registry)?,
    }
    Ok(page)
}

#[derive(Debug)]
struct Page(Arc<Metrics>);

type Labels = Vec<(&'static str, String)>;

impl Collector for Page {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &*self.0;
        let workloads = &metrics.workloads;
        histogram(
            &mut to,
            "reapwatch_reap_latency",
            "From zombie to reap: how long parents leave their dead children. Not of kind=\"other\", workload=\"short_lived\"",
            workloads,
            |one| &one.reap_latency,
        )?;
        histogram(
            &mut to,
            "reapwatch_teardown",
            "From exit to zombie: how long the kernel frees memory and files. Not of kind=\"other\", workload=\"short_lived\"",
            workloads,
            |one| &one.teardown,
        )?;
        for (name, help, count) in COUNTS {
            counter(&mut to, name, help, workloads.iter().map(|one| (labels(&one.workload), count(one))))?;
        }
        gauge(
            &mut to,
            ("reapwatch_unreaped_children", None),
            "Dead children that are not reaped now",
            workloads.iter().map(|one| (labels(&one.workload), one.unreaped)),
        )?;
        gauge(
            &mut to,
            ("reapwatch_oldest_unreaped_age", Some(&Unit::Seconds)),
            "How long the oldest of them has waited; 0 where there is none",
            workloads.iter().map(|one| (labels(&one.workload), seconds(one.oldest_unreaped_ns))),
        )?;
        gauge(
            &mut to,
            ("reapwatch_parent_verdict", None),
            "1 for each living parent that is not healthy, with the verdict on it; at most as many as workloads.max_parents",
            metrics.parents.iter().map(|parent| (parent_labels(parent, true), 1u64)),
        )?;
        gauge(
            &mut to,
            ("reapwatch_parents_beyond_limit", None),
            "How many more such parents there are",
            [(Labels::new(), metrics.parents_beyond_limit)],
        )?;
        leaks(&mut to, &metrics.parents)?;
        pids(&mut to, &metrics.pids, metrics.pids_beyond_limit)?;
        own(&mut to, metrics)
    }
}

type Count = fn(&WorkloadMetrics) -> u64;

/// Name, help and count of each counter of a workload.
const COUNTS: [(&str, &str, Count); 6] = [
    ("reapwatch_children_forked", "Children born, by their real parent at birth", |one| one.counts.forked),
    ("reapwatch_children_exited", "Children that died", |one| one.counts.exited),
    ("reapwatch_children_reaped", "Dead children that a wait call took away", |one| one.counts.reaped),
    (
        "reapwatch_children_autoreaped",
        "Dead children that the kernel took away at once, as the parent ignores SIGCHLD",
        |one| one.counts.autoreaped,
    ),
    ("reapwatch_children_adopted", "Zombies received from a parent that died", |one| one.counts.adopted),
    ("reapwatch_children_abandoned", "Zombies left behind by a parent that died", |one| one.counts.abandoned),
];

/// Each cause is a series of its own.
fn leaks(to: &mut DescriptorEncoder<'_>, parents: &[FlaggedParent]) -> fmt::Result {
    let help = "A living parent that leaks, and the strongest cause";
    let mut family = to.encode_descriptor("reapwatch_leak", help, None, MetricType::Info)?;
    for parent in parents.iter().filter(|parent| parent.verdict >= Verdict::Leaking) {
        let mut labels = parent_labels(parent, false);
        let cause = parent.cause.map_or_else(String::new, |cause| snake_case(&cause));
        labels.push(("cause", cause));
        Info::new(labels).encode(family.encode_family(&Labels::new())?)?;
    }
    Ok(())
}

/// How near the limits on processes are.
fn pids(to: &mut DescriptorEncoder<'_>, limits: &[PidLimit], beyond_limit: u64) -> fmt::Result {
    let of = |limit: &PidLimit| vec![("scope", limit.scope.name().to_owned()), ("name", label(&limit.name))];
    gauge(
        to,
        ("reapwatch_pids_used", None),
        "Processes and threads, zombies included, that count against a limit",
        limits.iter().map(|limit| (of(limit), limit.used)),
    )?;
    gauge(
        to,
        ("reapwatch_pids_limit", None),
        "How many there may be",
        limits.iter().map(|limit| (of(limit), limit.limit)),
    )?;
    gauge(
        to,
        ("reapwatch_pids_zombies", None),
        "Zombies among them; of a cgroup and of a user, those of the parents that were looked at",
        limits.iter().filter_map(|limit| Some((of(limit), limit.zombies?))),
    )?;
    counter(
        to,
        "reapwatch_pids_forks_refused",
        "Forks that the limit of a cgroup has made fail since the cgroup was made",
        limits.iter().filter_map(|limit| Some((of(limit), limit.refused?))),
    )?;
    let ends = limits.iter().filter_map(|limit| Some((limit, limit.exhausted_in?)));
    let bounds = ends.flat_map(|(limit, ends)| {
        ends.bounds_s().map(|(bound, at_s)| {
            let mut labels = of(limit);
            labels.push(("bound", bound.to_owned()));
            (labels, at_s)
        })
    });
    gauge(
        to,
        ("reapwatch_pids_exhausted_in", Some(&Unit::Seconds)),
        "When forks will fail if a limit fills up as it does now, with 95 % confidence; none where growth could be chance",
        bounds,
    )?;
    gauge(
        to,
        ("reapwatch_pids_beyond_limit", None),
        "How many more limits there are, and processes and cgroups that were not looked at",
        [(Labels::new(), beyond_limit)],
    )
}

/// What was lost, and what the agent itself does and costs.
fn own(to: &mut DescriptorEncoder<'_>, metrics: &Metrics) -> fmt::Result {
    counter(
        to,
        "reapwatch_lost",
        "Inputs that were lost, by reason: counts may be too low by as many",
        metrics.lost.by_reason().map(|(reason, count)| (vec![("reason", reason.to_owned())], count)),
    )?;
    counter(
        to,
        "reapwatch_alerts",
        "Alerts, by what became of them",
        metrics.alerts.by_outcome().map(|(outcome, count)| (vec![("outcome", outcome.to_owned())], count)),
    )?;
    let dropped = metrics.sinks.iter().flat_map(|one| {
        one.by_reason()
            .map(|(reason, count)| (vec![("sink", label(&one.sink)), ("reason", reason.to_owned())], count))
    });
    counter(to, "reapwatch_sink_dropped", "Deliveries that a sink has dropped, by reason", dropped)?;
    let help = "CPU time of the agent, without that of its programs in the kernel";
    let mut family =
        to.encode_descriptor("reapwatch_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
    ConstCounter::new(seconds(metrics.cpu_ns)).encode(family.encode_family(&Labels::new())?)?;
    gauge(
        to,
        ("reapwatch_resident_memory", Some(&Unit::Bytes)),
        "Resident memory of the agent",
        [(Labels::new(), metrics.resident_bytes)],
    )?;
    let mut family =
        to.encode_descriptor("reapwatch_build", "The running version", None, MetricType::Info)?;
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    Info::new(version).encode(family.encode_family(&Labels::new())?)
}

fn counter(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in all {
        ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauge(
    to: &mut DescriptorEncoder<'_>,
    (name, unit): (&str, Option<&Unit>),
    help: &str,
    all: impl IntoIterator<Item = (Labels, impl EncodeGaugeValue + Copy)>,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in all {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// In seconds. The workload of short-lived parents has none: the kernel sums up only their counts.
fn histogram(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    workloads: &[WorkloadMetrics],
    of: impl Fn(&WorkloadMetrics) -> &Buckets,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for one in workloads.iter().filter(|one| one.workload != Workload::SHORT_LIVED) {
        let labels = labels(&one.workload);
        encode_buckets(family.encode_family(&labels)?, of(one))?;
    }
    Ok(())
}

fn encode_buckets(mut to: MetricEncoder<'_>, buckets: &Buckets) -> fmt::Result {
    let bounds = BOUNDS_NS.iter().map(|bound_ns| seconds(*bound_ns)).chain([f64::INFINITY]);
    let counted: Vec<(f64, u64)> = bounds.zip(buckets.counts).collect();
    to.encode_histogram::<[(String, String); 0]>(seconds(buckets.sum_ns), buckets.count(), &counted, None)
}

/// The labels of a workload: the same ones in every series, so that they can be joined. A label that it has not is empty, which
/// to Prometheus is the same as none.
fn labels(workload: &Workload) -> Labels {
    let mut labels = vec![("kind", workload.kind.name().to_owned()), ("workload", label(&workload.name))];
    if let Some(container) = &workload.container {
        labels.push(("container", label(container)));
    }
    if let Some(runtime) = workload.runtime {
        labels.push(("runtime", runtime.to_owned()));
    }
    labels
}

fn parent_labels(parent: &FlaggedParent, with_verdict: bool) -> Labels {
    let mut labels = labels(&parent.workload);
    labels.push(("parent", label(&parent.comm)));
    labels.push(("pid", parent.pid.to_string()));
    if with_verdict {
        labels.push(("verdict", snake_case(&parent.verdict)));
    }
    labels
}

#[cfg(test)]
#[path = "metrics_text_tests.rs"]
mod tests;
