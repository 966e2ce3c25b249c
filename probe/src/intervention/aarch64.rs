//! arm64: the registers of a held thread, how a system call is made with them, and how the call that was interrupted
//! goes on.
//!
//! Owns the layout and the rules of this architecture; `x86_64` has the same face. Before an interruption stops a thread,
//! this kernel has already set it back to the instruction that makes its call, and keeps to itself how the call is to be
//! restarted. So the thread goes on to the entry of that call, where the number tells it, and the call is left out. In the
//! end a call that does nothing leads to the same stop once more. Must not know what is called, or why.

use nix::libc;

use super::{
    calls::{Call, RESTART_UNLESS_HANDLED},
    memory,
    ptrace::{Broken, Held},
};

/// AUDIT_ARCH_AARCH64 (include/uapi/linux/audit.h).
pub const AUDIT_ARCHITECTURE: u32 = 0xc000_00b7;
/// `svc #0`.
pub const CALL_INSTRUCTION: [u8; 4] = [0x01, 0x00, 0x00, 0xd4];
pub const INSTRUCTION_ALIGNMENT: usize = 4;

/// The register that holds the number of the call (include/uapi/linux/elf.h).
const NT_ARM_SYSTEM_CALL: usize = 0x404;
const NO_CALL: i32 = -1;
/// The branch type in the processor state: after an indirect branch only some instructions may come.
const BRANCH_TYPE: u64 = 3 << 10;
/// The processor state of programs of 32 bits.
const STATE_32: u64 = 1 << 4;
const NUMBER: usize = 8;

/// How the kernel restarts calls (include/linux/errno.h): unless a handler without SA_RESTART runs; always; by
/// restart_syscall.
const RESTART: i64 = -512;
const RESTART_ALWAYS: i64 = -513;
const RESTART_BY_BLOCK: i64 = -516;

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

    /// Writes them, and that no call is to be restarted.
    pub fn write(&self, held: &Held) -> Result<(), Broken> {
        held.set_general_registers(&self.0)?;
        held.write_registers(NT_ARM_SYSTEM_CALL, &NO_CALL)
    }

    /// Whether the thread would go on in code of 32 bits.
    pub fn are_foreign(&self) -> bool {
        self.0.pstate & STATE_32 != 0
    }

    /// These, about to make a call by the instruction at this address.
    fn for_call(&self, instruction: u64, number: i64, arguments: [u64; 4]) -> Self {
        let mut next = self.0;
        next.pc = instruction;
        next.pstate &= !BRANCH_TYPE;
        next.regs[NUMBER] = number as u64;
        next.regs[..4].copy_from_slice(&arguments);
        Self(next)
    }
}

fn is_call(thread: u32, address: u64) -> bool {
    memory::read(thread, address, CALL_INSTRUCTION.len()).as_deref() == Some(&CALL_INSTRUCTION[..])
}

/// Whether the thread runs code of its own, and is at no call.
pub fn is_in_own_code(held: &Held, thread: u32) -> Result<bool, Broken> {
    let Some(Registers(now)) = Registers::read(held)? else { return Ok(false) };
    Ok(!is_call(thread, now.pc) && !is_call(thread, now.pc.wrapping_sub(4)))
}

/// The call that was over when the thread was stopped, and its result; `None` where it was in no call, or in one that the
/// kernel restarts: it is then at the instruction once more.
pub fn ended_call(held: &Held, thread: u32) -> Result<Option<(i64, i64)>, Broken> {
    let Some(Registers(now)) = Registers::read(held)? else { return Ok(None) };
    let is_over = !is_call(thread, now.pc) && is_call(thread, now.pc.wrapping_sub(4));
    Ok(is_over.then_some((now.regs[NUMBER] as i64, now.regs[0] as i64)))
}

/// Before a thread that an interruption has stopped is let go without a call. The kernel takes no restart from here: a call
/// that it cut short ends with EINTR.
pub fn make_anew(_held: &Held, _anew: Option<Call>) -> Result<(), Broken> {
    Ok(())
}

/// A thread that was interrupted, from which calls can be made.
pub struct Interrupted {
    registers: Registers,
    /// The value by which its call asked to be restarted.
    restart: Option<i64>,
}

impl Interrupted {
    /// Takes over a thread that an interruption has just stopped. This call of its is made anew where it was cut short.
    pub fn take(held: &Held, thread: u32, anew: Option<Call>) -> Result<Self, Broken> {
        let mut registers = Registers::read(held)?.ok_or(Broken::Astray)?;
        if is_call(thread, registers.0.pc) {
            let number = held.until_entry()? as i64;
            held.write_registers(NT_ARM_SYSTEM_CALL, &NO_CALL)?;
            held.until_exit()?;
            return Ok(Self { registers, restart: Some(restart_of(number)) });
        }
        let restart = call_made_anew(&registers, thread, anew).map(|first_argument| {
            registers.0.pc -= 4;
            registers.0.regs[0] = first_argument;
            RESTART_UNLESS_HANDLED
        });
        Ok(Self { registers, restart })
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
    pub fn give_back(&self, held: &Held, instruction: u64) -> Result<(), Broken> {
        let Some(restart) = self.restart else {
            held.until_interrupted()?;
            return self.registers.write(held);
        };
        // The kernel takes the first argument of a restarted call from the last call that was made.
        let all = self.registers.0.regs;
        self.call(held, instruction, libc::SYS_gettid, [all[0], all[1], all[2], all[3]])?;
        let mut ended = self.registers.0;
        ended.pc += 4;
        ended.regs[0] = restart as u64;
        held.set_general_registers(&ended)?;
        held.write_registers(NT_ARM_SYSTEM_CALL, &(ended.regs[NUMBER] as i32))?;
        held.until_interrupted()
    }

    /// Puts the registers back wherever it is: the call that was interrupted is made anew.
    pub fn put_back(&self, held: &Held) -> Result<(), Broken> {
        self.registers.write(held)
    }
}

/// How the kernel restarts this call. At the entry it is restart_syscall where a timeout goes on.
fn restart_of(number: i64) -> i64 {
    match number {
        libc::SYS_restart_syscall => RESTART_BY_BLOCK,
        libc::SYS_ppoll
        | libc::SYS_pselect6
        | libc::SYS_rt_sigsuspend
        | libc::SYS_clock_nanosleep
        | libc::SYS_msgrcv
        | libc::SYS_msgsnd => RESTART_UNLESS_HANDLED,
        libc::SYS_clone | libc::SYS_clone3 => RESTART_ALWAYS,
        _ => RESTART,
    }
}

/// The first argument of a call that ended with EINTR and is to be made anew. The registers no longer hold it: it is what
/// /proc said before, where the thread is still at that very call.
fn call_made_anew(Registers(now): &Registers, thread: u32, anew: Option<Call>) -> Option<u64> {
    let call = anew?;
    let same = call.stack_pointer == now.sp
        && call.instruction_pointer == now.pc
        && call.number as u64 == now.regs[NUMBER]
        && now.regs[0] as i64 == -i64::from(libc::EINTR)
        && is_call(thread, now.pc.wrapping_sub(4));
    same.then_some(call.arguments[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts() {
        assert_eq!(restart_of(libc::SYS_restart_syscall), RESTART_BY_BLOCK);
        assert_eq!(restart_of(libc::SYS_ppoll), RESTART_UNLESS_HANDLED);
        assert_eq!(restart_of(libc::SYS_read), RESTART);
    }
}
