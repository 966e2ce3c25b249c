//! What a wait call asks for: its arguments, in the registers that its caller entered the kernel with. Must not know who
//! counts them.

use crate::{
    kernel::{memory::read, registers},
    settings::{offset, setting},
    verifier::forget,
};

const P_ALL: i32 = 0;
const P_PGID: i32 = 2;
pub const WEXITED: u32 = 4;
pub const WNOWAIT: u32 = 0x0100_0000;
pub const WNOTHREAD: u32 = 0x2000_0000;
const WALL: u32 = 0x4000_0000;
pub const WCLONE: u32 = 0x8000_0000;

/// Where the waitid from which the current task returns put its siginfo, if it takes a dead child away. The kernel leaves these
/// registers as they were.
#[inline(always)]
pub fn siginfo_of_reaping_waitid() -> Option<u64> {
    let registers = registers::of_current()?;
    let number: i32 = read(registers, offset!(regs_syscall));
    let infop: u64 = read(registers, offset!(regs_third));
    let options: u32 = read(registers, offset!(regs_fourth));
    (number == setting!(waitid_number) as i32 && infop != 0 && options & (WEXITED | WNOWAIT) == WEXITED)
        .then_some(infop)
}

bitflags::bitflags! {
    /// What a wait call asks for. Neither `ANY` nor `GROUP`: for one child.
    #[derive(Clone, Copy)]
    pub struct WaitCall: u32 {
        /// For any child.
        const ANY = 1;
        /// For the children of a process group.
        const GROUP = 2;
        /// It takes no dead child away.
        const PEEKING = 4;
        /// It sees the children of the calling thread alone.
        const OWN_THREAD = 8;
        /// It sees only children that do not send SIGCHLD.
        const CLONE_ONLY = 16;
    }
}

impl WaitCall {
    /// The one the current task has begun; `None` where its registers are not to be had, or show neither a wait4 nor a
    /// waitid of this architecture. So a caller of 32 bits is never misread: its wait calls have other numbers, and what
    /// has these numbers there waits for no process.
    #[inline(always)]
    pub fn of_current() -> Option<Self> {
        let registers = registers::of_current()?;
        let number: i32 = read(registers, offset!(regs_syscall));
        let first: i32 = read(registers, offset!(regs_argument));
        let (target, options) = if number == setting!(wait4_number) as i32 {
            let options: u32 = read(registers, offset!(regs_third));
            let target = match first {
                -1 => Self::ANY,
                0 | ..-1 => Self::GROUP,
                _ => Self::empty(),
            };
            (target, options | WEXITED)
        } else if number == setting!(waitid_number) as i32 {
            let options: u32 = read(registers, offset!(regs_fourth));
            let target = match first {
                P_ALL => Self::ANY,
                P_PGID => Self::GROUP,
                _ => Self::empty(),
            };
            (target, options)
        } else {
            return None;
        };
        let target = forget(target.bits(), &options);
        Some(Self::from_bits_retain(target).union(Self::of_options(options)))
    }

    /// By arithmetic: a branch for each would multiply the paths that the verifier follows.
    #[inline(always)]
    fn of_options(options: u32) -> Self {
        let has = |option: u32| options >> option.trailing_zeros() & 1;
        let peeking = has(WNOWAIT) | has(WEXITED) ^ 1;
        let clone_only = has(WCLONE) & (has(WALL) ^ 1);
        Self::from_bits_retain(
            peeking * Self::PEEKING.bits()
                | has(WNOTHREAD) * Self::OWN_THREAD.bits()
                | clone_only * Self::CLONE_ONLY.bits(),
        )
    }
}
