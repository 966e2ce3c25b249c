//! Who was released of late: a walk of the task list may have seen them before, and is told of after.
//!
//! Must not know why they were released.

use std::collections::VecDeque;

use foldhash::{HashSet, HashSetExt};

use crate::model::Identity;

/// Most remembered: a second of the highest rate seen. Walks take less than a ms.
const RELEASED_MAX: usize = 1 << 16;

/// Releases since the last walk, by time.
#[derive(Debug, Default)]
pub struct Released {
    lately: VecDeque<(u64, Identity)>,
    /// Of this time and before, some are forgotten.
    forgotten_ns: u64,
}

impl Released {
    /// One is released.
    pub fn push(&mut self, time_ns: u64, identity: Identity) {
        if self.lately.len() >= RELEASED_MAX
            && let Some((time_ns, _)) = self.lately.pop_front()
        {
            self.forgotten_ns = time_ns;
        }
        self.lately.push_back((time_ns, identity));
    }

    /// Takes those released since a walk began; `None` where not all of them are remembered.
    pub fn take_since(&mut self, began_ns: u64) -> Option<HashSet<Identity>> {
        let lately = std::mem::take(&mut self.lately);
        if self.forgotten_ns >= began_ns && self.forgotten_ns != 0 {
            return None;
        }
        let mut released = HashSet::new();
        released.extend(lately.iter().filter(|(time_ns, _)| *time_ns >= began_ns).map(|(_, one)| *one));
        Some(released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_since_are_known_or_it_is_known_that_they_are_not() {
        let one = |tgid| Identity { tgid, start_boottime_ns: 1 };
        let mut released = Released::default();
        released.push(10, one(1));
        released.push(20, one(2));
        let since = released.take_since(20).expect("all are remembered");
        assert!(since.contains(&one(2)) && !since.contains(&one(1)));
        for time_ns in 0..=RELEASED_MAX as u64 {
            released.push(100 + time_ns, one(3));
        }
        assert!(released.take_since(100).is_none());
    }
}
