//! Counts what did not fit, by reason. Must not know who lost it.

use crate::maps::LOSSES;

/// Counts one loss. `reason`: of [`probe_common::wire::loss`].
pub fn count_loss(reason: u32) {
    if let Some(count) = LOSSES.get_ptr_mut(reason) {
        // SAFETY: a per-CPU slot of this program's own map.
        unsafe { *count += 1 };
    }
}
