//! What the events of a child's life add to the entry of its parent: the only writer of counts and histograms.
//!
//! Most of it is in global functions (see `verifier`). Must not know which events are sent, nor read kernel memory.

mod finished;

use finished::count_after_fold;
pub use finished::fold_finished_parent;
use probe_common::{
    bucket,
    wire::{COMM_LEN, EventFlags, Histogram, ParentEntry, ParentKey, WAITS_READ_FIRST, WAITS_READ_ONE_IN},
};

use crate::{
    atomic::{add, add32, prefetch},
    kernel::{
        task::TaskPtr,
        typed::{Memory, Untyped},
        wait_call::WaitCall,
        zero,
    },
    parent_table,
    settings::setting,
    verifier::opaque,
};

/// A child is born.
#[inline(always)]
pub fn count_fork(key: &ParentKey, parent: TaskPtr<Untyped>) {
    if let Some(entry) = parent_table::find_or_create(key, parent) {
        // SAFETY: a value of our own map.
        unsafe { add(&raw mut (*entry).forked, 1) };
    }
}

/// A wait call begins: for any child or for certain ones. Returns whether its arguments are to be looked at: of the first
/// calls of a program all, then a sample, so that who waits often pays nothing for it.
#[inline(always)]
pub fn count_wait<M: Memory>(key: &ParentKey, caller: TaskPtr<M>, any: bool) -> bool {
    let Some(entry) = parent_table::find_or_create(key, caller) else { return false };
    // SAFETY: a value of our own map.
    unsafe {
        let before = (*entry).waits_any + (*entry).waits_specific;
        if any {
            add(&raw mut (*entry).waits_any, 1);
        } else {
            add(&raw mut (*entry).waits_specific, 1);
        }
        before < WAITS_READ_FIRST || before.is_multiple_of(WAITS_READ_ONE_IN)
    }
}

/// What the arguments of a call are, `None`: not known. `any`: [`count_wait`] counted it as one for any child.
#[inline(always)]
pub fn count_wait_arguments(key: &ParentKey, call: Option<WaitCall>, any: bool) {
    let Some(entry) = parent_table::find(key) else { return };
    // SAFETY: a value of our own map.
    unsafe {
        let calls = &raw mut (*entry).calls;
        let Some(call) = call else {
            add(&raw mut (*calls).unread, 1);
            return;
        };
        // Sums without a branch: each would double what the verifier goes through.
        let bit = |what: WaitCall| u64::from(call.bits() / what.bits() & 1);
        add(&raw mut (*calls).read, 1);
        add(&raw mut (*calls).group, bit(WaitCall::GROUP));
        add(&raw mut (*calls).absent, u64::from(any) & (bit(WaitCall::ANY) ^ 1));
        add(&raw mut (*calls).peeking, bit(WaitCall::PEEKING));
        add(&raw mut (*calls).own_thread, bit(WaitCall::OWN_THREAD));
        add(&raw mut (*calls).clone_only, bit(WaitCall::CLONE_ONLY));
    }
}

/// The parent runs another program: its waits and reaps so far were those of the program before.
#[inline(always)]
pub fn start_new_program(entry: *mut ParentEntry, comm: [u8; COMM_LEN], time_ns: u64) {
    // SAFETY: a value of our own map.
    unsafe {
        (*entry).waits_any = 0;
        (*entry).waits_specific = 0;
        zero(&raw mut (*entry).calls);
        (*entry).coalesced = 0;
        (*entry).reaped_before_exec = (*entry).reaped;
        (*entry).exec_ns = time_ns;
        (*entry).comm = comm;
    }
}

/// The parent itself dies.
#[inline(always)]
pub fn mark_dead(key: &ParentKey, time_ns: u64) {
    // SAFETY: a value of our own map.
    parent_table::for_each_entry(key, |entry| unsafe { (*entry).dead_ns = time_ns });
}

/// A living parent reaps its own child. In place: it is the common case.
#[inline(always)]
pub fn count_reap(entry: *mut ParentEntry, latency_ns: u64) {
    // SAFETY: a value of our own map.
    unsafe {
        record_duration(&raw mut (*entry).reap_latency, latency_ns);
        add(&raw mut (*entry).reaped, 1);
    }
}

/// A duration that is not known.
pub const UNKNOWN_NS: u64 = u64::MAX;

/// The SIGCHLD of a child's death was merged into one that was pending.
#[inline(always)]
pub fn count_merged_signal(key: &ParentKey, parent: TaskPtr<Untyped>) {
    if let Some(entry) = parent_table::find_or_create(key, parent) {
        // SAFETY: a value of our own map.
        unsafe { add(&raw mut (*entry).coalesced, 1) };
    }
}

/// A child is a zombie. `task`: address of one of the parent's; `moved`: 1 where it was one before, of another parent. Returns
/// 1 if the parent has reaped a child late.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn count_zombie(
    tgid: u32,
    start_boottime_ns: u64,
    task: u64,
    moved: u32,
    teardown_ns: u64,
) -> i32 {
    let key = &ParentKey { tgid, start_boottime_ns, reserved: 0 };
    let Some(entry) = parent_table::find_or_create(key, TaskPtr::<Untyped>::at(task)) else { return 0 };
    // SAFETY: a value of our own map.
    unsafe {
        if moved != 0 {
            add(&raw mut (*entry).adopted, 1);
        } else if teardown_ns == UNKNOWN_NS {
            add(&raw mut (*entry).exited, 1);
        } else {
            count_announced(entry, teardown_ns);
        }
    }
    i32::from(has_reaped_late(entry))
}

/// A child of which the exit was seen is a zombie. In place: it is the common case.
#[inline(always)]
pub fn count_announced(entry: *mut ParentEntry, teardown_ns: u64) {
    // SAFETY: a value of our own map.
    unsafe {
        record_duration(&raw mut (*entry).teardown, teardown_ns);
        add(&raw mut (*entry).exited, 1);
    }
}

/// Whether the parent has reaped a child late.
#[inline(always)]
pub fn has_reaped_late(entry: *mut ParentEntry) -> bool {
    let slow_ns = setting!(slow_ns);
    // SAFETY: a value of our own map.
    unsafe { (*entry).reap_latency.max_ns >= slow_ns }
}

bitflags::bitflags! {
    /// How a child was released: the bits of the `how` of [`count_release`].
    #[derive(Clone, Copy)]
    pub struct Release: u32 {
        /// By a process that was not known as the parent.
        const ADOPTED = 1;
        /// By the kernel, because the parent ignores SIGCHLD.
        const AUTO = 2;
        /// No wait was seen. A parent without an entry was folded before and gets none again.
        const LATE = 4;
        /// Only the free was seen.
        const COARSE = 8;
        /// The parent it had at its death still was its parent, and had not died before.
        const BY_PARENT = 16;
        /// No notification of its death was seen.
        const UNANNOUNCED = 32;
    }
}

// What the event says of the release is passed on in the same bits.
const _: () = assert!(
    Release::COARSE.bits() == EventFlags::COARSE.bits()
        && Release::BY_PARENT.bits() == EventFlags::BY_PARENT.bits()
        && Release::AUTO.bits() >> 1 == EventFlags::AUTOREAP.bits()
);

/// A child is released. `task`: address of one of the parent's, or 0. Returns 1 if the parent had died before, so that the
/// child is not reaped.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn count_release(
    tgid: u32,
    start_boottime_ns: u64,
    task: u64,
    how: u32,
    latency_ns: u64,
) -> i32 {
    let key = &ParentKey { tgid, start_boottime_ns, reserved: 0 };
    let how = Release::from_bits_retain(how);
    let late = how.intersects(Release::LATE);
    let entry = if late {
        parent_table::find(key)
    } else {
        parent_table::find_or_create(key, TaskPtr::<Untyped>::at(task))
    };
    let Some(entry) = entry else {
        if late && how.intersects(Release::UNANNOUNCED) {
            count_after_fold(how.intersects(Release::AUTO));
        }
        return 0;
    };
    // SAFETY: a value of our own map.
    unsafe {
        if how.intersects(Release::ADOPTED) {
            add(&raw mut (*entry).adopted, 1);
        } else if how.intersects(Release::UNANNOUNCED) {
            add(&raw mut (*entry).exited, 1);
        }
        if how.intersects(Release::AUTO) {
            add(&raw mut (*entry).autoreaped, 1);
        } else if (*entry).dead_ns == 0 || how.intersects(Release::BY_PARENT) {
            add(&raw mut (*entry).reaped, 1);
            if how.intersects(Release::COARSE) {
                add(&raw mut (*entry).coarse, 1);
            }
            record_duration(&raw mut (*entry).reap_latency, latency_ns);
        } else {
            // It counts as abandoned.
            return 1;
        }
    }
    0
}

/// The pid of a dead child of this parent was reused: it was released, and no hook saw it.
#[inline(always)]
pub fn count_unseen_release(parent: &ParentKey, was_zombie: bool, autoreap: bool) {
    if let Some(entry) = parent_table::find(parent) {
        // SAFETY: a value of our own map.
        unsafe {
            if !was_zombie {
                add(&raw mut (*entry).exited, 1);
            }
            if autoreap {
                add(&raw mut (*entry).autoreaped, 1);
            } else {
                add(&raw mut (*entry).reaped, 1);
                add(&raw mut (*entry).coarse, 1);
            }
        }
    }
}

/// A child dies and cannot be followed to its release, because the table is full: counted now.
#[inline(always)]
pub fn count_untracked(key: &ParentKey, parent: TaskPtr<Untyped>, autoreap: bool) {
    if let Some(entry) = parent_table::find_or_create(key, parent) {
        // SAFETY: a value of our own map.
        unsafe {
            add(&raw mut (*entry).exited, 1);
            let outcome = if autoreap { &raw mut (*entry).autoreaped } else { &raw mut (*entry).untracked };
            add(outcome, 1);
        }
    }
}

/// Counts a duration.
#[inline(always)]
fn record_duration(histogram: *mut Histogram, duration_ns: u64) {
    let slot = opaque(bucket::index(duration_ns)) & (bucket::BUCKETS - 1);
    // SAFETY: histogram is part of a value of our own map and slot is masked to its length.
    unsafe {
        let bucket = (&raw mut (*histogram).buckets).cast::<u32>().add(slot);
        prefetch(bucket);
        add(&raw mut (*histogram).count, 1);
        add(&raw mut (*histogram).sum_ns, duration_ns);
        add32(bucket, 1);
        if duration_ns > (*histogram).max_ns {
            (*histogram).max_ns = duration_ns;
        }
        if (*histogram).min_ns == 0 || duration_ns < (*histogram).min_ns {
            (*histogram).min_ns = duration_ns;
        }
    }
}
