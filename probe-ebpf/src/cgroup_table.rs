//! The sums of what finished parents had, by the cgroup that they were in: found, created. What is counted in them is the ledger's.
//!
//! Owns which cgroup that is: nobody but root can make those that have a sum, so that no user takes all the room. Must not know
//! when a parent is finished.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use probe_common::wire::FinishedInCgroup;

use crate::{
    kernel::cgroup::{current_id, current_id_at},
    maps::{BLANK_CGROUP, DEEP_CGROUPS, FINISHED_IN_CGROUPS},
    settings::setting,
    slot_table::BPF_NOEXIST,
};

/// The cgroup that a parent counts for, if that is asked for and it is the current process; else 0.
#[inline(always)]
pub fn of_parent(tgid: u32) -> u64 {
    let mut level = setting!(cgroup_level);
    if level == 0 || (bpf_get_current_pid_tgid() >> 32) as u32 != tgid {
        return 0;
    }
    let top = current_id_at(1);
    if let Some(deep) = DEEP_CGROUPS.get(0)
        && top != 0
        && deep.ids.contains(&top)
    {
        level = setting!(cgroup_level_deep);
    }
    match current_id_at(level) {
        0 => current_id(),
        above => above,
    }
}

/// The sum of a cgroup, created if it has none; `None` where there is no room, or the cgroup is not known.
#[inline(always)]
pub fn find_or_create(id: &u64) -> Option<*mut FinishedInCgroup> {
    if *id == 0 {
        return None;
    }
    if let Some(sum) = FINISHED_IN_CGROUPS.get_ptr_mut(id) {
        return Some(sum);
    }
    // Another CPU may have made it meanwhile.
    let _ = FINISHED_IN_CGROUPS.insert(id, BLANK_CGROUP.get(0)?, BPF_NOEXIST);
    FINISHED_IN_CGROUPS.get_ptr_mut(id)
}
