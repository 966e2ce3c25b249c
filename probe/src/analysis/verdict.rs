//! Is this parent a leak. By how long, not by how many.

use super::Unreaped;
use crate::{engine::Parent, report::Verdict};

/// Judges one parent.
pub fn verdict(parent: &Parent, unreaped: &Unreaped, grace_ns: u64, complete: bool) -> Verdict {
    let stuck = unreaped.past_grace + unreaped.abandoned_past_grace;
    if stuck > 0 {
        return if parent.ledger.reaped == 0 { Verdict::NeverReaps } else { Verdict::Leaking };
    }
    if parent.reap_latency.max_ns() > grace_ns {
        return Verdict::Slow;
    }
    let left = unreaped.own + parent.abandoned_after.count();
    // Dead for less than the grace, and nothing reaped yet to judge it by; or the detail to judge by was lost.
    if (left > 0 && parent.ledger.reaped == 0) || (left > 0 && !complete) {
        return Verdict::Undecided;
    }
    Verdict::Healthy
}
