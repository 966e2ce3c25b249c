//! A file that is written at the pace of its reader, however slow. Once something asks to end, writing goes on only for
//! the time that is left.
//!
//! Must not know what is written, or what asks to end.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::{SFlag, fstat},
};

/// Returns how much time is left to write; `None` while nothing has asked to end.
pub type TimeLeft = fn() -> Option<Duration>;

/// If a pipe has any room, it takes this much without blocking.
const PIECE_BYTES: usize = 4096;

/// A file whose writer waits for the reader.
pub struct Paced {
    file: File,
    /// True for a regular file, which always takes what is written.
    regular: bool,
    time_left: TimeLeft,
}

impl Paced {
    pub fn new(file: File, time_left: TimeLeft) -> Self {
        let regular = is_regular(&file);
        Self { file, regular, time_left }
    }

    /// Writes a piece if there is room for one within `most` and time left to write; otherwise returns 0.
    pub fn write_within(&mut self, bytes: &[u8], most: Duration) -> io::Result<usize> {
        let piece = if self.regular { bytes } else { &bytes[..bytes.len().min(PIECE_BYTES)] };
        while !piece.is_empty() && (self.regular || takes_something(self.file.as_fd(), most, self.time_left)?)
        {
            match self.file.write(piece) {
                // Another process has filled the same pipe, or a signal has come.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                written => return written,
            }
        }
        Ok(0)
    }
}

impl Write for Paced {
    /// Fails if something has asked to end and the reader takes nothing in the time that is left.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.write_within(bytes, Duration::MAX)? {
            0 if !bytes.is_empty() => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "its reader takes nothing, and a signal asked to end",
            )),
            written => Ok(written),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until the descriptor takes something, but no longer than `most` or the time left to write. True if it does.
fn takes_something(fd: BorrowedFd<'_>, most: Duration, time_left: TimeLeft) -> io::Result<bool> {
    /// A wait must be short, because a signal that comes just before it does not interrupt it.
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let deadline = Instant::now().checked_add(most);
    loop {
        let left = deadline.map_or(most, |deadline| deadline.saturating_duration_since(Instant::now()));
        let left = time_left().map_or(left, |to_write| left.min(to_write));
        let wait = PollTimeout::try_from(left.min(LOOK_EVERY)).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], wait) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether it is a regular file, which takes every byte sooner or later.
pub fn is_regular(file: &impl AsFd) -> bool {
    is_of_kind(file, SFlag::S_IFREG)
}

/// Whether it is a pipe, named or not.
pub fn is_pipe(file: &impl AsFd) -> bool {
    is_of_kind(file, SFlag::S_IFIFO)
}

fn is_of_kind(file: &impl AsFd, kind: SFlag) -> bool {
    fstat(file).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == kind)
}
