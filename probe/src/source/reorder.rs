//! Puts inputs into the order of their times: CPUs hand in events a little out of step.
//!
//! Must not look into an input beyond its time.

use std::collections::VecDeque;

use crate::model::{Input, PackedCounters};

/// No program runs this long between reading the clock and handing in its event.
const STRAGGLE_NS: u64 = 10_000_000;

/// Room for so many is not worth giving back.
const ROOM_KEPT: usize = 4_096;

/// Inputs on hold until everything older has arrived.
#[derive(Default)]
pub struct Order {
    /// By time, and by arrival among those of one time. Nearly all arrive in order: they go to the back.
    inputs: VecDeque<(When, Input)>,
    /// The same of counters, of which tens of thousands may wait for the next drain: an input takes more room than they do.
    counters: VecDeque<(When, PackedCounters)>,
    arrived: u64,
}

/// Time, and the number of its arrival.
type When = (u64, u64);

fn enter<T>(queue: &mut VecDeque<(When, T)>, when: When, one: T) {
    if queue.back().is_none_or(|(last, _)| *last <= when) {
        queue.push_back((when, one));
    } else {
        let place = queue.partition_point(|(other, _)| *other <= when);
        queue.insert(place, (when, one));
    }
}

/// A queue in which many more were than are keeps the room of all.
fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > ROOM_KEPT && queue.len() < ROOM_KEPT / 2 {
        queue.shrink_to(ROOM_KEPT);
    }
}

impl Order {
    /// Takes an input that happened at `time_ns`.
    pub fn push(&mut self, time_ns: u64, input: Input) {
        self.arrived += 1;
        enter(&mut self.inputs, (time_ns, self.arrived), input);
    }

    /// Takes counters.
    pub fn push_counters(&mut self, counters: PackedCounters) {
        self.arrived += 1;
        enter(&mut self.counters, (counters.time_ns(), self.arrived), counters);
    }

    /// The next input no older one can overtake any more, `drained_ns` being a time after which the source was empty.
    pub fn next(&mut self, drained_ns: u64) -> Option<Input> {
        let (input, counters) =
            (self.inputs.front().map(|(when, _)| *when), self.counters.front().map(|(when, _)| *when));
        let (time_ns, _) = input.into_iter().chain(counters).min()?;
        if time_ns.saturating_add(STRAGGLE_NS) > drained_ns {
            return None;
        }
        if input.is_some_and(|input| counters.is_none_or(|counters| input < counters)) {
            return self.inputs.pop_front().map(|(_, input)| input);
        }
        self.counters.pop_front().map(|(_, counters)| Input::Counters(Box::new(counters.unpack())))
    }

    /// After many inputs at once: the room that they took is given back.
    pub fn give_room_back(&mut self) {
        give_back(&mut self.inputs);
        give_back(&mut self.counters);
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.counters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Counters;

    fn tick(time_ns: u64) -> Input {
        Input::End { time_ns }
    }

    #[test]
    fn counters_have_a_queue_of_their_own_and_leave_in_their_turn() {
        let counted = |time_ns| Counters { time_ns, ..Counters::default() };
        let mut order = Order::default();
        order.push(20, tick(20));
        order.push_counters(PackedCounters::from(&counted(20)));
        order.push(20, tick(20));
        order.push_counters(PackedCounters::from(&counted(30)));
        order.push_counters(PackedCounters::from(&counted(10)));
        assert_eq!(order.next(STRAGGLE_NS + 9), None);
        let counters = |time_ns| Input::Counters(Box::new(counted(time_ns)));
        for expected in [counters(10), tick(20), counters(20), tick(20), counters(30)] {
            assert!(!order.is_empty());
            assert_eq!(order.next(u64::MAX), Some(expected));
        }
        assert!(order.is_empty());
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
