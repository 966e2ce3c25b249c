//! One thread of a parent, from its seizure to its release: it is stopped where that disturbs nothing, makes the calls, and goes
//! on.
//!
//! Owns the moment of the stop, and how a thread is let go of that does not stop. The kernel knows a tracer by its thread and
//! lets go of what that holds when it ends, without a stop: so each visit has a thread of its own. Must not choose the thread
//! or the zombies.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    panic, thread,
    time::{Duration, Instant},
};

use nix::{errno::Errno, libc};

use super::{
    architecture::{Interrupted, ended_call, is_in_own_code, make_anew},
    calls::{self, Call, Conduct, Doing},
    candidate::Candidate,
    memory,
    process::{Process, number},
    ptrace::{Broken, Held},
    threads,
};

/// Calls in a stop end when it has lasted so long.
const STOP_MAX: Duration = Duration::from_millis(50);
/// A thread that has not stopped within this time is let go.
const STOPS_WITHIN: Duration = Duration::from_millis(50);
/// One that waits for moments only is looked at for so long until it does.
const SETTLES_WITHIN: Duration = Duration::from_millis(20);
/// As often as this.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// How often a thread in a restartable sequence is let run on.
const SEQUENCE_TRIES: usize = 100;
/// The kernel lets go of a thread within this time after the end of its tracer.
const LET_GO_WITHIN: Duration = Duration::from_secs(1);
/// The longest line of a file that says which call a thread is in: nine numbers.
const CALL_LINE_MAX: usize = 256;

/// What a thread has done for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// From the request to stop until it was let go.
    pub duration: Duration,
    /// Answers of wait4, in the order of the pids.
    pub answers: Vec<i64>,
    /// It was found at the end of this call, which may have ended otherwise than it would have.
    pub disturbed: Option<i64>,
}

/// Why a thread has done nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoVisit {
    /// The kernel does not let us have it.
    Seizure(Errno),
    /// Said so that it follows "thread 7".
    Because(String),
}

/// Has the thread call wait4 for these pids by the instruction at this address, for as many of them as one stop allows.
pub fn visit(
    parent: &Process,
    candidate: Candidate,
    instruction: u64,
    pids: &[u32],
) -> Result<Visit, NoVisit> {
    let tracer = || Tracer { parent, candidate, instruction }.run(pids);
    let result = thread::scope(|scope| scope.spawn(tracer).join());
    wait_until_let_go(parent, candidate.thread);
    result.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Whoever has waited for the end of a tracer may go on before the kernel has let go of what that traced.
fn wait_until_let_go(parent: &Process, thread: u32) {
    let deadline = Instant::now() + LET_GO_WITHIN;
    while is_traced(parent, thread) && Instant::now() < deadline {
        thread::sleep(LOOK_EVERY);
    }
}

/// By whatever: /proc names the thread of a tracer, and ours has ended.
fn is_traced(parent: &Process, thread: u32) -> bool {
    number(&parent.thread_status(thread), "TracerPid:").is_some_and(|tracer| tracer != 0)
}

/// What the thread of a visit works with.
struct Tracer<'a> {
    parent: &'a Process,
    candidate: Candidate,
    instruction: u64,
}

impl Tracer<'_> {
    fn run(mut self, pids: &[u32]) -> Result<Visit, NoVisit> {
        let file = (self.parent.open_thread_call(self.candidate.thread)).map_err(|_| because("has ended"))?;
        take_precedence();
        let held =
            Held::seize(self.candidate.thread, self.candidate.has_seccomp).map_err(NoVisit::Seizure)?;
        let began = self.stop(&held, &file)?;
        self.calls(held, pids, began)
    }

    /// Stops it at a moment at which that disturbs nothing; when that was asked of it. Between the last look and the request
    /// lie microseconds.
    fn stop(&mut self, held: &Held, file: &File) -> Result<Instant, NoVisit> {
        let deadline = Instant::now() + SETTLES_WITHIN;
        loop {
            let now = read_call(file);
            if now == self.candidate.doing && (now != Doing::Running || self.still_computes()) {
                let began = Instant::now();
                return match held.interrupt(STOPS_WITHIN) {
                    Ok(true) => Ok(began),
                    Ok(false) => Err(because("did not stop within 50 ms, and was let go")),
                    Err(error) => Err(because(broken(error))),
                };
            }
            let next = Candidate { doing: now, ..self.candidate };
            let is_other = matches!(now, Doing::Blocked(_) | Doing::Outside) && now != self.candidate.doing;
            // One that was stopped and goes on is another matter.
            if self.candidate.state != 'T' && is_other && threads::objection(self.parent, &next).is_none() {
                self.candidate = next;
            } else if Instant::now() > deadline {
                return Err(because("does something else by now"));
            } else {
                thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// Of one that runs: it has been in no call since it was chosen, so far as the kernel counts.
    fn still_computes(&self) -> bool {
        let stat = self.parent.thread_stat(self.candidate.thread);
        stat.is_some_and(|stat| stat.kernel_ticks == self.candidate.kernel_ticks)
    }

    /// Its call, where that ends with EINTR and is to be made anew. One that SIGSTOP had interrupted before is not ours.
    fn made_anew(&self) -> Option<Call> {
        match self.candidate.doing {
            Doing::Blocked(call) if self.candidate.state != 'T' => {
                (calls::conduct(&call) == Conduct::IsMadeAnew).then_some(call)
            }
            _ => None,
        }
    }

    fn calls(&self, held: Held, pids: &[u32], began: Instant) -> Result<Visit, NoVisit> {
        let refuse = |error| because(broken(error));
        // Held, it cannot end and its id cannot be given out again: what is true of it now stays true.
        let why_not = self.why_unfit(&held).unwrap_or_else(|error| Some(broken(error)));
        if let Some(why) = why_not {
            let _ = make_anew(&held, self.made_anew()).and_then(|()| held.release());
            return Err(NoVisit::Because(why));
        }
        let disturbed = self.disturbed(&held).map_err(refuse)?;
        let mask = held.signal_mask().map_err(refuse)?;
        held.set_signal_mask(u64::MAX).map_err(refuse)?;
        let mut answers = Vec::with_capacity(pids.len());
        let done =
            Interrupted::take(&held, self.candidate.thread, self.made_anew()).and_then(|interrupted| {
                let calls = self
                    .wait_for(pids, &interrupted, &held, began, &mut answers)
                    .and_then(|()| interrupted.give_back(&held, self.instruction));
                calls.or_else(|error| {
                    if error != Broken::Gone {
                        interrupted.put_back(&held)?;
                    }
                    Err(error)
                })
            });
        let restored = held.set_signal_mask(mask);
        let released = held.release();
        let duration = began.elapsed();
        match done.and(restored).and(released) {
            // What was reaped is told, though the thread be gone by now.
            Err(error) if answers.is_empty() => Err(refuse(error)),
            _ => Ok(Visit { duration, answers, disturbed }),
        }
    }

    fn wait_for(
        &self,
        pids: &[u32],
        interrupted: &Interrupted,
        held: &Held,
        began: Instant,
        answers: &mut Vec<i64>,
    ) -> Result<(), Broken> {
        // Children made by clone without SIGCHLD too.
        let options = (libc::WNOHANG | libc::__WALL) as u64;
        for pid in pids {
            let arguments = [u64::from(*pid), 0, options, 0];
            answers.push(interrupted.call(held, self.instruction, libc::SYS_wait4, arguments)?);
            if began.elapsed() > STOP_MAX {
                break;
            }
        }
        Ok(())
    }

    /// The call that it had gone on to between the last look and the stop, if that may have disturbed it.
    fn disturbed(&self, held: &Held) -> Result<Option<i64>, Broken> {
        if self.candidate.state == 'T' {
            return Ok(None);
        }
        let expected = match self.candidate.doing {
            Doing::Blocked(call) => Some(call.number),
            _ => None,
        };
        let ended = ended_call(held, self.candidate.thread)?;
        Ok(ended
            .filter(|(number, result)| Some(*number) != expected && calls::may_be_disturbed(*number, *result))
            .map(|(number, _)| number))
    }

    /// Why a stopped thread is not to make calls.
    fn why_unfit(&self, held: &Held) -> Result<Option<String>, Broken> {
        let Candidate { thread, start_ticks, .. } = self.candidate;
        let same_process = self.parent.stat().is_some_and(|stat| stat.start_ticks == self.parent.start_ticks);
        let same_thread = self.parent.thread_stat(thread).is_some_and(|stat| stat.start_ticks == start_ticks);
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
            let is_outside = !is_in_own_code(held, thread)? || memory::read_u64(thread, pointer) == Some(0);
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
}

fn read_call(file: &File) -> Doing {
    let mut line = [0; CALL_LINE_MAX];
    let read = file.read_at(&mut line, 0).unwrap_or(0);
    std::str::from_utf8(&line[..read]).map_or(Doing::Unknown, calls::parse)
}

/// Asks for real-time priority for this thread, until its end: else the kernel may give the processor to the very thread that
/// is to be stopped, between the last look at it and the request. Where that is not allowed, it goes without.
fn take_precedence() {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: changes the calling thread alone, and reads a number of ours.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest) };
}

fn because(why: impl Into<String>) -> NoVisit {
    NoVisit::Because(why.into())
}

fn broken(error: Broken) -> String {
    match error {
        Broken::Gone => "has ended".to_owned(),
        Broken::Refused(errno) => format!("cannot be had: {}", errno.desc()),
        Broken::Fault(signal) => format!("received signal {signal} for the call, and was put back as it was"),
        Broken::Astray => "stopped elsewhere than it should".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    /// The state of a thread, and whether it is traced.
    fn state(process: &Process) -> (Option<char>, bool) {
        (process.stat().map(|stat| stat.state), is_traced(process, process.pid))
    }

    fn until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A child of ours that waits in vfork for its own child, which ends when a byte can be read: until then the first one
    /// cannot be stopped.
    fn in_vfork(wait_for: i32) -> libc::pid_t {
        let mut byte = 0u8;
        // SAFETY: what the children do is allowed after a fork of a program with threads; they end without running anything else.
        unsafe {
            match libc::fork() {
                0 => {
                    #[allow(deprecated, reason = "the state that it puts its caller in is what is tested")]
                    if libc::vfork() == 0 {
                        libc::read(wait_for, (&raw mut byte).cast(), 1);
                        libc::_exit(0);
                    }
                    libc::_exit(7)
                }
                child => child,
            }
        }
    }

    #[test]
    fn a_thread_that_does_not_stop_is_let_go_without_a_stop() {
        let (read, write) = nix::unistd::pipe().expect("a pipe");
        let child = in_vfork(read.as_raw_fd());
        let process = Process::open(child as u32).expect("our own child");
        until("vfork", || state(&process).0 == Some('D'));
        let tracer = || {
            let held = Held::seize(process.pid, false).expect("our own child");
            let stopped = held.interrupt(STOPS_WITHIN);
            (stopped, is_traced(&process, process.pid))
        };
        let held = thread::scope(|scope| scope.spawn(tracer).join());
        wait_until_let_go(&process, process.pid);
        let afterwards = state(&process);
        // Before anything is asserted: nobody else ends it.
        nix::unistd::write(&write, b"x").expect("it is read");
        assert_eq!(held.expect("it holds"), (Ok(false), true));
        assert_eq!(afterwards, (Some('D'), false));
        // It was never stopped: it ends by itself, and as it would have.
        let ended = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None);
        assert_eq!(ended, Ok(nix::sys::wait::WaitStatus::Exited(nix::unistd::Pid::from_raw(child), 7)));
    }

    #[test]
    fn the_open_file_is_read_anew_each_time() {
        let own = Process::open(std::process::id()).expect("we are here");
        let file = own.open_thread_call(nix::unistd::gettid().as_raw() as u32).expect("our own");
        // Of itself a thread reads that it reads.
        for _ in 0..2 {
            assert!(matches!(read_call(&file), Doing::Blocked(call) if call.number == libc::SYS_pread64));
        }
    }
}
