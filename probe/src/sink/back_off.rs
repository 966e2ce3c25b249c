//! How long to wait before something that failed is tried again: at first a second, then ever longer, up to a minute.
//!
//! Must not know what failed.

use std::time::Duration;

/// The first wait; each one is twice as long as the one before,
const FIRST: Duration = Duration::from_secs(1);
/// up to this.
const LONGEST: Duration = Duration::from_secs(60);

/// The waits after failures in a row. A success begins anew with the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    next: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl BackOff {
    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(LONGEST);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_from_a_second_to_a_minute() {
        let mut back_off = BackOff::default();
        let waits: Vec<u64> = (0..9).map(|_| back_off.wait().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
