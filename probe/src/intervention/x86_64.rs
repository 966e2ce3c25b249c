//! x86-64: the registers of a held thread, how a system call is made with them, and how the call that was interrupted
//! goes on.
//!
//! Owns the layout and the rules of this architecture; `aarch64` has the same face. Must not know what is called, or why.

use nix::libc;

use super::{
    calls::{Call, RESTART_UNLESS_HANDLED, asks_for_restart},
    ptrace::{Broken, Held},
};

/// AUDIT_ARCH_X86_64 (include/uapi/linux/audit.h).
pub const AUDIT_ARCHITECTURE: u32 = 0xc000_003e;
/// `syscall`.
pub const CALL_INSTRUCTION: [u8; 2] = [0x0f, 0x05];
pub const INSTRUCTION_ALIGNMENT: usize = 1;

/// The code segment of programs of 64 bits (__USER_CS).
const CODE_SEGMENT_64: u64 = 0x33;
/// The number of the call where there is none: the kernel then restarts nothing.
const NO_CALL: u64 = u64::MAX;

/// All general registers.
#[derive(Clone, Copy, Debug)]
pub struct Registers(libc::user_regs_struct);

impl Registers {
    /// `None` where they are those of a program of 32 bits.
    pub fn read(held: &Held) -> Result<Option<Self>, Broken> {
        // SAFETY: plain numbers, for which zero is a value.
        let empty: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        Ok(held.general_registers(empty)?.map(Self))
    }

    pub fn write(&self, held: &Held) -> Result<(), Broken> {
        held.set_general_registers(&self.0)
    }

    /// Whether the thread would go on in code of 32 bits.
    pub fn are_foreign(&self) -> bool {
        self.0.cs != CODE_SEGMENT_64
    }

    fn is_in_call(&self) -> bool {
        (self.0.orig_rax as i64) >= 0
    }

    /// These, about to make a call by the instruction at this address.
    fn for_call(&self, instruction: u64, number: i64, arguments: [u64; 4]) -> Self {
        let mut next = self.0;
        next.rip = instruction;
        next.orig_rax = NO_CALL;
        next.rax = number as u64;
        [next.rdi, next.rsi, next.rdx, next.r10] = arguments;
        Self(next)
    }

    /// These, with a call that ended with EINTR made anew. The kernel decides: where a handler is to run, it ends all the
    /// same.
    fn with_call_made_anew(mut self, anew: Option<Call>) -> Self {
        let is_cut_short = self.0.rax as i64 == -i64::from(libc::EINTR);
        if is_cut_short && anew.is_some_and(|call| call.number == self.0.orig_rax as i64) {
            self.0.rax = RESTART_UNLESS_HANDLED as u64;
        }
        self
    }
}

/// The call that was over when the thread was stopped, and its result; `None` where it was in no call, or in one that the
/// kernel restarts.
pub fn ended_call(held: &Held, _thread: u32) -> Result<Option<(i64, i64)>, Broken> {
    let ended = |Registers(now): Registers| (now.orig_rax as i64, now.rax as i64);
    let ended = Registers::read(held)?.map(ended);
    Ok(ended.filter(|(number, result)| *number >= 0 && !asks_for_restart(*result)))
}

/// Whether the thread runs code of its own, and is in no call.
pub fn is_in_own_code(held: &Held, _thread: u32) -> Result<bool, Broken> {
    Ok(Registers::read(held)?.is_some_and(|registers| !registers.is_in_call()))
}

/// Before a thread that an interruption has stopped is let go without a call: this call of its is made anew where it was cut
/// short.
pub fn make_anew(held: &Held, anew: Option<Call>) -> Result<(), Broken> {
    match Registers::read(held)? {
        Some(registers) => registers.with_call_made_anew(anew).write(held),
        None => Ok(()),
    }
}

/// A thread that was interrupted, from which calls can be made.
pub struct Interrupted {
    registers: Registers,
}

impl Interrupted {
    /// Takes over a thread that an interruption has just stopped. This call of its is made anew where it was cut short.
    pub fn take(held: &Held, _thread: u32, anew: Option<Call>) -> Result<Self, Broken> {
        let registers = Registers::read(held)?.ok_or(Broken::Astray)?;
        Ok(Self { registers: registers.with_call_made_anew(anew) })
    }

    /// Has it make a call by the instruction at this address.
    pub fn call(
        &self,
        held: &Held,
        instruction: u64,
        number: i64,
        arguments: [u64; 4],
    ) -> Result<i64, Broken> {
        held.call(&self.registers.for_call(instruction, number, arguments))
    }

    /// After the last call: back to where an interruption stops it, where the kernel restarts the call that was
    /// interrupted, as it would have done.
    pub fn give_back(&self, held: &Held, _instruction: u64) -> Result<(), Broken> {
        held.until_interrupted()?;
        self.registers.write(held)
    }

    /// Puts the registers back wherever it is.
    pub fn put_back(&self, held: &Held) -> Result<(), Broken> {
        self.registers.write(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(orig_rax: i64, rax: i64) -> Registers {
        // SAFETY: plain numbers, for which zero is a value.
        let mut all: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        (all.orig_rax, all.rax, all.cs) = (orig_rax as u64, rax as u64, CODE_SEGMENT_64);
        Registers(all)
    }

    #[test]
    fn only_a_call_cut_short_is_made_anew() {
        let anew = |number, result| {
            let call = Call {
                number: libc::SYS_epoll_wait,
                arguments: [0; 6],
                stack_pointer: 0,
                instruction_pointer: 0,
            };
            assert_eq!(registers(number, result).with_call_made_anew(None).0.rax as i64, result);
            registers(number, result).with_call_made_anew(Some(call)).0.rax as i64
        };
        assert_eq!(anew(libc::SYS_epoll_wait, -4), RESTART_UNLESS_HANDLED);
        assert_eq!(anew(libc::SYS_epoll_wait, 1), 1);
        assert_eq!(anew(libc::SYS_connect, -4), -4);
        assert_eq!(anew(-1, -4), -4);
    }

    #[test]
    fn a_call_leaves_all_other_registers_alone() {
        let before = registers(libc::SYS_read, -512);
        let next = before.for_call(0x1000, libc::SYS_wait4, [7, 0, 1, 0]).0;
        assert_eq!((next.rip, next.rax, next.orig_rax), (0x1000, 61, NO_CALL));
        assert_eq!((next.rdi, next.rsi, next.rdx, next.r10), (7, 0, 1, 0));
        assert_eq!((next.rsp, next.rbp, next.eflags), (before.0.rsp, before.0.rbp, before.0.eflags));
        assert!(!before.are_foreign());
    }
}
