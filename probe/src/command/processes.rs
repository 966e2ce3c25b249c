//! Processes that somebody named by their pids: whether there are any.
//!
//! Must not know what is done with them.

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

use super::Failure;
use crate::source::host::{
    condition::{self, NoProcess},
    namespace,
};

/// Fails if one of these is no process: a command that waits for its events would wait for ever. One that ends later is no failure.
pub fn require(pids: &[u32]) -> Result<(), Failure> {
    if pids.is_empty() {
        return Ok(());
    }
    // In another namespace, the number is another process's.
    namespace::require_initial_pid()?;
    pids.iter().try_for_each(|pid| match condition::look(*pid) {
        // Where /proc hides the processes of others, it is there all the same.
        Err(NoProcess::None) if !exists(*pid) => {
            Err(Failure::other(format!("there is no process {pid}: `ps -e` lists those there are")))
        }
        Err(NoProcess::Thread { process }) => Err(is_thread(*pid, process)),
        _ => Ok(()),
    })
}

/// This number is a thread's.
pub fn is_thread(pid: u32, process: u32) -> Failure {
    Failure::other(format!(
        "{pid} is a thread of process {process}: name the process, whose threads share their children"
    ))
}

fn exists(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}
