//! Evidence: what a suspect was doing when it was looked at. Each part can be unknown, and unknown is no answer.
//!
//! Must not know where this is read, nor the numbers of any architecture's system calls.

use std::mem;

use super::{SignalMasks, Task};

/// Most suspects at a time: as many are asked about, and as many are looked at.
pub const SUSPECTS_MAX: usize = 64;
/// Most threads of a suspect that are read.
pub const THREADS_READ_MAX: usize = 64;
/// Most writers of a pipe that are named.
pub const WRITERS_MAX: usize = 16;
/// Most generations between a reader and a writer that descends from it.
pub const GENERATIONS_MAX: usize = 32;
/// Longest wait channel kept, in bytes.
pub const WAIT_CHANNEL_MAX: usize = 64;

/// What a suspect was doing when it was looked at, as /proc shows it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The letter of the main thread's state, as /proc has it: R S D T t Z I; 0: unknown. A process that has died gives no
    /// evidence, so Z is a main thread that has ended before the others.
    pub state: u8,
    /// Of the main thread.
    pub signals: SignalMasks,
    /// The signals that every thread blocks of those that were read and have not ended; `None`: unknown, also where not all
    /// threads were read.
    pub blocked_by_all: Option<u64>,
    /// How often the kernel took the main thread off a CPU, of itself or not; 0: unknown. One that does not run stays at its number.
    pub switches: u64,
    /// The signals that are pending for the process as a whole.
    pub pending: Option<u64>,
    /// How many threads it has, those that have ended and are still listed included; 0: unknown.
    pub threads: u32,
    /// How many of them were read: at most [`THREADS_READ_MAX`].
    pub threads_read: u32,
    pub tracer: Tracer,
    /// Whether its cgroup is frozen, or one above it; `None` where that cannot be read, and while it is being frozen.
    pub is_frozen: Option<bool>,
    /// What the main thread is blocked in. Where that is neither a wait call, a read of a pipe nor vfork, and another thread
    /// that was read is in something that says more, it is that thread's: a wait call first, then a read of a pipe, then vfork,
    /// then a pipe that is polled, then a wait for a signal.
    pub blocked: Blocked,
    /// Whether `blocked` is of the main thread.
    pub is_of_main: bool,
    /// How many of the threads that were read are in a wait call, those included whose call may not be read, and how many wait for a
    /// signal (sigwait, sigtimedwait).
    pub threads_in_wait: u32,
    pub threads_in_signal_wait: u32,
    /// The function of the kernel in which the main thread sleeps; empty where unknown. Its name depends on the kernel: say
    /// it, and do not rest a rule on it.
    pub wait_channel: Vec<u8>,
}

impl Evidence {
    /// Whether it could go on: it is known to be neither stopped nor frozen, in vfork, nor in a sleep that cannot be interrupted.
    pub fn is_free(&self) -> bool {
        matches!(self.state, b'R' | b'S') && self.is_frozen == Some(false) && self.blocked != Blocked::Vfork
    }

    /// Whether it runs, or sleeps in a way that its own doing can end. Otherwise it runs nothing, so it is not taken off a CPU either:
    /// where it was, something let it go on in between, such as a tracer at each system call, or one that stops and continues it by
    /// turns.
    fn can_run(&self) -> bool {
        !matches!(self.state, b'T' | b't' | b'D')
            && self.is_frozen != Some(true)
            && self.blocked != Blocked::Vfork
    }

    /// Whether it does what it did at an earlier look, as far as both tell: what is pending and masked may have changed, and who
    /// writes to a pipe.
    pub fn does_as(&self, before: &Self) -> bool {
        let is_same_call = match (&self.blocked, &before.blocked) {
            (Blocked::PipeRead(now), Blocked::PipeRead(then)) => {
                (now.pipe, now.is_polled) == (then.pipe, then.is_polled)
            }
            (now, then) => now == then,
        };
        let rest = |one: &Self| (one.state, one.is_frozen, one.tracer, one.is_of_main, one.threads == 1);
        let has_run = !self.can_run() && self.switches != before.switches;
        is_same_call && !has_run && rest(self) == rest(before) && self.wait_channel == before.wait_channel
    }

    /// Whether it does the like of what it did at another time: for another child, say, or another pipe.
    pub fn is_like(&self, other: &Self) -> bool {
        let is_like_call = match (&self.blocked, &other.blocked) {
            (Blocked::Call(one), Blocked::Call(other)) => one == other,
            (Blocked::Wait(one), Blocked::Wait(other)) => {
                (one.target == WaitTarget::Any) == (other.target == WaitTarget::Any)
            }
            (one, other) => mem::discriminant(one) == mem::discriminant(other),
        };
        is_like_call && (self.state, self.is_frozen) == (other.state, other.is_frozen)
    }

    /// Whether it sleeps, and in what may not be read: it is another user's process, whose wait channel alone is shown.
    pub fn is_hidden(&self) -> bool {
        self.state == b'S' && self.is_of_main && self.blocked == Blocked::Unknown
    }
}

/// Whether it is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tracer {
    #[default]
    Unknown,
    /// None of its threads that were read is traced by somebody whom /proc shows.
    None,
    /// This process traces one of its threads. Its start is known to the clock tick alone (10 ms); where reapwatch runs in a
    /// PID namespace of its own, the tgid is 0, and `ns_pid` is the pid there.
    By(Task),
}

/// What a thread is blocked in.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Blocked {
    /// It runs, is stopped, or may not be looked at.
    #[default]
    Unknown,
    Wait(Wait),
    /// In a read of a pipe, or in poll and its like for one.
    PipeRead(PipeRead),
    /// In vfork, until the child execs or ends.
    Vfork,
    /// In another system call.
    Call(Call),
}

/// A wait4 or waitid call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub target: WaitTarget,
    /// The options as waitid has them, so a wait4 has [`Wait::EXITED`] too.
    pub flags: u32,
}

impl Wait {
    pub const EXITED: u32 = 4;
    /// Leaves the child unreaped.
    pub const NO_WAIT: u32 = 0x0100_0000;
    /// Only the children of the thread that calls.
    pub const OF_THREAD: u32 = 0x2000_0000;
    /// Children of every kind; without it, of one kind.
    pub const ALL_KINDS: u32 = 0x4000_0000;
    /// Only children whose end sends no SIGCHLD.
    pub const CLONES: u32 = 0x8000_0000;

    /// Whether it reaps a child that its target means.
    pub fn reaps(&self) -> bool {
        self.flags & Self::EXITED != 0 && self.flags & Self::NO_WAIT == 0
    }
}

/// Which children a wait call means. Pids and groups are those of the PID namespace of whoever calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitTarget {
    Any,
    Child(u32),
    /// Those of this process group; 0: its own.
    Group(u32),
    /// The one that a pidfd names.
    Pidfd,
}

/// A read of a pipe, and who could end it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PipeRead {
    /// Its descriptor, in the thread that reads.
    pub fd: u32,
    /// The pipe's inode: two with the same one are the same pipe.
    pub pipe: u64,
    /// It is in poll, select or epoll_wait for it and perhaps for others, not in a read. A pipe to which the reader itself can
    /// write is not told of then.
    pub is_polled: bool,
    /// The processes that hold the writing end open, by pid, the reader itself included; at most [`WRITERS_MAX`]. Their starts
    /// are known to the clock tick alone (10 ms).
    pub writers: Vec<Task>,
    /// Which of them descend from the reader, through parents that live: bit n stands for the writer in place n.
    pub descendants: u16,
    /// Not every process was looked at: there may be more writers.
    pub is_cut: bool,
}

impl PipeRead {
    /// Whether the writer in this place is known to descend from the reader.
    pub fn descends(&self, place: usize) -> bool {
        place < WRITERS_MAX && self.descendants & (1 << place) != 0
    }

    /// Whether nothing is known of who could write to it.
    pub fn are_writers_unknown(&self) -> bool {
        self.is_cut && self.writers.is_empty()
    }
}

const _: () = assert!(WRITERS_MAX <= u16::BITS as usize, "each writer has a bit");

/// System calls in which programs sleep, by what they wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Other,
    Poll,
    Select,
    EpollWait,
    Futex,
    /// nanosleep, clock_nanosleep.
    Sleep,
    /// pause, sigsuspend: until a handler has run.
    Pause,
    /// sigwait, sigtimedwait, sigwaitinfo.
    SignalWait,
    /// Of what is no pipe.
    Read,
    Write,
    /// recvfrom, recvmsg, recvmmsg.
    Receive,
    /// sendto, sendmsg, sendmmsg.
    Send,
    Accept,
    Connect,
    IoUring,
    FileLock,
}

impl Call {
    /// All of them: the place is the number that a recording has.
    pub const ALL: [Self; 16] = [
        Self::Other,
        Self::Poll,
        Self::Select,
        Self::EpollWait,
        Self::Futex,
        Self::Sleep,
        Self::Pause,
        Self::SignalWait,
        Self::Read,
        Self::Write,
        Self::Receive,
        Self::Send,
        Self::Accept,
        Self::Connect,
        Self::IoUring,
        Self::FileLock,
    ];

    /// What a person calls it; empty where it is none of these.
    pub fn name(self) -> &'static str {
        match self {
            Self::Other => "",
            Self::Poll => "poll",
            Self::Select => "select",
            Self::EpollWait => "epoll_wait",
            Self::Futex => "futex",
            Self::Sleep => "nanosleep",
            Self::Pause => "pause",
            Self::SignalWait => "sigwait",
            Self::Read => "read",
            Self::Write => "write",
            Self::Receive => "recv",
            Self::Send => "send",
            Self::Accept => "accept",
            Self::Connect => "connect",
            Self::IoUring => "io_uring_enter",
            Self::FileLock => "flock",
        }
    }
}

impl Blocked {
    /// How much it says of why children are not reaped: the higher, the more.
    pub fn weight(&self) -> u8 {
        match self {
            Self::Wait(_) => 5,
            Self::PipeRead(read) if !read.is_polled => 4,
            Self::Vfork => 3,
            Self::PipeRead(_) => 2,
            Self::Call(Call::SignalWait) => 1,
            Self::Call(_) | Self::Unknown => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_call_is_its_number() {
        for (number, call) in Call::ALL.iter().enumerate() {
            assert_eq!(*call as usize, number);
        }
    }

    #[test]
    fn a_pipe_that_is_read_says_more_than_vfork_and_one_that_is_polled_less() {
        let pipe = |is_polled| Blocked::PipeRead(PipeRead { is_polled, ..PipeRead::default() });
        let all = [
            Blocked::Call(Call::Poll),
            Blocked::Call(Call::SignalWait),
            pipe(true),
            Blocked::Vfork,
            pipe(false),
            Blocked::Wait(Wait { target: WaitTarget::Any, flags: Wait::EXITED }),
        ];
        assert!(all.iter().map(Blocked::weight).is_sorted_by(|less, more| less < more));
    }

    #[test]
    fn one_that_cannot_go_on_and_was_taken_off_a_cpu_has_run_in_between() {
        let at =
            |state, switches| Evidence { state, switches, pending: Some(switches), ..Evidence::default() };
        assert!(at(b't', 7).does_as(&at(b't', 7)), "a tracer holds it");
        for state in [b't', b'T', b'D'] {
            assert!(!at(state, 8).does_as(&at(state, 7)), "it has run");
        }
        let frozen = |switches| Evidence { is_frozen: Some(true), ..at(b'S', switches) };
        let in_vfork = |switches| Evidence { blocked: Blocked::Vfork, ..at(b'S', switches) };
        assert!(frozen(7).does_as(&frozen(7)) && !frozen(8).does_as(&frozen(7)));
        assert!(in_vfork(7).does_as(&in_vfork(7)) && !in_vfork(8).does_as(&in_vfork(7)), "another child");
        assert!(at(b'S', 8).does_as(&at(b'S', 7)), "a loop that sleeps does the same");
        assert!(!at(b'S', 7).does_as(&at(b'T', 7)));
    }

    #[test]
    fn waits_for_two_children_are_alike_and_a_wait_for_any_is_another() {
        let wait = |target| Evidence {
            blocked: Blocked::Wait(Wait { target, flags: Wait::EXITED }),
            ..Evidence::default()
        };
        let (one, other) = (wait(WaitTarget::Child(7)), wait(WaitTarget::Child(8)));
        assert!(one.is_like(&other) && !one.does_as(&other));
        assert!(!one.is_like(&wait(WaitTarget::Any)));
        let call = |call| Evidence { blocked: Blocked::Call(call), ..Evidence::default() };
        assert!(!call(Call::Sleep).is_like(&call(Call::Read)));
        assert!(!call(Call::Sleep).is_like(&one));
    }

    #[test]
    fn each_writer_has_its_bit() {
        let read = PipeRead { descendants: 1 << (WRITERS_MAX - 1) | 1, ..PipeRead::default() };
        let descend: Vec<usize> = (0..WRITERS_MAX + 20).filter(|place| read.descends(*place)).collect();
        assert_eq!(descend, [0, WRITERS_MAX - 1]);
    }

    #[test]
    fn a_wait_reaps_only_where_it_is_for_the_dead_and_takes_them() {
        let reaps = |flags| Wait { target: WaitTarget::Any, flags }.reaps();
        assert!(reaps(Wait::EXITED) && reaps(Wait::EXITED | Wait::OF_THREAD));
        assert!(!reaps(2) && !reaps(Wait::EXITED | Wait::NO_WAIT));
    }
}
