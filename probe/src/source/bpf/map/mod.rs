//! The maps that programs and this process share, a file each. Values are the wire types.
//!
//! Must not know what the collector makes of them.

pub mod batch;
pub mod dead_children;
pub mod finished_in_cgroups;
pub mod finished_parents;
pub mod parents;
pub mod targets;

use probe_common::{
    interpreter::Interpreter,
    offsets::Offsets,
    sent_signal::SentSignal,
    settings::Settings,
    wire::{DeepCgroups, FinishedInCgroup, FinishedParents, ParentEntry, ParentKey, Target},
};

/// A wire type as aya wants it: any bytes are a value of it.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Plain<T>(pub T);
// SAFETY: repr(C) integers without padding; the wrapper is transparent.
unsafe impl aya::Pod for Plain<Offsets> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Settings> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Target> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Interpreter> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<SentSignal> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<FinishedParents> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<FinishedInCgroup> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<DeepCgroups> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<ParentKey> {}
// SAFETY: integers and byte arrays without padding; the wrapper is transparent.
unsafe impl aya::Pod for Plain<ParentEntry> {}
