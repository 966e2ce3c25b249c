//! Which system call a thread is blocked in, and what becomes of that call when the thread is stopped and goes on.
//!
//! Owns the knowledge of restarts: most calls go on by themselves, because the kernel restarts them. Some end with EINTR
//! (signal(7), "never restarted"); those are made anew on the thread's behalf. Must not touch a process.

use nix::libc;

/// What /proc says of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs, or waits for a processor.
    Running,
    /// It is blocked in this call.
    Blocked(Call),
    /// It is blocked outside a call, or nothing could be read.
    Unknown,
}

/// A call that a thread is blocked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub number: i64,
    pub first_argument: u64,
    /// The third and the fourth: where calls that receive have their flags.
    pub flags: [u64; 2],
    pub stack_pointer: u64,
    pub instruction_pointer: u64,
}

/// Reads /proc/PID/task/TID/syscall: number, six arguments, stack pointer, instruction pointer.
pub fn parse(text: &str) -> Doing {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let hexadecimal = |field: &str| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok();
    match fields.as_slice() {
        ["running"] => Doing::Running,
        [number, first, _, third, fourth, _, _, stack, instruction] => {
            let call = || {
                Some(Call {
                    number: number.parse().ok().filter(|number| *number >= 0)?,
                    first_argument: hexadecimal(first)?,
                    flags: [hexadecimal(third)?, hexadecimal(fourth)?],
                    stack_pointer: hexadecimal(stack)?,
                    instruction_pointer: hexadecimal(instruction)?,
                })
            };
            call().map_or(Doing::Unknown, Doing::Blocked)
        }
        _ => Doing::Unknown,
    }
}

/// Whether a call that is interrupted may end early with less than was asked for: it has written, received or begun a part by
/// then, and the kernel does not make it anew. A program that does not look at the result loses the rest.
pub fn may_be_cut_short(call: Call) -> bool {
    let [third, fourth] = call.flags;
    let waits_for_all = |flags: u64| flags & libc::MSG_WAITALL as u64 != 0;
    match call.number {
        libc::SYS_recvfrom => waits_for_all(fourth),
        libc::SYS_recvmsg => waits_for_all(third),
        number => [
            libc::SYS_write,
            libc::SYS_pwrite64,
            libc::SYS_writev,
            libc::SYS_pwritev,
            libc::SYS_pwritev2,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_sendmmsg,
            libc::SYS_recvmmsg,
            libc::SYS_splice,
            libc::SYS_vmsplice,
            libc::SYS_sendfile,
            libc::SYS_copy_file_range,
            libc::SYS_tee,
            libc::SYS_getrandom,
            // It has submitted what it was asked to, and returns without the completions that it was to wait for.
            libc::SYS_io_uring_enter,
            // Of a socket with SO_LINGER: it returns before what is queued is sent.
            libc::SYS_close,
            // With a timeout of the socket's (SO_SNDTIMEO); it cannot be made a second time.
            libc::SYS_connect,
        ]
        .contains(&number),
    }
}

/// Calls that end with EINTR when their thread is stopped, though no signal handler ran, and that can be made anew: they
/// have done nothing by then. A timeout of theirs begins anew.
pub fn ends_with_eintr(number: i64) -> bool {
    #[cfg(target_arch = "x86_64")]
    if number == libc::SYS_epoll_wait {
        return true;
    }
    [
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_semop,
        libc::SYS_semtimedop,
        libc::SYS_io_getevents,
    ]
    .contains(&number)
        || READS.contains(&number)
        || SELECTS.contains(&number)
}

/// Those that do so only where their timeout cannot be written to.
#[cfg(target_arch = "x86_64")]
const SELECTS: [i64; 2] = [libc::SYS_select, libc::SYS_pselect6];
#[cfg(not(target_arch = "x86_64"))]
const SELECTS: [i64; 1] = [libc::SYS_pselect6];

/// Whether it reads or receives from the descriptor that is its first argument.
pub fn reads(number: i64) -> bool {
    READS.contains(&number) && ![libc::SYS_accept, libc::SYS_accept4].contains(&number)
}

/// Those that do so only with a timeout of the socket's (SO_RCVTIMEO).
const READS: [i64; 7] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_preadv2,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_accept,
    libc::SYS_accept4,
];

/// Those of them that always do: the others go on by themselves as a rule.
pub fn is_never_restarted(number: i64) -> bool {
    ends_with_eintr(number) && !READS.contains(&number) && !SELECTS.contains(&number)
}

/// The value by which a call asks the kernel to be made anew, unless a signal handler runs (ERESTARTNOHAND,
/// include/linux/errno.h).
pub const RESTART_UNLESS_HANDLED: i64 = -514;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read() {
        let call = Call {
            number: 230,
            first_argument: 1,
            flags: [0x7f, 0],
            stack_pointer: 0x7fff_f000,
            instruction_pointer: 0x7f00_0001,
        };
        assert_eq!(parse("230 0x1 0x0 0x7f 0x0 0x0 0x0 0x7ffff000 0x7f000001\n"), Doing::Blocked(call));
        assert_eq!(parse("running\n"), Doing::Running);
        for unknown in ["", "-1 0x7ffff000 0x7f000001\n", "x 0 0 0 0 0 0 0 0"] {
            assert_eq!(parse(unknown), Doing::Unknown, "{unknown:?}");
        }
    }

    #[test]
    fn calls_that_have_done_a_part_may_be_cut_short() {
        let call = |number, flags| Call {
            number,
            first_argument: 3,
            flags,
            stack_pointer: 0,
            instruction_pointer: 0,
        };
        let wait_all = libc::MSG_WAITALL as u64;
        assert!(may_be_cut_short(call(libc::SYS_write, [300_000, 0])));
        assert!(may_be_cut_short(call(libc::SYS_connect, [0, 0])));
        assert!(may_be_cut_short(call(libc::SYS_io_uring_enter, [1, 1])));
        assert!(may_be_cut_short(call(libc::SYS_close, [0, 0])));
        assert!(may_be_cut_short(call(libc::SYS_recvfrom, [7, wait_all])));
        assert!(may_be_cut_short(call(libc::SYS_recvmsg, [wait_all, 0])));
        for goes_on in [libc::SYS_recvfrom, libc::SYS_recvmsg, libc::SYS_read, libc::SYS_futex] {
            assert!(!may_be_cut_short(call(goes_on, [0, 0])));
        }
    }

    #[test]
    fn calls_that_are_never_restarted() {
        assert!(is_never_restarted(libc::SYS_epoll_pwait));
        for read in READS {
            assert!(ends_with_eintr(read) && !is_never_restarted(read));
        }
        for restarted in [libc::SYS_clock_nanosleep, libc::SYS_ppoll, libc::SYS_futex, libc::SYS_connect] {
            assert!(!ends_with_eintr(restarted));
        }
    }
}
