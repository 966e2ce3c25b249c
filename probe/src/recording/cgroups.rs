//! What finished parents had, by cgroup (3.6).
//!
//! Must not know frames or files.

use bytes::{Buf, BufMut};

use super::{
    decode::{count, decode_finished_parents, distribution, flag},
    encode::{put_distribution, put_finished_parents},
    workload::{decode_workload, put_workload},
};
use crate::model::{CgroupWorkload, FinishedInCgroup, Input};

/// Bytes of one sum at least.
const LEAST: usize = 8 + 1 + 1 + 1 + 56 + 2 * 36;

pub(super) fn put_finished_in_cgroups(out: &mut Vec<u8>, sums: &[FinishedInCgroup]) {
    out.put_u32_le(sums.len() as u32);
    for sum in sums {
        out.put_u64_le(sum.cgroup_id);
        out.put_u8((sum.workload != CgroupWorkload::Pending).into());
        put_workload(
            out,
            if let CgroupWorkload::Is(workload) = &sum.workload { Some(workload) } else { None },
        );
        out.put_u8(sum.is_last.into());
        put_finished_parents(out, &sum.finished);
        put_distribution(out, &sum.reap_latency);
        put_distribution(out, &sum.teardown);
    }
}

pub(super) fn decode_finished_in_cgroups(from: &mut &[u8]) -> Option<Input> {
    let sums = count(from, LEAST)?;
    let sums = (0..sums).map(|_| {
        let cgroup_id = from.try_get_u64_le().ok().filter(|id| *id != 0)?;
        let is_known = flag(from)?;
        let workload = match decode_workload(from)? {
            Some(workload) => CgroupWorkload::Is(workload),
            None if is_known => CgroupWorkload::None,
            None => CgroupWorkload::Pending,
        };
        Some(FinishedInCgroup {
            cgroup_id,
            workload,
            is_last: flag(from)?,
            finished: decode_finished_parents(from)?,
            reap_latency: distribution(from)?,
            teardown: distribution(from)?,
        })
    });
    sums.collect::<Option<Vec<_>>>().map(|sums| Input::FinishedInCgroups(sums.into()))
}
