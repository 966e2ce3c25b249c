//! The first line: how the host is, and how well it is seen.
//!
//! Must not judge.

use super::{Reading, Table, history::rate, theme::Kind};
use crate::{
    render::terminal::{escape, width as columns_of},
    report::{
        Report,
        pids::{PRESSING_PERCENT, PRESSING_WITHIN_NS, PidLimit, PidScope},
        words::{count, duration, fitting},
    },
};

/// Between two parts.
pub const GAP: usize = 2;

/// What is said, in full, and in short where there is not room for all of it.
struct Part {
    text: String,
    short: String,
    kind: Kind,
}

impl Part {
    fn new(text: String, kind: Kind) -> Self {
        Self { short: text.clone(), text, kind }
    }

    fn or(self, short: String) -> Self {
        Self { short, ..self }
    }
}

/// The parts of the line that fit, the most important first.
pub fn parts(table: &Table, width: usize) -> Vec<(String, Kind)> {
    let Some(reading) = table.reading.as_deref() else {
        return vec![("reapwatch".into(), Kind::Title), ("reading …".into(), Kind::Dim)];
    };
    let all = all(table, reading);
    let is_short = all.iter().map(|part| columns_of(&part.text) + GAP).sum::<usize>() > width + GAP;
    let mut parts = Vec::new();
    let mut left = width;
    for Part { text, short, kind } in all {
        let text = if is_short { short } else { text };
        let taken = columns_of(&text) + if parts.is_empty() { 0 } else { GAP };
        if taken <= left {
            left -= taken;
            parts.push((text, kind));
        }
    }
    parts
}

fn all(table: &Table, reading: &Reading) -> Vec<Part> {
    let report = &reading.report;
    let mut parts = Vec::new();
    if let Some(playback) = &table.playback {
        parts.push(Part::new(playback.words(), Kind::Title));
    } else if table.is_paused {
        parts.push(Part::new("PAUSED".into(), Kind::Title));
    }
    let growth = table.unreaped.per_second();
    let zombies = format!("zombies {}", count(report.totals.unreaped));
    parts.push(match growth.filter(|growth| growth.abs() >= 0.05) {
        Some(growth) => Part::new(format!("{zombies} {}", rate(growth)), Kind::Strong),
        None => Part::new(zombies, Kind::Strong),
    });
    parts.extend(lost(report));
    if let Some(limit) = report.pids.as_ref().and_then(|pids| pids.limits.first()) {
        parts.push(used(limit));
        parts.extend(forecast(limit));
    }
    if let Some(cost) = reading.cost {
        let megabytes = cost.resident_bytes >> 20;
        let cpu = |unit: &str| table.cpu_percent.map(|percent| format!("{percent:.1} %{unit} "));
        let text = |name: &str, unit: &str| format!("{name} {}{megabytes} MB", cpu(unit).unwrap_or_default());
        parts.push(Part::new(text("reapwatch", " CPU"), Kind::Dim).or(text("own", "")));
    }
    let precision = report.hooks.precision.name();
    let hook = report.hooks.reap.split([';', ',']).next().unwrap_or_default();
    let hook = if hook.is_empty() { String::new() } else { format!(" ({})", escape(hook)) };
    parts.push(Part::new(format!("reaps {precision}{hook}"), Kind::Dim).or(precision.into()));
    if table.playback.is_none() {
        parts.push(Part::new(format!("watched {}", duration(report.window.duration_ns)), Kind::Dim));
    }
    parts
}

/// How much is used of the limit on processes that makes forks fail first.
fn used(limit: &PidLimit) -> Part {
    let is_pressing = limit.is_pressing(PRESSING_PERCENT, PRESSING_WITHIN_NS);
    let of = match limit.scope {
        PidScope::PidMax => "",
        PidScope::ThreadsMax => " (threads-max)",
        PidScope::Cgroup => " (pids.max of a cgroup)",
        PidScope::User => " (RLIMIT_NPROC of a user)",
    };
    let used =
        |columns| format!("PIDs {} of {}", fitting(limit.used, columns), fitting(limit.limit, columns));
    let kind = if is_pressing { Kind::Bad } else { Kind::Plain };
    Part::new(format!("{}{of}", used(9)), kind).or(used(7))
}

/// When forks will fail.
fn forecast(limit: &PidLimit) -> Option<Part> {
    let ends = limit.exhausted_in?;
    let earliest = duration(ends.earliest_ns);
    let text = match ends.latest_ns {
        Some(latest_ns) => format!("full in {earliest} to {}", duration(latest_ns)),
        None => format!("full in {earliest} or later"),
    };
    Some(Part::new(text, Kind::Warn).or(format!("full in {earliest}")))
}

/// What was lost, by reason; nothing if nothing was.
fn lost(report: &Report) -> Option<Part> {
    let lost = &report.lost;
    let reasons: Vec<String> = [
        (lost.events, "events"),
        (lost.map_full, "map full"),
        (lost.probe_missed, "missed"),
        (lost.damaged, "damaged"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, reason)| format!("{} {reason}", fitting(number, 7)))
    .collect();
    (!reasons.is_empty()).then(|| Part::new(format!("LOST {}", reasons.join(", ")), Kind::Bad))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::pids::ExhaustedIn;

    #[test]
    fn the_limit_that_bites_first_is_named_and_when() {
        let limit = |scope, exhausted_in| PidLimit {
            scope,
            name: String::new(),
            used: 110,
            limit: 120,
            zombies: None,
            most_zombies: None,
            refused: None,
            growth: None,
            has_too_few_readings: false,
            exhausted_in,
        };
        let of_cgroup = limit(PidScope::Cgroup, None);
        assert_eq!(used(&of_cgroup).text, "PIDs 110 of 120 (pids.max of a cgroup)");
        assert_eq!(used(&limit(PidScope::PidMax, None)).short, "PIDs 110 of 120");
        assert!(forecast(&of_cgroup).is_none());
        let said = |latest_ns| {
            let ends = Some(ExhaustedIn { earliest_ns: 60_000_000_000, latest_ns });
            forecast(&limit(PidScope::PidMax, ends)).map(|part| part.text)
        };
        assert_eq!(said(None).as_deref(), Some("full in 1 m 0 s or later"));
        assert_eq!(said(Some(120_000_000_000)).as_deref(), Some("full in 1 m 0 s to 2 m 0 s"));
    }
}
