//! The only place that reads CLOCK_BOOTTIME and CLOCK_REALTIME, and the timer that ticks for the live loop.
//!
//! Must not know what the times are of.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    time::Duration,
};

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

/// A descriptor that becomes readable with each tick. The kernel's timer: tokio's own wheel wakes up twice for a tick of
/// more than 64 ms.
pub struct Ticker(TimerFd);

impl Ticker {
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self(TimerFd::new(TimerClock::CLOCK_MONOTONIC, flags)?))
    }

    /// Ticks after `first`, and then so often.
    pub fn begin(&self, first: Duration, every: Duration) -> io::Result<()> {
        let (first, every) = (TimeSpec::from_duration(first), TimeSpec::from_duration(every));
        Ok(self.0.set(Expiration::IntervalDelayed(first, every), TimerSetTimeFlags::empty())?)
    }

    /// Takes the ticks that have come; the next one is not to come before.
    pub fn take(&self) {
        // Nothing to read is no tick.
        let _ = nix::unistd::read(&self.0, &mut [0; size_of::<u64>()]);
    }
}

impl AsRawFd for Ticker {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Where the clocks meet; read in between two readings of the other, so that it is off by no more than their distance.
pub fn anchor() -> TimeAnchor {
    let before = read_ns(ClockId::CLOCK_BOOTTIME);
    let realtime = read_ns(ClockId::CLOCK_REALTIME);
    let after = read_ns(ClockId::CLOCK_BOOTTIME);
    TimeAnchor { realtime_minus_boottime_ns: realtime - (before + (after - before) / 2) }
}
