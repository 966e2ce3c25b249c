//! Whom the collector asked for, and what of it is sent: applied here, so that nobody else costs anything.
//!
//! Must not read kernel memory.

use probe_common::{
    settings::scope,
    wire::{Followed, ParentKey, TaskRef, loss},
};

use crate::{
    maps::{FOLLOWED, lose},
    setting,
};

/// Whether this process is one of those asked for.
#[inline(always)]
fn followed(tgid: u32, start_boottime_ns: u64) -> bool {
    match FOLLOWED.get_ptr(tgid) {
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
    setting!(scope) != scope::TREE || followed(process.tgid, process.start_boottime_ns)
}

/// A child is born: one of the tree's is of the tree.
#[inline(always)]
pub fn born(child: &TaskRef, parent: &TaskRef, creator: &TaskRef) -> bool {
    if setting!(scope) != scope::TREE {
        return true;
    }
    if !followed(creator.tgid, creator.start_boottime_ns) && !followed(parent.tgid, parent.start_boottime_ns)
    {
        return false;
    }
    let entry = Followed { start_boottime_ns: child.start_boottime_ns };
    if FOLLOWED.insert(child.tgid, entry, 0).is_err() {
        lose(loss::FOLLOWED_FULL);
    }
    true
}

/// One of the tree has left the process table.
#[inline(always)]
pub fn gone(tgid: u32) {
    if setting!(scope) == scope::TREE {
        let _ = FOLLOWED.remove(tgid);
    }
}

/// Whether a stage of this process is asked for.
#[inline(always)]
pub fn asked(process: &ParentKey, parent: &ParentKey) -> bool {
    if setting!(scope) != scope::PIDS {
        return true;
    }
    followed(process.tgid, process.start_boottime_ns) || followed(parent.tgid, parent.start_boottime_ns)
}
