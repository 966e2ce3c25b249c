//! Is this parent a leak. By how long, not by how many.

use super::unreaped::Unreaped;
use crate::{engine::Parent, report::Verdict};

/// Judges one parent. `complete`: nothing was lost.
pub fn verdict(parent: &Parent, unreaped: &Unreaped, grace_ns: u64, complete: bool) -> Verdict {
    if unreaped.past_grace > 0 {
        // Of a parent whose dead children are all older than the watch it is not known what it reaped before.
        return if parent.has_reaped() || unreaped.past_grace_in_window == 0 {
            Verdict::Leaking
        } else {
            Verdict::NeverReaps
        };
    }
    if parent.reap_latency.max_ns() > grace_ns {
        return Verdict::Slow;
    }
    // How long an abandoned child had waited is told by an event, which may be lost, or not have been asked for.
    if unreaped.abandoned_unseen > 0 {
        return Verdict::Undecided;
    }
    if unreaped.held_past_grace > 0 {
        return Verdict::Held;
    }
    // Dead for less than the grace, and nothing reaped yet to judge it by; or what to judge it by was lost.
    if unreaped.left() > 0 && !(complete && parent.has_reaped()) {
        return Verdict::Undecided;
    }
    Verdict::Healthy
}
