//! Turns reports into bytes, one file per form: a report, an event line, a doctor's report, the page of `explain`, what `reap`
//! did, metrics or an alert, for people, as JSON, as a page for a browser, for a CI, or as what receives it wants it.
//!
//! Must not know the engine or where the bytes go, and must not judge: what a text says is in the report.

pub mod audit_text;
mod check_text;
pub mod doctor_text;
pub mod event_text;
pub mod explain_text;
pub mod folded;
pub mod fork_site_text;
pub mod github;
pub mod gzip;
pub mod html;
pub mod journal_fields;
pub mod json;
pub mod junit;
pub mod manual_text;
pub mod metrics_text;
pub mod otlp;
pub mod pprof;
pub mod reap_text;
pub mod report_text;
pub mod stats_text;
pub mod status_line;
pub mod suppressions;
pub mod syslog_text;
pub mod terminal;

#[cfg(test)]
mod tests;

use crate::report::SiteFrame;

/// Longest value of a label, in characters.
const LABEL_MAX: usize = 256;

/// A function's name, or where it is if it has none.
fn frame_name(frame: &SiteFrame) -> String {
    match (&frame.function, frame.module.as_deref(), &frame.address) {
        (Some(function), ..) => function.clone(),
        (None, Some(module), Some(address)) => format!("{}+{address}", file_name(module)),
        (None, _, Some(address)) => address.clone(),
        _ => "?".into(),
    }
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Text that others choose, as the value of a label or field: bounded, on one line, and with nothing in it that a terminal would obey or hide.
fn label(text: &str) -> String {
    let escaped = terminal::escape(text);
    if escaped.chars().count() <= LABEL_MAX { escaped } else { escaped.chars().take(LABEL_MAX).collect() }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The stable name, as JSON has it.
fn snake_case(name: &impl serde::Serialize) -> String {
    match serde_json::to_value(name) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
