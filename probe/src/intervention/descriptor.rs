//! Whether a call that waits for data from a descriptor goes on undisturbed: it has taken nothing yet, and no time of its own
//! runs.
//!
//! Owns what is asked of a descriptor: it is asked of a copy, which shares what was set for it. Must not change anything.

use std::{
    fs, io, mem,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::FileTypeExt,
    },
};

use nix::{libc, sys::termios};

use super::{pidfd, process::Process};

/// What stands against stopping a thread that waits for data from this descriptor; `None` where nothing does. Said so that
/// it follows "is in read, and its descriptor".
pub fn objection(process: &Process, thread: u32, fd: u64) -> Option<&'static str> {
    let Ok(fd) = i32::try_from(fd) else { return Some("is none") };
    let path = |whose: u32| format!("/proc/{}/task/{whose}/fd/{fd}", process.pid);
    let Ok(link) = fs::read_link(path(thread)) else { return Some("cannot be looked at") };
    let name = link.to_string_lossy();
    let name = name.as_ref();
    if GIVES_WHAT_IT_HAS.iter().any(|kind| name.starts_with(kind)) {
        return None;
    }
    let kind = fs::metadata(path(thread)).ok().map(|metadata| metadata.file_type());
    if kind.is_some_and(|kind| kind.is_fifo()) {
        return None;
    }
    // The copy comes from the table of the main thread, which nearly always is that of all.
    let is_shared = fs::read_link(path(process.pid)).is_ok_and(|of_main| of_main == link);
    let copy = || pidfd::open(process.pid).and_then(|process| pidfd::copy_of(&process, fd));
    let asked = is_shared.then(copy).and_then(io::Result::ok);
    match (kind, asked) {
        (Some(kind), Some(copy)) if kind.is_socket() => of_socket(&copy),
        (Some(kind), Some(copy)) if kind.is_char_device() => of_terminal(&copy),
        (Some(kind), None) if kind.is_socket() || kind.is_char_device() => {
            Some("cannot be asked how it is set")
        }
        _ => Some("is of a kind of which it is not known that a read of it goes on"),
    }
}

/// Pipes and these give what they have, and wait only while they have nothing.
const GIVES_WHAT_IT_HAS: [&str; 5] =
    ["pipe:", "anon_inode:[eventfd]", "anon_inode:[timerfd]", "anon_inode:[signalfd]", "anon_inode:inotify"];

fn of_socket(socket: &OwnedFd) -> Option<&'static str> {
    let domain = option::<i32>(socket, libc::SO_DOMAIN);
    if !matches!(domain, Some(libc::AF_UNIX | libc::AF_INET | libc::AF_INET6 | libc::AF_NETLINK)) {
        return Some("is a socket of a kind of which it is not known that a read of it goes on");
    }
    match (option::<i32>(socket, libc::SO_RCVLOWAT), option::<[i64; 2]>(socket, libc::SO_RCVTIMEO)) {
        (Some(..=1), Some([0, 0])) => None,
        (Some(2..), _) => Some("is a socket that waits for more than one byte (SO_RCVLOWAT)"),
        (_, Some(_)) => Some("is a socket with a timeout, which would begin anew (SO_RCVTIMEO)"),
        _ => Some("is a socket that does not say how it is set"),
    }
}

/// An option of the socket's that is as long as `T`, which is made of numbers.
fn option<T: Copy + Default>(socket: &OwnedFd, name: libc::c_int) -> Option<T> {
    let mut value = T::default();
    let mut length = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: both are alive, and the length is that of the value, for which every content is valid.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length)
    };
    (result == 0 && length as usize == mem::size_of::<T>()).then_some(value)
}

fn of_terminal(file: &OwnedFd) -> Option<&'static str> {
    let Ok(set) = termios::tcgetattr(file.as_fd()) else {
        return Some("is a device of which it is not known that a read of it goes on");
    };
    let number = |which: termios::SpecialCharacterIndices| set.control_chars[which as usize];
    if set.local_flags.contains(termios::LocalFlags::ICANON) {
        return None;
    }
    if number(termios::SpecialCharacterIndices::VTIME) > 0 {
        return Some("is a terminal with a timer, which would begin anew (VTIME)");
    }
    let waits_for_more = number(termios::SpecialCharacterIndices::VMIN) > 1;
    waits_for_more.then_some("is a terminal that waits for more than one byte (VMIN)")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, time::Duration};

    use nix::pty;

    use super::*;

    fn says(fd: &impl AsRawFd) -> Option<&'static str> {
        let own = Process::open(std::process::id()).expect("we are here");
        objection(&own, own.pid, fd.as_raw_fd() as u64)
    }

    #[track_caller]
    fn objects(fd: &impl AsRawFd, because: &str) {
        let said = says(fd);
        assert!(said.is_some_and(|said| said.contains(because)), "{said:?}");
    }

    #[test]
    fn a_socket_that_waits_for_more_or_for_a_time() {
        let (socket, _other) = UnixStream::pair().expect("sockets");
        assert_eq!(says(&socket), None);
        socket.set_read_timeout(Some(Duration::from_secs(3))).expect("ours");
        objects(&socket, "SO_RCVTIMEO");
        socket.set_read_timeout(None).expect("ours");
        assert_eq!(says(&socket), None);
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
        objects(&socket, "SO_RCVLOWAT");
    }

    #[test]
    fn a_terminal_that_waits_for_more_or_for_a_time() {
        let pair = pty::openpty(None, None).expect("a terminal");
        assert_eq!(says(&pair.slave), None, "lines");
        let set = |least: u8, tenths: u8| {
            let mut raw = termios::tcgetattr(pair.slave.as_fd()).expect("a terminal");
            termios::cfmakeraw(&mut raw);
            raw.control_chars[termios::SpecialCharacterIndices::VMIN as usize] = least;
            raw.control_chars[termios::SpecialCharacterIndices::VTIME as usize] = tenths;
            termios::tcsetattr(pair.slave.as_fd(), termios::SetArg::TCSANOW, &raw).expect("ours");
        };
        set(1, 0);
        assert_eq!(says(&pair.slave), None);
        set(4, 0);
        objects(&pair.slave, "VMIN");
        set(0, 8);
        objects(&pair.slave, "VTIME");
    }

    #[test]
    fn pipes_and_what_is_not_known() {
        let (pipe, _end) = nix::unistd::pipe().expect("a pipe");
        assert_eq!(says(&pipe), None);
        objects(&fs::File::open("/dev/zero").expect("there"), "device");
        objects(&fs::File::open("/proc/self/stat").expect("there"), "kind");
        let own = Process::open(std::process::id()).expect("we are here");
        assert!(objection(&own, own.pid, u64::MAX).is_some() && objection(&own, own.pid, 1 << 20).is_some());
    }
}
