//! The only place that asks what time it is, and what to wait for it with.

use std::{io, os::fd::OwnedFd, time::Duration};

use nix::{
    sys::{
        time::TimeSpec,
        timerfd::{ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
    time::{ClockId, clock_gettime},
};

use crate::model::TimeAnchor;

fn read_ns(clock: ClockId) -> i64 {
    // Neither clock can fail on a kernel that has eBPF.
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// CLOCK_BOOTTIME in ns: the clock of every event.
pub fn boottime_ns() -> u64 {
    read_ns(ClockId::CLOCK_BOOTTIME) as u64
}

/// A descriptor that becomes readable after `first`, and then so often; once it is, [`ticked`] has to be called. The
/// kernel's timer: tokio's own wheel wakes up twice for a tick of more than 64 ms.
pub fn ticks(first: Duration, every: Duration) -> io::Result<OwnedFd> {
    let timer =
        TimerFd::new(TimerClock::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    let (first, every) = (TimeSpec::from_duration(first), TimeSpec::from_duration(every));
    timer.set(Expiration::IntervalDelayed(first, every), TimerSetTimeFlags::empty())?;
    Ok(timer.into())
}

/// Takes the ticks that have come; the next one is not to come before.
pub fn ticked(ticks: &OwnedFd) {
    // Nothing to read is no tick.
    let _ = nix::unistd::read(ticks, &mut [0; size_of::<u64>()]);
}

/// Where the clocks meet; read in between two readings of the other, so that it is off by no more than their distance.
pub fn anchor() -> TimeAnchor {
    let before = read_ns(ClockId::CLOCK_BOOTTIME);
    let realtime = read_ns(ClockId::CLOCK_REALTIME);
    let after = read_ns(ClockId::CLOCK_BOOTTIME);
    TimeAnchor { realtime_minus_boottime_ns: realtime - (before + (after - before) / 2) }
}
