//! The stacks of forks: their ring buffer, and the program that fills it, which is attached only while somebody's stacks are
//! asked for.
//!
//! Must not know who is a suspect, nor what is made of a stack.

use std::os::fd::{AsRawFd, BorrowedFd};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, RingBuf},
    programs::{BtfTracePoint, ProgramError, tp_btf::BtfTracePointLinkId},
};

use probe_common::interpreter::Interpreter;

use super::{
    decode,
    error::{BpfError, broken_object},
    map::{Plain, targets},
    options::ForkStacks,
    programs::FORK_SITE,
};
use crate::{
    model::{Identity, SUSPECTS_MAX, Task},
    source::host::fork_site::Stack,
};

/// Where stacks arrive.
pub struct ForkStackRing {
    wanted: ForkStacks,
    /// `None` where none are asked for.
    ring: Option<RingBuf<MapData>>,
    targets: Vec<Identity>,
    link: Option<BtfTracePointLinkId>,
    has_failed: bool,
}

impl ForkStackRing {
    pub fn take(ebpf: &mut Ebpf, wanted: ForkStacks) -> Result<Self, BpfError> {
        let ring = if wanted == ForkStacks::None {
            None
        } else {
            let ring = ebpf.take_map("FORK_STACKS").and_then(|map| RingBuf::try_from(map).ok());
            Some(ring.ok_or_else(|| broken_object("the map FORK_STACKS is missing"))?)
        };
        Ok(Self { wanted, ring, targets: Vec::new(), link: None, has_failed: false })
    }

    /// The descriptor that becomes readable when stacks wait.
    pub fn readiness(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the ring buffer's descriptor lives as long as self, which the lifetime says.
        self.ring.as_ref().map(|ring| unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) })
    }

    /// Whether the program is attached.
    pub fn are_sent(&self) -> bool {
        self.wanted == ForkStacks::OfAll || self.link.is_some()
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

    /// Has the stacks of these processes sent, where targets are asked for. Where that fails, they are missing.
    pub fn set_targets(&mut self, ebpf: &mut Ebpf, tasks: &[Task]) {
        if self.wanted != ForkStacks::OfTargets || self.has_failed {
            return;
        }
        let now: Vec<Identity> = tasks.iter().take(SUSPECTS_MAX).map(|task| task.identity).collect();
        if now == self.targets {
            return;
        }
        let set = targets::set_stack_targets(ebpf, &self.targets, &now).and_then(|()| {
            self.switch(ebpf, !now.is_empty()).map_err(|error| broken_object(error.to_string()))
        });
        if let Err(error) = set {
            tracing::warn!(%error, "where suspects fork is not shown");
            self.has_failed = true;
        }
        self.targets = now;
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

    /// Attaches the program, or detaches it.
    fn switch(&mut self, ebpf: &mut Ebpf, on: bool) -> Result<(), ProgramError> {
        if on == self.link.is_some() {
            return Ok(());
        }
        let program = ebpf.program_mut(FORK_SITE).ok_or(ProgramError::UnexpectedProgramType)?;
        let program: &mut BtfTracePoint = program.try_into()?;
        match self.link.take() {
            Some(link) => program.detach(link),
            None => {
                self.link = Some(program.attach()?);
                Ok(())
            }
        }
    }
}
