//! What a live loop waits for: much in the ring buffer, or a tick. Had before a command is started, so that nothing can be
//! missing afterwards.
//!
//! Must not know what is done then.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use tokio::io::{Interest, unix::AsyncFd};

use super::{SetupError, bpf::tracer::Tracer, host::clock::Ticker, shortage_of};

pub struct Wakeups {
    ring: AsyncFd<OwnedFd>,
    /// The ring buffer of stacks, where there is one.
    stacks: Option<AsyncFd<OwnedFd>>,
    /// None where the kernel gives no such timer: the event loop's own serves as well, only dearer.
    ticker: Option<AsyncFd<Ticker>>,
    next: Instant,
    every: Duration,
}

impl Wakeups {
    /// Inside a runtime.
    pub fn new(tracer: &Tracer) -> Result<Self, SetupError> {
        let wait_for = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().and_then(readable).map_err(|error| SetupError {
                what: format!("cannot wait for events: {error}"),
                remedy: shortage_of(&error)
                    .unwrap_or("allow epoll where a filter refuses system calls")
                    .into(),
            })
        };
        let ring = wait_for(tracer.readiness())?;
        let stacks = tracer.stacks_readiness().map(wait_for).transpose()?;
        let ticker = Ticker::new().and_then(readable).ok();
        Ok(Self { ring, stacks, ticker, next: Instant::now(), every: Duration::MAX })
    }

    /// Ticks from now on: first after `first`, then so often.
    pub fn tick(&mut self, first: Duration, every: Duration) {
        if self.ticker.as_ref().is_some_and(|ticker| ticker.get_ref().begin(first, every).is_err()) {
            self.ticker = None;
        }
        (self.next, self.every) = (Instant::now() + first, every);
    }

    /// Waits for the next of either. May be abandoned at any time.
    pub async fn next(&mut self) {
        let Self { ring, stacks, ticker, next, every } = self;
        tokio::select! {
            ready = ring.readable() => {
                if let Ok(mut guard) = ready { guard.clear_ready() }
            }
            () = stacked(stacks.as_ref()) => {}
            () = ticked(ticker.as_ref(), *next) => {
                // However long we were stopped: one tick.
                let now = Instant::now();
                *next = now.checked_add(*every).unwrap_or(now);
            }
        }
    }
}

async fn stacked(stacks: Option<&AsyncFd<OwnedFd>>) {
    match stacks {
        Some(stacks) => {
            if let Ok(mut guard) = stacks.readable().await {
                guard.clear_ready();
            }
        }
        None => std::future::pending().await,
    }
}

async fn ticked(ticker: Option<&AsyncFd<Ticker>>, next: Instant) {
    match ticker {
        Some(ticker) => {
            if let Ok(mut guard) = ticker.readable().await {
                guard.clear_ready();
            }
            ticker.get_ref().take();
        }
        None => tokio::time::sleep_until(next.into()).await,
    }
}

/// Tells when there is something to read.
fn readable<T: AsRawFd>(fd: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: an OwnedFd and a Ticker name the same open descriptor as long as they live, and the AsyncFd owns it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(registered?)
}
