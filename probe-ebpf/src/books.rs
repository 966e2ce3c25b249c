//! What a stage of a child's life adds to its parent's record.
//!
//! Functions that are global to the verifier: it goes through each once, not once for every state it comes with, which
//! are many where a life ends; for that they take and return numbers only. Must not read kernel memory.

use probe_common::{
    bucket,
    wire::{Histogram, ParentKey, ParentRecord, flag},
};

use crate::{
    maps::{SETTLED, add, add32, will_need},
    parent::{parent_record, record_of},
    setting,
    task::{TaskPtr, Untyped},
};

/// The parent with this record, which lives, reaps a child of its own: nothing but that, hence in place.
#[inline(always)]
pub fn book_reap(record: *mut ParentRecord, latency_ns: u64) {
    // SAFETY: a value of our own map.
    unsafe {
        record_duration(&raw mut (*record).reap_latency, latency_ns);
        add(&raw mut (*record).reaped, 1);
    }
}

/// A duration that is not known.
pub const UNKNOWN_NS: u64 = u64::MAX;

/// A child is a zombie. `task`: address of one of the parent's; `moved`: 1 where it was one before, of another parent.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn book_zombie(
    tgid: u32,
    start_boottime_ns: u64,
    task: u64,
    moved: u32,
    teardown_ns: u64,
) -> i32 {
    let key = &ParentKey { tgid, start_boottime_ns, reserved: 0 };
    let Some(record) = parent_record(key, TaskPtr::<Untyped>::at(task)) else { return 0 };
    // SAFETY: a value of our own map.
    unsafe {
        if moved != 0 {
            add(&raw mut (*record).adopted, 1);
        } else {
            add(&raw mut (*record).exited, 1);
            if teardown_ns != UNKNOWN_NS {
                record_duration(&raw mut (*record).teardown, teardown_ns);
            }
        }
    }
    0
}

/// How a child was released, beside [`flag::COARSE`] and [`flag::BY_PARENT`].
pub mod release {
    /// By a process that was not known as the parent.
    pub const ADOPTED: u32 = 1;
    /// By the kernel, because the parent ignores SIGCHLD.
    pub const AUTO: u32 = 2;
    /// Nobody was seen to wait: a parent that has no record is settled already, and gets none again.
    pub const LATE: u32 = 4;
    /// Nobody was heard to be told of its death.
    pub const UNHEARD: u32 = 32;
}

/// A child is released. `task`: address of one of the parent's, or 0. 1 where that was after the parent's own death, so
/// that it is not reaped.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn book_release(
    tgid: u32,
    start_boottime_ns: u64,
    task: u64,
    how: u32,
    latency_ns: u64,
) -> i32 {
    let key = &ParentKey { tgid, start_boottime_ns, reserved: 0 };
    let late = how & release::LATE != 0;
    let record = if late { record_of(key) } else { parent_record(key, TaskPtr::<Untyped>::at(task)) };
    let Some(record) = record else {
        if late && how & release::UNHEARD != 0 {
            settled_since(how & release::AUTO != 0);
        }
        return 0;
    };
    // SAFETY: a value of our own map.
    unsafe {
        if how & release::ADOPTED != 0 {
            add(&raw mut (*record).adopted, 1);
        } else if how & release::UNHEARD != 0 {
            add(&raw mut (*record).exited, 1);
        }
        if how & release::AUTO != 0 {
            add(&raw mut (*record).autoreaped, 1);
        } else if (*record).dead_ns == 0 || how & flag::BY_PARENT != 0 {
            add(&raw mut (*record).reaped, 1);
            if how & flag::COARSE != 0 {
                add(&raw mut (*record).coarse, 1);
            }
            record_duration(&raw mut (*record).reap_latency, latency_ns);
        } else {
            // It would be abandoned.
            return 1;
        }
    }
    0
}

/// Counts a duration.
#[inline(always)]
fn record_duration(histogram: *mut Histogram, duration_ns: u64) {
    let slot = core::hint::black_box(bucket::index(duration_ns)) & (bucket::BUCKETS - 1);
    // SAFETY: histogram is part of a value of our own map and slot is masked to its length.
    unsafe {
        let bucket = (&raw mut (*histogram).buckets).cast::<u32>().add(slot);
        will_need(bucket);
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

/// The death of a child, uncounted so far, and its release (`autoreap`: by the kernel) are learnt of after its parent
/// was settled.
#[inline(always)]
fn settled_since(autoreap: bool) {
    if setting!(stream_all) != 0 {
        return;
    }
    let Some(sum) = SETTLED.get_ptr_mut(0) else { return };
    // SAFETY: a value of our own map; this CPU's, but a program that is preempted may share it: atomic.
    unsafe {
        add(&raw mut (*sum).exited, 1);
        if autoreap {
            add(&raw mut (*sum).autoreaped, 1);
        } else {
            add(&raw mut (*sum).reaped, 1);
            add(&raw mut (*sum).coarse, 1);
        }
    }
}
