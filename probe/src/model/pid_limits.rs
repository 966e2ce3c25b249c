//! The limits on how many processes and threads there can be, and what is used of each.
//!
//! Must not know where this is read, nor what follows from it.

use super::Identity;

/// Most limits of one reading.
pub const PID_LIMITS_MAX: usize = 256;
/// Most processes whose limits are asked for at a time.
pub const PID_LIMITS_OF_MAX: usize = 64;
/// Longest path of a cgroup, in bytes.
pub const CGROUP_PATH_MAX: usize = 4096;

/// Which limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PidScope {
    /// `kernel.pid_max`: the numbers that the PID namespace which the reader is in can give out.
    PidMax,
    /// `kernel.threads-max`, of the whole host.
    ThreadsMax,
    /// `pids.max` of the cgroup with this path from the root of its hierarchy. Raw bytes: hostile text.
    Cgroup(Vec<u8>),
    /// RLIMIT_NPROC of the processes with this real uid.
    User(u32),
}

/// A limit, and what is used of it. A process counts with each of its threads, and a zombie as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidLimit {
    pub scope: PidScope,
    pub used: u64,
    pub limit: u64,
    /// Forks that the kernel has refused because of it since the cgroup was made; `None` where that is not counted.
    pub refused: Option<u64>,
}

/// One reading of limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PidLimits {
    pub time_ns: u64,
    /// Each scope once; those without a limit are left out.
    pub limits: Vec<PidLimit>,
    /// Which processes are under which of them, by place in `limits`. [`PidScope::PidMax`] and [`PidScope::ThreadsMax`] hold
    /// for all.
    pub under: Vec<(Identity, Vec<u16>)>,
    /// How many of the processes and cgroups that were asked for could not be read for want of room or time.
    pub left_out: u64,
}
