//! What is left of parents that are gone: sums, of all and by cgroup.
//!
//! Must not know which events are sent, nor read kernel memory.

use probe_common::{
    bucket,
    wire::{
        FinishedParents, Histogram, ParentEntry, ParentKey, WIDE, WIDE_BUCKETS, WIDE_FROM, WIDE_ROOM,
        WideHistogram,
    },
};

use crate::{
    atomic::add, cgroup_table, maps::FINISHED_PARENTS, parent_table, settings::setting, verifier::opaque,
};

/// A parent has left the process table, after its children were handed on. If nothing is left to report of it, its counts
/// are added to the sum of finished parents and its entry is freed, so any number of short-lived parents fit.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn fold_finished_parent(tgid: u32, start_boottime_ns: u64) -> i32 {
    if setting!(stream_all) == 0 {
        let key = &ParentKey { tgid, start_boottime_ns, reserved: 0 };
        parent_table::take_out_if(key, is_finished, add_to_finished);
    }
    0
}

/// Whether nothing is left to report of it.
#[inline(always)]
fn is_finished(entry: *mut ParentEntry) -> bool {
    // SAFETY: a value of our own map.
    let entry = unsafe { &*entry };
    entry.exited + entry.adopted == entry.reaped + entry.autoreaped
        && entry.reap_latency.max_ns < setting!(slow_ns)
}

#[inline(always)]
fn add_to_finished(entry: *mut ParentEntry) {
    if setting!(cgroup_level) != 0 {
        // First: the collector reads the sum of all before those of cgroups, so these lack nothing that is in it.
        add_to_cgroup(entry);
    }
    let Some(sum) = FINISHED_PARENTS.get_ptr_mut(0) else { return };
    // SAFETY: values of our own maps; the sum is this CPU's, but a program that is preempted may share it: atomic.
    unsafe { add_counts(sum, entry) };
}

/// The sum of its cgroup, where there is room for one.
#[inline(always)]
fn add_to_cgroup(entry: *mut ParentEntry) {
    // SAFETY: a value of our own map.
    let id = unsafe { (*entry).cgroup_id };
    let Some(sum) = cgroup_table::find_or_create(&id) else { return };
    // SAFETY: values of our own maps; other CPUs add to the sum meanwhile: atomic.
    unsafe {
        add_counts(&raw mut (*sum).finished, entry);
        add_durations(&raw mut (*sum).reap_latency, &raw const (*entry).reap_latency);
        add_durations(&raw mut (*sum).teardown, &raw const (*entry).teardown);
    }
}

/// # Safety
/// Both must point into values of our own maps.
#[inline(always)]
unsafe fn add_counts(sum: *mut FinishedParents, entry: *const ParentEntry) {
    // SAFETY: the caller's.
    unsafe {
        add(&raw mut (*sum).parents, 1);
        add(&raw mut (*sum).counts.forked, (*entry).forked);
        add(&raw mut (*sum).counts.exited, (*entry).exited);
        add(&raw mut (*sum).counts.adopted, (*entry).adopted);
        add(&raw mut (*sum).counts.reaped, (*entry).reaped);
        add(&raw mut (*sum).counts.autoreaped, (*entry).autoreaped);
        add(&raw mut (*sum).counts.coarse, (*entry).coarse);
    }
}

/// # Safety
/// Both must point into values of our own maps.
#[inline(always)]
unsafe fn add_durations(sum: *mut WideHistogram, histogram: *const Histogram) {
    // SAFETY: the caller's; the indexes are below the lengths.
    unsafe {
        let count = (*histogram).count;
        if count == 0 {
            return;
        }
        add(&raw mut (*sum).sum_ns, (*histogram).sum_ns);
        let wide = (&raw mut (*sum).buckets).cast::<u64>();
        if count == 1 {
            add(wide.add(wide_index((*histogram).sum_ns)), 1);
            return;
        }
        let narrow = (&raw const (*histogram).buckets).cast::<u32>();
        add(wide, sum_of(narrow, WIDE_FROM));
        for index in 1..WIDE_BUCKETS {
            add(wide.add(index), sum_of(narrow.add(WIDE_FROM + (index - 1) * WIDE), WIDE));
        }
    }
}

/// # Safety
/// There must be so many.
#[inline(always)]
unsafe fn sum_of(first: *const u32, count: usize) -> u64 {
    let mut sum = 0;
    for index in 0..count {
        // SAFETY: the caller's.
        sum += u64::from(unsafe { first.add(index).read_volatile() });
    }
    sum
}

/// The wide bucket of a duration.
#[inline(always)]
fn wide_index(duration_ns: u64) -> usize {
    let narrow = bucket::index(duration_ns);
    let wide = if narrow < WIDE_FROM { 0 } else { (narrow - WIDE_FROM) / WIDE + 1 };
    opaque(wide) & (WIDE_ROOM - 1)
}

/// The death of a child, not counted so far, and its release (`autoreap`: by the kernel) are seen after the parent's entry was
/// folded.
#[inline(always)]
pub fn count_after_fold(autoreap: bool) {
    if setting!(stream_all) != 0 {
        return;
    }
    let Some(sum) = FINISHED_PARENTS.get_ptr_mut(0) else { return };
    // SAFETY: a value of our own map; this CPU's, but a program that is preempted may share it: atomic.
    unsafe {
        add(&raw mut (*sum).counts.exited, 1);
        if autoreap {
            add(&raw mut (*sum).counts.autoreaped, 1);
        } else {
            add(&raw mut (*sum).counts.reaped, 1);
            add(&raw mut (*sum).counts.coarse, 1);
        }
    }
}
