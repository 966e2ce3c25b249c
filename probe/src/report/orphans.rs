//! Who started the processes that live on after their parent's end, as an agent keeps it and as `audit --history` reads it.
//!
//! Owns the names of the fields. Must not know files, nor what is a ghost.

use serde::{Deserialize, Serialize};

/// The version of this form.
pub const SCHEMA: &str = "reapwatch.orphans/1";
/// Most orphans that are kept.
pub const ORPHANS_MAX: usize = 16_384;

/// All orphans that live, by pid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct OrphanHistory {
    /// [`SCHEMA`].
    pub schema: String,
    /// When the host was started, in ns since 1970: the times of this file count from then on.
    pub realtime_minus_boottime_ns: i64,
    /// By pid.
    pub orphans: Vec<OrphanOrigin>,
}

/// Where one comes from. Times are ns since the host was started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OrphanOrigin {
    /// Its pid.
    pub pid: u32,
    /// When it was started.
    pub start_boottime_ns: u64,
    /// By whom.
    pub first_parent: FirstParent,
}

/// Who started it, and ended while it ran.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct FirstParent {
    /// Its pid.
    pub pid: u32,
    /// When it was started.
    pub start_boottime_ns: u64,
    /// Its short name.
    pub comm: String,
    /// Empty where it was not known.
    pub command_line: Vec<String>,
    /// When it had ended, at the latest.
    pub ended_boottime_ns: u64,
}
