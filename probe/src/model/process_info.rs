//! What a process runs.
//!
//! Must not know where this is read.

use super::Workload;

/// Most bytes kept of a command line, the NULs between its arguments included.
pub const COMMAND_LINE_MAX: usize = 4096;

/// Longest label, in bytes.
pub const LABEL_MAX: usize = 128;

/// Whether it can be a label: no control character, and nothing beyond ASCII.
pub fn is_label(label: &[u8]) -> bool {
    label.len() <= LABEL_MAX && label.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// What a process runs, from its exec or from /proc. Raw bytes: hostile text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ProcessInfo {
    /// argv, possibly cut (the kernel hands over the first few hundred bytes).
    pub command_line: Vec<Vec<u8>>,
    /// Path of the program as it was executed; empty when unknown.
    pub executable: Vec<u8>,
    /// systemd unit from the cgroup path; empty when unknown.
    pub unit: Vec<u8>,
    /// What REAPWATCH_LABEL was in its environment when it began to run its program; empty when it was not set, or that is not
    /// known. Printable ASCII, for `source` refuses other labels.
    pub label: Vec<u8>,
}

/// What /proc says of a process.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Description {
    pub info: ProcessInfo,
    /// What it is part of; `None` when unknown.
    pub workload: Option<Workload>,
}
