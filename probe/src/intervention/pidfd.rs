//! A process by its pidfd: what is done to it never reaches a process that was given its pid meanwhile.
//!
//! Must not know which process it is, or why.

use std::{io, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open, pidfd_send_signal};

/// Opens whoever has this pid now.
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::INVAL)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Sends a signal.
pub fn send(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
    Ok(pidfd_send_signal(pidfd, signal)?)
}

/// A copy of one of its descriptors. From Linux 5.6 on, for who may trace it.
pub fn copy_of(pidfd: &OwnedFd, fd: i32) -> io::Result<OwnedFd> {
    Ok(pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty())?)
}
