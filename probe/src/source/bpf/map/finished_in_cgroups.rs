//! What finished parents had, by the cgroup that they were in; and which cgroups have their workloads further down.
//!
//! Must not know which workload a cgroup is, nor when a sum is done with.

use std::os::fd::AsFd;

use aya::{
    Ebpf,
    maps::{Array, HashMap, Map},
};
use probe_common::wire::{self, DEEP_CGROUPS_MAX, DeepCgroups};

use super::{super::decode, Plain, batch};
use crate::model::FinishedInCgroup;

const NAME: &str = "FINISHED_IN_CGROUPS";

/// The sums of all cgroups; `None` where they cannot be read.
pub fn all(ebpf: &Ebpf) -> Option<Vec<FinishedInCgroup>> {
    let Some(Map::HashMap(map)) = ebpf.map(NAME) else { return None };
    let mut sums = Vec::new();
    let (key_size, value_size) = (size_of::<u64>(), size_of::<wire::FinishedInCgroup>());
    batch::entries(NAME, map.fd().as_fd(), key_size, value_size, |key, value| {
        if let Ok(id) = key.try_into() {
            sums.extend(decode::finished_in_cgroup(u64::from_ne_bytes(id), value));
        }
    })
    .then_some(sums)
}

/// Has the kernel forget the sum of a cgroup. What came after it was last read is lost to this sum, but not to that of all.
pub fn forget(ebpf: &mut Ebpf, cgroup_id: u64) {
    let map = ebpf.map_mut(NAME).map(HashMap::<_, u64, Plain<wire::FinishedInCgroup>>::try_from);
    if let Some(Ok(mut map)) = map {
        // It may have gone already.
        let _ = map.remove(&cgroup_id);
    }
}

/// Says which cgroups directly below the root have workloads one level further down than others.
pub fn set_deep(ebpf: &mut Ebpf, ids: &[u64]) {
    let mut deep = DeepCgroups::default();
    for (place, id) in deep.ids.iter_mut().zip(ids.iter().take(DEEP_CGROUPS_MAX)) {
        *place = *id;
    }
    let map = ebpf.map_mut("DEEP_CGROUPS").map(Array::<_, Plain<DeepCgroups>>::try_from);
    if let Some(Ok(mut map)) = map
        && let Err(error) = map.set(0, Plain(deep), 0)
    {
        tracing::warn!(%error, "containers of pods are not told apart");
    }
}
