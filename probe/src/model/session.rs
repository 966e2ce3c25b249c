//! What was asked for, and what is true for a whole run or recording.
//!
//! Must not know the command line.

use super::Identity;

/// Whose lives are told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every process of the host.
    #[default]
    Host,
    /// This process and its descendants: nothing of anybody else is sent or counted.
    Tree(Identity),
    /// Events of the processes with these pids and of their children. The kernel counts for every parent.
    Pids(Vec<u32>),
}

/// Which stages of a life are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coverage {
    /// All of them.
    #[default]
    EveryEvent,
    /// Only what is slow (a reap at least this late) or wrong; the kernel counts the rest.
    Exceptions { slow_ns: u64 },
    /// Only reaps at least this late; the kernel counts the rest.
    LateReaps { min_latency_ns: u64 },
    /// The recording is too old to say.
    Unstated,
}

/// What was asked for when the window was opened. Everything that depends on it is derived from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    pub time_ns: u64,
    pub scope: Scope,
    pub coverage: Coverage,
}

/// Which hook serves a stage, and how good it is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hooks {
    pub exit: String,
    pub zombie: String,
    pub reap: String,
    /// Whether every reap is seen where it happens; false on the tracepoint rung.
    pub exact: bool,
}

/// The one place where clocks meet: CLOCK_REALTIME minus CLOCK_BOOTTIME, in ns, read once at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TimeAnchor {
    pub realtime_minus_boottime_ns: i64,
}

/// The grace where none is asked for.
pub const DEFAULT_GRACE_NS: u64 = 5_000_000_000;

/// What is true for a whole recording or live run.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Session {
    pub anchor: TimeAnchor,
    pub hooks: Hooks,
    /// A child unreaped for longer than this counts against its parent.
    pub grace_ns: u64,
}
