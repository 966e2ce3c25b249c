//! All metrics of the agent, read off a page of them that the agent's own code writes.
//!
//! Must not know a metric.

use std::{collections::BTreeSet, sync::Arc};

use probe::{
    render::metrics_text::{self, MetricsFormat},
    report::{
        CauseKind, Lost, Rfc3339, Verdict, Workload, WorkloadKind,
        metrics::{AlertCounts, Buckets, FlaggedParent, Metrics, SinkDrops, WorkloadCounts, WorkloadMetrics},
        pids::{ExhaustedIn, PidLimit, PidScope},
    },
};

use super::{WRITTEN, cell};
use crate::shell::Outcome;

/// One metric: type, help, labels in their order.
struct Row<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    labels: Vec<&'a str>,
}

/// The page.
pub fn page() -> Outcome<String> {
    let text = metrics_text::page(&Arc::new(sample()), MetricsFormat::Text)
        .map_err(|error| format!("cannot write metrics: {error}"))?;
    let mut out = format!(
        "# Metrics\n\n{WRITTEN}\n\nWhat `reapwatch agent` serves on `/metrics`, with the help text that the page itself has. \
         [The agent](../agent.md#metrics) says how they are to be read.\n\n| Metric | Type | Labels | Help |\n|---|---|---|---|\n"
    );
    for row in rows(&text)? {
        let labels: Vec<String> = row.labels.iter().map(|label| format!("`{label}`")).collect();
        out.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            row.name,
            row.kind,
            labels.join(", "),
            cell(row.help)
        ));
    }
    Ok(out)
}

fn rows(text: &str) -> Outcome<Vec<Row<'_>>> {
    let mut rows = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').ok_or_else(|| format!("a metric without help: {line}"))?;
        let kind = text
            .lines()
            .find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '))
            .ok_or_else(|| format!("{name} has no type"))?;
        let series = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| ["{", " ", "_bucket{"].iter().any(|next| rest.starts_with(next)))
        });
        let mut seen = BTreeSet::new();
        let mut labels = Vec::new();
        let mut has_series = false;
        for line in series {
            has_series = true;
            let inner = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
            for pair in inner.map_or("", |(inner, _)| inner).split(',') {
                let Some((label, _)) = pair.split_once('=') else { continue };
                if seen.insert(label) {
                    labels.push(label);
                }
            }
        }
        if !has_series {
            return Err(format!("the sample has no series of {name}, so its labels are not known"));
        }
        rows.push(Row { name, kind, help, labels });
    }
    if rows.is_empty() { Err("no metrics were found".into()) } else { Ok(rows) }
}

/// One of everything.
fn sample() -> Metrics {
    let workload = || Workload {
        kind: WorkloadKind::Pod,
        name: "p".into(),
        container: Some("c".into()),
        runtime: Some("containerd"),
    };
    Metrics {
        since: Rfc3339::new(),
        time: Rfc3339::new(),
        stale_after_ns: u64::MAX,
        workloads: vec![WorkloadMetrics {
            workload: workload(),
            since: Rfc3339::new(),
            counts: WorkloadCounts::default(),
            reap_latency: Buckets::default(),
            teardown: Buckets::default(),
            unreaped: 0,
            oldest_unreaped_ns: 0,
        }],
        parents: vec![FlaggedParent {
            workload: workload(),
            pid: 1,
            comm: "x".into(),
            verdict: Verdict::NeverReaps,
            cause: Some(CauseKind::NeverWaits),
        }],
        parents_beyond_limit: 0,
        pids: vec![PidLimit {
            scope: PidScope::Cgroup,
            name: "/x".into(),
            used: 1,
            limit: 2,
            zombies: Some(0),
            most_zombies: None,
            refused: Some(0),
            growth: None,
            has_too_few_readings: false,
            exhausted_in: Some(ExhaustedIn { earliest_ns: 0, latest_ns: None }),
        }],
        pids_beyond_limit: 0,
        lost: Lost::default(),
        alerts: AlertCounts::default(),
        sinks: vec![SinkDrops { sink: "x".into(), ..SinkDrops::default() }],
        cpu_ns: 0,
        resident_bytes: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_row_with_its_labels() {
        let page = page().expect("a page");
        for row in [
            "| `reapwatch_leak_info` | gauge | `kind`, `workload`, `container`, `runtime`, `parent`, `pid`, `cause` |",
            "| `reapwatch_lost_total` | counter | `reason` |",
            "| `reapwatch_resident_memory_bytes` | gauge |  |",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
        assert!(rows("# HELP x h\n# TYPE x gauge\n").is_err(), "without a series the labels are not known");
    }
}
