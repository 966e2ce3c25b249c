//! In which system call a thread is, by its syscall file. Owns the numbers of the architectures.
//!
//! Must not read files.

use crate::model::{Call, Wait, WaitTarget};

/// What a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InCall {
    Wait(Wait),
    Read {
        fd: u32,
    },
    /// In poll, select or epoll_wait, for these descriptors.
    Poll(Call, Polled),
    Vfork,
    /// A clone3, whose flags are in the memory of whoever calls: it may be a vfork.
    PerhapsVfork,
    Other(Call),
}

/// Where it stands which descriptors are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// So many pollfds at an address of the caller.
    Array { address: u64, count: u32 },
    /// A set of bits at an address of the caller, for the descriptors below `count`.
    Set { address: u64, count: u32 },
    /// What this epoll descriptor is for.
    Epoll { fd: u32 },
}

/// What is known of a system call by its number.
#[derive(Clone, Copy)]
enum Meaning {
    Wait4,
    Waitid,
    Read,
    Vfork,
    Clone,
    Clone3,
    Is(Call),
}

type Numbers = &'static [(u64, Meaning)];

const X86_64: Numbers = &[
    (0, Meaning::Read),
    (1, Meaning::Is(Call::Write)),
    (7, Meaning::Is(Call::Poll)),
    (19, Meaning::Read),            // readv
    (20, Meaning::Is(Call::Write)), // writev
    (23, Meaning::Is(Call::Select)),
    (34, Meaning::Is(Call::Pause)),
    (35, Meaning::Is(Call::Sleep)), // nanosleep
    (42, Meaning::Is(Call::Connect)),
    (43, Meaning::Is(Call::Accept)),
    (44, Meaning::Is(Call::Send)),    // sendto
    (45, Meaning::Is(Call::Receive)), // recvfrom
    (46, Meaning::Is(Call::Send)),    // sendmsg
    (47, Meaning::Is(Call::Receive)), // recvmsg
    (56, Meaning::Clone),
    (58, Meaning::Vfork),
    (61, Meaning::Wait4),
    (72, Meaning::Is(Call::FileLock)),    // fcntl
    (73, Meaning::Is(Call::FileLock)),    // flock
    (128, Meaning::Is(Call::SignalWait)), // rt_sigtimedwait
    (130, Meaning::Is(Call::Pause)),      // rt_sigsuspend
    (202, Meaning::Is(Call::Futex)),
    (230, Meaning::Is(Call::Sleep)), // clock_nanosleep
    (232, Meaning::Is(Call::EpollWait)),
    (247, Meaning::Waitid),
    (270, Meaning::Is(Call::Select)),    // pselect6
    (271, Meaning::Is(Call::Poll)),      // ppoll
    (275, Meaning::Read),                // splice
    (281, Meaning::Is(Call::EpollWait)), // epoll_pwait
    (288, Meaning::Is(Call::Accept)),    // accept4
    (299, Meaning::Is(Call::Receive)),   // recvmmsg
    (307, Meaning::Is(Call::Send)),      // sendmmsg
];

const AARCH64: Numbers = &[
    (22, Meaning::Is(Call::EpollWait)), // epoll_pwait
    (25, Meaning::Is(Call::FileLock)),  // fcntl
    (32, Meaning::Is(Call::FileLock)),  // flock
    (63, Meaning::Read),
    (64, Meaning::Is(Call::Write)),
    (65, Meaning::Read),             // readv
    (66, Meaning::Is(Call::Write)),  // writev
    (72, Meaning::Is(Call::Select)), // pselect6
    (73, Meaning::Is(Call::Poll)),   // ppoll
    (76, Meaning::Read),             // splice
    (95, Meaning::Waitid),
    (98, Meaning::Is(Call::Futex)),
    (101, Meaning::Is(Call::Sleep)),      // nanosleep
    (115, Meaning::Is(Call::Sleep)),      // clock_nanosleep
    (133, Meaning::Is(Call::Pause)),      // rt_sigsuspend
    (137, Meaning::Is(Call::SignalWait)), // rt_sigtimedwait
    (202, Meaning::Is(Call::Accept)),
    (203, Meaning::Is(Call::Connect)),
    (206, Meaning::Is(Call::Send)),    // sendto
    (207, Meaning::Is(Call::Receive)), // recvfrom
    (211, Meaning::Is(Call::Send)),    // sendmsg
    (212, Meaning::Is(Call::Receive)), // recvmsg
    (220, Meaning::Clone),
    (242, Meaning::Is(Call::Accept)),  // accept4
    (243, Meaning::Is(Call::Receive)), // recvmmsg
    (260, Meaning::Wait4),
    (269, Meaning::Is(Call::Send)), // sendmmsg
];

/// The numbers that are the same on every architecture: those since Linux 5.1.
const EVERYWHERE: Numbers = &[
    (426, Meaning::Is(Call::IoUring)), // io_uring_enter
    (435, Meaning::Clone3),
    (441, Meaning::Is(Call::EpollWait)), // epoll_pwait2
    (449, Meaning::Is(Call::Futex)),     // futex_waitv
    (455, Meaning::Is(Call::Futex)),     // futex_wait
];

/// Of the architecture that this was built for.
const NATIVE: Option<Numbers> = if cfg!(target_arch = "x86_64") {
    Some(X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(AARCH64)
} else {
    None
};

/// No pid is larger, nor is a process group's id: the kernel's PID_MAX_LIMIT. A program may ask for what is none.
const PID_LIMIT: u32 = 4 << 20;
const CLONE_VFORK: u64 = 0x4000;
/// The stack of a 32-bit program lies below, and its calls have other numbers.
const STACK_OF_64_BITS: u64 = 1 << 32;

/// Reads a syscall file: the number, six arguments, stack pointer and program counter of a thread that sleeps in a call. A
/// thread that runs, or sleeps outside of any call, is in none.
pub fn in_call(text: &[u8]) -> Option<InCall> {
    meaning(text, NATIVE?)
}

fn meaning(text: &[u8], numbers: Numbers) -> Option<InCall> {
    let mut fields = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
    let number: u64 = fields.next()?.parse().ok()?;
    let values = fields.map(|field| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok());
    let values: Vec<u64> = values.take(9).collect::<Option<_>>()?;
    let &[first, second, third, fourth, _, _, stack, _] = values.as_slice() else { return None };
    if stack < STACK_OF_64_BITS {
        return None;
    }
    let known = numbers.iter().chain(EVERYWHERE).find(|(known, _)| *known == number);
    Some(match known.map(|(_, meaning)| *meaning) {
        Some(Meaning::Wait4) => {
            InCall::Wait(Wait { target: target_of_wait4(first as i32)?, flags: third as u32 | Wait::EXITED })
        }
        Some(Meaning::Waitid) => InCall::Wait(Wait {
            target: target_of_waitid(first as u32, second as u32)?,
            flags: fourth as u32,
        }),
        Some(Meaning::Read) => InCall::Read { fd: first as u32 },
        Some(Meaning::Vfork) => InCall::Vfork,
        Some(Meaning::Clone) if first & CLONE_VFORK != 0 => InCall::Vfork,
        Some(Meaning::Clone3) => InCall::PerhapsVfork,
        Some(Meaning::Is(call)) => match polled(call, first, second) {
            Some(polled) => InCall::Poll(call, polled),
            None => InCall::Other(call),
        },
        Some(Meaning::Clone) | None => InCall::Other(Call::Other),
    })
}

/// The arguments of poll and ppoll, select and pselect6, and the three forms of epoll_wait.
fn polled(call: Call, first: u64, second: u64) -> Option<Polled> {
    match call {
        Call::Poll => Some(Polled::Array { address: first, count: second as u32 }),
        Call::Select => Some(Polled::Set { address: second, count: first as u32 }),
        Call::EpollWait => Some(Polled::Epoll { fd: first as u32 }),
        _ => None,
    }
}

fn target_of_wait4(pid: i32) -> Option<WaitTarget> {
    let id = pid.unsigned_abs();
    match pid {
        -1 => Some(WaitTarget::Any),
        _ if id >= PID_LIMIT => None,
        ..=0 => Some(WaitTarget::Group(id)),
        1.. => Some(WaitTarget::Child(id)),
    }
}

fn target_of_waitid(which: u32, id: u32) -> Option<WaitTarget> {
    match which {
        0 => Some(WaitTarget::Any),
        1 if id < PID_LIMIT => Some(WaitTarget::Child(id)),
        2 if id < PID_LIMIT => Some(WaitTarget::Group(id)),
        3 => Some(WaitTarget::Pidfd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, arguments: [u64; 4]) -> String {
        let [a, b, c, d] = arguments;
        format!("{number} {a:#x} {b:#x} {c:#x} {d:#x} 0x0 0x0 0x7ffc00001000 0x7f1200001000\n")
    }

    fn wait(target: WaitTarget, flags: u32) -> Option<InCall> {
        Some(InCall::Wait(Wait { target, flags }))
    }

    #[test]
    fn waits_are_read_on_both_architectures() {
        for (numbers, wait4, waitid) in [(X86_64, 61, 247), (AARCH64, 260, 95)] {
            let wait4 =
                |pid: i64, options| meaning(line(wait4, [pid as u64, 0, options, 0]).as_bytes(), numbers);
            assert_eq!(wait4(-1, 0), wait(WaitTarget::Any, 4));
            // glibc leaves the upper half of the register as it was.
            assert_eq!(wait4(0xffff_ffff, 0x2000_0000), wait(WaitTarget::Any, 4 | Wait::OF_THREAD));
            assert_eq!(wait4(-77, 0), wait(WaitTarget::Group(77), 4));
            assert_eq!(wait4(0, 2), wait(WaitTarget::Group(0), 6));
            assert_eq!(wait4(77, 0), wait(WaitTarget::Child(77), 4));
            assert_eq!(wait4(i64::from(i32::MIN), 0), None);
            let waitid = |which, id, flags| meaning(line(waitid, [which, id, 0, flags]).as_bytes(), numbers);
            assert_eq!(waitid(0, 9, 2), wait(WaitTarget::Any, 2));
            assert_eq!(waitid(1, 9, 4), wait(WaitTarget::Child(9), 4));
            assert_eq!(waitid(2, 9, 4), wait(WaitTarget::Group(9), 4));
            assert_eq!(waitid(3, 9, 0x0100_0004), wait(WaitTarget::Pidfd, 4 | Wait::NO_WAIT));
            assert_eq!(waitid(4, 9, 4), None);
            let none = u64::from(PID_LIMIT);
            assert_eq!([wait4(none as i64, 0), wait4(-(none as i64), 0), waitid(1, none, 4)], [None; 3]);
        }
    }

    #[test]
    fn reads_forks_and_sleeps_are_told_apart() {
        let at = |numbers, number, first| meaning(line(number, [first, 0, 0, 0]).as_bytes(), numbers);
        for (numbers, read, clone, sigtimedwait) in [(X86_64, 0, 56, 128), (AARCH64, 63, 220, 137)] {
            assert_eq!(at(numbers, read, 5), Some(InCall::Read { fd: 5 }));
            assert_eq!(at(numbers, clone, CLONE_VFORK | 17), Some(InCall::Vfork));
            assert_eq!(at(numbers, clone, 17), Some(InCall::Other(Call::Other)));
            assert_eq!(at(numbers, sigtimedwait, 0), Some(InCall::Other(Call::SignalWait)));
            assert_eq!(at(numbers, 435, 0), Some(InCall::PerhapsVfork));
            assert_eq!(at(numbers, 9_999, 0), Some(InCall::Other(Call::Other)));
        }
        assert_eq!(at(X86_64, 58, 0), Some(InCall::Vfork));
        assert_eq!(at(AARCH64, 58, 0), Some(InCall::Other(Call::Other)));
    }

    #[test]
    fn what_is_polled_is_read_on_both_architectures() {
        let array = InCall::Poll(Call::Poll, Polled::Array { address: 0x7000, count: 3 });
        let set = InCall::Poll(Call::Select, Polled::Set { address: 0x7000, count: 3 });
        let epoll = InCall::Poll(Call::EpollWait, Polled::Epoll { fd: 5 });
        for (numbers, arrays, sets, epolls) in [
            (X86_64, &[7, 271][..], &[23, 270][..], &[232, 281, 441][..]),
            (AARCH64, &[73], &[72], &[22, 441]),
        ] {
            let at = |number: &u64, arguments| meaning(line(*number, arguments).as_bytes(), numbers);
            assert!(arrays.iter().all(|number| at(number, [0x7000, 3, 0, 0]) == Some(array)));
            // The upper half of a register is not the kernel's.
            assert!(sets.iter().all(|number| at(number, [1 << 32 | 3, 0x7000, 0, 0]) == Some(set)));
            assert!(epolls.iter().all(|number| at(number, [5, 0x7000, 9, 0]) == Some(epoll)));
        }
    }

    #[test]
    fn no_number_has_two_meanings() {
        for numbers in [X86_64, AARCH64] {
            let all: Vec<u64> = numbers.iter().chain(EVERYWHERE).map(|(number, _)| *number).collect();
            assert!(all.is_sorted_by(|one, next| one < next), "{all:?}");
        }
    }

    #[test]
    fn who_runs_or_has_other_numbers_or_is_damaged_is_in_no_call() {
        // 7 is waitpid of a 32-bit program, and poll of another.
        let of_32_bits = b"7 0xffffffff 0x0 0x0 0x0 0x0 0x0 0xff8ac0f0 0xf7f0a549\n";
        let damaged = [&b""[..], b"running\n", b"-1 0x7ffc00000000 0x7ffc00000000\n", b"0", b"0 0x1 0x2\n"];
        let long = line(0, [0; 4]).replace('\n', " 0x1\n");
        let not_hexadecimal = line(0, [0; 4]).replace("0x0", "zero");
        let all = damaged.into_iter().chain([&of_32_bits[..], long.as_bytes(), not_hexadecimal.as_bytes()]);
        for text in all.chain([&b"\xff\xfe 0x0"[..]]) {
            assert_eq!(meaning(text, X86_64), None, "{}", text.escape_ascii());
        }
    }
}
