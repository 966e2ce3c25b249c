//! What a process runs.
//!
//! Must not know where this is read.

use super::Workload;

/// Most bytes kept of a command line, the NULs between its arguments included.
pub const COMMAND_LINE_MAX: usize = 4096;

/// What a process runs, from its exec or from /proc. Raw bytes: hostile text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ProcessInfo {
    /// argv, possibly cut (the kernel hands over the first few hundred bytes).
    pub command_line: Vec<Vec<u8>>,
    /// Path of the program as it was executed; empty when unknown.
    pub executable: Vec<u8>,
    /// systemd unit from the cgroup path; empty when unknown.
    pub unit: Vec<u8>,
}

/// What /proc says of a process.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Description {
    pub info: ProcessInfo,
    /// What it is part of; `None` when unknown.
    pub workload: Option<Workload>,
}
