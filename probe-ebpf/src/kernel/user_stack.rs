//! The user stack of the current task, copied. Must not know who asks, nor how a stack is unwound.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use probe_common::fork_stack::{ForkStack, PAGE, STACK_BYTES};

use crate::{
    kernel::{memory::read, registers, task::TypedTask},
    settings::{has_member, offset},
};

/// Writes registers and stack of the current task. False where there are none: a thread of the kernel, or a kernel that
/// does not show them.
///
/// # Safety
/// `fork` must point to a reserved [`ForkStack`].
#[inline(always)]
pub unsafe fn write_stack(fork: *mut ForkStack, current: TypedTask) -> bool {
    let Some(registers) = registers::of_current() else { return false };
    let sp: u64 = read(registers, offset!(regs_sp));
    if sp == 0 {
        return false;
    }
    // SAFETY: the caller's: fork is ours to write, whole.
    unsafe {
        (*fork).ip = read(registers, offset!(regs_ip));
        (*fork).sp = sp;
        (*fork).fp = read(registers, offset!(regs_fp));
        (*fork).link = read(registers, offset!(regs_link));
        (*fork).third = read(registers, offset!(regs_third));
        (*fork).program =
            if has_member!(task_self_exec_id) { read(current.0, offset!(task_self_exec_id)) } else { 0 };
        (*fork).thread = current.pid();
        (*fork).copied = copy_pages((&raw mut (*fork).stack).cast(), sp);
    }
    true
}

/// Copies the stack from `sp` on by its pages; returns how many bytes. Each page has its own place, so that all but the
/// first have a place and a length that the verifier knows.
///
/// # Safety
/// `to` must be ours to write for [`STACK_BYTES`].
#[inline(always)]
unsafe fn copy_pages(to: *mut u8, sp: u64) -> u32 {
    let into = ForkStack::begins_at(sp);
    let first = PAGE - into;
    let page = sp - into as u64;
    // SAFETY: the caller's; into + first is one page, and the last page ends with the stack's copy. The helper checks what
    // it reads.
    let copy = |at: usize, len: usize, from: u64| unsafe {
        bpf_probe_read_user(to.add(at).cast(), len as u32, from as *const _) == 0
    };
    if !copy(into, first, sp) {
        return 0;
    }
    let mut copied = first;
    let mut at = PAGE;
    while at < STACK_BYTES {
        if !copy(at, PAGE, page + at as u64) {
            break;
        }
        copied += PAGE;
        at += PAGE;
    }
    copied as u32
}
