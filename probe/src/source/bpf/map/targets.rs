//! The processes whose events the programs send, where not all are wanted (TARGETS), and the suspects, of whom more is
//! (SUSPECTS).
//!
//! Must not know who they are or why.

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
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
    let mut targets = targets(ebpf, "TARGETS")?;
    let entry = Target { start_boottime_ns: process.start_boottime_ns };
    targets
        .insert(process.tgid, Plain(entry), 0)
        .map_err(|error| BpfError::Follow { pid: process.tgid, error })
}

/// Makes these processes the suspects, and nobody else.
pub fn set_suspects(ebpf: &mut Ebpf, before: &[Identity], now: &[Identity]) -> Result<(), BpfError> {
    let mut targets = targets(ebpf, "SUSPECTS")?;
    for gone in before.iter().filter(|one| !now.iter().any(|other| other.tgid == one.tgid)) {
        let _ = targets.remove(&gone.tgid);
    }
    for one in now.iter().filter(|one| !before.contains(one)) {
        let entry = Target { start_boottime_ns: one.start_boottime_ns };
        targets
            .insert(one.tgid, Plain(entry), 0)
            .map_err(|error| BpfError::Follow { pid: one.tgid, error })?;
    }
    Ok(())
}

fn targets<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<HashMap<&'a mut MapData, u32, Plain<Target>>, BpfError> {
    ebpf.map_mut(name)
        .and_then(|map| HashMap::try_from(map).ok())
        .ok_or_else(|| broken_object(format!("the map {name} is missing")))
}
