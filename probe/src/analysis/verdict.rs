//! Judges a parent by how long its dead children waited, not by how many there were.
//!
//! Must not know causes, nor what becomes of a verdict.

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
        // If all dead children are older than the watch, it is unknown what the parent reaped before.
        return if on.has_reaped || !on.late_in_window { Verdict::Leaking } else { Verdict::NeverReaps };
    }
    if on.reaped_late {
        return Verdict::Slow;
    }
    // Only an event says how long an abandoned child had waited. It may be lost, or the command did not ask for it.
    if on.left_unseen {
        return Verdict::Undecided;
    }
    if on.held_late {
        return Verdict::Held;
    }
    // The children are dead for less than the grace, and the parent has reaped none yet or something was lost, so there
    // is nothing to judge it by.
    if on.left && !(complete && on.has_reaped) {
        return Verdict::Undecided;
    }
    Verdict::Healthy
}
