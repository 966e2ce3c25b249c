//! Chooses the thread that makes the calls: any thread of a process can reap all children of the process.
//!
//! Owns the order of preference and the reasons against a thread. A thread is chosen before it is stopped: a call that a stop
//! disturbs is disturbed by then. Must not touch the thread.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    architecture::CALL_INSTRUCTION,
    calls::{self, Call, Conduct, Disturbed, Doing},
    candidate::{Candidate, Objection},
    descriptor, memory,
    process::{Process, number},
    running::Runner,
};

/// Threads looked at, the main one first.
const THREADS_MAX: usize = 64;
/// A thread that stays in its call for so long is preferred.
const STILL_FOR: Duration = Duration::from_millis(10);
/// Where no thread can be had, they are looked at again for so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// As often as this.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why no thread can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoThread {
    /// A tracer has this process already.
    Traced { by: u32 },
    /// Every thread would be disturbed, or cannot be stopped.
    Unfit(Vec<(u32, Objection)>),
    /// It has no thread any more.
    Gone,
}

/// The threads that may be asked, best first: those without children before those with; then one that sleeps in a call that
/// goes on by itself, then one in a call that has to be made anew, then one that sleeps for moments only, then a stopped one;
/// the main thread before others. One that runs comes only where there is no other.
pub fn candidates(process: &Process) -> Result<Vec<Candidate>, NoThread> {
    let deadline = Instant::now() + PATIENCE;
    let mut runners: Vec<Runner> = Vec::new();
    loop {
        let Look { mut found, running, mut against } = look(process)?;
        if !found.is_empty() {
            mark_still(process, &mut found);
            // Stable: threads of one rank keep their order, the main one first.
            found.sort_by_key(|candidate| (candidate.has_children, rank(candidate)));
            return Ok(found);
        }
        runners.retain(|runner| running.iter().any(|one| runner.is_of(one)));
        for one in running {
            match runners.iter_mut().find(|runner| runner.is_of(&one)) {
                Some(runner) => runner.look(process, &one),
                None => runners.push(Runner::of(process, one)),
            }
        }
        let mut fit: Vec<Candidate> = runners.iter().filter_map(Runner::is_fit).collect();
        if !fit.is_empty() {
            fit.sort_by_key(|candidate| candidate.has_children);
            return Ok(fit);
        }
        against.extend(runners.iter().map(|runner| (runner.thread(), runner.objection())));
        if against.is_empty() {
            return Err(NoThread::Gone);
        }
        if Instant::now() > deadline {
            against.sort_by_key(|(thread, _)| (*thread != process.pid, *thread));
            return Err(NoThread::Unfit(against));
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// What the threads of a process do at this moment.
struct Look {
    found: Vec<Candidate>,
    running: Vec<Candidate>,
    against: Vec<(u32, Objection)>,
}

fn look(process: &Process) -> Result<Look, NoThread> {
    let mut look = Look { found: Vec::new(), running: Vec::new(), against: Vec::new() };
    for thread in process.threads().into_iter().take(THREADS_MAX) {
        let Some(stat) = process.thread_stat(thread) else { continue };
        let status = process.thread_status(thread);
        if let Some(by @ 1..) = number(&status, "TracerPid:") {
            return Err(NoThread::Traced { by: by as u32 });
        }
        let candidate = Candidate {
            thread,
            start_ticks: stat.start_ticks,
            state: stat.state,
            doing: calls::parse(&process.thread_call(thread)),
            switches: number(&status, "voluntary_ctxt_switches:").unwrap_or(0),
            kernel_ticks: stat.kernel_ticks,
            is_still: false,
            has_children: process.thread_has_children(thread),
            has_seccomp: number(&status, "Seccomp:").is_some_and(|mode| mode != 0),
        };
        match (stat.state, candidate.doing) {
            // `P` (parked) is for kernel threads.
            ('Z' | 'X' | 'x' | 'P', _) => {}
            ('D', _) => look.against.push((thread, Objection::Uninterruptible)),
            // It was interrupted before, and is not disturbed again.
            ('T', _) => look.found.push(candidate),
            (_, Doing::Running) => look.running.push(candidate),
            _ => match objection(process, &candidate) {
                None => look.found.push(candidate),
                Some(objection) => look.against.push((thread, objection)),
            },
        }
    }
    Ok(look)
}

/// What stands against stopping a thread that is blocked.
pub fn objection(process: &Process, candidate: &Candidate) -> Option<Objection> {
    let (thread, call) = match candidate.doing {
        // The fault is taken again.
        Doing::Outside => return None,
        Doing::Running | Doing::Unknown => return Some(Objection::Unseen),
        Doing::Blocked(call) => (candidate.thread, call),
    };
    if !is_made_by_the_usual_instruction(thread, &call) {
        return Some(Objection::Foreign);
    }
    if candidate.has_seccomp {
        match process.thread_wait_channel(thread) {
            channel if channel.contains("seccomp") => return Some(Objection::Judged),
            channel if channel.is_empty() => return Some(Objection::PerhapsJudged),
            _ => {}
        }
    }
    match calls::conduct(&call) {
        Conduct::GoesOn | Conduct::IsMadeAnew => None,
        Conduct::GoesOnIfWritable(address) => {
            let is_written =
                !process.thread_keeps_timeouts(thread) && memory::is_writable(process.pid, thread, address);
            (!is_written).then_some(Objection::Timeout(call.number))
        }
        Conduct::Receives { all_of_it: true, .. } => Some(Objection::Call(call.number, Disturbed::CutShort)),
        Conduct::Receives { fd, .. } => {
            descriptor::objection(process, thread, fd).map(|what| Objection::Descriptor(call.number, what))
        }
        Conduct::Is(how) => Some(Objection::Call(call.number, how)),
    }
}

/// Numbers of calls that are made in another way are those of another architecture (`int $0x80`).
fn is_made_by_the_usual_instruction(thread: u32, call: &Call) -> bool {
    let length = CALL_INSTRUCTION.len();
    let before = call.instruction_pointer.wrapping_sub(length as u64);
    memory::read(thread, before, length).as_deref() == Some(&CALL_INSTRUCTION[..])
}

fn mark_still(process: &Process, found: &mut [Candidate]) {
    thread::sleep(STILL_FOR);
    for candidate in found {
        let switches = number(&process.thread_status(candidate.thread), "voluntary_ctxt_switches:");
        candidate.is_still = switches == Some(candidate.switches);
    }
}

fn rank(candidate: &Candidate) -> u8 {
    let is_made_anew = match candidate.doing {
        Doing::Blocked(call) => calls::conduct(&call) == Conduct::IsMadeAnew,
        _ => false,
    };
    match candidate.state {
        'T' => 3,
        _ if !candidate.is_still => 2,
        _ => u8::from(is_made_anew),
    }
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    fn candidate(state: char, number: Option<i64>, is_still: bool) -> Candidate {
        let call = |number| Call {
            number,
            arguments: [0, 0, 0, u64::MAX, 0, 0],
            stack_pointer: 0,
            instruction_pointer: 0,
        };
        let doing = number.map_or(Doing::Outside, |number| Doing::Blocked(call(number)));
        Candidate {
            thread: 1,
            start_ticks: 1,
            state,
            doing,
            switches: 0,
            kernel_ticks: 0,
            is_still,
            has_children: false,
            has_seccomp: false,
        }
    }

    #[test]
    fn a_sleeper_whose_call_goes_on_by_itself_comes_first() {
        let order = [
            candidate('S', Some(libc::SYS_futex), true),
            candidate('S', Some(libc::SYS_epoll_pwait), true),
            candidate('S', Some(libc::SYS_futex), false),
            candidate('T', None, true),
        ];
        assert!(order.windows(2).all(|pair| rank(&pair[0]) < rank(&pair[1])));
    }

    #[test]
    fn a_thread_of_our_own_that_sleeps_is_a_candidate() {
        let own = Process::open(std::process::id()).expect("we are here");
        let (wake, sleeps) = std::sync::mpsc::channel::<()>();
        let (told, tells) = std::sync::mpsc::channel();
        let sleeper = thread::spawn(move || {
            told.send(nix::unistd::gettid().as_raw() as u32).expect("it listens");
            let _ = sleeps.recv();
        });
        let thread = tells.recv().expect("it says");
        let deadline = Instant::now() + Duration::from_secs(10);
        // Threads of other tests come and go, and one may be traced for a moment.
        while !candidates(&own).is_ok_and(|found| found.iter().any(|one| one.thread == thread)) {
            assert!(Instant::now() < deadline, "{:?}", candidates(&own));
        }
        drop(wake);
        sleeper.join().expect("it ends");
    }
}
