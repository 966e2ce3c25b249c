//! The live table on a real terminal, which is tmux's: keys in, and what a person sees. Truth is the workload's own.
//!
//! Must not know how reapwatch works: only its command line, its keys, its JSON, and what the terminal shows.

mod ending;
mod keys;
mod printed;
mod replaying;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
