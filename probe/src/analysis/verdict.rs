//! Is this parent a leak. By how long, not by how many.

use super::Unreaped;
use crate::{engine::Parent, report::Verdict};

/// Judges one parent.
pub fn verdict(parent: &Parent, unreaped: &Unreaped, grace_ns: u64, complete: bool) -> Verdict {
    let stuck = unreaped.past_grace + unreaped.abandoned_past_grace;
    if stuck > 0 {
        return if parent.has_reaped() { Verdict::Leaking } else { Verdict::NeverReaps };
    }
    if parent.reap_latency.max_ns() > grace_ns {
        return Verdict::Slow;
    }
    // How long an abandoned child had waited is told by an event, which may not have been asked for.
    let of_known_age = parent.abandoned_after.count().saturating_add(parent.abandoned_held);
    if parent.ledger.abandoned > of_known_age {
        return Verdict::Undecided;
    }
    let left = unreaped.own + parent.abandoned_after.count();
    // Dead for less than the grace, and nothing reaped yet to judge it by; or the detail to judge by was lost.
    if left > 0 && !(complete && parent.has_reaped()) {
        return Verdict::Undecided;
    }
    Verdict::Healthy
}
