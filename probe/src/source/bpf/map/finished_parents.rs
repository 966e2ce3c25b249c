//! The sum over parents that ended with nothing to report, and whose records are gone.
//!
//! Must not know what is made of it.

use aya::{Ebpf, maps::PerCpuArray};
use probe_common::wire;

use super::{super::decode, Plain};
use crate::model::FinishedParents;

/// The sum over all CPUs; zero where it cannot be read.
pub fn sum(ebpf: &Ebpf) -> FinishedParents {
    let mut sum = FinishedParents::default();
    if let Some(map) = ebpf.map("FINISHED_PARENTS")
        && let Ok(map) = PerCpuArray::<_, Plain<wire::FinishedParents>>::try_from(map)
        && let Ok(values) = map.get(&0, 0)
    {
        for Plain(one) in values.iter() {
            sum += decode::finished_parents(one);
        }
    }
    sum
}
