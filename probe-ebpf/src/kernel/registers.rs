//! The registers that a task entered the kernel with. Must not know what they are read for.

use aya_ebpf::helpers::{
    bpf_get_current_task,
    generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
};
use probe_common::settings::user_registers;

use crate::{
    kernel::memory::read,
    settings::{offset, setting},
};

/// Address of those of the current task; `None` where this kernel does not show them.
#[inline(always)]
pub fn of_current() -> Option<u64> {
    match setting!(user_registers) {
        // SAFETY: helpers; the task is the current one, typed, as the second wants it.
        user_registers::BY_HELPER => Some(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as u64),
        user_registers::AT_STACK_END => {
            // SAFETY: a helper without arguments.
            let task = unsafe { bpf_get_current_task() };
            let stack: u64 = read(task, offset!(task_stack));
            Some(stack + u64::from(setting!(stack_bytes)) - offset!(regs_size))
        }
        _ => None,
    }
}
