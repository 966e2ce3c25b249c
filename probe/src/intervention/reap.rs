//! Has a parent reap its own zombies: one of its threads is stopped, calls wait4 for each of them, and goes on.
//!
//! Owns how long a stop may last and what is undone after it. Whoever kills reapwatch by SIGKILL in the midst of a stop
//! leaves the thread with the registers of a call: so no other signal ends it there ([`Signals`]), and stops are short.
//! Must not choose the zombies or ask the user.

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    sys::signal::{SigSet, SigmaskHow, pthread_sigmask},
};

use super::{
    architecture::{Interrupted, is_in_own_code, make_anew},
    memory,
    process::{Process, pids_by_namespace},
    ptrace::{Broken, Held},
    safety,
    threads::{self, Candidate, NoThread},
    zombies::Zombie,
};
use crate::source::SetupError;

/// Most calls in one stop.
const CALLS_MAX: usize = 2_000;
/// A stop ends when it has lasted so long.
const STOP_MAX: Duration = Duration::from_millis(50);
/// Between two stops the thread runs at least so long.
const RUN_MIN: Duration = Duration::from_millis(1);
/// A thread that has not stopped within this time is not waited for.
const STOPS_WITHIN: Duration = Duration::from_secs(1);
/// Threads tried for one stop.
const THREADS_TRIED: usize = 4;
/// How often a thread in a restartable sequence is let run on.
const SEQUENCE_TRIES: usize = 100;
/// What one call costs, about, on a machine of today.
const CALL_ABOUT: Duration = Duration::from_micros(30);

/// One stop of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    pub thread: u32,
    /// From the request to stop until it was let go.
    pub duration: Duration,
    pub reaped: u64,
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
    let candidates = threads::candidates(parent).map_err(|why| safety::no_thread(pid, &why))?;
    let living: Vec<u32> = candidates.iter().map(|candidate| candidate.thread).collect();
    let instruction = safety::call_instruction(pid, &living)?;
    let mut reasons = Vec::new();
    for candidate in candidates.into_iter().take(THREADS_TRIED) {
        let thread = candidate.thread;
        let held = match Held::seize(thread, candidate.has_seccomp) {
            Ok(held) => held,
            Err(Errno::ESRCH) => {
                reasons.push(format!("thread {thread} has ended"));
                continue;
            }
            Err(_) if parent.has_ended() => return Err(safety::no_thread(pid, &NoThread::Gone)),
            Err(error) => return Err(safety::refused_by_kernel(pid, thread, error, candidate.has_seccomp)),
        };
        match visit(parent, candidate, held, instruction, batch) {
            Ok(done) => return Ok(done),
            Err(why) => reasons.push(format!("thread {thread} {why}")),
        }
    }
    Err(safety::none_would(pid, &reasons))
}

/// One thread, from its seizure to its release; or why it makes no calls.
fn visit(
    parent: &Process,
    candidate: Candidate,
    held: Held,
    instruction: u64,
    batch: &[(u32, Zombie)],
) -> Result<(Stop, Vec<i64>), String> {
    let began = Instant::now();
    let broken = |error: Broken| match error {
        Broken::Gone => "has ended".to_owned(),
        Broken::Refused(errno) => format!("cannot be had: {}", errno.desc()),
        Broken::Fault(signal) => format!("received signal {signal} for the call, and was put back as it was"),
        Broken::Astray => "stopped elsewhere than it should".to_owned(),
    };
    if !held.interrupt(STOPS_WITHIN).map_err(broken)? {
        return Err("did not stop within 1 s; the kernel lets go of it when reapwatch ends".into());
    }
    // Held, it cannot end and its id cannot be given out again: what is true of it now stays true.
    if let Err(why) = is_fit(parent, candidate, &held).map_err(broken).and_then(|why| why.map_or(Ok(()), Err))
    {
        let _ = make_anew(&held).and_then(|()| held.release());
        return Err(why);
    }
    let mask = held.signal_mask().map_err(broken)?;
    held.set_signal_mask(u64::MAX).map_err(broken)?;
    let taken = Interrupted::take(&held, candidate.thread, candidate.doing);
    let mut answers = Vec::with_capacity(batch.len());
    let done = taken.and_then(|interrupted| {
        let calls = calls(&interrupted, &held, instruction, batch, began, &mut answers)
            .and_then(|()| interrupted.give_back(&held, instruction));
        calls.or_else(|error| {
            if error != Broken::Gone {
                interrupted.put_back(&held)?;
            }
            Err(error)
        })
    });
    let restored = held.set_signal_mask(mask);
    let released = held.release();
    let reaped = answers.iter().filter(|answer| **answer > 0).count() as u64;
    let duration = began.elapsed();
    match done.and(restored).and(released) {
        // What was reaped is told, though the thread be gone by now.
        Err(error) if answers.is_empty() => Err(broken(error)),
        _ => Ok((Stop { thread: candidate.thread, duration, reaped }, answers)),
    }
}

fn calls(
    interrupted: &Interrupted,
    held: &Held,
    instruction: u64,
    batch: &[(u32, Zombie)],
    began: Instant,
    answers: &mut Vec<i64>,
) -> Result<(), Broken> {
    // Children made by clone without SIGCHLD too.
    let options = (libc::WNOHANG | libc::__WALL) as u64;
    for (pid, _) in batch {
        answers.push(interrupted.call(
            held,
            instruction,
            libc::SYS_wait4,
            [u64::from(*pid), 0, options, 0],
        )?);
        if began.elapsed() > STOP_MAX {
            break;
        }
    }
    Ok(())
}

/// Why a stopped thread is not to make calls.
fn is_fit(parent: &Process, candidate: Candidate, held: &Held) -> Result<Option<String>, Broken> {
    let same_process = parent.stat().is_some_and(|stat| stat.start_ticks == parent.start_ticks);
    let same_thread =
        parent.thread_stat(candidate.thread).is_some_and(|stat| stat.start_ticks == candidate.start_ticks);
    if !same_process || !same_thread {
        return Ok(Some("has ended, and its id was given out again".into()));
    }
    if held.is_foreign()? {
        return Ok(Some("is in a call of 32 bits".into()));
    }
    if held.dispatches_calls() {
        return Ok(Some("has its system calls handled by itself (syscall user dispatch)".into()));
    }
    let Some(pointer) = held.sequence_pointer() else { return Ok(None) };
    for _ in 0..SEQUENCE_TRIES {
        let is_outside = !is_in_own_code(held, candidate.thread)?
            || memory::read_u64(candidate.thread, pointer) == Some(0);
        if is_outside {
            return Ok(None);
        }
        // The kernel would not notice that the sequence was left; it ends in a moment.
        held.go_on()?;
        if !held.interrupt(STOPS_WITHIN)? {
            break;
        }
    }
    Ok(Some("is in a restartable sequence (rseq) all the time".into()))
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
