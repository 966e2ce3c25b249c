//! What a process does with signals. Must not know where this is read.

/// The signals that the main thread of a process blocks, ignores and catches. Bit n - 1 is signal n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SignalMasks {
    pub blocked: u64,
    pub ignored: u64,
    pub caught: u64,
}
