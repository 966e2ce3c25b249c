//! One process between birth and release.
//!
//! Must not know ledgers, nor events.

use std::sync::Arc;

use super::{ended::Ended, parent::Left, provenance::Provenance};
use crate::model::{Identity, ProcessInfo, Task, TaskState, TaskTraits};

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
    /// Its parent died at `since_ns`, and where not every reap is told, it may have reaped it before. So its books say,
    /// until something is told of the zombie after that. `left`: what is booked then.
    TakenForReaped {
        since_ns: u64,
        left: Box<Left>,
    },
}

/// What the walks of the task list found of a process that ends, or whose main thread has ended, and that is no zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LooksDead {
    /// Only its main thread has ended; else it is ending.
    pub is_leader_alone: bool,
    /// When it was first found so, and last.
    pub first_ns: u64,
    pub last_ns: u64,
}

/// A process. There may be tens of thousands of zombies: what is rare in it is boxed.
#[derive(Clone, Debug)]
pub struct Process {
    pub task: Task,
    /// The real parent now.
    pub parent: Identity,
    /// The real parent at birth; nobody for those older than us.
    pub born_to: Identity,
    /// The same by name, of the processes of a tree.
    pub spawned_by: Option<Box<Task>>,
    /// It came to its parent as a zombie, from another.
    pub handed_on: bool,
    /// The first parent that died over it while it lived.
    pub orphaned_by: Option<Box<Task>>,
    /// When that was known, 0: there was none.
    pub orphaned_ns: u64,
    /// What the task list says of it as a zombie.
    pub traits: TaskTraits,
    pub info: Option<Arc<ProcessInfo>>,
    pub state: State,
    /// Once its exit was told.
    pub ended: Option<Arc<Ended>>,
    pub looks_dead: Option<Box<LooksDead>>,
    /// Of the watched tree.
    pub in_tree: bool,
    /// It was found to hold a pipe open from which a parent reads one of whose zombies left it behind.
    pub(super) is_pipe_writer: bool,
    /// When it began the program it runs; 0 where that was not seen.
    pub(super) program_ns: u64,
}

impl Process {
    /// A zombie, also one whose parent has died.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, State::Zombie { .. } | State::Abandoned { .. } | State::TakenForReaped { .. })
    }

    pub(super) fn new(task: Task, parent: Identity) -> Self {
        Self {
            task,
            parent,
            born_to: Identity::default(),
            spawned_by: None,
            handed_on: false,
            orphaned_by: None,
            orphaned_ns: 0,
            traits: TaskTraits::default(),
            info: None,
            state: State::Running,
            ended: None,
            looks_dead: None,
            in_tree: false,
            is_pipe_writer: false,
            program_ns: 0,
        }
    }

    /// A walk found it in that state.
    pub(super) fn found(&mut self, state: TaskState, time_ns: u64) {
        let is_leader_alone = match state {
            TaskState::Running | TaskState::Zombie => {
                self.looks_dead = None;
                return;
            }
            TaskState::DeadLeader => true,
            TaskState::Exiting => false,
        };
        let known = self.looks_dead.as_deref().filter(|known| known.is_leader_alone == is_leader_alone);
        let first_ns = known.map_or(time_ns, |known| known.first_ns);
        self.looks_dead = Some(Box::new(LooksDead { is_leader_alone, first_ns, last_ns: time_ns }));
    }

    /// It, as its parent leaves it behind at that time; `None` where it is no zombie or that is booked. `first_snapshot_ns`:
    /// the end of the first walk of the task list.
    pub(super) fn left_at(
        &self,
        now: u64,
        first_snapshot_ns: Option<u64>,
        provenance: Provenance,
    ) -> Option<Left> {
        let (since_ns, held_by) = match &self.state {
            State::Zombie { since_ns, held_by, .. } => (since_ns, held_by),
            // What has come to be known since is of an earlier time than the parent's death was taken to be.
            State::TakenForReaped { since_ns, left } => {
                let too_long_ns = since_ns.saturating_sub(now);
                let waited_ns = left.waited_ns.saturating_sub(too_long_ns);
                return Some(Left { waited_ns, ..(**left).clone() });
            }
            _ => return None,
        };
        Some(Left {
            child: self.task.identity,
            waited_ns: now.saturating_sub(*since_ns),
            held_by: held_by.clone(),
            older: self.is_older(first_snapshot_ns),
            provenance,
            is_clone_child: self.traits.contains(TaskTraits::CLONE_CHILD),
            is_though_ignored: self.is_though_ignored(),
            label: self.label().into(),
        })
    }

    /// The label that it was started under; empty where that is not known.
    pub fn label(&self) -> &[u8] {
        self.info.as_deref().map_or(&[], |info| &info.label)
    }

    /// Whether it died while this parent ignored SIGCHLD, and stayed.
    pub fn is_though_ignored(&self) -> bool {
        !self.handed_on && self.traits.contains(TaskTraits::THOUGH_IGNORED)
    }

    /// Whether it was a zombie already when the task list was first walked, until `first_snapshot_ns`.
    pub(super) fn is_older(&self, first_snapshot_ns: Option<u64>) -> bool {
        matches!(self.state, State::Zombie { since_ns, at_least: true, .. }
            if first_snapshot_ns.is_some_and(|walk_ns| since_ns <= walk_ns))
    }

    /// When the last stage that is known of it began.
    pub(super) fn last_change_ns(&self) -> u64 {
        match self.state {
            State::Running => self.task.identity.start_boottime_ns,
            State::Exited { exit_ns, .. } => exit_ns,
            State::Zombie { since_ns, .. }
            | State::Abandoned { since_ns, .. }
            | State::TakenForReaped { since_ns, .. } => since_ns,
        }
    }
}
