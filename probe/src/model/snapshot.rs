//! The kernel's task list, read once.
//!
//! Must not know how it is read, nor what follows from an absence.

use probe_common::wire::TaskTraits;

use super::Task;

/// What the kernel's task list says of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Alive.
    Running,
    /// Its last thread is in `do_exit`; not yet waitable.
    Exiting,
    /// Leader gone, other threads live: shown as Z, never a leak.
    DeadLeader,
    /// Dead and waitable.
    Zombie,
}

/// One process of a task snapshot, with the moment at which the iterator stood on it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEntry {
    pub time_ns: u64,
    pub process: Task,
    pub parent: Task,
    pub state: TaskState,
    /// The tracer, where it is not the parent.
    pub tracer: Option<Box<Task>>,
    /// When it became a zombie; 0 where that was not seen.
    pub since_ns: u64,
    /// Of a zombie.
    pub traits: TaskTraits,
}

/// The kernel's task list, walked once between two moments. A process that was there the whole time is in it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Snapshot {
    pub began_ns: u64,
    pub ended_ns: u64,
    /// The dead who are absent and died this long before `began_ns` are settled as released;
    /// younger ones may still have their event under way.
    pub settle_after_ns: u64,
    pub tasks: Vec<TaskEntry>,
}
