//! What was counted of children: how many, and how long they took.
//!
//! Must not know whose they were.

use crate::report::metrics::{Buckets, WorkloadCounts};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tallied {
    pub counts: WorkloadCounts,
    pub reap_latency: Buckets,
    pub teardown: Buckets,
}

impl Tallied {
    pub fn add(&mut self, more: &Self) {
        self.counts += more.counts;
        self.reap_latency += more.reap_latency;
        self.teardown += more.teardown;
    }

    /// What this has more than another. Nothing is less than zero.
    pub fn more_than(&self, before: &Self) -> Self {
        Self {
            counts: self.counts.more_than(&before.counts),
            reap_latency: self.reap_latency.more_than(&before.reap_latency),
            teardown: self.teardown.more_than(&before.teardown),
        }
    }
}
