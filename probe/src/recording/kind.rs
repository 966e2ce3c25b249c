//! Frame kinds, never reused.
//!
//! Must not know what is in a frame.

pub const SESSION: u8 = 0;
pub const BEGIN: u8 = 1;
pub const LIFECYCLE: u8 = 2;
pub const DETAIL: u8 = 3;
pub const SNAPSHOT: u8 = 4;
pub const COUNTERS: u8 = 5;
pub const LOSSES: u8 = 6;
pub const END: u8 = 8;
pub const FINISHED_PARENTS: u8 = 9;
pub const UPKEEP: u8 = 10;
pub const UNFREED: u8 = 11;
/// Of recordings before 3.2; read, and written no more.
pub const SIGNAL_MASKS: u8 = 12;
pub const EVIDENCE: u8 = 13;
pub const ORPHAN: u8 = 14;
pub const FORK_SITE: u8 = 15;
pub const SITE: u8 = 16;
pub const FORK_SITES_MISSED: u8 = 17;
pub const KILLED: u8 = 18;
pub const FINISHED_IN_CGROUPS: u8 = 19;
pub const PID_LIMITS: u8 = 20;
pub const CGROUP: u8 = 21;
