//! The entries of parents: found, created, taken out. What is counted in them is the ledger's.
//!
//! Must not know the events of a life.

use probe_common::wire::{CLAIM_BUSY, ParentClaim, ParentEntry, ParentKey, loss};

use crate::{
    cgroup_table,
    kernel::{
        clock::now_ns,
        task::TaskPtr,
        typed::{Memory, Untyped},
        zero,
    },
    loss::count_loss,
    maps::{BLANK_PARENT, PARENT_CLAIMS, PARENT_SLOTS, PARENTS},
    settings::setting,
    slot_table::{self, BPF_NOEXIST, Slot},
};

/// The slot of parents with the low bits of `tgid`, where there are slots. Its place: the index of its entry.
#[inline(always)]
fn slot_of(tgid: u32) -> Option<Slot<u32>> {
    let index = slot_table::index_of(tgid, setting!(parent_slots))?;
    let claim: *mut ParentClaim = PARENT_CLAIMS.get_ptr_mut(index)?;
    // SAFETY: a value of our own map.
    Some(unsafe { Slot::new(claim, index) })
}

#[inline(always)]
fn is_held_by(slot: Slot<u32>, key: &ParentKey) -> bool {
    slot.claim() == key.claim()
}

#[inline(always)]
fn entry_in(slot: Slot<u32>) -> Option<*mut ParentEntry> {
    PARENT_SLOTS.get_ptr_mut(slot.place)
}

/// The entry of a parent, if it has one.
#[inline(always)]
pub fn find(key: &ParentKey) -> Option<*mut ParentEntry> {
    if let Some(slot) = slot_of(key.tgid) {
        if is_held_by(slot, key) {
            return entry_in(slot);
        }
        if !slot.has_overflow() {
            return None;
        }
    }
    PARENTS.get_ptr_mut(key)
}

/// The entry of a parent, if it is where nearly all are: in the slot, on kernels that have slots.
#[inline(always)]
pub fn find_here(key: &ParentKey) -> Option<*mut ParentEntry> {
    if setting!(parent_slots) == 0 {
        return PARENTS.get_ptr_mut(key);
    }
    let slot = slot_of(key.tgid)?;
    if is_held_by(slot, key) { entry_in(slot) } else { None }
}

/// The entry of a parent, null if it has none. `None` where the slot alone does not tell.
#[inline(always)]
pub fn find_usual(key: &ParentKey) -> Option<*mut ParentEntry> {
    let slot = slot_of(key.tgid)?;
    if slot.has_overflow() {
        return None;
    }
    if is_held_by(slot, key) { entry_in(slot) } else { Some(core::ptr::null_mut()) }
}

/// Calls `visit` with every entry of this parent: two threads that create one at the same moment may create two.
#[inline(always)]
pub fn for_each_entry(key: &ParentKey, visit: impl Fn(*mut ParentEntry)) {
    let slot = slot_of(key.tgid);
    if let Some(slot) = slot
        && is_held_by(slot, key)
        && let Some(entry) = entry_in(slot)
    {
        visit(entry);
    }
    if slot.is_none_or(Slot::has_overflow)
        && let Some(entry) = PARENTS.get_ptr_mut(key)
    {
        visit(entry);
    }
}

/// The entry of a parent, created if it has none; only then is the name read from `task`, one of the parent's.
#[inline(always)]
pub fn find_or_create<M: Memory>(key: &ParentKey, task: TaskPtr<M>) -> Option<*mut ParentEntry> {
    if let Some(entry) = find(key) {
        return Some(entry);
    }
    create_parent(key.tgid, key.start_boottime_ns, task.address());
    find(key)
}

/// Creates the entry of a parent. `task`: address of one of its tasks, or 0. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn create_parent(tgid: u32, start_boottime_ns: u64, task: u64) -> i32 {
    if tgid != 0
        && let Some(blank) = BLANK_PARENT.get(0)
    {
        let key = &ParentKey { tgid, start_boottime_ns, reserved: 0 };
        create(key, blank, TaskPtr::at(task));
    }
    0
}

#[inline(always)]
fn create(key: &ParentKey, blank: &ParentEntry, task: TaskPtr<Untyped>) {
    let slot = slot_of(key.tgid);
    if let Some(slot) = slot {
        let found = slot.compare_exchange(0, CLAIM_BUSY);
        if found == 0
            && let Some(entry) = entry_in(slot)
        {
            // A hook that held the slot's last entry may have written to it after the slot was released.
            // SAFETY: a value of our own map.
            unsafe { zero(entry) };
            describe(entry, key, task);
            slot.compare_exchange(CLAIM_BUSY, key.claim());
            return;
        }
        if found == key.claim() {
            return;
        }
    }
    if let Some(slot) = slot {
        slot.add_overflow(1);
    }
    if PARENTS.insert(key, blank, BPF_NOEXIST).is_ok() {
        if let Some(entry) = PARENTS.get_ptr_mut(key) {
            describe(entry, key, task);
        }
        return;
    }
    if let Some(slot) = slot {
        slot.add_overflow(u64::MAX);
    }
    if PARENTS.get_ptr(key).is_none() {
        count_loss(loss::PARENTS_FULL);
    }
}

/// Writes whose a new entry is.
#[inline(always)]
fn describe(entry: *mut ParentEntry, key: &ParentKey, task: TaskPtr<Untyped>) {
    let name = task.process();
    // SAFETY: a value of our own map.
    unsafe {
        (*entry).comm = name.comm;
        (*entry).ns_pid = name.ns_pid;
        (*entry).process = *key;
        (*entry).cgroup_id = cgroup_table::of_parent(key.tgid);
        // The dying PID 1 of a namespace has its last children killed and reaped by the kernel: they are none of its reaps.
        if !task.is_null() && task.signal().live_threads() == 0 {
            (*entry).dead_ns = now_ns();
        }
    }
}

/// Takes out every entry of this parent of which `is_finished` says so. `fold` is called once for each, before its memory
/// can be given to another parent.
#[inline(always)]
pub fn take_out_if(
    key: &ParentKey,
    is_finished: impl Fn(*mut ParentEntry) -> bool,
    fold: impl Fn(*mut ParentEntry),
) {
    let slot = slot_of(key.tgid);
    if let Some(slot) = slot {
        if is_held_by(slot, key)
            && let Some(entry) = entry_in(slot)
            && is_finished(entry)
            // Fails if the collector takes it out.
            && slot.compare_exchange(key.claim(), CLAIM_BUSY) == key.claim()
        {
            fold(entry);
            slot.compare_exchange(CLAIM_BUSY, 0);
        }
        if !slot.has_overflow() {
            return;
        }
    }
    if let Some(entry) = PARENTS.get_ptr_mut(key)
        && is_finished(entry)
    {
        fold(entry);
        if PARENTS.remove(key).is_ok()
            && let Some(slot) = slot
        {
            slot.add_overflow(u64::MAX);
        }
    }
}
