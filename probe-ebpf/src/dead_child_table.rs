//! The dead children that are not yet released: entered at the exit, taken out at the release.
//!
//! Must not know what is counted or sent, nor read kernel memory.

use probe_common::wire::{DeadChild, DeadChildSlot, NsPid, loss};

use crate::{
    atomic::prefetch,
    loss::count_loss,
    maps::{DEAD_CHILD_SLOTS, DEAD_CHILDREN, LIVES_WERE_FULL, NS_PIDS},
    settings::setting,
    slot_table::{self, BPF_NOEXIST, Slot},
};

/// What became of a death that was to be entered.
#[derive(Clone, Copy, PartialEq)]
pub enum Entered {
    New,
    /// It is there already.
    Known,
    /// There is no room: its later events will not be seen.
    Nowhere,
}

/// The slot of dead children with the low bits of `tgid`, where there are slots.
#[inline(always)]
fn slot_of(tgid: u32) -> Option<Slot<()>> {
    let index = slot_table::index_of(tgid, setting!(life_slots))?;
    // SAFETY: the collector asks for no more slots than there are; the verifier knows how many it has asked for.
    Some(unsafe { Slot::new((&raw mut DEAD_CHILD_SLOTS).cast::<DeadChildSlot>().add(index as usize), ()) })
}

#[inline(always)]
fn child_in(slot: Slot<()>) -> *mut DeadChild {
    // SAFETY: a value of our own map.
    unsafe { &raw mut (*slot.address::<DeadChildSlot>()).child }
}

/// Where the entry of a tgid is, or would be: found once, for all that is done with it.
///
/// Null where there are no slots. No `Option`: what is undefined in its `None` the compiler would copy, which the verifier
/// refuses.
#[derive(Clone, Copy)]
pub struct Place(*mut DeadChildSlot);

impl Place {
    #[inline(always)]
    fn slot(self) -> Option<Slot<()>> {
        // SAFETY: a value of our own map.
        if self.0.is_null() { None } else { Some(unsafe { Slot::new(self.0, ()) }) }
    }
}

/// The place of `tgid`. Starts to fetch its slot.
#[inline(always)]
pub fn place_of(tgid: u32) -> Place {
    let slot = slot_of(tgid).map_or(core::ptr::null_mut(), Slot::address::<DeadChildSlot>);
    if !slot.is_null() {
        // SAFETY: a value of our own map.
        unsafe { prefetch(slot.cast::<u64>()) };
    }
    Place(slot)
}

/// The place where the entry of nearly every tgid is: its slot, on kernels that have slots.
#[derive(Clone, Copy)]
pub struct UsualPlace(Slot<()>);

/// That of `tgid`, if nobody with these low bits is elsewhere: there may be an earlier process of this tgid, whose release no
/// hook has seen. Fetches it.
#[inline(always)]
pub fn usual_place(tgid: u32) -> Option<UsualPlace> {
    let slot = slot_of(tgid)?;
    if slot.has_overflow() { None } else { Some(UsualPlace(slot)) }
}

impl UsualPlace {
    /// Claims it for a dead child of which the caller writes every member. `None`, and nothing is done, where it is taken.
    #[inline(always)]
    pub fn claim(self, start_boottime_ns: u64) -> Option<*mut DeadChild> {
        if self.0.compare_exchange(0, start_boottime_ns) == 0 { Some(child_in(self.0)) } else { None }
    }
}

/// Whether the slot holds the dead child `tgid`. A claim whose value is not written yet holds none.
#[inline(always)]
fn is_held_by(slot: Slot<()>, tgid: u32) -> bool {
    let claim = slot.claim();
    // SAFETY: a value of our own map.
    unsafe {
        claim != 0
            && claim == (*child_in(slot)).process.start_boottime_ns
            && (*child_in(slot)).process.tgid == tgid
    }
}

/// The dead child `tgid`.
#[inline(always)]
pub fn find(tgid: u32) -> Option<*mut DeadChild> {
    if let Some(slot) = slot_of(tgid) {
        if is_held_by(slot, tgid) {
            return Some(child_in(slot));
        }
        if !slot.has_overflow() {
            return None;
        }
    }
    DEAD_CHILDREN.get_ptr_mut(tgid)
}

/// The dead child `tgid`, whose place it is.
#[inline(always)]
pub fn find_at(place: Place, tgid: u32) -> Option<*mut DeadChild> {
    if let Some(slot) = place.slot() {
        if is_held_by(slot, tgid) {
            return Some(child_in(slot));
        }
        if !slot.has_overflow() {
            return None;
        }
    }
    DEAD_CHILDREN.get_ptr_mut(tgid)
}

/// The same, if it is where nearly all are: in the slot, on kernels that have slots.
#[inline(always)]
pub fn find_usual(place: Place, tgid: u32) -> Option<*mut DeadChild> {
    match place.slot() {
        Some(slot) if is_held_by(slot, tgid) => Some(child_in(slot)),
        Some(_) => None,
        None => DEAD_CHILDREN.get_ptr_mut(tgid),
    }
}

/// Takes out what [`find_usual`] has found: true for one caller of all.
#[inline(always)]
pub fn take_out_usual(place: Place, tgid: u32, start_boottime_ns: u64) -> bool {
    match place.slot() {
        Some(slot) => slot.compare_exchange(start_boottime_ns, 0) == start_boottime_ns,
        None => DEAD_CHILDREN.remove(tgid).is_ok(),
    }
}

/// Takes out the dead child `tgid`: true for one caller of all.
#[inline(always)]
pub fn take_out(tgid: u32, start_boottime_ns: u64) -> bool {
    let slot = slot_of(tgid);
    if let Some(slot) = slot
        && is_held_by(slot, tgid)
    {
        return slot.compare_exchange(start_boottime_ns, 0) == start_boottime_ns;
    }
    if DEAD_CHILDREN.remove(tgid).is_err() {
        return false;
    }
    if let Some(slot) = slot {
        slot.add_overflow(u64::MAX);
    }
    true
}

/// Enters a dead child whose tgid has no entry at its place. `alone`: no other CPU can be entering the same one at this
/// moment.
#[inline(always)]
pub fn enter(place: Place, child: &DeadChild, alone: bool) -> Entered {
    let entered = put(place.slot(), child, alone);
    if entered == Entered::New {
        name_in_namespace(child);
    }
    entered
}

#[inline(always)]
fn put(slot: Option<Slot<()>>, child: &DeadChild, alone: bool) -> Entered {
    let (tgid, start) = (child.process.tgid, child.process.start_boottime_ns);
    if let Some(slot) = slot {
        let found = if alone { slot.compare_exchange(0, start) } else { slot.claim() };
        if found == start {
            return Entered::Known;
        }
        if alone && found == 0 {
            // SAFETY: a value of our own map.
            unsafe { *child_in(slot) = *child };
            return Entered::New;
        }
    }
    if let Some(slot) = slot {
        slot.add_overflow(1);
    }
    if DEAD_CHILDREN.insert(tgid, child, BPF_NOEXIST).is_ok() {
        return Entered::New;
    }
    if let Some(slot) = slot {
        slot.add_overflow(u64::MAX);
    }
    if DEAD_CHILDREN.get_ptr(tgid).is_some() {
        return Entered::Known;
    }
    count_loss(loss::DEAD_CHILDREN_FULL);
    if let Some(were_full) = LIVES_WERE_FULL.get_ptr_mut(0) {
        // SAFETY: a value of our own map.
        unsafe { *were_full = 1 };
    }
    Entered::Nowhere
}

/// Whether a dead child ever found no room.
#[inline(always)]
pub fn were_full() -> bool {
    // SAFETY: a value of our own map.
    LIVES_WERE_FULL.get_ptr(0).is_some_and(|were_full| unsafe { *were_full } != 0)
}

#[inline(always)]
fn name_in_namespace(child: &DeadChild) {
    if child.ns_inum != 0
        && NS_PIDS.insert(NsPid { ns_inum: child.ns_inum, nr: child.nr }, child.process.tgid, 0).is_err()
    {
        count_loss(loss::DEAD_CHILDREN_FULL);
    }
}

/// Removes the name that a dead child has in its parent's PID namespace; not for the initial one, where it has none.
#[inline(always)]
pub fn forget_name_in_namespace(name: NsPid) {
    let _ = NS_PIDS.remove(name);
}

/// Whether the dead child that `parent` calls `nr` is the one with that tgid. Answers for the initial PID namespace, without
/// asking the task for its own.
#[inline(always)]
pub fn is_known_as(nr: u32, parent_tgid: u32) -> bool {
    // SAFETY: a value of our own map.
    find(nr).is_some_and(|child| unsafe { (*child).ns_inum == 0 && (*child).parent.tgid == parent_tgid })
}

/// tgid of the dead child that a wait in this PID namespace calls `nr`.
pub fn resolve(nr: u32, ns_inum: u32) -> Option<u32> {
    if ns_inum == 0 {
        return Some(nr);
    }
    let tgid = NS_PIDS.get_ptr(NsPid { ns_inum, nr })?;
    // SAFETY: a value of our own map.
    Some(unsafe { *tgid })
}
