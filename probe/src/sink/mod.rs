//! Reports and event lines to bytes, one format a file. Must not know the engine: sinks see reports only.

pub mod doctor_text;
mod headline;
pub mod json;
pub mod stats_text;
pub mod status;
pub mod terminal;
pub mod text;
pub mod trace_text;

#[cfg(test)]
mod tests;
