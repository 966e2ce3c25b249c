//! Releases that the kernel has not counted: where a release is seen only by its free, the last frees of a window may not
//! come in time.
//!
//! Must not know how it is known that a process was released.

use foldhash::HashMap;

use crate::model::{Counters, Death, Identity};

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
    pub(super) fn new(deaths: &[Death]) -> Self {
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
            counters.exited = counters.exited.saturating_add(missing.exited);
            counters.reaped = counters.reaped.saturating_add(missing.reaped);
            counters.coarse = counters.coarse.saturating_add(missing.reaped);
            counters.autoreaped = counters.autoreaped.saturating_add(missing.autoreaped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Task;

    #[test]
    fn the_counters_of_their_parent_are_completed_and_those_of_no_other() {
        let identity = |tgid| Identity { tgid, start_boottime_ns: 1 };
        let death = |process, autoreap, counted| Death {
            process: identity(process),
            parent: identity(7),
            autoreap,
            counted,
        };
        let unfreed = Unfreed::new(&[death(1, false, true), death(2, false, false), death(3, true, true)]);
        let counters = |tgid| Counters {
            parent: Task { identity: identity(tgid), ..Task::default() },
            exited: 10,
            reaped: 5,
            ..Counters::default()
        };
        let mut parent = counters(7);
        unfreed.add_to(&mut parent);
        assert_eq!((parent.exited, parent.reaped, parent.coarse, parent.autoreaped), (11, 7, 2, 1));
        let mut other = counters(8);
        unfreed.add_to(&mut other);
        assert_eq!(other, counters(8));
    }
}
