//! Reads of kernel and user memory, of the context and of the clock: the only folder that makes any.
//!
//! All offsets come from the running kernel's BTF. A failed read yields zero, however it was made. Must not know maps,
//! nor what the values are read for.

pub mod account;
pub mod cgroup;
pub mod children;
pub mod clock;
pub mod context;
mod memory;
pub mod notice;
pub mod program;
pub mod python;
mod registers;
pub mod sender;
pub mod task;
pub mod typed;
pub mod user_stack;
pub mod wait_call;
pub mod waiters;

pub use memory::zero;
