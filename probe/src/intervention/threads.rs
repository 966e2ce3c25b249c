//! Chooses the thread that makes the calls: any thread of a process can reap all children of the process.
//!
//! Owns the order of preference and the reasons against a thread. Must not touch the thread.

use super::{
    calls::{self, Call, Doing},
    descriptor::read_waits_for_more,
    process::{Process, number},
};

/// Threads looked at, the main one first.
const THREADS_MAX: usize = 64;

/// A thread that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub thread: u32,
    /// Clock ticks from boot to its start: with the id, its identity.
    pub start_ticks: u64,
    pub state: char,
    pub doing: Doing,
    /// It gets SIGCHLD when they die. While it is held the kernel wakes another thread for that, even where the program
    /// ignores the signal, and a call of that one may end with EINTR.
    pub has_children: bool,
    /// A seccomp filter judges the calls of this thread.
    pub has_seccomp: bool,
}

/// Why no thread can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoThread {
    /// A tracer has this process already.
    Traced { by: u32 },
    /// Every thread sleeps and cannot be woken.
    Uninterruptible,
    /// Every thread that could be asked writes, sends, closes or waits for io_uring: stopped in the middle, its call would
    /// end with a part done.
    Writing,
    /// It has no thread any more.
    Gone,
}

/// The threads that may be asked, best first: those without children before those with; then one that sleeps in a call that
/// goes on by itself, then one that runs, then a stopped one, then one in a call that has to be made anew; the main thread
/// before others.
pub fn candidates(process: &Process) -> Result<Vec<Candidate>, NoThread> {
    let mut found = Vec::new();
    let mut against = NoThread::Gone;
    for thread in process.threads().into_iter().take(THREADS_MAX) {
        let Some(stat) = process.thread_stat(thread) else { continue };
        let status = process.thread_status(thread);
        if let Some(by @ 1..) = number(&status, "TracerPid:") {
            return Err(NoThread::Traced { by: by as u32 });
        }
        match stat.state {
            // `P` (parked) is for kernel threads.
            'Z' | 'X' | 'x' | 'P' => {}
            'D' => against = NoThread::Uninterruptible,
            state => {
                let doing = calls::parse(&process.thread_call(thread));
                if matches!(doing, Doing::Blocked(call) if may_be_cut_short(process, call)) {
                    against = NoThread::Writing;
                    continue;
                }
                found.push(Candidate {
                    thread,
                    start_ticks: stat.start_ticks,
                    state,
                    doing,
                    has_children: process.thread_has_children(thread),
                    has_seccomp: number(&status, "Seccomp:").is_some_and(|mode| mode != 0),
                });
            }
        }
    }
    // Stable: threads of one rank keep their order, the main one first.
    found.sort_by_key(|candidate| (candidate.has_children, rank(candidate)));
    if found.is_empty() { Err(against) } else { Ok(found) }
}

fn may_be_cut_short(process: &Process, call: Call) -> bool {
    calls::may_be_cut_short(call)
        || calls::reads(call.number) && read_waits_for_more(process, call.first_argument)
}

fn rank(candidate: &Candidate) -> u8 {
    match (candidate.state, candidate.doing) {
        (_, Doing::Blocked(call)) if calls::is_never_restarted(call.number) => 3,
        ('S', _) => 0,
        ('R', _) => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    fn candidate(state: char, number: Option<i64>) -> Candidate {
        let call = |number| Call {
            number,
            first_argument: 0,
            flags: [0; 2],
            stack_pointer: 0,
            instruction_pointer: 0,
        };
        let doing = number.map_or(Doing::Unknown, |number| Doing::Blocked(call(number)));
        Candidate { thread: 1, start_ticks: 1, state, doing, has_children: false, has_seccomp: false }
    }

    #[test]
    fn a_sleeper_whose_call_goes_on_by_itself_comes_first() {
        let order = [
            candidate('S', Some(libc::SYS_futex)),
            candidate('R', None),
            candidate('T', None),
            candidate('S', Some(libc::SYS_epoll_pwait)),
        ];
        assert!(order.is_sorted_by_key(rank));
        assert!(rank(&order[0]) < rank(&order[1]));
    }

    #[test]
    fn our_own_threads_are_candidates() {
        let own = Process::open(std::process::id()).expect("we are here");
        match candidates(&own) {
            // Threads of other tests come and go; this one stays.
            Ok(found) => {
                let this = nix::unistd::gettid().as_raw();
                assert!(found.iter().any(|one| i64::from(one.thread) == i64::from(this)));
            }
            Err(against) => assert!(matches!(against, NoThread::Traced { .. }), "{against:?}"),
        }
    }
}
