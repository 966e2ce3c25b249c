//! reapwatch, the library behind the binary: inputs → engine → analysis → report → render → sinks, one way.
//!
//! Owns only the list of modules. `tests/architecture.rs` enforces who may import whom. Must not contain anything else.

pub mod agent;
pub mod analysis;
pub mod cli;
pub mod command;
pub mod config;
pub mod engine;
pub mod intervention;
pub mod model;
pub mod pipeline;
pub mod recording;
pub mod render;
pub mod report;
pub mod sink;
pub mod source;
pub mod table;
