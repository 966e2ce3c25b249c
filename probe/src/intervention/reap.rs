//! Has a parent reap its own zombies: one of its threads is stopped, calls wait4 for each of them, and goes on.
//!
//! Owns how many calls a stop has and which threads are tried. Whoever kills reapwatch by SIGKILL in the midst of a stop
//! leaves the thread with the registers of a call: so no other signal ends it there ([`Signals`]), and stops are short.
//! Must not choose the zombies or ask the user.

use std::{collections::VecDeque, thread, time::Duration};

use nix::{
    errno::Errno,
    libc,
    sys::signal::{SigSet, SigmaskHow, pthread_sigmask},
};

use super::{
    process::{Process, pids_by_namespace},
    safety,
    threads::{self, NoThread},
    visit::{self, NoVisit},
    zombies::Zombie,
};
use crate::source::SetupError;

/// Most calls in one stop.
const CALLS_MAX: usize = 2_000;
/// Between two stops the thread runs at least so long.
const RUN_MIN: Duration = Duration::from_millis(1);
/// Threads tried for one stop.
const THREADS_TRIED: usize = 4;
/// What one call costs, about, on a machine of today.
const CALL_ABOUT: Duration = Duration::from_micros(30);

/// One stop of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    pub thread: u32,
    /// From the request to stop until it was let go.
    pub duration: Duration,
    pub reaped: u64,
    /// It was found at the end of this call, which may have ended otherwise than it would have.
    pub disturbed: Option<i64>,
}

/// Why a zombie was not reaped by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The parent has reaped it in the meantime.
    Gone,
    /// wait4 did not find it ready: a tracer holds it, if it is known whose.
    NotReady { tracer: Option<u32> },
    /// wait4 failed.
    Failed(Errno),
}

/// What came of it all.
#[derive(Debug, Default)]
pub struct Outcome {
    pub reaped: u64,
    pub left: Vec<(Zombie, Left)>,
    pub stops: Vec<Stop>,
    /// Not tried: a signal for reapwatch came, or no thread could be had.
    pub untried: u64,
    /// Why no thread could be had for the rest.
    pub refused: Option<SetupError>,
}

/// How long the thread will be stopped, all stops together, about.
pub fn stopped_about(zombies: usize) -> Duration {
    CALL_ABOUT * zombies.try_into().unwrap_or(u32::MAX) + Duration::from_micros(200)
}

/// Keeps all signals from this thread until it is dropped, but for those that no process can keep away.
pub struct Signals(SigSet);

impl Signals {
    pub fn keep() -> Self {
        let mut before = SigSet::empty();
        // Cannot fail: the arguments are valid.
        let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before));
        Self(before)
    }

    /// Whether a signal waits that asks for the end.
    pub fn ask_for_the_end(&self) -> bool {
        let mut pending = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: the set is ours to write, and zero is a value of it.
        let pending = unsafe {
            libc::sigpending(pending.as_mut_ptr());
            pending.assume_init()
        };
        [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT].into_iter().any(|signal| {
            // SAFETY: reads a set of ours.
            unsafe { libc::sigismember(&raw const pending, signal) == 1 }
        })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None);
    }
}

/// Reaps these zombies of this parent, in as many stops as it takes.
pub fn reap(parent: &Process, zombies: Vec<Zombie>, signals: &Signals) -> Outcome {
    let depth = pids_by_namespace(&parent.status()).len().saturating_sub(1);
    let mut waiting = VecDeque::from(zombies);
    let mut outcome = Outcome::default();
    while !waiting.is_empty() && !signals.ask_for_the_end() {
        // A pid may have been given out again since the last look.
        let mut batch = Vec::new();
        while batch.len() < CALLS_MAX
            && let Some(zombie) = waiting.pop_front()
        {
            match zombie.pid_at(depth).filter(|_| zombie.is_still_of(parent.pid)) {
                Some(pid) => batch.push((pid, zombie)),
                None => outcome.left.push((zombie, Left::Gone)),
            }
        }
        if batch.is_empty() {
            continue;
        }
        let answers = match one_stop(parent, &batch) {
            Ok((stop, answers)) => {
                outcome.reaped += stop.reaped;
                outcome.stops.push(stop);
                if answers.len() < batch.len() {
                    thread::sleep(stop.duration.max(RUN_MIN));
                }
                answers
            }
            Err(error) => {
                outcome.refused = Some(error);
                outcome.untried = (batch.len() + waiting.len()) as u64;
                return outcome;
            }
        };
        for (index, (_, zombie)) in batch.into_iter().enumerate().rev() {
            match answers.get(index) {
                // The stop was long enough.
                None => waiting.push_front(zombie),
                Some(answer) => {
                    let left = left(&zombie, *answer);
                    outcome.left.extend(left.map(|left| (zombie, left)));
                }
            }
        }
    }
    outcome.untried = waiting.len() as u64;
    outcome
}

/// What wait4's answer says; `None` where it has reaped the child.
fn left(zombie: &Zombie, answer: i64) -> Option<Left> {
    match answer {
        1.. => None,
        0 => Some(Left::NotReady { tracer: zombie.tracer() }),
        error => match Errno::from_raw(error.unsigned_abs() as i32) {
            Errno::ECHILD => Some(Left::Gone),
            errno => Some(Left::Failed(errno)),
        },
    }
}

/// Stops a thread and has it make the calls; its answers, fewer than there are zombies where the stop was long enough.
fn one_stop(parent: &Process, batch: &[(u32, Zombie)]) -> Result<(Stop, Vec<i64>), SetupError> {
    let pid = parent.pid;
    let pids: Vec<u32> = batch.iter().map(|(pid, _)| *pid).collect();
    let candidates = threads::candidates(parent).map_err(|why| safety::no_thread(pid, &why))?;
    let living: Vec<u32> = candidates.iter().map(|candidate| candidate.thread).collect();
    let instruction = safety::call_instruction(pid, &living)?;
    let mut reasons = Vec::new();
    for candidate in candidates.into_iter().take(THREADS_TRIED) {
        let thread = candidate.thread;
        match visit::visit(parent, candidate, instruction, &pids) {
            Ok(visit) => {
                let reaped = visit.answers.iter().filter(|answer| **answer > 0).count() as u64;
                let stop = Stop { thread, duration: visit.duration, reaped, disturbed: visit.disturbed };
                return Ok((stop, visit.answers));
            }
            Err(NoVisit::Because(why)) => reasons.push(format!("thread {thread} {why}")),
            Err(NoVisit::Seizure(Errno::ESRCH)) => reasons.push(format!("thread {thread} has ended")),
            Err(NoVisit::Seizure(_)) if parent.has_ended() => {
                return Err(safety::no_thread(pid, &NoThread::Gone));
            }
            Err(NoVisit::Seizure(error)) => {
                return Err(safety::refused_by_kernel(pid, thread, error, candidate.has_seccomp));
            }
        }
    }
    Err(safety::none_would(pid, &reasons))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_wait4() {
        let zombie = Zombie { pid: 1, start_ticks: 0, comm: String::new(), exit_status: 0 };
        assert_eq!(left(&zombie, 7), None);
        assert_eq!(left(&zombie, 0), Some(Left::NotReady { tracer: None }));
        assert_eq!(left(&zombie, -10), Some(Left::Gone));
        assert_eq!(left(&zombie, -38), Some(Left::Failed(Errno::ENOSYS)));
    }

    #[test]
    fn signals_are_kept_until_the_end() {
        let signals = Signals::keep();
        assert!(!signals.ask_for_the_end());
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).expect("a signal to ourselves");
        assert!(signals.ask_for_the_end());
        // Taken away again before it would end the tests.
        let taken = SigSet::from(nix::sys::signal::Signal::SIGTERM).wait();
        assert_eq!(taken, Ok(nix::sys::signal::Signal::SIGTERM));
        assert!(!signals.ask_for_the_end());
    }
}
