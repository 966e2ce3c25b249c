//! Fork sites: where in a program a child was forked.
//!
//! Must not know how a stack is unwound, nor where names come from.

/// Most frames of a site.
pub const FRAMES_MAX: usize = 128;
/// Longest name of a function, and longest path, in bytes.
pub const NAME_MAX: usize = 512;
/// Most sites that are told apart.
pub const SITES_MAX: usize = 16_384;

/// A stack at a fork, the innermost function first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    pub frames: Vec<Frame>,
    pub depth: Depth,
}

/// A function that was running, and where in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    pub kind: FrameKind,
    /// Hostile bytes, as are the paths; empty where there is no name for it.
    pub function: Vec<u8>,
    pub file: Vec<u8>,
    /// 0: not known.
    pub line: u32,
    /// The file that the code was mapped from; empty for code that a program made itself.
    pub module: Vec<u8>,
    /// Where in that file, as its own addresses have it, or which byte of it where it could not be opened; without a module,
    /// where in memory.
    pub address: u64,
}

/// Who runs a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// The processor.
    #[default]
    Native,
    /// The processor, and the program made the code while it ran.
    Jit,
    /// CPython.
    Python,
}

/// How far a stack could be followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Depth {
    /// To where the thread began.
    Whole,
    /// To the end of the part of the stack that was copied.
    CopyEnded,
    /// To code that says nothing of its caller.
    #[default]
    NoUnwindInformation,
    /// To [`FRAMES_MAX`].
    TooDeep,
    /// Functions may be missing: some were found by looking through the stack for return addresses, because the code says
    /// nothing of its caller, or may have been passed over (Java).
    Scanned,
    /// The process had gone, or run another program, before its memory map could be read.
    Gone,
}

impl Depth {
    /// All of them: the place is the number that a recording has.
    pub const ALL: [Self; 6] =
        [Self::Whole, Self::CopyEnded, Self::NoUnwindInformation, Self::TooDeep, Self::Scanned, Self::Gone];
}
