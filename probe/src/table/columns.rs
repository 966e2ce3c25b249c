//! The columns of the rows, by the width of the terminal, and what their cells say.
//!
//! Must not know the parents.

use super::{Table, facts::Facts, history::rate, kind_of, theme::Kind};
use crate::{
    render::terminal::{cut, left, right},
    report::words::fitting,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Verdict,
    Pid,
    Who,
    Command,
    Left,
    Oldest,
    Rate,
    Trend,
    P50,
    P99,
    Cause,
}

use Column::{Cause, Command, Left, Oldest, P50, P99, Pid, Rate, Trend, Verdict, Who};

/// From this width on a command is shown with its arguments.
const WITH_ARGUMENTS: usize = 20;

/// The columns of a wide terminal; the last one needs the most room.
const WIDEST: &[(Column, usize)] = &[
    (Verdict, 11),
    (Pid, 7),
    (Who, 0),
    (Command, 0),
    (Left, 7),
    (Oldest, 9),
    (Rate, 8),
    (Trend, 10),
    (P50, 8),
    (P99, 8),
    (Cause, 24),
];

/// Columns and their widths; between two of them there is a space.
pub fn columns(width: usize) -> Vec<(Column, usize)> {
    let fixed: &[(Column, usize)] = match width {
        ..46 => &[(Verdict, 11), (Pid, 7), (Command, 0), (Left, 6)],
        46..72 => &[(Verdict, 11), (Pid, 7), (Command, 0), (Left, 7), (Oldest, 9)],
        72..100 => {
            &[(Verdict, 11), (Pid, 7), (Who, 0), (Command, 0), (Left, 7), (Oldest, 9), (Rate, 8), (Trend, 8)]
        }
        100..124 => &WIDEST[..WIDEST.len() - 1],
        _ => WIDEST,
    };
    let taken: usize = fixed.iter().map(|(_, width)| width + 1).sum::<usize>() - 1;
    let free = width.saturating_sub(taken);
    let has_who = fixed.iter().any(|(column, _)| *column == Who);
    let who = if has_who { free / 2 } else { 0 };
    fixed
        .iter()
        .map(|(column, width)| match column {
            Who => (Who, who),
            Command => (Command, free - who),
            _ => (*column, *width),
        })
        .collect()
}

impl Column {
    fn is_right(self) -> bool {
        matches!(self, Pid | Left | Oldest | Rate | P50 | P99)
    }

    fn title(self) -> &'static str {
        match self {
            Verdict => "VERDICT",
            Pid => "PID",
            Who => "WHO",
            Command => "COMMAND",
            Left => "LEFT",
            Oldest => "OLDEST",
            Rate => "RATE",
            Trend => "TREND",
            P50 => "P50",
            P99 => "P99",
            Cause => "CAUSE",
        }
    }

    fn pad(self, text: &str, width: usize) -> String {
        let text = cut(text, width);
        if self.is_right() { right(&text, width) } else { left(&text, width) }
    }
}

/// The line above the rows.
pub fn titles(columns: &[(Column, usize)]) -> String {
    let titles: Vec<String> =
        columns.iter().map(|(column, width)| column.pad(column.title(), *width)).collect();
    titles.join(" ")
}

/// The cells of a row, as wide as their columns.
pub fn cells(columns: &[(Column, usize)], table: &Table, facts: &Facts) -> Vec<(String, Kind)> {
    let weight = if facts.is_alive { Kind::Plain } else { Kind::Dim };
    columns
        .iter()
        .map(|(column, width)| {
            let (text, kind) = match column {
                Verdict => {
                    let kind = if facts.is_alive { kind_of(facts.verdict) } else { Kind::Dim };
                    (facts.verdict.words().to_owned(), kind)
                }
                Pid => (facts.pid.clone(), weight),
                Who => (facts.who.trim_end_matches(".service").to_owned(), weight),
                Command if *width < WITH_ARGUMENTS => (facts.name.clone(), weight),
                Command => (facts.command.clone(), weight),
                Left => (fitting(facts.left, *width), if facts.left > 0 { Kind::Strong } else { weight }),
                Oldest => (facts.oldest.clone(), weight),
                Rate => match facts.per_second.filter(|_| facts.is_alive) {
                    Some(per_second) => {
                        (rate(per_second), if per_second > 0.0 { Kind::Warn } else { weight })
                    }
                    None => (if facts.is_alive { "0" } else { "dead" }.into(), Kind::Dim),
                },
                Trend => (trend(table, facts, *width), weight),
                P50 => (facts.p50.clone(), weight),
                P99 => (facts.p99.clone(), weight),
                Cause => (facts.cause.clone(), weight),
            };
            (column.pad(&text, *width), kind)
        })
        .collect()
}

fn trend(table: &Table, facts: &Facts, width: usize) -> String {
    let history = facts.trend.and_then(|id| table.histories.get(&id));
    let trend = history.map(|history| history.trend(width)).unwrap_or_default();
    // The newest is always in the last column.
    right(&trend, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_fill_the_width_and_no_more() {
        for width in 30..240 {
            let columns = columns(width);
            let taken = columns.iter().map(|(_, width)| width + 1).sum::<usize>() - 1;
            assert_eq!(taken, width.max(taken), "{width}: {columns:?}");
            assert!(width < 40 || taken == width, "{width}: {columns:?}");
        }
    }
}
