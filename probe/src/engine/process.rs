//! One process between birth and release.

use std::sync::Arc;

use crate::model::{Detail, Identity, Task};

/// Where in its life a process is, as far as is known.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Running,
    /// Its last thread is dying; not yet in any parent's ledger.
    Exited {
        exit_ns: u64,
        autoreap: bool,
    },
    /// In its parent's ledger, unreaped. `since_ns`: when this parent could first reap it (at the latest, where
    /// `at_least`). `held_by`: a tracer keeps it from the parent.
    Zombie {
        since_ns: u64,
        held_by: Option<Box<Task>>,
        at_least: bool,
    },
    /// Its parent died over it; whether somebody adopted it is not known yet.
    /// `waited_ns` and `held` are what its parent's books say of it.
    Abandoned {
        since_ns: u64,
        waited_ns: u64,
        held: bool,
    },
}

/// A process. There may be tens of thousands of zombies: what is rare in it is boxed.
#[derive(Clone, Debug)]
pub struct Process {
    pub task: Task,
    /// The real parent now.
    pub parent: Identity,
    /// The real parent at birth, of the processes of a tree; `None` for those older than us.
    pub born_to: Option<Box<Task>>,
    pub detail: Option<Arc<Detail>>,
    pub state: State,
    /// Of the watched tree.
    pub member: bool,
}

impl Process {
    pub(super) fn new(task: Task, parent: Identity) -> Self {
        Self { task, parent, born_to: None, detail: None, state: State::Running, member: false }
    }

    /// When the last stage that is known of it began.
    pub(super) fn last_change_ns(&self) -> u64 {
        match self.state {
            State::Running => self.task.identity.start_boottime_ns,
            State::Exited { exit_ns, .. } => exit_ns,
            State::Zombie { since_ns, .. } | State::Abandoned { since_ns, .. } => since_ns,
        }
    }
}
