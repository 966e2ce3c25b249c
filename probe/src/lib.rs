//! reapwatch, the library behind the binary: inputs → engine → analysis → report → sinks, one way.
//!
//! Owns only the list of modules. `tests/architecture.rs` enforces who may import whom.

pub mod analysis;
pub mod cli;
pub mod command;
pub mod doctor_report;
pub mod engine;
pub mod model;
pub mod pipeline;
pub mod record;
pub mod report;
pub mod sink;
pub mod source;
