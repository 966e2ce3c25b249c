//! Which rows there are, and in which order.
//!
//! Must not judge: the report has its parents worst first.

use std::{cmp::Reverse, collections::HashMap};

use super::{Grouping, History, ParentId, facts};
use crate::report::{Parent, Report, Verdict, Workload, words};

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Living parents that are not healthy, the worst first; then dead ones; then the healthy; then dead ones that nobody can
    /// judge.
    #[default]
    Worst,
    /// Most unreaped children first.
    Left,
    /// The one whose oldest has waited the longest first.
    Oldest,
    /// The one that grows fastest first.
    Rate,
    /// The slowest first.
    P99,
    /// The lowest first.
    Pid,
    /// By the short name.
    Command,
}

impl Sort {
    const ALL: [Self; 7] =
        [Self::Worst, Self::Left, Self::Oldest, Self::Rate, Self::P99, Self::Pid, Self::Command];

    /// The one after it.
    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|one| *one == self).unwrap_or(0);
        Self::ALL[(place + 1) % Self::ALL.len()]
    }

    /// Its name in the last line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Left => "left",
            Self::Oldest => "oldest",
            Self::Rate => "rate",
            Self::P99 => "p99",
            Self::Pid => "pid",
            Self::Command => "command",
        }
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// The parent in this place of the report.
    Parent(usize),
    Workload(Group),
}

/// The parents of a workload, as places in the report, the worst first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub workload: Option<Workload>,
    pub members: Vec<usize>,
}

/// What a row is about, in every order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowId {
    Parent(ParentId),
    Workload(Option<Workload>),
}

impl Row {
    /// What it is about, in this report.
    pub fn id(&self, report: &Report) -> RowId {
        match self {
            Self::Parent(place) => RowId::Parent(ParentId::of(&report.parents[*place])),
            Self::Workload(group) => RowId::Workload(group.workload.clone()),
        }
    }
}

/// What a person asked for.
pub struct Asked<'a> {
    pub sort: Sort,
    pub filter: &'a str,
    pub grouping: &'a Grouping,
    pub histories: &'a HashMap<ParentId, History>,
}

/// The rows of a report.
pub fn rows(report: &Report, asked: &Asked<'_>) -> Vec<Row> {
    let filter = asked.filter.to_lowercase();
    let mut places: Vec<usize> = (0..report.parents.len())
        .filter(|place| {
            let parent = &report.parents[*place];
            let is_within = match asked.grouping {
                Grouping::Within(workload) => facts::workload_of(parent) == *workload,
                Grouping::Parents | Grouping::Workloads => true,
            };
            // Of the dead that left nothing there is nothing to be done or learnt.
            is_within && (parent.alive || parent.verdict != Verdict::Healthy) && matches(parent, &filter)
        })
        .collect();
    sort(&mut places, report, asked);
    match asked.grouping {
        Grouping::Workloads => groups(report, places).into_iter().map(Row::Workload).collect(),
        Grouping::Parents | Grouping::Within(_) => places.into_iter().map(Row::Parent).collect(),
    }
}

fn sort(places: &mut [usize], report: &Report, asked: &Asked<'_>) {
    let of = |place: &usize| &report.parents[*place];
    let rate = |parent: &Parent| {
        let history = asked.histories.get(&ParentId::of(parent));
        (history.and_then(History::per_second).unwrap_or(0.0) * 1e3) as i64
    };
    // Stable, so that the report's own order decides between equals.
    match asked.sort {
        Sort::Worst => places.sort_by_key(|place| rank(of(place))),
        Sort::Left => places.sort_by_key(|place| Reverse(of(place).ledger.left())),
        Sort::Oldest => places.sort_by_key(|place| Reverse(of(place).oldest_unreaped_ns)),
        Sort::Rate => places.sort_by_key(|place| Reverse(rate(of(place)))),
        Sort::P99 => places.sort_by_key(|place| Reverse(of(place).reap_latency.p99_ns)),
        Sort::Pid => places.sort_by_key(|place| of(place).pid),
        Sort::Command => places.sort_by(|one, other| of(one).comm.cmp(&of(other).comm)),
    }
}

fn rank(parent: &Parent) -> u8 {
    match (parent.verdict, parent.alive) {
        (Verdict::Healthy, _) => 2,
        (_, true) => 0,
        // Whoever died over what it had no time to reap: there are many of those, and nothing is to be done.
        (Verdict::Undecided, false) => 3,
        (_, false) => 1,
    }
}

/// In the order of the first parent of each.
fn groups(report: &Report, places: Vec<usize>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: HashMap<Option<Workload>, usize> = HashMap::new();
    for place in places {
        let workload = facts::workload_of(&report.parents[place]);
        let at = *known.entry(workload.clone()).or_insert_with(|| {
            groups.push(Group { workload, members: Vec::new() });
            groups.len() - 1
        });
        groups[at].members.push(place);
    }
    groups
}

/// Whether it is one that a person looks for. `filter` is in lower case.
fn matches(parent: &Parent, filter: &str) -> bool {
    let contains = |text: &str| text.to_lowercase().contains(filter);
    filter.is_empty()
        || parent.pid.to_string().contains(filter)
        || contains(words::called(&parent.comm))
        || contains(&parent.command_line.join(" "))
        || contains(&facts::who(parent))
        || contains(parent.verdict.words())
        || parent.causes.iter().any(|cause| contains(cause.kind.words()))
}
