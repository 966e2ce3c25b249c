//! The words of the project as types: identities, lifecycle inputs, task snapshots, counters, losses.
//!
//! Owns what an [`Input`] can say. Must not know where inputs come from, nor what is made of them.
//! Deliberately not `Serialize`: the recording (`recording`) and the report (`report`) have forms of their own.

mod counters;
mod detail;
mod identity;
mod input;
mod lifecycle;
mod losses;
mod session;
mod signals;
mod snapshot;
mod upkeep;

pub use counters::{Counters, Death, Distribution, Settled};
pub use detail::{COMMAND_LINE_MAX, Detail};
pub use identity::{Comm, Identity, Task};
pub use input::Input;
pub use lifecycle::{Lifecycle, Precision, ReapHow, Stage, WaitStatus};
pub use losses::Losses;
pub use session::{Begin, Coverage, DEFAULT_GRACE_NS, Hooks, Scope, Session, TimeAnchor};
pub use signals::SignalMasks;
pub use snapshot::{SeenTask, Snapshot, TaskState};
pub use upkeep::{MapUpkeep, ProgramUpkeep, Upkeep};
