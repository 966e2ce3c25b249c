//! reapwatch, the library behind the binary: inputs → engine → analysis → report → render → sinks, one way.
//!
//! Owns only the list of modules. `tests/architecture.rs` enforces who may import whom. Must not contain anything else.
//!
//! # What others may use
//!
//! The crate is there for the program. These parts have a use of their own, and follow the version of the crate as Cargo defines it;
//! everything else may change at any time (docs/compatibility.md):
//!
//! | Part | What it is |
//! |---|---|
//! | [`report`] | the published form of everything, as in `schemas/`: [`report::Report`], [`report::Parent`], [`report::Cause`] |
//! | [`recording`] | reads and writes recordings (docs/recording.md): [`recording::Reader`] is an iterator over inputs |
//! | [`engine`] | from inputs to state, with neither clock nor I/O: [`engine::Engine`] |
//! | [`analysis::report`] | from the state to the report |
//! | [`render::json`], [`render::report_text`] | the report as bytes |
//!
//! # A replay
//!
//! A recording is enough to have the report again, on any host and without privileges:
//!
//! ```
//! use std::{error::Error, fs::File, io::BufReader};
//!
//! use probe::{
//!     analysis,
//!     engine::{Bounds, Engine},
//!     recording::Reader,
//!     report::{CauseKind, Finding, Verdict},
//! };
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! let file = File::open("../docs/night.rec")?;
//! let mut reader = Reader::open(BufReader::new(file)).map_err(|error| error.to_string())?;
//! let session = reader.session().clone();
//!
//! // The engine takes one input after the other, and says of each what it means. Here nobody listens.
//! let mut engine = Engine::new(Bounds::new(session.grace_ns));
//! let mut observations = Vec::new();
//! for input in reader.by_ref() {
//!     engine.apply(input, &mut observations);
//!     observations.clear();
//! }
//! // Where the end of the file is missing, the report has to know.
//! if let Some(lost) = reader.lost_end() {
//!     engine.apply(lost, &mut observations);
//! }
//!
//! let report = analysis::report(&engine.view(), &session);
//! assert_eq!(report.finding, Finding::Leak);
//! let worst = &report.parents[0];
//! assert_eq!((worst.pid, worst.verdict), (786, Verdict::NeverReaps));
//! assert_eq!(worst.causes[0].kind, CauseKind::NeverWaits);
//! println!("{}: {}", worst.comm, worst.causes[0].fix);
//! # Ok(())
//! # }
//! ```

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
