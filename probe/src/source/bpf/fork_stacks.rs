//! The stacks of forks: their ring buffer, and the interpreters whose frames come with them.
//!
//! Must not know whose stacks are sent, nor what is made of a stack.

use std::os::fd::{AsRawFd, BorrowedFd};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, RingBuf},
};
use probe_common::interpreter::Interpreter;

use super::{
    decode,
    error::{BpfError, broken_object},
    map::Plain,
    options::ForkStacks,
};
use crate::{model::Identity, source::host::fork_site::Stack};

/// Where stacks arrive.
pub struct ForkStackRing {
    /// `None` where none are asked for.
    ring: Option<RingBuf<MapData>>,
}

impl ForkStackRing {
    pub fn take(ebpf: &mut Ebpf, wanted: ForkStacks) -> Result<Self, BpfError> {
        let ring = if wanted == ForkStacks::None {
            None
        } else {
            let ring = ebpf.take_map("FORK_STACKS").and_then(|map| RingBuf::try_from(map).ok());
            Some(ring.ok_or_else(|| broken_object("the map FORK_STACKS is missing"))?)
        };
        Ok(Self { ring })
    }

    /// The descriptor that becomes readable when stacks wait.
    pub fn readiness(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the ring buffer's descriptor lives as long as self, which the lifetime says.
        self.ring.as_ref().map(|ring| unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) })
    }

    /// Takes up to `most` stacks. Returns true if that was all.
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(Stack)) -> bool {
        let Some(ring) = &mut self.ring else { return true };
        for _ in 0..most {
            let Some(record) = ring.next() else { return true };
            decode::fork_stack(&record).map(&mut take);
        }
        false
    }

    /// Has the frames of this interpreter sent with the stacks of its process. Where that fails, they are missing.
    pub fn add_interpreter(&self, ebpf: &mut Ebpf, process: Identity, interpreter: &Interpreter) {
        let map = ebpf.map_mut("INTERPRETERS");
        let Some(mut map) = map.and_then(|map| HashMap::<_, u32, Plain<Interpreter>>::try_from(map).ok())
        else {
            return;
        };
        if let Err(error) = map.insert(process.tgid, Plain(*interpreter), 0) {
            tracing::warn!(pid = process.tgid, %error, "where its Python code forks is not shown");
        }
    }
}
