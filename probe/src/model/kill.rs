//! By which signal a process died, and who sent it.
//!
//! Must not know how a sender is found.

use super::Task;

/// The largest number of a signal.
pub const SIGNAL_MAX: u32 = 64;

/// The signal that a process died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Its number, from 1 to [`SIGNAL_MAX`].
    pub signal: u32,
    pub by: Killer,
}

/// Who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killer {
    /// A process, by a system call: another one, or the one that died.
    Process(Task),
    /// The kernel, for a fault of the process.
    Fault,
    /// The kernel, because memory ran out.
    OutOfMemory,
    /// The kernel, because this process ended, the init of its PID namespace.
    NamespaceEnd(Task),
    /// The kernel, for another reason.
    Kernel,
}
