//! Turns reports into bytes, one file per form: a report, an event line, a doctor's report, the page of `explain`, what `reap` did or a page of metrics, for people, as JSON, as a page for a browser, for a CI or for Prometheus.
//!
//! Must not know the engine or where the bytes go, and must not judge: what a text says is in the report.

mod check_text;
pub mod doctor_text;
pub mod event_text;
pub mod explain_text;
pub mod folded;
mod fork_site_text;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod metrics_text;
pub mod pprof;
pub mod reap_text;
pub mod report_text;
pub mod stats_text;
pub mod status_line;
pub mod suppressions;
pub mod terminal;

#[cfg(test)]
mod tests;

use crate::report::SiteFrame;

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
