//! A copied stack: what the kernel hands over of a fork.
//!
//! Must not know how it came here.

use probe_common::interpreter::PythonFrame;

use crate::model::{Identity, Task};

/// The registers by which a stack is unwound.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    pub ip: u64,
    pub sp: u64,
    pub fp: u64,
    /// The link register of arm64.
    pub link: u64,
}

/// Registers and stack of a thread at its fork.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    pub time_ns: u64,
    pub creator: Task,
    pub child: Identity,
    /// How many programs the creator has run: another number, another memory map.
    pub program: u64,
    pub ip: u64,
    pub sp: u64,
    pub fp: u64,
    /// Where vfork of glibc keeps its return address; the link register of arm64.
    pub link: u64,
    /// Where vfork of musl does.
    pub third: u64,
    /// The stack from `sp` on.
    pub bytes: Vec<u8>,
    /// The frames of its Python interpreter, the innermost first; none where none is known.
    pub python: Vec<PythonFrame>,
    /// There are more of them.
    pub is_python_cut: bool,
}

impl Stack {
    /// The word at an address, if it was copied.
    pub fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.sp)?).ok()?;
        let word = self.bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    }

    /// The registers of the thread.
    pub fn registers(&self) -> Registers {
        Registers { ip: self.ip, sp: self.sp, fp: self.fp, link: self.link }
    }

    /// Whether this address is beyond what was copied.
    pub fn ends_before(&self, address: u64) -> bool {
        address >= self.sp.saturating_add(self.bytes.len() as u64).saturating_sub(7)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_copied_is_read() {
        let stack = Stack { sp: u64::MAX - 20, bytes: vec![1; 16], ..Stack::default() };
        assert_eq!(stack.word(stack.sp + 8), Some(0x0101_0101_0101_0101));
        for outside in [stack.sp + 9, stack.sp - 1, 0, u64::MAX] {
            assert_eq!(stack.word(outside), None);
        }
        assert!(
            stack.ends_before(u64::MAX) && stack.ends_before(stack.sp + 9) && !stack.ends_before(stack.sp)
        );
    }
}
