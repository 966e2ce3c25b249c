//! What is said of the selected row: why, what to do, its children, how its reaps are spread, its events.
//!
//! Must not judge: verdicts and causes are in the report.

use super::{ParentId, Table, facts, kind_of, order::Row, theme::Kind};
use crate::{
    render::{
        explain_text, fork_site_text,
        terminal::{cut, escape, left, right, wrap},
    },
    report::{
        Parent, Report, Verdict,
        detail::ParentDetail,
        metrics::{BOUNDS_NS, Buckets},
        words::{self, children, count, duration},
    },
};

/// Continued lines are indented so far.
const INDENT: usize = 6;
/// From this width on children and events stand beside the causes.
const BESIDE_FROM: usize = 110;
const GAP: usize = 2;
/// Most events shown.
const EVENTS_SHOWN: usize = 64;
/// Most members of a workload listed.
const MEMBERS_SHOWN: usize = 64;

/// A line, and what it means.
pub type Line = (String, Kind);

/// The title of the pane.
pub fn title(table: &Table) -> Line {
    let Some(reading) = table.reading.as_deref() else { return (String::new(), Kind::Plain) };
    match table.selected_row() {
        Some(Row::Parent(place)) => {
            let parent = &reading.report.parents[*place];
            let dead = if parent.alive { "" } else { ", dead" };
            let verdict = parent.verdict.words();
            (format!("{}: {verdict}{dead}", escape(&words::parent(parent))), kind_of(parent.verdict))
        }
        Some(Row::Workload(group)) => {
            let parents = count(group.members.len() as u64);
            (format!("{}: {parents} parents", facts::workload_name(group.workload.as_ref())), Kind::Strong)
        }
        None => (String::new(), Kind::Plain),
    }
}

/// The lines of the pane, each as wide as the terminal or less, in one column or two.
pub fn lines(table: &Table, width: usize) -> Vec<Vec<Line>> {
    let Some(reading) = table.reading.as_deref() else { return Vec::new() };
    let one = |lines: Vec<Line>| lines.into_iter().map(|line| vec![line]).collect();
    match table.selected_row() {
        None => Vec::new(),
        Some(Row::Workload(group)) => one(members(&reading.report, &group.members, width)),
        Some(Row::Parent(place)) => {
            let parent = &reading.report.parents[*place];
            if width < BESIDE_FROM {
                let mut all = causes(table, &reading.report, parent, width);
                all.extend(beside(table, parent, width));
                return one(all);
            }
            let (wide, narrow) = ((width - GAP) * 11 / 20, width - GAP - (width - GAP) * 11 / 20);
            let causes = causes(table, &reading.report, parent, wide);
            two(causes, beside(table, parent, narrow), wide)
        }
    }
}

/// Two columns, the first padded to its width.
fn two(first: Vec<Line>, second: Vec<Line>, wide: usize) -> Vec<Vec<Line>> {
    let rows = first.len().max(second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    (0..rows)
        .map(|_| {
            let (text, kind) = first.next().unwrap_or_default();
            let gap = (" ".repeat(GAP), Kind::Plain);
            vec![(left(&text, wide), kind), gap, second.next().unwrap_or_default()]
        })
        .collect()
}

/// Why, and what to do.
fn causes(table: &Table, report: &Report, parent: &Parent, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut say = |name: &str, text: &str, kind: Kind| labelled(&mut lines, name, text, kind, width);
    for cause in &parent.causes {
        for (place, evidence) in cause.evidence.iter().enumerate() {
            match place {
                0 => say(
                    "why",
                    &format!("{}: {}", cause.kind.words(), escape(evidence)),
                    kind_of(parent.verdict),
                ),
                _ => say("and", &escape(evidence), Kind::Plain),
            }
        }
        if !cause.now.is_empty() {
            say("now", &with_key(table, parent, escape(&cause.now)), Kind::Good);
        }
        say("fix", &escape(&cause.fix), Kind::Good);
    }
    if parent.causes.is_empty() {
        say("why", &without_cause(table, report, parent), Kind::Plain);
    }
    if let Some(late) = parent.slow_reaps.as_ref().and_then(words::slow_reaps) {
        say("late", &late, Kind::Plain);
    }
    if let Some(site) = &parent.fork_site {
        say("from", &fork_site_text::sentence(site), Kind::Plain);
    }
    for note in &parent.notes {
        say("note", &escape(&note.text), Kind::Plain);
    }
    say("all", &ledger(parent), Kind::Dim);
    let command = parent.command_line.join(" ");
    if !command.is_empty() {
        say("runs", &escape(&command), Kind::Dim);
    }
    lines
}

/// What to do now, with the key that does it. A recording has no process that could reap.
fn with_key(table: &Table, parent: &Parent, now: String) -> String {
    let command = format!("`reapwatch reap {}`", parent.pid);
    if table.playback.is_some() { now } else { now.replace(&command, &format!("key r ({command})")) }
}

fn without_cause(table: &Table, report: &Report, parent: &Parent) -> String {
    match parent.verdict {
        Verdict::Healthy => format!(
            "healthy: nothing waited for longer than the grace ({}); {} reaped",
            duration(report.grace_ns),
            count(parent.ledger.gone())
        ),
        _ => match table.judged_in_ns() {
            Some(ns) => format!(
                "not judged yet: {} unreaped, and nothing was watched for the grace ({}) yet; in {} it is",
                children(parent.ledger.left(), "dead "),
                duration(report.grace_ns),
                duration(ns)
            ),
            None => "not seen for long enough, or something was lost".into(),
        },
    }
}

fn ledger(parent: &Parent) -> String {
    let ledger = &parent.ledger;
    let mut parts = vec![format!("{} died", count(ledger.died()))];
    for (number, word) in [
        (ledger.reaped, "reaped"),
        (ledger.autoreaped, "autoreaped"),
        (ledger.unreaped, "unreaped"),
        (parent.held, "of these held"),
        (ledger.abandoned, "abandoned"),
        (ledger.adopted, "adopted dead"),
    ] {
        if number > 0 || word == "reaped" {
            parts.push(format!("{} {word}", count(number)));
        }
    }
    let waits =
        format!("wait calls: {} for any, {} for one", count(parent.waits.any), count(parent.waits.specific));
    format!("{}; {waits}", parts.join(", "))
}

fn labelled(lines: &mut Vec<Line>, name: &str, text: &str, kind: Kind, width: usize) {
    for (place, line) in wrap(text, width.saturating_sub(INDENT).max(10)).into_iter().enumerate() {
        let name = if place == 0 { left(&format!("{name}:"), INDENT) } else { " ".repeat(INDENT) };
        lines.push((format!("{name}{line}"), kind));
    }
}

/// Children, latencies, events.
fn beside(table: &Table, parent: &Parent, width: usize) -> Vec<Line> {
    let id = ParentId::of(parent);
    let mut lines = Vec::new();
    match table.detail.as_ref().filter(|(of, _)| *of == id) {
        Some((_, detail)) => {
            unreaped(&mut lines, detail, width);
            latencies(&mut lines, &detail.reap_latency, width);
        }
        None => lines.push(("…".into(), Kind::Dim)),
    }
    let is_about = |event: &&super::Event| event.process == id || event.parent == Some(id);
    let events: Vec<Line> = (table.events.iter().rev().filter(is_about).take(EVENTS_SHOWN))
        .map(|event| (cut(&event.text, width), Kind::Plain))
        .collect();
    if !events.is_empty() {
        lines.push(("EVENTS, the newest first".into(), Kind::Title));
        lines.extend(events);
    }
    lines
}

fn unreaped(lines: &mut Vec<Line>, detail: &ParentDetail, width: usize) {
    let all = (detail.children.len() as u64).saturating_add(detail.more_children);
    if all == 0 {
        return;
    }
    lines.push((format!("UNREAPED CHILDREN ({})", count(all)), Kind::Title));
    for child in &detail.children {
        lines.push((cut(&explain_text::child_row(child), width), Kind::Plain));
    }
    if detail.more_children > 0 {
        lines.push((format!("… and {} more", count(detail.more_children)), Kind::Dim));
    }
}

/// How long zombies waited for their reap.
fn latencies(lines: &mut Vec<Line>, buckets: &Buckets, width: usize) {
    let most = buckets.counts.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return;
    }
    lines.push((format!("REAPED AFTER ({} reaps)", count(buckets.count())), Kind::Title));
    let (first, last) = (
        buckets.counts.iter().position(|count| *count > 0).unwrap_or(0),
        buckets.counts.iter().rposition(|count| *count > 0).unwrap_or(0),
    );
    for place in first..=last {
        let number = buckets.counts[place];
        let bound = match BOUNDS_NS.get(place) {
            Some(bound_ns) => format!("< {}", duration(*bound_ns)),
            None => format!("≥ {}", duration(BOUNDS_NS[BOUNDS_NS.len() - 1])),
        };
        let room = width.saturating_sub(24).clamp(1, 40);
        // One reap among millions is shown too.
        let bar = "█".repeat((number as u128 * room as u128).div_ceil(most.into()) as usize);
        let line = format!("{} {} {bar}", right(&bound, 11), right(&count(number), 9));
        lines.push((cut(&line, width), Kind::Plain));
    }
}

/// The parents of a workload.
fn members(report: &Report, members: &[usize], width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for place in members.iter().take(MEMBERS_SHOWN) {
        let parent = &report.parents[*place];
        let why = parent.causes.first().map(|cause| format!(": {}", cause.kind.words())).unwrap_or_default();
        let name = escape(words::called(&parent.comm));
        let verdict = parent.verdict.words();
        let text = format!(
            "{} {} {} left of {}, {verdict}{why}",
            right(&parent.pid.to_string(), 7),
            left(&name, 16),
            count(parent.ledger.left()),
            count(parent.ledger.died())
        );
        lines.push((cut(&text, width), kind_of(parent.verdict)));
    }
    if members.len() > MEMBERS_SHOWN {
        lines.push((format!("… and {} more", count((members.len() - MEMBERS_SHOWN) as u64)), Kind::Dim));
    }
    lines
}
