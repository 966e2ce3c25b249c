//! INT, TERM and HUP: the first one ends the window, a second one ends the process at once, whatever it is doing. For a command
//! that runs until it is told to end, HUP means to read its configuration again. A table also hears that its terminal has
//! another size.
//!
//! Owns the handlers, the time that is left after a signal, and the signal state that this process started with, which
//! it restores for a command. Must not know what a report is.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::{
        OnceLock,
        atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
        signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, sigaction},
    },
    time::{ClockId, clock_gettime},
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::source::{SetupError, shortage_of};

/// After a signal a command gets this long to end.
pub const COMMAND_ENDS_WITHIN: Duration = Duration::from_millis(700);
/// After a signal the window is closed within this time.
pub const WINDOW_CLOSES_WITHIN: Duration = Duration::from_millis(1_100);
/// What a reader does not take is written no later than this after a signal: a report comes within two seconds or never, or
/// within half a second of being ready where that took longer.
const WRITTEN_WITHIN: Duration = Duration::from_millis(1_500);
/// Signals this close to the first are the same request: `timeout` first signals the process, then its process group.
const ONE_REQUEST: Duration = Duration::from_millis(100);

/// The signals that end a window, and the one that says that the command may have ended.
const ALL: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD];

/// The first signal: its number in the low seven bits, then the bit [`FROM_TERMINAL`], above them the monotonic time in
/// µs. 0 means none.
static FIRST: AtomicU64 = AtomicU64::new(0);
const NUMBER: u64 = 0x7f;
const FROM_TERMINAL: u64 = 0x80;
const TIME_SHIFT: u32 = 8;
/// What HUP does: ends the window, is to ask for a reload, or has asked for one that is not done yet.
static HANGUP: AtomicU8 = AtomicU8::new(ENDS);
const ENDS: u8 = 0;
const RELOADS: u8 = 1;
const RELOAD_ASKED: u8 = 2;
/// The descriptor that wakes the event loop, while there is one.
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// What is put right before a second signal ends the process.
static BEFORE_THE_END: OnceLock<fn()> = OnceLock::new();
/// The signals that were ignored when this process started, one bit each.
static IGNORED: AtomicU64 = AtomicU64::new(0);
/// Whether SIGPIPE was ignored at the start. Read before `main`, because Rust's runtime then ignores it.
static SIGPIPE_IGNORED: AtomicU8 = AtomicU8::new(0);
/// Which of the descriptors 0 to 2 were closed, one bit each. Read before Rust's runtime opens /dev/null in their
/// place.
static CLOSED: AtomicU8 = AtomicU8::new(0);

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = note_start;

extern "C" fn note_start() {
    for fd in 0..3 {
        // SAFETY: asks only for the descriptor's flags.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
    // SAFETY: all zero is a valid sigaction; the call only reads the disposition into it.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut now) == 0 {
            SIGPIPE_IGNORED.store(u8::from(now.sa_sigaction == libc::SIG_IGN), Ordering::Relaxed);
        }
    }
}

/// Whether a standard stream was closed when this process started.
pub fn was_closed(fd: BorrowedFd<'_>) -> bool {
    let number = fd.as_raw_fd();
    (0..3).contains(&number) && CLOSED.load(Ordering::Relaxed) & (1 << number) != 0
}

/// The first signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    pub number: i32,
    /// True if the terminal sent it, to every process in its foreground.
    pub from_terminal: bool,
    at_us: u64,
}

impl First {
    /// The exit code that a shell gives for this signal.
    pub fn exit_code(self) -> u8 {
        128 + self.number as u8
    }

    /// The moment that is `after` the signal.
    pub fn deadline(self, after: Duration) -> Instant {
        Instant::now() + self.left(after)
    }

    fn left(self, after: Duration) -> Duration {
        after.saturating_sub(Duration::from_micros(now_us().saturating_sub(self.at_us)))
    }
}

/// The first signal, once one has come.
pub fn first() -> Option<First> {
    match FIRST.load(Ordering::Relaxed) {
        0 => None,
        seen => Some(First {
            number: (seen & NUMBER) as i32,
            from_terminal: seen & FROM_TERMINAL != 0,
            at_us: seen >> TIME_SHIFT,
        }),
    }
}

/// From now on HUP does not end the window: it asks for a reload, also where `nohup` had it ignored, for it ends nothing now.
pub fn hangup_asks_for_reload() -> nix::Result<()> {
    HANGUP.store(RELOADS, Ordering::Relaxed);
    handle(Signal::SIGHUP).map(|_| ())
}

/// Has this called before a second signal ends the process, in the handler: it must do only what a handler may.
pub fn before_the_end(put_right: fn()) {
    let _ = BEFORE_THE_END.set(put_right);
}

/// Whether a reload was asked for since the last call.
pub fn take_reload() -> bool {
    HANGUP.compare_exchange(RELOAD_ASKED, RELOADS, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// The rest of the time `within` which something must happen after a signal; `None` while none has come.
fn time_left(within: Duration) -> Option<Duration> {
    first().map(|first| first.left(within))
}

/// The rest of the time to write something after a signal; `None` while none has come.
pub fn time_to_write() -> Option<Duration> {
    time_left(WRITTEN_WITHIN)
}

/// The signal handlers, installed until the end of the process.
pub struct Signals {
    wake: AsyncFd<EventFd>,
    /// The signals that were blocked when this process started.
    mask_at_start: SigSet,
}

impl Signals {
    /// Installs the handlers, inside a runtime. A HUP that was ignored at the start stays ignored (`nohup`).
    pub fn hear() -> Result<Self, SetupError> {
        let fail = |error: io::Error| SetupError {
            what: format!("cannot wait for signals: {error}"),
            remedy: shortage_of(&error)
                .unwrap_or("allow eventfd, epoll and sigaction where a filter refuses system calls")
                .into(),
        };
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|error| fail(error.into()))?;
        WAKE.store(event.as_fd().as_raw_fd(), Ordering::Relaxed);
        // SAFETY: an EventFd names the same open descriptor as long as it lives, and the AsyncFd owns it.
        let wake = unsafe { AsyncFd::register_with_interest(event, Interest::READABLE) };
        let wake = wake.map_err(|error| fail(error.into()))?;
        for signal in ALL {
            listen(signal).map_err(|error| fail(error.into()))?;
        }
        // With SIGXFSZ ignored, a write beyond RLIMIT_FSIZE fails (EFBIG) and does not end this process.
        ignore_large_files().map_err(|error| fail(error.into()))?;
        // The event loop panics if a filter of system calls refuses to wait. Finds that out before a command is
        // started.
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|error| fail(error.into()))?;
        epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::ZERO).map_err(|error| fail(error.into()))?;
        // The process that started reapwatch may have blocked them. Only the command inherits that.
        let mut mask_at_start = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&set()), Some(&mut mask_at_start))
            .map_err(|error| fail(error.into()))?;
        Ok(Self { wake, mask_at_start })
    }

    /// From now on [`Signals::something`] returns also when the terminal has another size.
    pub fn hear_resizes(&self) -> io::Result<()> {
        let handler = SigHandler::SigAction(heard);
        let action = SigAction::new(handler, SaFlags::SA_RESTART | SaFlags::SA_SIGINFO, SigSet::empty());
        // SAFETY: `heard` does only what a signal handler may.
        unsafe { sigaction(Signal::SIGWINCH, &action) }?;
        Ok(())
    }

    /// Blocks the signals while a command is started.
    pub fn hold_back(&self) -> io::Result<HeldBack> {
        let mut mask = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set()), Some(&mut mask))?;
        Ok(HeldBack { mask, at_start: self.at_start() })
    }

    fn at_start(&self) -> AtStart {
        AtStart {
            mask: self.mask_at_start,
            ignored: IGNORED.load(Ordering::Relaxed),
            sigpipe_ignored: SIGPIPE_IGNORED.load(Ordering::Relaxed) != 0,
        }
    }

    /// Waits for the first signal and returns it.
    pub async fn first(&self) -> First {
        loop {
            if let Some(first) = first() {
                return first;
            }
            self.something().await;
        }
    }

    /// Waits until a signal has come, SIGCHLD included, and SIGWINCH if that is heard.
    pub async fn something(&self) {
        match self.wake.readable().await {
            Ok(mut guard) => {
                guard.clear_ready();
                // A read that finds nothing is not an error.
                let _ = self.wake.get_ref().read();
            }
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        WAKE.store(-1, Ordering::Relaxed);
    }
}

/// What was done about it before.
fn handle(signal: Signal) -> nix::Result<SigAction> {
    let flags = match signal {
        Signal::SIGCHLD => SaFlags::SA_RESTART | SaFlags::SA_NOCLDSTOP,
        // Without SA_RESTART, these signals interrupt a write that blocks.
        _ => SaFlags::empty(),
    };
    let handler = SigAction::new(SigHandler::SigAction(heard), flags | SaFlags::SA_SIGINFO, SigSet::empty());
    // SAFETY: `heard` does only what a signal handler may.
    unsafe { sigaction(signal, &handler) }
}

fn listen(signal: Signal) -> nix::Result<()> {
    let before = handle(signal)?;
    if matches!(before.handler(), SigHandler::SigIgn) {
        IGNORED.fetch_or(bit(signal as i32), Ordering::Relaxed);
        if signal == Signal::SIGHUP {
            // SAFETY: the disposition that it had.
            unsafe { sigaction(signal, &before) }?;
        }
    }
    Ok(())
}

fn ignore_large_files() -> nix::Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: the disposition runs no code of ours.
    let before = unsafe { sigaction(Signal::SIGXFSZ, &ignore) }?;
    if matches!(before.handler(), SigHandler::SigIgn) {
        IGNORED.fetch_or(bit(libc::SIGXFSZ), Ordering::Relaxed);
    }
    Ok(())
}

fn bit(number: i32) -> u64 {
    1 << number
}

fn set() -> SigSet {
    ALL.into_iter().collect()
}

fn now_us() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1_000)
}

/// The handler: atomics, clock_gettime, poll, write and _exit, all of which a handler may use.
extern "C" fn heard(number: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    let errno = Errno::last_raw();
    if number == libc::SIGCHLD || number == libc::SIGWINCH {
        wake();
    } else if number == libc::SIGHUP && HANGUP.load(Ordering::Relaxed) != ENDS {
        HANGUP.store(RELOAD_ASKED, Ordering::Relaxed);
    } else {
        // SAFETY: with SA_SIGINFO the kernel hands over a valid siginfo.
        let from_terminal = unsafe { (*info).si_code } == libc::SI_KERNEL;
        ending(number, from_terminal);
    }
    Errno::set_raw(errno);
}

fn ending(number: i32, from_terminal: bool) {
    // A shell without job control makes its background processes ignore INT, so that a ^C for another process does not
    // end them. But an INT from `kill` is meant for this process.
    if from_terminal && IGNORED.load(Ordering::Relaxed) & bit(number) != 0 {
        return;
    }
    let now_us = now_us();
    let terminal = if from_terminal { FROM_TERMINAL } else { 0 };
    let this = now_us << TIME_SHIFT | terminal | number as u64;
    match FIRST.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => wake(),
        Err(first) if now_us.saturating_sub(first >> TIME_SHIFT) < ONE_REQUEST.as_micros() as u64 => {}
        Err(_) => {
            const SAID: &[u8] =
                b"reapwatch: ended at once by a second signal: what was not written yet is lost\n";
            if let Some(put_right) = BEFORE_THE_END.get() {
                put_right();
            }
            let mut stderr = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
            // SAFETY: pollfd and text are ours and as long as stated; nothing is called that a handler may not call. A
            // standard error that would block is left alone.
            unsafe {
                if libc::poll(&raw mut stderr, 1, 0) == 1 {
                    libc::write(libc::STDERR_FILENO, SAID.as_ptr().cast(), SAID.len());
                }
                libc::_exit(128 + number);
            }
        }
    }
}

fn wake() {
    let fd = WAKE.load(Ordering::Relaxed);
    if fd >= 0 {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes of ours; the eventfd does not block, and is full only if the loop will wake anyhow.
        unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
    }
}

/// While this lives, every signal that has a handler is blocked.
pub struct HeldBack {
    mask: SigSet,
    at_start: AtStart,
}

impl HeldBack {
    /// The signal state that this process started with.
    pub fn at_start(&self) -> AtStart {
        self.at_start
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
    }
}

/// The signals that were blocked and ignored when this process started.
#[derive(Clone, Copy)]
pub struct AtStart {
    mask: SigSet,
    ignored: u64,
    sigpipe_ignored: bool,
}

impl AtStart {
    /// Restores this state in a child before it becomes the command. The child then takes the signals that came since
    /// the fork.
    pub fn restore(&self) -> io::Result<()> {
        for signal in ALL.into_iter().chain([Signal::SIGXFSZ]) {
            set_disposition(signal as i32, self.ignored & bit(signal as i32) != 0)?;
        }
        set_disposition(libc::SIGPIPE, self.sigpipe_ignored)?;
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)?;
        Ok(())
    }
}

fn set_disposition(number: i32, ignore: bool) -> io::Result<()> {
    let handler = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither disposition runs code of ours.
    match unsafe { libc::signal(number, handler) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
