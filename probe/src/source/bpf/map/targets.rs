//! The TARGETS map: the processes whose events the programs send, where not all are wanted.
//!
//! Must not know who they are or why.

use aya::{Ebpf, maps::HashMap};
use probe_common::wire::Target;

use super::{
    super::error::{BpfError, broken_object},
    Plain,
};
use crate::model::Identity;

/// Whatever has this pid, and its children.
pub fn add_pid(ebpf: &mut Ebpf, pid: u32) -> Result<(), BpfError> {
    add(ebpf, Identity { tgid: pid, start_boottime_ns: 0 })
}

/// A process. The programs of a tree add its descendants themselves.
pub fn add(ebpf: &mut Ebpf, process: Identity) -> Result<(), BpfError> {
    let mut targets = ebpf
        .map_mut("TARGETS")
        .and_then(|map| HashMap::<_, u32, Plain<Target>>::try_from(map).ok())
        .ok_or_else(|| broken_object("the map TARGETS is missing"))?;
    let entry = Target { start_boottime_ns: process.start_boottime_ns };
    targets
        .insert(process.tgid, Plain(entry), 0)
        .map_err(|error| BpfError::Follow { pid: process.tgid, error })
}
