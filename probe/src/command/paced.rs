//! Writes at the pace of whoever reads, however slow, until a signal asks to end: then only as long as is left.
//!
//! Must not know what is written.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    time::Duration,
};

use nix::sys::stat::{SFlag, fstat};

use super::signals;

/// A pipe that takes anything takes this much without blocking.
const PIECE_BYTES: usize = 4096;

/// A file whose reader is waited for.
pub struct Paced {
    file: File,
    /// A regular file takes what it is given.
    regular: bool,
}

impl Paced {
    pub fn new(file: File) -> Self {
        let regular = is_regular(&file);
        Self { file, regular }
    }

    /// Writes a piece, if there is room for one within `most`, and there is time left to write; returns 0 otherwise.
    pub fn write_within(&mut self, bytes: &[u8], most: Duration) -> io::Result<usize> {
        let piece = if self.regular { bytes } else { &bytes[..bytes.len().min(PIECE_BYTES)] };
        while !piece.is_empty() && (self.regular || signals::writable(self.file.as_fd(), most)?) {
            match self.file.write(piece) {
                // Somebody else has written to the same pipe, or a signal has come.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                written => return written,
            }
        }
        Ok(0)
    }
}

impl Write for Paced {
    /// Fails where a signal has come and the reader takes nothing more in the time that is left.
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

/// Whether what is written to it is always taken, sooner or later.
pub fn is_regular(file: &impl AsFd) -> bool {
    is_of_kind(file, SFlag::S_IFREG)
}

/// Whether it is a pipe, with a name or without.
pub fn is_pipe(file: &impl AsFd) -> bool {
    is_of_kind(file, SFlag::S_IFIFO)
}

fn is_of_kind(file: &impl AsFd, kind: SFlag) -> bool {
    fstat(file).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == kind)
}
