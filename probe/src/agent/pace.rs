//! How many new alerts a workload may have: a few at once, and then one from time to time.
//!
//! Must not know what an alert is.

use std::hash::Hash;

use foldhash::{HashMap, HashMapExt};

/// So many at once.
const AT_ONCE: u64 = 8;
/// And one more each time that this has passed.
const ONE_EVERY_NS: u64 = 60_000_000_000;
/// Most that are remembered.
const KEPT_MAX: usize = 4_096;

/// How many each may still have.
#[derive(Debug)]
pub struct Pace<K> {
    /// When all that it may have at once would be there again.
    full_ns: HashMap<K, u64>,
}

impl<K> Default for Pace<K> {
    fn default() -> Self {
        Self { full_ns: HashMap::new() }
    }
}

impl<K: Eq + Hash> Pace<K> {
    /// Whether one more is allowed now. It counts if it is.
    pub fn allows(&mut self, whose: K, now_ns: u64) -> bool {
        self.full_ns.retain(|_, full_ns| *full_ns > now_ns);
        if self.full_ns.len() >= KEPT_MAX && !self.full_ns.contains_key(&whose) {
            return false;
        }
        let full_ns = self.full_ns.entry(whose).or_insert(now_ns);
        let then_ns = full_ns.saturating_add(ONE_EVERY_NS);
        let is_allowed = then_ns.saturating_sub(now_ns) <= AT_ONCE * ONE_EVERY_NS;
        if is_allowed {
            *full_ns = then_ns;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_then_one_a_minute_and_nobody_is_kept_from_it_by_another() {
        let mut pace = Pace::default();
        let allowed = (0..100).filter(|_| pace.allows("noisy", 5)).count();
        assert_eq!(allowed as u64, AT_ONCE);
        assert!(pace.allows("other", 5));
        assert!(!pace.allows("noisy", ONE_EVERY_NS));
        assert!(pace.allows("noisy", ONE_EVERY_NS + 5) && !pace.allows("noisy", ONE_EVERY_NS + 5));
        let after = (0..100).filter(|_| pace.allows("noisy", 1_000 * ONE_EVERY_NS)).count();
        assert_eq!(after as u64, AT_ONCE);
        assert_eq!(pace.full_ns.len(), 1, "who has all again is forgotten");
    }
}
