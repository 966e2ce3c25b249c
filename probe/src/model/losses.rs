//! What did not arrive, by reason.
//!
//! Must not know what a loss does to a report.

/// Everything that did not arrive, by reason, cumulative since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Losses {
    /// Events the ring buffer had no room for.
    pub events: u64,
    /// Entries a kernel map or a table of ours had no room for.
    pub map_full: u64,
    /// Hits a program missed (recursion on the same CPU), and frees that had to tell who reaped and did not come.
    pub probe_missed: u64,
    /// Places of a recording that could not be read. Whoever reads it says so; it is never recorded.
    pub damaged: u64,
}
