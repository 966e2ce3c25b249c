//! The stages between birth and release, as events.
//!
//! Must not know the hooks that see them.

use std::sync::Arc;

use super::{Account, Kill, ProcessInfo, Task};

/// A wait status as `wait4` would return it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WaitStatus(pub u32);

impl WaitStatus {
    /// Exit code, when it ended by itself.
    pub fn code(self) -> Option<u32> {
        (self.0 & 0x7f == 0).then_some((self.0 >> 8) & 0xff)
    }
    /// The signal that killed it.
    pub fn signal(self) -> Option<u32> {
        let signal = self.0 & 0x7f;
        (signal != 0).then_some(signal)
    }
    /// Whether a core was dumped.
    pub fn core_dumped(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// How an entry left the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReapHow {
    /// A wait call took it (or something acting for the parent: io_uring's WAITID).
    Wait,
    /// The kernel took it at once: SIGCHLD ignored or SA_NOCLDWAIT.
    Auto,
}

/// How good a reap's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Seen at the release or at the return of the wait that took it.
    Exact,
    /// Only the RCU free was seen: 4 to 32 ms late.
    Coarse,
}

/// What the threads of the parent did when the child became its zombie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// Not known: no hook saw it become one, or this kernel does not say.
    #[default]
    Unknown,
    /// None was in a wait call.
    NotWaiting,
    /// One was in a wait call; for which child was not looked at, or could not be told.
    Waiting,
    /// One was in a wait call that takes this child.
    WaitingForIt,
    /// Some were in wait calls, none of which takes this child: for others, or only to look.
    WaitingOtherwise,
}

/// One stage in a process's life.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// A process (not a thread) was created. `parent` is the real parent, `creator` the caller of clone.
    Fork { parent: Task, creator: Task },
    /// It runs another program.
    Exec { info: Arc<ProcessInfo> },
    /// Its last thread is dying. `autoreap`: the parent ignores SIGCHLD or set SA_NOCLDWAIT at this moment.
    /// `is_clone_child`: the parent is notified by another signal than SIGCHLD, or by none. `account`: `None` in recordings
    /// before 3.8.
    Exit {
        parent: Task,
        status: WaitStatus,
        autoreap: bool,
        is_clone_child: bool,
        account: Option<Arc<Account>>,
    },
    /// It is dead and waitable. `held_by`: a tracer that is not the parent was told instead of the parent.
    /// `again`: the tracer has let go, and only now is the parent told.
    Zombie { parent: Task, held_by: Option<Task>, exit_ns: u64, again: bool },
    /// A zombie changed hands: `parent` is the adopter, `from` the parent it had, `since_ns` when it became one (0: not
    /// known).
    Reparent { parent: Task, from: Task, since_ns: u64 },
    /// It dies of a signal whose sender is known.
    Killed { kill: Kill },
    /// `from`, its parent, dies while it lives: the kernel hands it on to the reaper.
    Orphan { from: Task },
    /// `release_task` took the entry. `exit_ns`, `zombie_ns`: when it exited and became a zombie, 0 when not seen.
    /// `readiness`: the parent's when it became a zombie.
    Reap {
        parent: Task,
        reaper: Task,
        how: ReapHow,
        precision: Precision,
        exit_ns: u64,
        zombie_ns: u64,
        readiness: Readiness,
    },
}

impl Stage {
    /// The parent that this stage names.
    pub fn parent(&self) -> Option<&Task> {
        match self {
            Self::Fork { parent, .. }
            | Self::Exit { parent, .. }
            | Self::Zombie { parent, .. }
            | Self::Reparent { parent, .. }
            | Self::Reap { parent, .. } => Some(parent),
            Self::Exec { .. } | Self::Killed { .. } | Self::Orphan { .. } => None,
        }
    }
}

/// One lifecycle event; all times are CLOCK_BOOTTIME ns.
#[derive(Clone, Debug, PartialEq)]
pub struct LifecycleEvent {
    pub time_ns: u64,
    pub process: Task,
    pub stage: Stage,
}
