//! Which system call a thread is blocked in, and what becomes of that call when the thread is stopped and goes on.
//!
//! Owns the list of calls that a stop does not disturb: the kernel restarts them as if nothing had been, or they have done
//! nothing and are made anew. Every other call is refused: it may end early, with a part done. Must not touch a process.

use nix::libc;

/// What /proc says of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs, or waits for a processor.
    Running,
    /// It is blocked in this call.
    Blocked(Call),
    /// It is blocked outside of a call: in a page fault, or stopped there.
    Outside,
    /// Nothing could be read.
    Unknown,
}

/// A call that a thread is blocked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub number: i64,
    pub arguments: [u64; 6],
    pub stack_pointer: u64,
    pub instruction_pointer: u64,
}

/// Reads /proc/PID/task/TID/syscall: number, six arguments, stack pointer, instruction pointer.
pub fn parse(text: &str) -> Doing {
    let mut fields = text.split_ascii_whitespace();
    let number = match fields.next() {
        Some("running") => return Doing::Running,
        Some("-1") => return Doing::Outside,
        number => number.and_then(|number| number.parse().ok()).filter(|number| *number >= 0),
    };
    let mut next = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
    let mut call = || {
        let number = number?;
        let arguments = [next()?, next()?, next()?, next()?, next()?, next()?];
        Some(Call { number, arguments, stack_pointer: next()?, instruction_pointer: next()? })
    };
    call().map_or(Doing::Unknown, Doing::Blocked)
}

/// What becomes of a blocked call whose thread is stopped and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// The kernel restarts it, with what is left of its time.
    GoesOn,
    /// It ends with EINTR and has done nothing by then; it is made anew. It has no timeout that would begin anew.
    IsMadeAnew,
    /// The kernel restarts it with what is left of its time, where it may write that to this address.
    GoesOnIfWritable(u64),
    /// It waits for data from this descriptor. Of most kinds the kernel restarts it.
    Receives { fd: u64, all_of_it: bool },
    /// It ends otherwise than it would have.
    Is(Disturbed),
}

/// How a call would be disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbed {
    /// It would end with a part done.
    CutShort,
    /// Its timeout would begin anew.
    BeginsAnew,
    /// It is not known that it goes on.
    Perhaps,
}

/// By the call alone (signal(7), and the kernel's returns of ERESTART… in each).
pub fn conduct(call: &Call) -> Conduct {
    let [first, second, third, fourth, fifth, _] = call.arguments;
    let unless_timed =
        |is_timed| if is_timed { Conduct::Is(Disturbed::BeginsAnew) } else { Conduct::IsMadeAnew };
    let if_writable =
        |timeout| if timeout == 0 { Conduct::GoesOn } else { Conduct::GoesOnIfWritable(timeout) };
    let waits_for_all = |flags: u64| flags & libc::MSG_WAITALL as u64 != 0;
    #[cfg(target_arch = "x86_64")]
    match call.number {
        libc::SYS_poll | libc::SYS_pause => return Conduct::GoesOn,
        libc::SYS_select => return if_writable(fifth),
        libc::SYS_epoll_wait => return unless_timed(fourth as i32 >= 0),
        _ => {}
    }
    match call.number {
        libc::SYS_wait4
        | libc::SYS_waitid
        | libc::SYS_nanosleep
        | libc::SYS_clock_nanosleep
        | libc::SYS_rt_sigsuspend
        | libc::SYS_msgrcv
        | libc::SYS_msgsnd
        | SYS_FUTEX_WAITV
        | SYS_FUTEX_WAIT
        // A sleep, a poll or a futex that was interrupted before.
        | libc::SYS_restart_syscall => Conduct::GoesOn,
        libc::SYS_futex if is_plain_wait(second) => Conduct::GoesOn,
        libc::SYS_ppoll => if_writable(third),
        libc::SYS_pselect6 => if_writable(fifth),
        libc::SYS_epoll_pwait => unless_timed(fourth as i32 >= 0),
        libc::SYS_epoll_pwait2 => unless_timed(fourth != 0),
        libc::SYS_rt_sigtimedwait => unless_timed(third != 0),
        libc::SYS_semop => Conduct::IsMadeAnew,
        libc::SYS_semtimedop => unless_timed(fourth != 0),
        libc::SYS_read | libc::SYS_readv | libc::SYS_accept | libc::SYS_accept4 => {
            Conduct::Receives { fd: first, all_of_it: false }
        }
        libc::SYS_recvfrom => Conduct::Receives { fd: first, all_of_it: waits_for_all(fourth) },
        libc::SYS_recvmsg => Conduct::Receives { fd: first, all_of_it: waits_for_all(third) },
        number if CUT_SHORT.iter().any(|(cut, _)| *cut == number) => Conduct::Is(Disturbed::CutShort),
        _ => Conduct::Is(Disturbed::Perhaps),
    }
}

/// Numbers that libc does not have for every architecture, where all have the same.
const SYS_FUTEX_WAITV: i64 = 449;
const SYS_FUTEX_WAIT: i64 = 455;

/// FUTEX_WAIT and FUTEX_WAIT_BITSET. The others take locks.
fn is_plain_wait(operation: u64) -> bool {
    let command = operation as i32 & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    matches!(command, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET)
}

/// Whether a call that was over when its thread had stopped may have ended otherwise than it would have. Its arguments are not
/// known any more.
pub fn may_be_disturbed(number: i64, result: i64) -> bool {
    let is_interrupted = result == -i64::from(libc::EINTR);
    match conduct(&Call { number, ..Call::NONE }) {
        Conduct::GoesOn | Conduct::GoesOnIfWritable(_) | Conduct::Receives { .. } => false,
        Conduct::IsMadeAnew | Conduct::Is(Disturbed::BeginsAnew) => is_interrupted,
        Conduct::Is(_) => true,
    }
}

impl Call {
    const NONE: Self = Self { number: -1, arguments: [0; 6], stack_pointer: 0, instruction_pointer: 0 };
}

/// They may have done a part when they are stopped, and end with that.
const CUT_SHORT: &[(i64, &str)] = &[
    (libc::SYS_write, "write"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_writev, "writev"),
    (libc::SYS_pwritev, "pwritev"),
    (libc::SYS_pwritev2, "pwritev2"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_sendmmsg, "sendmmsg"),
    (libc::SYS_recvmmsg, "recvmmsg"),
    (libc::SYS_splice, "splice"),
    (libc::SYS_vmsplice, "vmsplice"),
    (libc::SYS_sendfile, "sendfile"),
    (libc::SYS_copy_file_range, "copy_file_range"),
    (libc::SYS_tee, "tee"),
    (libc::SYS_getrandom, "getrandom"),
    (libc::SYS_io_getevents, "io_getevents"),
    // It has submitted what it was asked to, and returns without the completions that it was to wait for.
    (libc::SYS_io_uring_enter, "io_uring_enter"),
    // Of a socket with SO_LINGER: it returns before what is queued is sent.
    (libc::SYS_close, "close"),
];

/// Names of other calls that a thread may be seen in.
const OTHERS: &[(i64, &str)] = &[
    (libc::SYS_read, "read"),
    (libc::SYS_readv, "readv"),
    (libc::SYS_pread64, "pread64"),
    (libc::SYS_preadv, "preadv"),
    (libc::SYS_preadv2, "preadv2"),
    (libc::SYS_recvfrom, "recvfrom"),
    (libc::SYS_recvmsg, "recvmsg"),
    (libc::SYS_accept, "accept"),
    (libc::SYS_accept4, "accept4"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_ioctl, "ioctl"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_mount, "mount"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_execve, "execve"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
    (libc::SYS_nanosleep, "nanosleep"),
    (libc::SYS_clock_nanosleep, "clock_nanosleep"),
    (libc::SYS_ppoll, "ppoll"),
    (libc::SYS_pselect6, "pselect6"),
    (libc::SYS_epoll_pwait, "epoll_pwait"),
    (libc::SYS_epoll_pwait2, "epoll_pwait2"),
    (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait"),
    (libc::SYS_semtimedop, "semtimedop"),
    (libc::SYS_mq_timedreceive, "mq_timedreceive"),
    (libc::SYS_mq_timedsend, "mq_timedsend"),
    (libc::SYS_finit_module, "finit_module"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_vfork, "vfork"),
];

/// The name of a call, or its number.
pub fn name(number: i64) -> String {
    let known = CUT_SHORT.iter().chain(OTHERS).find(|(known, _)| *known == number);
    known.map_or_else(|| format!("system call {number}"), |(_, name)| (*name).to_owned())
}

/// The value by which a call asks the kernel to be made anew, unless a signal handler runs (ERESTARTNOHAND,
/// include/linux/errno.h).
pub const RESTART_UNLESS_HANDLED: i64 = -514;

/// Whether a call that was stopped returns this to ask the kernel for its restart: ERESTARTSYS to ERESTART_RESTARTBLOCK.
pub fn asks_for_restart(result: i64) -> bool {
    (-516..=-512).contains(&result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: i64, arguments: [u64; 6]) -> Conduct {
        conduct(&Call { number, arguments, ..Call::NONE })
    }

    #[test]
    fn what_proc_says_is_read() {
        let call = Call {
            number: 230,
            arguments: [1, 0, 0x7f, 0, 0, 9],
            stack_pointer: 0x7fff_f000,
            instruction_pointer: 0x7f00_0001,
        };
        assert_eq!(parse("230 0x1 0x0 0x7f 0x0 0x0 0x9 0x7ffff000 0x7f000001\n"), Doing::Blocked(call));
        assert_eq!(parse("running\n"), Doing::Running);
        assert_eq!(parse("-1 0x7ffff000 0x7f000001\n"), Doing::Outside);
        for unknown in ["", "-2 0x1 0x2", "x 0 0 0 0 0 0 0 0", "7 0x1 0x2"] {
            assert_eq!(parse(unknown), Doing::Unknown, "{unknown:?}");
        }
    }

    #[test]
    fn what_is_not_known_to_go_on_is_disturbed() {
        for (number, _) in CUT_SHORT {
            assert_eq!(of(*number, [0; 6]), Conduct::Is(Disturbed::CutShort));
            assert!(may_be_disturbed(*number, 0));
        }
        for number in [libc::SYS_fallocate, libc::SYS_connect, libc::SYS_clone, libc::SYS_preadv2, 1 << 20] {
            assert_eq!(of(number, [0; 6]), Conduct::Is(Disturbed::Perhaps));
            assert!(may_be_disturbed(number, 0));
        }
    }

    #[test]
    fn what_goes_on() {
        for number in [libc::SYS_wait4, libc::SYS_clock_nanosleep, libc::SYS_rt_sigsuspend] {
            assert_eq!(of(number, [7; 6]), Conduct::GoesOn);
            assert!(!may_be_disturbed(number, 0));
        }
        for (operation, goes_on) in
            [(0, true), (128, true), (137, true), (393, true), (6, false), (11, false)]
        {
            let conduct = of(libc::SYS_futex, [0, operation, 0, 0, 0, 0]);
            assert_eq!(conduct == Conduct::GoesOn, goes_on, "{operation}");
        }
    }

    #[test]
    fn a_timeout_that_would_begin_anew_is_a_disturbance() {
        let for_ever = u64::from(u32::MAX);
        for (number, timed, untimed) in [
            (libc::SYS_epoll_pwait, [0, 0, 0, 5, 0, 0], [0, 0, 0, for_ever, 0, 0]),
            (libc::SYS_epoll_pwait2, [0, 0, 0, 0x1000, 0, 0], [0; 6]),
            (libc::SYS_rt_sigtimedwait, [0, 0, 0x1000, 0, 0, 0], [0; 6]),
            (libc::SYS_semtimedop, [0, 0, 0, 0x1000, 0, 0], [0; 6]),
        ] {
            assert_eq!(of(number, timed), Conduct::Is(Disturbed::BeginsAnew));
            assert_eq!(of(number, untimed), Conduct::IsMadeAnew);
            assert!(may_be_disturbed(number, -4) && !may_be_disturbed(number, 1));
        }
        assert_eq!(of(libc::SYS_ppoll, [0, 0, 0x1000, 0, 0, 0]), Conduct::GoesOnIfWritable(0x1000));
        assert_eq!(of(libc::SYS_pselect6, [0; 6]), Conduct::GoesOn);
    }

    #[test]
    fn what_receives_is_judged_by_its_descriptor() {
        let all = libc::MSG_WAITALL as u64;
        let receives = |all_of_it| Conduct::Receives { fd: 3, all_of_it };
        assert_eq!(of(libc::SYS_read, [3, 0, 0, 0, 0, 0]), receives(false));
        assert_eq!(of(libc::SYS_recvfrom, [3, 0, 7, all, 0, 0]), receives(true));
        assert_eq!(of(libc::SYS_recvmsg, [3, 0, all, 0, 0, 0]), receives(true));
        assert_eq!(of(libc::SYS_recvmsg, [3, 0, 0, all, 0, 0]), receives(false));
    }

    #[test]
    fn names_and_restarts() {
        assert_eq!(name(libc::SYS_sendfile), "sendfile");
        assert_eq!(name(99_999), "system call 99999");
        let all: std::collections::BTreeSet<i64> =
            CUT_SHORT.iter().chain(OTHERS).map(|(number, _)| *number).collect();
        assert_eq!(all.len(), CUT_SHORT.len() + OTHERS.len(), "each once");
        assert!(
            asks_for_restart(-512) && asks_for_restart(-516) && !asks_for_restart(-4) && !asks_for_restart(0)
        );
    }
}
