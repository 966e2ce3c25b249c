//! What the cells of a row say, of a parent and of a workload alike.
//!
//! Must not know columns or colours.

use super::{
    ParentId, Table,
    order::{Group, Row},
};
use crate::{
    render::terminal::escape,
    report::{
        Parent, Report, Verdict, Workload, WorkloadKind,
        words::{called, count, duration},
    },
};

/// As many characters of a container's id as its tools show.
const CONTAINER_ID_SHOWN: usize = 12;

/// What a row says.
#[derive(Clone, Debug)]
pub struct Facts {
    pub verdict: Verdict,
    pub is_alive: bool,
    pub pid: String,
    pub who: String,
    /// The short name, and all arguments.
    pub name: String,
    pub command: String,
    pub left: u64,
    pub oldest: String,
    pub per_second: Option<f64>,
    /// Its levels, in as many columns as are asked for.
    pub trend: Option<ParentId>,
    pub p50: String,
    pub p99: String,
    pub cause: String,
}

impl Facts {
    pub fn of(table: &Table, report: &Report, row: &Row) -> Self {
        match row {
            Row::Parent(place) => of_parent(table, &report.parents[*place]),
            Row::Workload(group) => of_group(table, report, group),
        }
    }
}

fn of_parent(table: &Table, parent: &Parent) -> Facts {
    let latency = &parent.reap_latency;
    let quantile = |ns: Option<u64>| match ns.filter(|_| latency.count > 0) {
        Some(ns) => duration(ns),
        None => "-".into(),
    };
    let id = ParentId::of(parent);
    Facts {
        verdict: parent.verdict,
        is_alive: parent.alive,
        pid: parent.pid.to_string(),
        who: who(parent),
        name: escape(called(&parent.comm)),
        command: command(parent),
        left: parent.ledger.left(),
        oldest: oldest(parent),
        per_second: table.histories.get(&id).and_then(super::History::per_second),
        trend: Some(id),
        p50: quantile(latency.p50_ns),
        p99: quantile(latency.p99_ns),
        cause: cause(parent),
    }
}

fn of_group(table: &Table, report: &Report, group: &Group) -> Facts {
    let members = || group.members.iter().map(|place| &report.parents[*place]);
    let worst = members().max_by_key(|parent| (parent.verdict, parent.ledger.left()));
    let eldest =
        members().filter(|parent| parent.ledger.left() > 0).max_by_key(|parent| parent.oldest_unreaped_ns);
    let rates: Vec<f64> = members()
        .filter_map(|parent| table.histories.get(&ParentId::of(parent)))
        .filter_map(super::History::per_second)
        .collect();
    let slowest = members().filter_map(|parent| parent.reap_latency.p99_ns).max();
    let parents = count(group.members.len() as u64);
    Facts {
        verdict: worst.map_or(Verdict::Healthy, |parent| parent.verdict),
        is_alive: members().any(|parent| parent.alive),
        pid: format!("×{parents}"),
        who: workload_name(group.workload.as_ref()),
        name: worst.map(|parent| escape(called(&parent.comm))).unwrap_or_default(),
        command: worst.map(command).unwrap_or_default(),
        left: members().fold(0, |sum, parent| sum.saturating_add(parent.ledger.left())),
        oldest: eldest.map_or_else(|| "-".into(), oldest),
        per_second: (!rates.is_empty()).then(|| rates.iter().sum()),
        trend: None,
        p50: "-".into(),
        p99: slowest.filter(|ns| *ns > 0).map_or_else(|| "-".into(), duration),
        cause: worst.map(cause).unwrap_or_default(),
    }
}

fn oldest(parent: &Parent) -> String {
    match parent.ledger.left() {
        0 => "-".into(),
        _ => {
            format!(
                "{}{}",
                if parent.oldest_at_least { "≥" } else { "" },
                duration(parent.oldest_unreaped_ns)
            )
        }
    }
}

fn cause(parent: &Parent) -> String {
    let words: Vec<&str> = parent.causes.iter().map(|cause| cause.kind.words()).collect();
    words.join(", ")
}

/// The program without its directory, and its arguments.
fn command(parent: &Parent) -> String {
    let Some((program, arguments)) = parent.command_line.split_first() else {
        return escape(called(&parent.comm));
    };
    let program = program.rsplit('/').next().unwrap_or(program);
    let all: Vec<&str> = std::iter::once(program).chain(arguments.iter().map(String::as_str)).collect();
    escape(&all.join(" "))
}

/// The workload of a parent; without one, the unit stands in for it.
pub fn workload_of(parent: &Parent) -> Option<Workload> {
    parent.workload.clone().or_else(|| {
        let name = parent.unit.clone()?;
        Some(Workload { kind: WorkloadKind::Unit, name: name.into(), container: None, runtime: None })
    })
}

/// Unit, container or user of a parent.
pub fn who(parent: &Parent) -> String {
    workload_name(workload_of(parent).as_ref())
}

/// A workload in few words.
pub fn workload_name(workload: Option<&Workload>) -> String {
    let Some(workload) = workload else { return "-".into() };
    let short = |id: &str| id.chars().take(CONTAINER_ID_SHOWN).collect::<String>();
    let text = match workload.kind {
        WorkloadKind::Unit | WorkloadKind::Other => workload.name.to_string(),
        WorkloadKind::Container => {
            format!("{} {}", workload.runtime.unwrap_or("container"), short(&workload.name))
        }
        WorkloadKind::Pod => match &workload.container {
            Some(container) => format!("pod {} {}", short(&workload.name), short(container)),
            None => format!("pod {}", short(&workload.name)),
        },
        WorkloadKind::Session => format!("user {}", workload.name),
        WorkloadKind::Program => {
            let (user, path) = workload.name.split_once(':').unwrap_or(("?", &workload.name));
            format!("{} (uid {user})", path.rsplit('/').next().unwrap_or(path))
        }
    };
    escape(&text)
}
