//! Puts inputs into the order of their times: CPUs hand in events a little out of step.
//!
//! Must not look into an input beyond its time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use crate::model::Input;

/// No program runs this long between reading the clock and handing in its event.
const STRAGGLE_NS: u64 = 10_000_000;

/// Inputs on hold until everything older has arrived.
#[derive(Default)]
pub struct Order {
    times: BinaryHeap<Reverse<(u64, u64)>>,
    inputs: BTreeMap<u64, Input>,
    sequence: u64,
}

impl Order {
    /// Takes an input that happened at `time_ns`.
    pub fn push(&mut self, time_ns: u64, input: Input) {
        self.sequence += 1;
        self.times.push(Reverse((time_ns, self.sequence)));
        self.inputs.insert(self.sequence, input);
    }

    /// The next input no older one can overtake any more, `drained_ns` being a time after which the source was empty.
    pub fn next(&mut self, drained_ns: u64) -> Option<Input> {
        let Reverse((time_ns, sequence)) = *self.times.peek()?;
        if time_ns.saturating_add(STRAGGLE_NS) > drained_ns {
            return None;
        }
        self.times.pop();
        self.inputs.remove(&sequence)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(time_ns: u64) -> Input {
        Input::Tick { time_ns }
    }

    #[test]
    fn the_young_wait_for_stragglers_and_all_leave_in_order() {
        let mut order = Order::default();
        for time in [30_000_000, 10_000_000, 20_000_000] {
            order.push(time, tick(time));
        }
        assert_eq!(order.next(25_000_000), Some(tick(10_000_000)));
        assert_eq!(order.next(25_000_000), None);
        order.push(15_000_000, tick(15_000_000));
        assert_eq!(order.next(u64::MAX), Some(tick(15_000_000)));
        assert_eq!(order.next(u64::MAX), Some(tick(20_000_000)));
        assert_eq!(order.next(u64::MAX), Some(tick(30_000_000)));
        assert!(order.is_empty());
    }
}
