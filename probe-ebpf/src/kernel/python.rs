//! The frames of the Python interpreter that the current task runs. Must not know who asks, nor what code objects hold.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use probe_common::{
    fork_stack::ForkStack,
    interpreter::{Interpreter, NO_MEMBER, PYTHON_FRAMES, PYTHON_THREADS, python},
};

use crate::{
    kernel::{memory::read, task::TypedTask},
    settings::{has_member, offset},
};

/// Writes the frames. The task is in its fork, so they stay as they are meanwhile.
///
/// # Safety
/// `fork` must point to a reserved [`ForkStack`].
#[inline(always)]
pub unsafe fn write_frames(fork: *mut ForkStack, current: TypedTask, interpreter: &Interpreter) {
    // SAFETY: the caller's; every access is within the record.
    unsafe {
        (*fork).python = python::NO_THREAD;
        if !has_member!(task_tls) {
            return;
        }
        let tls: u64 = read(current.0, offset!(task_tls));
        let Some(thread) = find_thread(interpreter, tls) else { return };
        let mut frame: u64 = user(thread, interpreter.frame);
        if interpreter.frame_in != NO_MEMBER {
            frame = user(frame, interpreter.frame_in);
        }
        let mut count = 0u32;
        while count < PYTHON_FRAMES as u32 {
            if frame == 0 {
                break;
            }
            let entry = (&raw mut (*fork).frames)
                .cast::<probe_common::interpreter::PythonFrame>()
                .add((count & (PYTHON_FRAMES as u32 - 1)) as usize);
            (*entry).code = user(frame, interpreter.code);
            (*entry).instruction = user(frame, interpreter.instruction);
            (*entry).owner = if interpreter.owner == NO_MEMBER { 0 } else { user(frame, interpreter.owner) };
            frame = user(frame, interpreter.previous);
            count += 1;
        }
        (*fork).frame_count = count;
        (*fork).python = if frame == 0 { python::WHOLE } else { python::CUT };
    }
}

/// The thread's state, of those of the main interpreter.
#[inline(always)]
fn find_thread(interpreter: &Interpreter, tls: u64) -> Option<u64> {
    let mut thread: u64 = user(interpreter.state, interpreter.threads);
    let mut looked_at = 0;
    while looked_at < PYTHON_THREADS {
        if thread == 0 {
            return None;
        }
        if user(thread, interpreter.thread_id) == tls {
            return Some(thread);
        }
        thread = user(thread, interpreter.next);
        looked_at += 1;
    }
    None
}

/// A word of the current task's own memory, or zero.
#[inline(always)]
fn user(base: u64, offset: u32) -> u64 {
    let mut value = MaybeUninit::<u64>::uninit();
    // SAFETY: value is as long as stated; the helper checks the address itself and zeroes its target if it fails.
    unsafe {
        bpf_probe_read_user(value.as_mut_ptr().cast(), 8, (base + u64::from(offset)) as *const _);
        value.assume_init()
    }
}
