//! The SIGCHLD of a death is merged into one that its parent has not taken yet: nobody will be told of this death by itself.
//!
//! Counted before the notification is entered: only the first one of a death counts, and only where the parent is the one
//! that was told. What a tracer misses is no matter of the parent's, and what a dying parent hands on was told before. Must
//! not know which hook saw it.

use crate::{
    dead_child_table::find,
    kernel::{
        notice::first_queued,
        task::{SIGCHLD, TaskPtr},
        typed::Untyped,
    },
    ledger::count_merged_signal,
};

/// The signal that `dying`, the address of a leader, sends was merged. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn signal_merged(dying: u64) -> i32 {
    let dying = TaskPtr::<Untyped>::at(dying);
    let parent = dying.real_parent();
    // Without an entry it is none of those that are counted.
    let Some(child) = find(dying.tgid()) else { return 0 };
    // SAFETY: a value of our own map.
    if unsafe { (*child).zombie_ns } == 0 && parent == dying.notified_parent() {
        count_merged_signal(&parent.identity(), parent);
    }
    0
}

/// `dying` has just notified its parent, to which a SIGCHLD is pending. It was merged if the one that is queued tells of
/// something else. Where the parent has taken that one already, on another CPU, it is not counted: the parent did so after
/// this death, so it was told of it. No other death of a child of this parent can be between, for whoever notifies holds
/// the list of tasks. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn count_if_merged(dying: u64) -> i32 {
    let task = TaskPtr::<Untyped>::at(dying);
    let parent = task.real_parent();
    let Some(told_of) = first_queued(parent.signal()) else { return 0 };
    if task.exit_signal() != SIGCHLD || task.is_seen_as(told_of, parent) {
        return 0;
    }
    // Whoever takes a signal first says that it is no longer pending: what was read just now was of one that still was.
    if parent.signal().has_sigchld_pending() { signal_merged(dying) } else { 0 }
}
