//! The cgroup of the current task, in the unified hierarchy.
//!
//! Must not know what it is asked for.

use aya_ebpf::helpers::generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id};

/// Its id: the inode of its directory.
#[inline(always)]
pub fn current_id() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_cgroup_id() }
}

/// The id of the one that it is in on this level, where the root is level 0; 0 where its own is higher up. From 5.14 on.
#[inline(always)]
pub fn current_id_at(level: u32) -> u64 {
    // SAFETY: a helper that takes a number.
    unsafe { bpf_get_current_ancestor_cgroup_id(level as i32) }
}
