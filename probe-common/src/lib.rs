//! The boundary between kernel programs and collector: wire types, struct offsets, the bucket function.
//!
//! Owns the layout of every byte that crosses it. `no_std`, `repr(C)`, no padding left implicit, sizes asserted.
//! Must not know aya, nor what either side does with the bytes.
#![no_std]

pub mod bucket;
pub mod child_counts;
pub mod fork_stack;
pub mod interpreter;
pub mod offsets;
pub mod sent_signal;
pub mod settings;
pub mod wire;
