//! How many children a parent had, by what became of them.
//!
//! Owns the list of counts, which the kernel programs, the inputs and the engine share. Must not know who counts, nor
//! when the counts of a ledger balance.

use core::ops::AddAssign;

/// Counts of children, since the programs were attached.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildCounts {
    /// Born, by their real parent at birth.
    pub forked: u64,
    /// Died while this was their parent.
    pub exited: u64,
    /// Came to it as zombies from a parent that died.
    pub adopted: u64,
    /// Taken away by a wait call.
    pub reaped: u64,
    /// Taken away by the kernel at once.
    pub autoreaped: u64,
    /// Of `reaped`: only their free was seen.
    pub coarse: u64,
}

impl AddAssign for ChildCounts {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.forked, other.forked),
            (&mut self.exited, other.exited),
            (&mut self.adopted, other.adopted),
            (&mut self.reaped, other.reaped),
            (&mut self.autoreaped, other.autoreaped),
            (&mut self.coarse, other.coarse),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}
