//! The ways out: what reapwatch does to a parent that does not reap, and only when it is asked to.
//!
//! Owns every act on a process that is not ours: `reap` has the parent itself call wait4 for its zombies, `nudge` sends it
//! SIGCHLD, `ending` ends what a command left running. `process` reads the parent, `zombies` its dead children, `threads` chooses
//! who makes the calls, by what `calls`, `descriptor` and `running` know, `safety` says where nothing is done, `visit` is with
//! the thread, which `ptrace` and the file of the architecture hold. Needs no eBPF. Must not ask the user, print, or judge whether a parent leaks.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod architecture;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod architecture;
pub mod calls;
mod candidate;
mod descriptor;
pub mod ending;
pub mod libuv;
mod memory;
pub mod nudge;
mod pidfd;
pub mod process;
mod ptrace;
pub mod reap;
mod running;
pub mod safety;
pub mod threads;
mod visit;
pub mod zombies;
