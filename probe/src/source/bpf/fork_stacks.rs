//! The stacks of forks: their ring buffer, and the interpreters whose frames come with them.
//!
//! Must not know whose stacks are sent, nor what is made of a stack.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, RingBuf},
};
use probe_common::interpreter::Interpreter;

use super::{
    decode,
    error::{BpfError, broken_object},
    map::Plain,
    options::ForkStacks,
};
use crate::{model::Identity, source::host::fork_site::Stack};

/// Where stacks arrive. It is mapped into our memory once somebody's stacks are sent: before that it would only take room.
pub enum ForkStackRing {
    /// None are asked for.
    None,
    Unmapped(MapData),
    Mapped(RingBuf<MapData>),
}

impl ForkStackRing {
    pub fn take(ebpf: &mut Ebpf, wanted: ForkStacks) -> Result<Self, BpfError> {
        if wanted == ForkStacks::None {
            return Ok(Self::None);
        }
        let Some(Map::RingBuf(map)) = ebpf.take_map("FORK_STACKS") else {
            return Err(broken_object("the map FORK_STACKS is missing"));
        };
        let mut ring = Self::Unmapped(map);
        if wanted == ForkStacks::OfAll {
            ring.map()?;
        }
        Ok(ring)
    }

    /// Maps it, if it is not. Where that fails no stack is received from then on.
    pub fn map(&mut self) -> Result<(), BpfError> {
        match std::mem::replace(self, Self::None) {
            Self::Unmapped(map) => {
                let ring = RingBuf::try_from(Map::RingBuf(map));
                *self = Self::Mapped(ring.map_err(|error| {
                    broken_object(format!("the map FORK_STACKS cannot be mapped: {error}"))
                })?);
            }
            as_it_is => *self = as_it_is,
        }
        Ok(())
    }

    /// The descriptor that becomes readable when stacks wait.
    pub fn readiness(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::None => None,
            Self::Unmapped(map) => Some(map.fd().as_fd()),
            // SAFETY: the ring buffer's descriptor lives as long as self, which the lifetime says.
            Self::Mapped(ring) => Some(unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) }),
        }
    }

    /// Takes up to `most` stacks. Returns true if that was all.
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(Stack)) -> bool {
        let Self::Mapped(ring) = self else { return true };
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
