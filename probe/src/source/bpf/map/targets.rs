//! The FOLLOWED map: the processes whose events the programs send, where not all are wanted.
//!
//! Must not know who they are or why.

use aya::{Ebpf, maps::HashMap};
use probe_common::wire::Followed;

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
        .map_mut("FOLLOWED")
        .and_then(|map| HashMap::<_, u32, Plain<Followed>>::try_from(map).ok())
        .ok_or_else(|| broken_object("the map FOLLOWED is missing"))?;
    let entry = Followed { start_boottime_ns: process.start_boottime_ns };
    targets
        .insert(process.tgid, Plain(entry), 0)
        .map_err(|error| BpfError::Follow { pid: process.tgid, error })
}
