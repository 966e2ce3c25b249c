//! The last line: what is being typed, what was said, or which keys there are.
//!
//! Must not know what a key does.

use super::{Grouping, Screen, Table, facts, theme::Kind};
use crate::render::terminal::{escape, width as columns_of};

/// What it says, in parts.
pub fn parts(table: &Table, width: usize) -> Vec<(String, Kind)> {
    if table.is_typing {
        return vec![(format!("/{}", table.filter), Kind::Strong), ("▏".into(), Kind::Plain)];
    }
    if let Some(message) = &table.message {
        return vec![(escape(message), Kind::Strong)];
    }
    let hints: Vec<(String, String)> = match &table.screen {
        Screen::Question(question) if question.is_ready => {
            return vec![("Go ahead? [y/N]".into(), Kind::Warn)];
        }
        Screen::Question(_) => own(&[("Esc", "leave it")]),
        Screen::Page(_) => own(&[("Esc", "back"), ("↑↓", "scroll"), ("q", "back")]),
        Screen::Detail => own(&[
            ("Esc", "back"),
            ("↑↓", "scroll"),
            ("e", "explain"),
            ("r", "reap"),
            ("n", "nudge"),
            ("w", "write"),
            ("?", "help"),
            ("q", "quit"),
        ]),
        Screen::Rows => rows(table),
    };
    let mut parts = Vec::new();
    let mut left = width;
    for (key, what) in hints {
        let taken = columns_of(&key) + 1 + columns_of(&what) + 2;
        if taken > left + 2 {
            break;
        }
        left = left.saturating_sub(taken);
        parts.push((format!("{key} "), Kind::Strong));
        parts.push((format!("{what}  "), Kind::Dim));
    }
    parts
}

fn own(hints: &[(&str, &str)]) -> Vec<(String, String)> {
    hints.iter().map(|(key, what)| ((*key).to_owned(), (*what).to_owned())).collect()
}

fn rows(table: &Table) -> Vec<(String, String)> {
    let mut hints = own(&[("?", "help"), ("q", "quit")]);
    if !table.filter.is_empty() {
        hints.push(("/".into(), format!("{} (Esc clears)", escape(&table.filter))));
    } else if let Grouping::Within(workload) = &table.grouping {
        hints.push(("Esc".into(), format!("all; now {}", facts::workload_name(workload.as_ref()))));
    }
    hints.push(("s".into(), table.sort.name().into()));
    if table.playback.is_some() {
        hints.extend(own(&[("p", "pause"), ("+-", "speed"), ("[]", "seek")]));
    }
    hints.extend(own(&[("Enter", "detail"), ("/", "filter"), ("t", "workloads"), ("e", "explain")]));
    if table.playback.is_none() {
        hints.extend(own(&[("r", "reap"), ("n", "nudge"), ("p", "pause")]));
    }
    hints.extend(own(&[("w", "write")]));
    hints
}
