//! Where a process keeps the frames of its Python interpreter: what the programs need to walk them at a fork.
//!
//! Owns layout only. Must not know versions of CPython.

/// Most frames of an interpreter that travel.
pub const PYTHON_FRAMES: usize = 32;
/// Most threads among which the forking one is looked for.
pub const PYTHON_THREADS: u32 = 128;
/// In place of an offset: there is no such member.
pub const NO_MEMBER: u32 = u32::MAX;

/// Value of the INTERPRETERS map, keyed by tgid: the interpreter's address, and offsets in its structures.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interpreter {
    /// Which of those with this tgid.
    pub start_boottime_ns: u64,
    /// Address of the main interpreter's state.
    pub state: u64,
    /// In it: the first thread's state.
    pub threads: u32,
    /// In a thread's state: the next one, what C's thread-local storage is found by, and the innermost frame.
    pub next: u32,
    pub thread_id: u32,
    pub frame: u32,
    /// Where that is not the frame but a structure that has it: its place there.
    pub frame_in: u32,
    /// In a frame: the code, the frame that called it, the instruction, and who owns it (a byte).
    pub code: u32,
    pub previous: u32,
    pub instruction: u32,
    pub owner: u32,
    pub reserved: u32,
}

/// A frame: addresses of its code and its instruction; in older versions a number of one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PythonFrame {
    pub code: u64,
    pub instruction: u64,
    pub owner: u64,
}

/// [`crate::fork_stack::ForkStack::python`].
pub mod python {
    /// No interpreter is known in the process.
    pub const NONE: u32 = 0;
    /// The frames are there, all of them.
    pub const WHOLE: u32 = 1;
    /// The frames are there; there are more.
    pub const CUT: u32 = 2;
    /// The thread is not one of the interpreter's.
    pub const NO_THREAD: u32 = 3;
}

const _: () = assert!(size_of::<Interpreter>() == 56 && size_of::<PythonFrame>() == 24);
