//! Signals to a process by its pidfd: they never reach a process that was given its pid meanwhile.
//!
//! Must not know which process is signalled, or why.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use nix::libc;

/// Opens whoever has this pid now.
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers; the result is a new descriptor of ours, or negative.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd as i32)) }
    }
}

/// Sends a signal.
pub fn send(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a descriptor of ours, a signal number, no siginfo.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
