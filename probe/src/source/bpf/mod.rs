//! The eBPF programs of this binary: makes them fit the running kernel, loads and attaches them, reads what they send and
//! count.
//!
//! The only room that names aya. Must not know the live loop, recordings or the engine.

mod account;
pub mod attach;
pub mod attach_btf;
pub mod btf;
pub mod decode;
mod error;
mod fork_stacks;
mod load;
mod map;
mod object;
pub mod offsets;
pub mod options;
pub mod programs;
mod relocate;
pub mod stats;
mod suspects;
mod sys;
mod task_list;
pub mod tracer;
