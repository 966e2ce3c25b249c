//! A thing that is so for a while: since when, until when, and whether anybody was told.
//!
//! Must not know what it is.

use super::alerts::Now;
use crate::report::metrics::AlertCounts;

#[derive(Debug)]
pub struct Lasting {
    pub since_ns: u64,
    /// When it was last so.
    pub seen_ns: u64,
    pub is_told: bool,
    is_counted_silenced: bool,
}

impl Lasting {
    /// It is so from now on.
    pub fn begin(now: Now) -> Self {
        Self {
            since_ns: now.boottime_ns,
            seen_ns: now.boottime_ns,
            is_told: false,
            is_counted_silenced: false,
        }
    }

    pub fn has_just_begun(&self, now: Now) -> bool {
        self.since_ns == now.boottime_ns
    }

    /// It has not been so for long enough.
    pub fn is_over(&self, over_after_ns: u64, now: Now) -> bool {
        self.seen_ns < now.boottime_ns && now.boottime_ns.saturating_sub(self.seen_ns) >= over_after_ns
    }

    /// Nobody is to be told of it: counted once.
    pub fn keep_silent(&mut self, counts: &mut AlertCounts) {
        counts.silenced += u64::from(!std::mem::replace(&mut self.is_counted_silenced, true));
    }

    /// How long it was so.
    pub fn lasted_ns(&self) -> u64 {
        self.seen_ns.saturating_sub(self.since_ns)
    }
}
