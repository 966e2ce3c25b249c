//! What is counted per parent. Must not know the stages of a life.

use probe_common::{
    bucket,
    wire::{Histogram, ParentKey, ParentRecord, TaskRef, loss},
};

use crate::{
    maps::{BLANK_PARENT, PARENTS, SETTLED, add, add32, lose, slot_of},
    setting,
    task::{Memory, TaskPtr, Untyped},
};

const BPF_NOEXIST: u64 = 1;

/// Key of a process among parents.
#[inline(always)]
pub fn key_of(task: &TaskRef) -> ParentKey {
    ParentKey { tgid: task.tgid, start_boottime_ns: task.start_boottime_ns, reserved: 0 }
}

/// The parent's record, made if it has none; only then is `task`, one of the parent's, asked for its name.
#[inline(always)]
pub fn parent_record<M: Memory>(key: &ParentKey, task: TaskPtr<M>) -> Option<*mut ParentRecord> {
    if let Some(record) = PARENTS.get_ptr_mut(key) {
        return Some(record);
    }
    enrol(key.tgid, key.start_boottime_ns, task.address());
    PARENTS.get_ptr_mut(key)
}

/// Makes a parent's record; `task`: address of one of its tasks, or 0.
///
/// Global to the verifier, as all that is exported and rare here: it goes through such a function once, not once for
/// every state it comes with, and forgets what it learnt. Such a function takes and returns numbers only.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn enrol(tgid: u32, start_boottime_ns: u64, task: u64) -> i32 {
    if tgid != 0
        && let Some(blank) = BLANK_PARENT.get(0)
    {
        let key = &ParentKey { tgid, start_boottime_ns, reserved: 0 };
        make_record(key, blank, TaskPtr::at(task));
    }
    0
}

#[inline(always)]
fn make_record(key: &ParentKey, blank: &ParentRecord, task: TaskPtr<Untyped>) {
    if PARENTS.insert(key, blank, BPF_NOEXIST).is_err() {
        if PARENTS.get_ptr(key).is_none() {
            lose(loss::PARENTS_FULL);
        }
        return;
    }
    if let Some(slot) = slot_of(key.tgid) {
        // SAFETY: a value of our own map.
        unsafe { add32(&raw mut (*slot).parents, 1) };
    }
    if let Some(record) = PARENTS.get_ptr_mut(key) {
        let name = task.process();
        // SAFETY: a value of our own map.
        unsafe {
            (*record).comm = name.comm;
            (*record).ns_pid = name.ns_pid;
        }
    }
}

/// Whether `tgid` may have a record. Most have none: the slot of its life says so without a search.
#[inline(always)]
pub fn may_have_record(tgid: u32) -> bool {
    // SAFETY: a value of our own map.
    slot_of(tgid).is_none_or(|slot| unsafe { (*slot).parents } != 0)
}

/// The record of a process that dies or runs another program, if it has one.
#[inline(always)]
pub fn own_record(key: &ParentKey) -> Option<*mut ParentRecord> {
    if may_have_record(key.tgid) { PARENTS.get_ptr_mut(key) } else { None }
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

/// The death of a child, uncounted so far, and its release (`autoreap`: 1 by the kernel) are learnt of after its parent
/// was settled.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn settled_since(autoreap: u32) -> i32 {
    if setting!(stream_all) != 0 {
        return 0;
    }
    let Some(sum) = SETTLED.get_ptr_mut(0) else { return 0 };
    // SAFETY: a value of our own map; this CPU's, but a program that is preempted may share it: atomic.
    unsafe {
        add(&raw mut (*sum).exited, 1);
        if autoreap != 0 {
            add(&raw mut (*sum).autoreaped, 1);
        } else {
            add(&raw mut (*sum).reaped, 1);
            add(&raw mut (*sum).coarse, 1);
        }
    }
    0
}

/// A parent itself has left the process table, its children handed over before. If it left nothing to tell, its counts
/// go to the sum of such and its record is given back: short-lived parents in any number fit.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn settle(tgid: u32, start_boottime_ns: u64) -> i32 {
    if setting!(stream_all) == 0 {
        settle_record(&ParentKey { tgid, start_boottime_ns, reserved: 0 });
    }
    0
}

#[inline(always)]
fn settle_record(key: &ParentKey) {
    let Some(record) = PARENTS.get_ptr(key) else { return };
    let Some(sum) = SETTLED.get_ptr_mut(0) else { return };
    let slow_ns = setting!(slow_ns);
    // SAFETY: values of our own maps; the sum is this CPU's, but a program that is preempted may share it: atomic.
    unsafe {
        let record = &*record;
        let settled = record.exited + record.adopted == record.reaped + record.autoreaped
            && record.reap_latency.max_ns < slow_ns;
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
    if PARENTS.remove(key).is_ok()
        && let Some(slot) = slot_of(key.tgid)
    {
        // SAFETY: as above.
        unsafe { add32(&raw mut (*slot).parents, u64::MAX) };
    }
}
