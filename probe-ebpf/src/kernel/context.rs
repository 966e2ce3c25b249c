//! What a program's context holds, as numbers. The places differ by architecture and kernel, the object does not. Must
//! not know the programs.

use crate::{
    kernel::{
        memory::read,
        typed::{Typed, member},
    },
    settings::offset,
};

/// The first argument of the function a kprobe stands on.
#[inline(always)]
pub fn kprobe_argument(context: *const core::ffi::c_void) -> u64 {
    member!(Typed, context as u64, regs_argument)
}

/// What the function a kretprobe stands on returns.
#[inline(always)]
pub fn kretprobe_result(context: *const core::ffi::c_void) -> u64 {
    member!(Typed, context as u64, regs_result)
}

/// Where this has been on every kernel since there are such tracepoints; loaded in place there.
const USUAL_EXIT_RET: u64 = 16;

#[inline(always)]
pub fn exit_wait4_ret(context: *const core::ffi::c_void) -> i64 {
    if offset!(exit_wait4_ret) == USUAL_EXIT_RET {
        // SAFETY: within the record, says the format; the verifier knows its size.
        return unsafe { context.byte_add(USUAL_EXIT_RET as usize).cast::<i64>().read_volatile() };
    }
    read(context as u64, offset!(exit_wait4_ret))
}
pub fn exit_waitid_ret(context: *const core::ffi::c_void) -> i64 {
    read(context as u64, offset!(exit_waitid_ret))
}
