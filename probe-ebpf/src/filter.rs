//! Whom the collector asked for, and what of it is sent: applied here, so that nobody else costs anything.
//!
//! Must not read kernel memory.

use probe_common::{
    settings::scope,
    wire::{ParentKey, Target, TaskRef, loss},
};

use crate::{
    loss::count_loss,
    maps::{SUSPECTS, TARGETS},
    settings::setting,
};

/// Whether this process is one of those asked for.
#[inline(always)]
fn is_target(tgid: u32, start_boottime_ns: u64) -> bool {
    match TARGETS.get_ptr(tgid) {
        // SAFETY: a value of our own map.
        Some(entry) => {
            let start = unsafe { (*entry).start_boottime_ns };
            start == 0 || start == start_boottime_ns
        }
        None => false,
    }
}

/// Whether anything of this process is to be counted or sent.
#[inline(always)]
pub fn in_scope(process: &ParentKey) -> bool {
    setting!(scope) != scope::TREE || is_target(process.tgid, process.start_boottime_ns)
}

/// Whether a birth by this process is asked for.
#[inline(always)]
pub fn wants_fork_of(creator: &ParentKey) -> bool {
    setting!(scope) == scope::HOST || is_target(creator.tgid, creator.start_boottime_ns)
}

/// Whether more is asked for of this process than of others.
#[inline(always)]
pub fn is_suspect(process: &ParentKey) -> bool {
    match SUSPECTS.get_ptr(process.tgid) {
        // SAFETY: a value of our own map.
        Some(suspect) => unsafe { (*suspect).start_boottime_ns == process.start_boottime_ns },
        None => false,
    }
}

/// A child is born: one of the tree's is of the tree.
#[inline(always)]
pub fn inherit_scope(child: &TaskRef, parent: &TaskRef, creator: &TaskRef) -> bool {
    if setting!(scope) != scope::TREE {
        return true;
    }
    if !is_target(creator.tgid, creator.start_boottime_ns)
        && !is_target(parent.tgid, parent.start_boottime_ns)
    {
        return false;
    }
    let entry = Target { start_boottime_ns: child.start_boottime_ns };
    if TARGETS.insert(child.tgid, entry, 0).is_err() {
        count_loss(loss::TARGETS_FULL);
    }
    true
}

/// One of the tree has left the process table.
#[inline(always)]
pub fn leave_scope(tgid: u32) {
    if setting!(scope) == scope::TREE {
        let _ = TARGETS.remove(tgid);
    }
}

/// Whether a stage of this process is asked for.
#[inline(always)]
pub fn wants_event(process: &ParentKey, parent: &ParentKey) -> bool {
    if setting!(scope) != scope::PIDS {
        return true;
    }
    is_target(process.tgid, process.start_boottime_ns) || is_target(parent.tgid, parent.start_boottime_ns)
}
