//! The only place that asks what time it is.

use nix::time::{ClockId, clock_gettime};

use crate::model::TimeAnchor;

fn read_ns(clock: ClockId) -> i64 {
    // Neither clock can fail on a kernel that has eBPF.
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// CLOCK_BOOTTIME in ns: the clock of every event.
pub fn boottime_ns() -> u64 {
    read_ns(ClockId::CLOCK_BOOTTIME) as u64
}

/// Where the clocks meet; read in between two readings of the other, so that it is off by no more than their distance.
pub fn anchor() -> TimeAnchor {
    let before = read_ns(ClockId::CLOCK_BOOTTIME);
    let realtime = read_ns(ClockId::CLOCK_REALTIME);
    let after = read_ns(ClockId::CLOCK_BOOTTIME);
    TimeAnchor { realtime_minus_boottime_ns: realtime - (before + (after - before) / 2) }
}
