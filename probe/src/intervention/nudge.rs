//! The gentler way out: SIGCHLD, for a parent whose handler reaps and missed its moment.
//!
//! Owns to whom it may be sent. The kernel is asked by a pidfd, so that the signal never reaches a process that was given
//! the pid meanwhile. Must not ask the user.

use std::io;

use nix::{errno::Errno, libc};
use rustix::process::Signal;

use super::{
    pidfd,
    process::{Process, mask},
};
use crate::source::SetupError;

const SIGCHLD_BIT: u64 = 1 << (libc::SIGCHLD - 1);

/// Fails where SIGCHLD would do nothing.
pub fn check(process: &Process) -> Result<(), SetupError> {
    let pid = process.pid;
    let refusal = |what: String| SetupError {
        what,
        remedy: "have the parent itself call wait4: reapwatch reap without --nudge".into(),
    };
    let status = process.status();
    if mask(&status, "SigCgt:").is_none_or(|caught| caught & SIGCHLD_BIT == 0) {
        return Err(refusal(format!(
            "process {pid} has no handler for SIGCHLD: whether it would notice the signal, by signalfd or sigwait, is not known"
        )));
    }
    let threads: Vec<(char, String)> = (process.threads().into_iter())
        .filter_map(|thread| Some((process.thread_stat(thread)?.state, process.thread_status(thread))))
        .collect();
    if threads.iter().any(|(state, _)| *state == 'T') {
        return Err(SetupError {
            what: format!("process {pid} is stopped, so its handler would run only when it goes on"),
            remedy: format!("let it go on first: kill -CONT {pid}"),
        });
    }
    if !some_thread_hears(&threads) {
        return Err(refusal(format!(
            "every thread of process {pid} blocks SIGCHLD, so its handler would not run"
        )));
    }
    Ok(())
}

/// Of each thread its state and its status file. One that has ended hears nothing.
fn some_thread_hears(threads: &[(char, String)]) -> bool {
    threads
        .iter()
        .filter(|(state, _)| !matches!(state, 'Z' | 'X'))
        .any(|(_, status)| mask(status, "SigBlk:").is_some_and(|blocked| blocked & SIGCHLD_BIT == 0))
}

/// Sends it to this very process.
pub fn send(process: &Process) -> io::Result<()> {
    let pidfd = pidfd::open(process.pid)?;
    if process.stat().is_none_or(|stat| stat.start_ticks != process.start_ticks) {
        return Err(Errno::ESRCH.into());
    }
    pidfd::send(&pidfd, Signal::CHILD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_handler_nothing_is_sent() {
        // The tests themselves set none.
        let own = Process::open(std::process::id()).expect("we are here");
        assert!(check(&own).is_err_and(|error| error.what.contains("no handler")));
    }

    #[test]
    fn one_thread_that_does_not_block_it_is_enough() {
        let blocks = ('S', "SigBlk:\t0000000000010000\n".to_owned());
        let hears = ('S', "SigBlk:\t0000000000000000\n".to_owned());
        let has_ended = ('Z', hears.1.clone());
        assert!(some_thread_hears(&[blocks.clone(), hears]));
        assert!(!some_thread_hears(&[has_ended, blocks]));
        assert!(!some_thread_hears(&[]));
    }
}
