//! Turns reports into bytes, one file per form: a report, an event line, a doctor's report, the page of `explain` or what `reap` did, for people or as JSON.
//!
//! Must not know the engine or where the bytes go, and must not judge: what a text says is in the report.

pub mod doctor_text;
pub mod event_text;
pub mod explain_text;
mod fork_site_text;
pub mod json;
pub mod reap_text;
pub mod report_text;
pub mod stats_text;
pub mod status_line;
pub mod terminal;

#[cfg(test)]
mod tests;
