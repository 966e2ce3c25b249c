//! What travels of a fork whose site is asked for: the registers and the user stack of the thread that forks.
//!
//! Owns layout only. Must not know how a stack is unwound.

use crate::{
    interpreter::{PYTHON_FRAMES, PythonFrame},
    wire::{ParentKey, TaskRef},
};

/// Stacks are copied by pages of this size, whatever the kernel's: a read over the end of a stack fails whole.
pub const PAGE: usize = 4_096;
/// Bytes of a stack that travel at most.
pub const STACK_BYTES: usize = 4 * PAGE;

/// One fork.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ForkStack {
    pub time_ns: u64,
    /// The process that called fork; not the parent where it was cloned as a sibling (CLONE_PARENT).
    pub creator: TaskRef,
    pub child: ParentKey,
    /// How many programs the creator has run (`self_exec_id`): another number, another address space.
    pub program: u64,
    /// The thread that called fork.
    pub thread: u32,
    /// How many bytes of `stack` are valid: from [`Self::begins_at`] on.
    pub copied: u32,
    /// Registers with which the thread entered the kernel: see [`crate::offsets::Offsets`].
    pub ip: u64,
    pub sp: u64,
    pub fp: u64,
    pub link: u64,
    pub third: u64,
    /// [`crate::interpreter::python`]: what is known of the interpreter's frames.
    pub python: u32,
    /// How many of `frames` are valid, the innermost first.
    pub frame_count: u32,
    pub frames: [PythonFrame; PYTHON_FRAMES],
    /// The stack by its pages: the byte at `sp` is at the place that it has in its page.
    pub stack: [u8; STACK_BYTES],
}

impl ForkStack {
    /// Where in `stack` the byte at `sp` is.
    pub const fn begins_at(sp: u64) -> usize {
        sp as usize & (PAGE - 1)
    }
}

const _: () =
    assert!(size_of::<ForkStack>() == 8 + 32 + 16 + 8 + 8 + 40 + 8 + 24 * PYTHON_FRAMES + STACK_BYTES);
