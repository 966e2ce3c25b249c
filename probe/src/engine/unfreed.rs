//! Releases that the kernel has not counted: where a release is seen only by its free, the last frees of a window may not
//! come in time.
//!
//! Must not know how it is known that a process was released.

use foldhash::HashMap;

use crate::model::{Counters, DeadChild, Identity};

/// What the counters of parents lack.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfreed(HashMap<Identity, Missing>);

/// What the counters of one parent lack.
#[derive(Clone, Copy, Debug, Default)]
struct Missing {
    exited: u64,
    reaped: u64,
    autoreaped: u64,
}

impl Unfreed {
    pub(super) fn new(deaths: &[DeadChild]) -> Self {
        let mut missing: HashMap<Identity, Missing> = HashMap::default();
        for death in deaths {
            let of_parent = missing.entry(death.parent).or_default();
            of_parent.exited += u64::from(!death.counted);
            of_parent.reaped += u64::from(!death.autoreap);
            of_parent.autoreaped += u64::from(death.autoreap);
        }
        Self(missing)
    }

    /// Completes the counters of one parent.
    pub(super) fn add_to(&self, counters: &mut Counters) {
        if let Some(missing) = self.0.get(&counters.parent.identity) {
            counters.counts.exited = counters.counts.exited.saturating_add(missing.exited);
            counters.counts.reaped = counters.counts.reaped.saturating_add(missing.reaped);
            counters.counts.coarse = counters.counts.coarse.saturating_add(missing.reaped);
            counters.counts.autoreaped = counters.counts.autoreaped.saturating_add(missing.autoreaped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChildCounts, Task};

    #[test]
    fn the_counters_of_their_parent_are_completed_and_those_of_no_other() {
        let identity = |tgid| Identity { tgid, start_boottime_ns: 1 };
        let death = |process, autoreap, counted| DeadChild {
            process: identity(process),
            parent: identity(7),
            autoreap,
            counted,
        };
        let unfreed = Unfreed::new(&[death(1, false, true), death(2, false, false), death(3, true, true)]);
        let counters = |tgid| Counters {
            parent: Task { identity: identity(tgid), ..Task::default() },
            counts: ChildCounts { exited: 10, reaped: 5, ..ChildCounts::default() },
            ..Counters::default()
        };
        let mut parent = counters(7);
        unfreed.add_to(&mut parent);
        let counts =
            ChildCounts { exited: 11, reaped: 7, coarse: 2, autoreaped: 1, ..ChildCounts::default() };
        assert_eq!(parent.counts, counts);
        let mut other = counters(8);
        unfreed.add_to(&mut other);
        assert_eq!(other, counters(8));
    }
}
