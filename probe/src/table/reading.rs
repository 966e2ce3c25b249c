//! What the table is fed with.
//!
//! Must not know where it comes from, nor how it is shown.

use crate::report::{Parent, Report};

/// Which parent: a pid alone may be given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParentId {
    pub pid: u32,
    pub start_boottime_ns: u64,
}

impl ParentId {
    /// Of a parent in a report.
    pub fn of(parent: &Parent) -> Self {
        Self { pid: parent.pid, start_boottime_ns: parent.start_boottime_ns }
    }
}

/// What reapwatch itself has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub cpu_ns: u64,
    pub resident_bytes: u64,
}

/// What is known at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    pub report: Report,
    /// `None` where it is not known: a recording does not have it.
    pub cost: Option<Cost>,
}

/// Something that was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub process: ParentId,
    pub parent: Option<ParentId>,
    /// One escaped line.
    pub text: String,
}
