//! What a person types, and what the mouse does, as the terminal sends it.
//!
//! Must not know what a key means.

use std::{
    io::{self, IsTerminal},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::read,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::table::{Decoder, Press};

/// A terminal sends the rest of a sequence within this time; else the escape key was pressed.
const SEQUENCE_WITHIN: Duration = Duration::from_millis(60);

/// Standard input, which is a terminal.
pub struct Keyboard {
    input: AsyncFd<OwnedFd>,
    decoder: Decoder,
}

impl Keyboard {
    /// Inside a runtime.
    pub fn open() -> io::Result<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Err(io::Error::other("standard input is no terminal"));
        }
        let fd = stdin.as_fd().try_clone_to_owned()?;
        // SAFETY: an OwnedFd names the same open descriptor as long as it lives, and the AsyncFd owns it.
        let input = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
        Ok(Self { input, decoder: Decoder::default() })
    }

    /// Waits for something. May be abandoned at any time. Fails when the terminal has gone.
    pub async fn next(&mut self) -> io::Result<Vec<Press>> {
        loop {
            let readable = self.input.readable();
            let mut guard = if self.decoder.waits() {
                match tokio::time::timeout(SEQUENCE_WITHIN, readable).await {
                    Ok(guard) => guard?,
                    Err(_) => match self.decoder.nothing_follows() {
                        Some(press) => return Ok(vec![press]),
                        None => continue,
                    },
                }
            } else {
                readable.await?
            };
            let mut bytes = [0; 1024];
            let length = read_now(guard.get_inner(), &mut bytes)?;
            guard.clear_ready();
            let found = self.decoder.take(&bytes[..length]);
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
}

/// Reads what is there, without waiting: others use the same terminal, so it cannot be made one that never blocks.
fn read_now(fd: &OwnedFd, bytes: &mut [u8]) -> io::Result<usize> {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    match poll(&mut polled, PollTimeout::ZERO) {
        Ok(0) | Err(Errno::EINTR) => return Ok(0),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let events = polled[0].revents().unwrap_or(PollFlags::empty());
    if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
        return Err(gone());
    }
    match read(fd, bytes) {
        Ok(0) => Err(gone()),
        Ok(length) => Ok(length),
        Err(Errno::EINTR | Errno::EAGAIN) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the terminal has gone")
}
