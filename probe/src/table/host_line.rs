//! The first line: how the host is, and how well it is seen.
//!
//! Must not judge.

use super::{Pids, Reading, Table, history::rate, theme::Kind};
use crate::{
    render::terminal::{escape, width as columns_of},
    report::{
        Report,
        words::{count, duration, fitting},
    },
};

/// A forecast needs a rate of at least so much, per second, over some readings.
const RATE_MIN: f64 = 0.1;
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
    if let Some(pids) = reading.pids {
        let kind = if pids.used * 10 > pids.max * 8 { Kind::Bad } else { Kind::Plain };
        let used =
            |columns| format!("PIDs {} of {}", fitting(pids.used, columns), fitting(pids.max, columns));
        parts.push(Part::new(used(9), kind).or(used(7)));
        parts.extend(forecast(pids, growth.unwrap_or(0.0)));
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

/// When process numbers run out, if zombies go on to come as they do.
fn forecast(pids: Pids, per_second: f64) -> Option<Part> {
    let free = pids.max.saturating_sub(pids.used) as f64;
    (per_second >= RATE_MIN).then(|| {
        let lasts_ns = (free / per_second * 1e9).min(u64::MAX as f64) as u64;
        Part::new(format!("full in {}", duration(lasts_ns)), Kind::Warn)
    })
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

    #[test]
    fn process_numbers_run_out_only_where_zombies_grow() {
        let pids = Pids { used: 1_000, max: 32_768 };
        assert!(forecast(pids, 0.01).is_none());
        assert_eq!(forecast(pids, 10.0).map(|found| found.text), Some("full in 52 m 56 s".into()));
        let full = Pids { used: 40_000, max: 32_768 };
        assert_eq!(forecast(full, 10.0).map(|found| found.text), Some("full in 0 ns".into()));
    }
}
