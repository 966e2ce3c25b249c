//! Where a parent's record is: in its slot, or in the hash where that is somebody else's. Must not know the stages of a
//! life.

use probe_common::wire::{CLAIM_BUSY, ParentClaim, ParentKey, ParentRecord, TaskRef, loss};

use crate::{
    maps::{BLANK_PARENT, PARENT_CLAIMS, PARENT_SLOTS, PARENTS, SETTLED, add, add32, exchange, lose},
    setting,
    task::{Memory, TaskPtr, Untyped, zero},
};

const BPF_NOEXIST: u64 = 1;

/// Key of a process among parents.
#[inline(always)]
pub fn key_of(task: &TaskRef) -> ParentKey {
    ParentKey { tgid: task.tgid, start_boottime_ns: task.start_boottime_ns, reserved: 0 }
}

/// A slot for parents, and where its record is.
#[derive(Clone, Copy)]
struct Slot {
    index: u32,
    claim: *mut ParentClaim,
}

impl Slot {
    /// The slot of parents with the low bits of `tgid`, where there are slots.
    #[inline(always)]
    fn of(tgid: u32) -> Option<Self> {
        let slots = setting!(parent_slots);
        if slots == 0 {
            return None;
        }
        let index = tgid & (slots - 1);
        PARENT_CLAIMS.get_ptr_mut(index).map(|claim| Self { index, claim })
    }

    #[inline(always)]
    fn is_of(self, key: &ParentKey) -> bool {
        // SAFETY, here and below: a value of our own map.
        unsafe { (*self.claim).claim == key.claim() }
    }

    /// Whether others with these low bits are in the hash.
    #[inline(always)]
    fn has_others(self) -> bool {
        unsafe { (*self.claim).elsewhere != 0 }
    }

    #[inline(always)]
    fn others(self, more: u64) {
        unsafe { add32(&raw mut (*self.claim).elsewhere, more) };
    }

    #[inline(always)]
    fn change(self, from: u64, to: u64) -> u64 {
        unsafe { exchange(&raw mut (*self.claim).claim, from, to) }
    }

    #[inline(always)]
    fn record(self) -> Option<*mut ParentRecord> {
        PARENT_SLOTS.get_ptr_mut(self.index)
    }
}

/// The record of a parent, if it has one.
#[inline(always)]
pub fn record_of(key: &ParentKey) -> Option<*mut ParentRecord> {
    if let Some(slot) = Slot::of(key.tgid) {
        if slot.is_of(key) {
            return slot.record();
        }
        if !slot.has_others() {
            return None;
        }
    }
    PARENTS.get_ptr_mut(key)
}

/// A parent dies itself.
#[inline(always)]
pub fn parent_died(key: &ParentKey, time_ns: u64) {
    let slot = Slot::of(key.tgid);
    // SAFETY: values of our own maps.
    unsafe {
        if let Some(slot) = slot
            && slot.is_of(key)
            && let Some(record) = slot.record()
        {
            (*record).dead_ns = time_ns;
        }
        if slot.is_none_or(Slot::has_others)
            && let Some(record) = PARENTS.get_ptr_mut(key)
        {
            (*record).dead_ns = time_ns;
        }
    }
}

/// The parent's record, made if it has none; only then is `task`, one of the parent's, asked for its name.
#[inline(always)]
pub fn parent_record<M: Memory>(key: &ParentKey, task: TaskPtr<M>) -> Option<*mut ParentRecord> {
    if let Some(record) = record_of(key) {
        return Some(record);
    }
    enrol(key.tgid, key.start_boottime_ns, task.address());
    record_of(key)
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
    let slot = Slot::of(key.tgid);
    if let Some(slot) = slot {
        let found = slot.change(0, CLAIM_BUSY);
        if found == 0
            && let Some(record) = slot.record()
        {
            // Whoever had it last may have written to it after it was given back.
            // SAFETY: a value of our own map.
            unsafe { zero(record) };
            describe(record, key, task);
            slot.change(CLAIM_BUSY, key.claim());
            return;
        }
        if found == key.claim() {
            return;
        }
        slot.others(1);
    }
    if PARENTS.insert(key, blank, BPF_NOEXIST).is_ok() {
        if let Some(record) = PARENTS.get_ptr_mut(key) {
            describe(record, key, task);
        }
        return;
    }
    if let Some(slot) = slot {
        slot.others(u64::MAX);
    }
    if PARENTS.get_ptr(key).is_none() {
        lose(loss::PARENTS_FULL);
    }
}

/// Writes whose a new record is.
#[inline(always)]
fn describe(record: *mut ParentRecord, key: &ParentKey, task: TaskPtr<Untyped>) {
    let name = task.process();
    // SAFETY: a value of our own map.
    unsafe {
        (*record).comm = name.comm;
        (*record).ns_pid = name.ns_pid;
        (*record).process = *key;
    }
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
    let slot = Slot::of(key.tgid);
    if let Some(slot) = slot {
        if slot.is_of(key)
            && let Some(record) = slot.record()
            && is_settled(record)
            // Or the collector takes it away.
            && slot.change(key.claim(), CLAIM_BUSY) == key.claim()
        {
            sum_up(record);
            slot.change(CLAIM_BUSY, 0);
        }
        if !slot.has_others() {
            return;
        }
    }
    if let Some(record) = PARENTS.get_ptr_mut(key)
        && is_settled(record)
    {
        sum_up(record);
        if PARENTS.remove(key).is_ok()
            && let Some(slot) = slot
        {
            slot.others(u64::MAX);
        }
    }
}

/// Whether nothing is left to tell of it.
#[inline(always)]
fn is_settled(record: *mut ParentRecord) -> bool {
    // SAFETY: a value of our own map.
    let record = unsafe { &*record };
    record.exited + record.adopted == record.reaped + record.autoreaped
        && record.reap_latency.max_ns < setting!(slow_ns)
}

#[inline(always)]
fn sum_up(record: *mut ParentRecord) {
    let Some(sum) = SETTLED.get_ptr_mut(0) else { return };
    // SAFETY: values of our own maps; the sum is this CPU's, but a program that is preempted may share it: atomic.
    unsafe {
        add(&raw mut (*sum).parents, 1);
        add(&raw mut (*sum).forked, (*record).forked);
        add(&raw mut (*sum).exited, (*record).exited);
        add(&raw mut (*sum).adopted, (*record).adopted);
        add(&raw mut (*sum).reaped, (*record).reaped);
        add(&raw mut (*sum).autoreaped, (*record).autoreaped);
        add(&raw mut (*sum).coarse, (*record).coarse);
    }
}
