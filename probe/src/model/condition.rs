//! What /proc says of a process that may be dead in part.
//!
//! Must not know where this is read.

use super::{TaskState, WaitStatus};

/// A process at a moment, alive or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub state: TaskState,
    /// Pid of its real parent.
    pub parent: u32,
    /// Of a zombie: how it ended; `None`: that is not known, or may not be read.
    pub status: Option<WaitStatus>,
    /// Threads that have not ended and are not ending; 0 for a zombie.
    pub threads_left: u64,
    /// Of one that is ending: the function of the kernel in which it sleeps; empty: it does not sleep, or that may not be
    /// read.
    pub kernel_function: Vec<u8>,
    /// Of one that is ending, or whose main thread has ended: the descriptors that it has; `None`: that cannot be known.
    pub descriptors: Option<u64>,
}
