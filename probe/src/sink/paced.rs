//! A file that is written at the pace of its reader, however slow. Once something asks to end, writing goes on only for
//! the time that is left, and for a moment from when it began: a reader that takes what comes gets all of it.
//!
//! Must not know what is written, or what asks to end.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::{SFlag, fstat},
};

/// Returns how much time is left to write; `None` while nothing has asked to end.
pub type TimeLeft = fn() -> Option<Duration>;

/// What begins so late that no time is left gets this much: then the reader has had no chance yet.
const LEAST: Duration = Duration::from_millis(500);

/// If a pipe has any room, it takes this much without blocking.
const PIECE_BYTES: usize = 4096;

/// A file whose writer waits for the reader.
pub struct Paced {
    file: File,
    /// True for a regular file, which always takes what is written.
    regular: bool,
    time_left: TimeLeft,
    /// However little time is left, it is written until then.
    until_at_least: Instant,
}

impl Paced {
    pub fn new(file: File, time_left: TimeLeft) -> Self {
        let regular = is_regular(&file);
        Self { file, regular, time_left, until_at_least: Instant::now() + LEAST }
    }

    /// Writes a piece if there is room for one within `most` and time left to write; otherwise returns 0.
    pub fn write_within(&mut self, bytes: &[u8], most: Duration) -> io::Result<usize> {
        let piece = if self.regular { bytes } else { &bytes[..bytes.len().min(PIECE_BYTES)] };
        while !piece.is_empty() && (self.regular || self.takes_something(most)?) {
            match self.file.write(piece) {
                // Another process has filled the same pipe, or a signal has come.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                written => return written,
            }
        }
        Ok(0)
    }

    /// Waits until the file takes something, but no longer than `most` or the time left to write. True if it does.
    fn takes_something(&self, most: Duration) -> io::Result<bool> {
        /// A wait must be short, because a signal that comes just before it does not interrupt it.
        const LOOK_EVERY: Duration = Duration::from_millis(50);
        let until = |moment: Instant| moment.saturating_duration_since(Instant::now());
        let deadline = Instant::now().checked_add(most);
        loop {
            let left = deadline.map_or(most, until);
            let left = (self.time_left)()
                .map_or(left, |to_write| left.min(to_write.max(until(self.until_at_least))));
            let wait = PollTimeout::try_from(left.min(LOOK_EVERY)).unwrap_or(PollTimeout::ZERO);
            match poll(&mut [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)], wait) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
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

#[cfg(test)]
mod tests {
    use std::{io::Read, thread};

    use super::*;

    fn pipe() -> (io::PipeReader, File) {
        let (reader, writer) = io::pipe().expect("a pipe");
        (reader, File::from(std::os::fd::OwnedFd::from(writer)))
    }

    #[test]
    fn a_reader_that_takes_what_comes_gets_all_of_what_begins_after_the_time_to_write() {
        let (mut reader, file) = pipe();
        let taken = thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes.len())
        });
        let bytes = vec![7; 3 << 20];
        let mut paced = Paced::new(file, || Some(Duration::ZERO));
        paced.write_all(&bytes).expect("a reader");
        drop(paced);
        assert_eq!(taken.join().expect("no panic").expect("bytes"), bytes.len());
    }

    #[test]
    fn a_reader_that_takes_nothing_is_given_up_after_the_time_to_write() {
        let (_reader, file) = pipe();
        let failed = Paced::new(file, || Some(Duration::ZERO)).write_all(&vec![7; 3 << 20]);
        assert_eq!(failed.expect_err("nobody reads").kind(), io::ErrorKind::TimedOut);
    }
}
