//! Path and arguments of the program that a process runs. Must not know why they are wanted.

use aya_ebpf::helpers::{bpf_probe_read_kernel_str_bytes, bpf_probe_read_user_buf};
use probe_common::wire::{ARGS_LEN, ExecEvent};

use crate::{
    kernel::{
        memory::read,
        task::TypedTask,
        typed::{Untyped, member},
    },
    settings::offset,
};

/// Writes path and arguments of what `current` now runs.
///
/// # Safety
/// `record` must point to a reserved [`ExecEvent`].
pub unsafe fn write_program(record: *mut ExecEvent, current: TypedTask, binprm: u64) {
    let filename: u64 = read(binprm, offset!(binprm_filename));
    let mm: u64 = member!(Untyped, current.0, task_mm);
    let start: u64 = read(mm, offset!(mm_arg_start));
    let end: u64 = read(mm, offset!(mm_arg_end));
    // SAFETY: the caller's: record is ours to write, whole; probe_read checks what it reads.
    unsafe {
        (*record).executable[0] = 0;
        let _ = bpf_probe_read_kernel_str_bytes(filename as *const u8, &mut (*record).executable);
        let len = end.wrapping_sub(start);
        (*record).args_cut = u32::from(len > ARGS_LEN as u64);
        // A read of fixed size: argv is followed by the environment. Right at the end of the stack it fails.
        let args = &mut (*record).args;
        let read = bpf_probe_read_user_buf(start as *const u8, args).is_ok();
        (*record).args_len = if !read {
            0
        } else if len > ARGS_LEN as u64 {
            ARGS_LEN as u32
        } else {
            len as u32
        };
    }
}
