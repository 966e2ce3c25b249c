//! A thread that may be asked to make calls, and what can stand against that, in words.
//!
//! Owns both. Must not look at a process.

use super::calls::{self, Disturbed, Doing};

/// A thread that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub thread: u32,
    /// Clock ticks from boot to its start: with the id, its identity.
    pub start_ticks: u64,
    pub state: char,
    pub doing: Doing,
    /// How often it has given up the processor to wait.
    pub switches: u64,
    /// Of one that runs: the ticks that it had spent in the kernel when it was seen to spend none there.
    pub kernel_ticks: u64,
    /// It stayed where it was for a while.
    pub is_still: bool,
    /// It gets SIGCHLD when they die. While it is held the kernel wakes another thread for that, even where the program
    /// ignores the signal, and a call of that one may end with EINTR.
    pub has_children: bool,
    /// A seccomp filter judges the calls of this thread.
    pub has_seccomp: bool,
}

/// What stands against stopping a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// Its call would end otherwise than it would have.
    Call(i64, Disturbed),
    /// Its call waits for data from a descriptor, and this stands against that.
    Descriptor(i64, &'static str),
    /// The kernel could not write down what is left of the timeout of its call.
    Timeout(i64),
    /// Its call is not made by the instruction of this architecture.
    Foreign,
    /// Its call waits for another process to decide about it (seccomp user notification), which would be asked twice.
    Judged,
    /// It has a seccomp filter, and the kernel does not tell whether its call waits for a process that decides about it.
    PerhapsJudged,
    /// It runs, and part of the time in the kernel.
    RunsInKernel,
    /// It runs, but has not run for long enough to tell.
    Runs,
    /// It cannot be woken (state D).
    Uninterruptible,
    /// /proc does not say what it does.
    Unseen,
}

impl Objection {
    /// So that it follows "thread 7".
    pub fn text(self) -> String {
        let named = calls::name;
        match self {
            Self::Call(number, Disturbed::CutShort) => {
                format!("is in {}, which would come back with less than it was asked for", named(number))
            }
            Self::Call(number, Disturbed::BeginsAnew) => {
                format!("is in {}, whose timeout would begin anew", named(number))
            }
            Self::Call(number, Disturbed::Perhaps) => {
                format!("is in {}, of which it is not known that it goes on undisturbed", named(number))
            }
            Self::Descriptor(number, what) => format!("is in {}, and its descriptor {what}", named(number)),
            Self::Timeout(number) => {
                format!("is in {}, and the kernel cannot write down what is left of its timeout", named(number))
            }
            Self::Foreign => "is in a call of 32 bits".into(),
            Self::Judged => "is in a call that another process decides about (seccomp user notification), and that process \
                             would be asked twice"
                .into(),
            Self::PerhapsJudged => "has a seccomp filter, and the kernel does not say whether another process decides about \
                                    its call (/proc/PID/wchan)"
                .into(),
            Self::RunsInKernel => "runs, part of the time in calls, and the kernel does not say in which it is: it could come \
                                   back with less than it was asked for"
                .into(),
            Self::Runs => "runs, but too little to see that it only computes".into(),
            Self::Uninterruptible => "sleeps and cannot be woken (state D): it waits for a device, a file system, a vfork \
                                      child, or is frozen"
                .into(),
            Self::Unseen => "does something that /proc does not tell".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    #[test]
    fn objections_name_the_call() {
        let text = |number, how| Objection::Call(number, how).text();
        assert_eq!(
            text(libc::SYS_sendfile, Disturbed::CutShort),
            "is in sendfile, which would come back with less than it was asked for"
        );
        assert!(text(libc::SYS_epoll_pwait, Disturbed::BeginsAnew).contains("in epoll_pwait, whose timeout"));
        assert!(text(1 << 20, Disturbed::Perhaps).contains("system call 1048576"));
        let read = Objection::Descriptor(libc::SYS_read, "is a terminal").text();
        assert_eq!(read, "is in read, and its descriptor is a terminal");
    }
}
