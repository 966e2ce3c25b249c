//! reapwatch, the library behind the binary: inputs → engine → analysis → report → sinks, one way.
//!
//! Owns only the list of modules. `tests/architecture.rs` enforces who may import whom.

pub mod analysis;
pub mod engine;
pub mod model;
pub mod report;
pub mod source;
