//! Is this parent a leak. By how long, not by how many.

use super::unreaped::Unreaped;
use crate::{
    engine::{Grounds, Parent},
    report::Verdict,
};

/// What the verdict on one parent rests on.
pub fn grounds(parent: &Parent, unreaped: &Unreaped, grace_ns: u64) -> Grounds {
    Grounds {
        late: unreaped.past_grace > 0,
        late_in_window: unreaped.past_grace_in_window > 0,
        reaped_late: parent.reap_latency.max_ns() > grace_ns,
        held_late: unreaped.held_past_grace > 0,
        left: unreaped.left() > 0,
        left_unseen: unreaped.abandoned_unseen > 0,
        has_reaped: parent.has_reaped(),
    }
}

/// Judges a parent. `complete`: nothing was lost.
pub fn verdict(on: &Grounds, complete: bool) -> Verdict {
    if on.late {
        // Of a parent whose dead children are all older than the watch it is not known what it reaped before.
        return if on.has_reaped || !on.late_in_window { Verdict::Leaking } else { Verdict::NeverReaps };
    }
    if on.reaped_late {
        return Verdict::Slow;
    }
    // How long an abandoned child had waited is told by an event, which may be lost, or not have been asked for.
    if on.left_unseen {
        return Verdict::Undecided;
    }
    if on.held_late {
        return Verdict::Held;
    }
    // Dead for less than the grace, and nothing reaped yet to judge it by; or what to judge it by was lost.
    if on.left && !(complete && on.has_reaped) {
        return Verdict::Undecided;
    }
    Verdict::Healthy
}
