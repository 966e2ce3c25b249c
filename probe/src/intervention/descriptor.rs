//! Whether a read of a process may have taken a part already and wait for more: a stop would end it with that part.
//!
//! Owns what is asked of a descriptor: it is asked of a copy, which shares what was set for it. Must not change anything.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::{libc, sys::termios};

use super::{pidfd, process::Process};

/// True also where it cannot be told of a socket or a terminal.
pub fn read_waits_for_more(process: &Process, fd: u64) -> bool {
    let Ok(fd) = i32::try_from(fd) else { return false };
    let is_socket = match process.descriptor_link(fd) {
        Some(link) if link.starts_with("socket:") => true,
        Some(link) if link.starts_with("/dev/") => false,
        // Pipes and files give what they have.
        _ => return false,
    };
    let copy = pidfd::open(process.pid).and_then(|process| pidfd::copy_of(&process, fd));
    copy.map_or(true, |copy| if is_socket { has_low_water_mark(&copy) } else { is_raw_terminal(&copy) })
}

/// SO_RCVLOWAT.
fn has_low_water_mark(socket: &OwnedFd) -> bool {
    let (mut bytes, mut length) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: both are alive, and the length is that of the number.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw mut bytes).cast(),
            &raw mut length,
        )
    };
    result != 0 || bytes > 1
}

/// One that gives bytes, not lines, and more than one at a time (VMIN).
fn is_raw_terminal(file: &OwnedFd) -> bool {
    termios::tcgetattr(file.as_fd()).is_ok_and(|set| {
        let is_raw = !set.local_flags.contains(termios::LocalFlags::ICANON);
        is_raw && set.control_chars[termios::SpecialCharacterIndices::VMIN as usize] > 1
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use nix::pty;

    use super::*;

    #[test]
    fn a_read_of_our_own_waits_for_more_only_where_that_was_asked_for() {
        let own = Process::open(std::process::id()).expect("we are here");
        let waits = |fd: &OwnedFd| read_waits_for_more(&own, fd.as_raw_fd() as u64);
        let (socket, _other) = UnixStream::pair().expect("sockets");
        let socket = OwnedFd::from(socket);
        assert!(!waits(&socket));
        let least = 10i32;
        // SAFETY: alive, and as long as stated.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVLOWAT,
                (&raw const least).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0);
        assert!(waits(&socket));
        let pair = pty::openpty(None, None).expect("a terminal");
        assert!(!waits(&pair.slave), "lines");
        let mut raw = termios::tcgetattr(pair.slave.as_fd()).expect("a terminal");
        termios::cfmakeraw(&mut raw);
        raw.control_chars[termios::SpecialCharacterIndices::VMIN as usize] = 4;
        termios::tcsetattr(pair.slave.as_fd(), termios::SetArg::TCSANOW, &raw).expect("ours");
        assert!(waits(&pair.slave));
        let (pipe, _end) = nix::unistd::pipe().expect("a pipe");
        assert!(!waits(&pipe) && !read_waits_for_more(&own, u64::MAX));
    }
}
