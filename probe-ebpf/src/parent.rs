//! What is counted per parent. Must not know the stages of a life.

use probe_common::{
    bucket,
    wire::{Histogram, ParentKey, ParentRecord, TaskRef, loss},
};

use crate::{
    maps::{BLANK_PARENT, PARENTS, SETTLED, add, add32, lose},
    task::settings,
};

const BPF_NOEXIST: u64 = 1;

/// Key of a process among parents.
#[inline(always)]
pub fn key_of(task: &TaskRef) -> ParentKey {
    ParentKey { tgid: task.tgid, start_boottime_ns: task.start_boottime_ns, reserved: 0 }
}

/// The parent's record, made if it has none.
#[inline(always)]
pub fn parent_record(key: &ParentKey, name: Option<&TaskRef>) -> Option<*mut ParentRecord> {
    if let Some(record) = PARENTS.get_ptr_mut(key) {
        return Some(record);
    }
    if key.tgid == 0 {
        return None;
    }
    let blank = BLANK_PARENT.get(0)?;
    if PARENTS.insert(key, blank, BPF_NOEXIST).is_err() && PARENTS.get_ptr(key).is_none() {
        lose(loss::PARENTS_FULL);
        return None;
    }
    let record = PARENTS.get_ptr_mut(key)?;
    if let Some(name) = name {
        // SAFETY: a value of our own map.
        unsafe {
            (*record).comm = name.comm;
            (*record).ns_pid = name.ns_pid;
        }
    }
    Some(record)
}

/// Counts a duration.
#[inline(always)]
pub fn record_duration(histogram: *mut Histogram, duration_ns: u64) {
    let slot = core::hint::black_box(bucket::index(duration_ns)) & (bucket::BUCKETS - 1);
    // SAFETY: histogram is part of a value of our own map and slot is masked to its length.
    unsafe {
        add(&raw mut (*histogram).count, 1);
        add(&raw mut (*histogram).sum_ns, duration_ns);
        add32((&raw mut (*histogram).buckets).cast::<u32>().add(slot), 1);
        if duration_ns > (*histogram).max_ns {
            (*histogram).max_ns = duration_ns;
        }
        if (*histogram).min_ns == 0 || duration_ns < (*histogram).min_ns {
            (*histogram).min_ns = duration_ns;
        }
    }
}

/// A parent itself has left the process table, its children handed over before. If it left nothing to tell, its counts
/// go to the sum of such and its record is given back: short-lived parents in any number fit.
#[inline(always)]
pub fn settle(key: &ParentKey) {
    if settings().stream_all != 0 {
        return;
    }
    let Some(record) = PARENTS.get_ptr(key) else { return };
    let Some(sum) = SETTLED.get_ptr_mut(0) else { return };
    // SAFETY: values of our own maps; the sum is this CPU's, but a program that is preempted may share it: atomic.
    unsafe {
        let record = &*record;
        let settled = record.exited + record.adopted == record.reaped + record.autoreaped
            && record.reap_latency.max_ns < settings().slow_ns;
        if !settled {
            return;
        }
        add(&raw mut (*sum).parents, 1);
        add(&raw mut (*sum).forked, record.forked);
        add(&raw mut (*sum).exited, record.exited);
        add(&raw mut (*sum).adopted, record.adopted);
        add(&raw mut (*sum).reaped, record.reaped);
        add(&raw mut (*sum).autoreaped, record.autoreaped);
        add(&raw mut (*sum).coarse, record.coarse);
    }
    let _ = PARENTS.remove(key);
}
