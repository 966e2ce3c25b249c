//! Puts inputs into the order of their times: CPUs hand in events a little out of step.
//!
//! Must not look into an input beyond its time.

use std::collections::VecDeque;

use crate::model::Input;

/// No program runs this long between reading the clock and handing in its event.
const STRAGGLE_NS: u64 = 10_000_000;

/// Room for so many is not worth giving back.
const ROOM_KEPT: usize = 4_096;

/// Inputs on hold until everything older has arrived.
#[derive(Default)]
pub struct Order {
    /// By time, and by arrival among those of one time. Nearly all arrive in order: they go to the back.
    inputs: VecDeque<(u64, Input)>,
}

impl Order {
    /// Takes an input that happened at `time_ns`.
    pub fn push(&mut self, time_ns: u64, input: Input) {
        if self.inputs.back().is_none_or(|(last, _)| *last <= time_ns) {
            self.inputs.push_back((time_ns, input));
        } else {
            let place = self.inputs.partition_point(|(other, _)| *other <= time_ns);
            self.inputs.insert(place, (time_ns, input));
        }
    }

    /// The next input no older one can overtake any more, `drained_ns` being a time after which the source was empty.
    pub fn next(&mut self, drained_ns: u64) -> Option<Input> {
        let (time_ns, _) = self.inputs.front()?;
        if time_ns.saturating_add(STRAGGLE_NS) > drained_ns {
            return None;
        }
        self.inputs.pop_front().map(|(_, input)| input)
    }

    /// After many inputs at once: the room that they took is given back.
    pub fn give_room_back(&mut self) {
        if self.inputs.capacity() > ROOM_KEPT && self.inputs.len() < ROOM_KEPT / 2 {
            self.inputs.shrink_to(ROOM_KEPT);
        }
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
        Input::End { time_ns }
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
