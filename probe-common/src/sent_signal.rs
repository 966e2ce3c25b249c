//! What the programs remember of the last signal to a process, and how they say who sent it.
//!
//! Owns layout only. Must not know how a sender is found.

use crate::wire::TaskRef;

/// Who sent a signal: [`crate::wire::Event::sender`] and [`SentSignal::sender_kind`].
pub mod sender {
    /// Not known for certain.
    pub const UNKNOWN: u32 = 0;
    /// A process, by a system call.
    pub const PROCESS: u32 = 1;
    /// The kernel, for a reason that is none of the following.
    pub const KERNEL: u32 = 2;
    /// The kernel, for a fault of the process itself.
    pub const FAULT: u32 = 3;
    /// The kernel, because the init of the PID namespace, which is named, ended.
    pub const NAMESPACE_END: u32 = 4;
    /// The kernel, because memory ran out.
    pub const OUT_OF_MEMORY: u32 = 5;
}

/// Value of the SENT_SIGNALS map, keyed by tgid: the last signal to a process that can be the one it dies of.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentSignal {
    /// Which of those with this tgid.
    pub start_boottime_ns: u64,
    pub signal: u32,
    /// [`sender`].
    pub sender_kind: u32,
    /// Nobody where the kernel sent it, but for [`sender::NAMESPACE_END`].
    pub sender: TaskRef,
    /// 1: with it the process began to die, of this signal.
    pub is_final: u32,
    /// The signals below 32 that were sent to it so far, a bit each.
    pub sent_before: u32,
}

const _: () = assert!(size_of::<SentSignal>() == 56);
