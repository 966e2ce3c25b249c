//! The words of the project as types: identities, lifecycle inputs, task snapshots, counters, losses.
//!
//! Owns what an [`Input`] can say. Must not know where inputs come from, nor what is made of them.
//! Deliberately not `Serialize`: the recording (`recording`) and the report (`report`) have forms of their own.

mod account;
mod census;
mod condition;
mod counters;
mod evidence;
mod fork_site;
mod group;
mod identity;
mod input;
mod invocation;
mod kill;
mod lifecycle;
mod losses;
mod packed_counters;
mod pid_limits;
mod process_info;
mod session;
mod signals;
mod snapshot;
mod tracer_stats;
mod workload;

pub use probe_common::{child_counts::ChildCounts, wire::TaskTraits};

pub use account::{Account, TTY_MAX, is_tty};
pub use census::{
    ASLEEP_MAX, Asleep, AtPath, Census, Checkout, Details, FileIdentity, LIBRARIES_MAX, Library, MOVES_MAX,
    Move, MovedBy, Origin, Program, RESIDENTS_MAX, Resident, Script, Stream, USED_PATH_MAX, Unseen,
    WRITES_MAX,
};
pub use condition::Condition;
pub use counters::{
    CgroupWorkload, Counters, DeadChild, Distribution, FinishedInCgroup, FinishedParents, WaitCalls,
};
pub use evidence::{
    Blocked, Call, Evidence, GENERATIONS_MAX, PipeRead, SUSPECTS_MAX, THREADS_READ_MAX, Tracer,
    WAIT_CHANNEL_MAX, WRITERS_MAX, Wait, WaitTarget,
};
pub use fork_site::{Depth, FRAMES_MAX, Frame, FrameKind, NAME_MAX, SITES_MAX, Site};
pub use group::Group;
pub use identity::{Comm, Identity, Task};
pub use input::Input;
pub use invocation::{Code, Invocation, Language, base_name};
pub use kill::{Kill, Killer, SIGNAL_MAX};
pub use lifecycle::{LifecycleEvent, Precision, Readiness, ReapHow, Stage, WaitStatus};
pub use losses::Losses;
pub use packed_counters::{CountersHead, PackedCounters};
pub use pid_limits::{CGROUP_PATH_MAX, PID_LIMITS_MAX, PID_LIMITS_OF_MAX, PidLimit, PidLimits, PidScope};
pub use process_info::{COMMAND_LINE_MAX, Description, LABEL_MAX, ProcessInfo, is_label};
pub use session::{Begin, Coverage, DEFAULT_GRACE_NS, Hooks, Scope, Session, TimeAnchor};
pub use signals::SignalMasks;
pub use snapshot::{Snapshot, TaskEntry, TaskState};
pub use tracer_stats::{MapStats, ProgramStats, TracerStats};
pub use workload::{Runtime, WORKLOAD_NAME_MAX, Workload, is_workload_name};
