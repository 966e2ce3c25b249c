//! The death between exit and reap: the same whichever hook reports it.
//!
//! A life is entered by the exit hook, marked by the zombie hooks, taken out by the reap hooks. Which stage a
//! notification is follows from the life's state, never from who called. Must not read kernel memory.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use probe_common::{
    settings::scope,
    wire::{Life, LifeSlot, NsPid, ParentKey, TaskRef, flag, kind, loss},
};

use crate::{
    books::{UNKNOWN_NS, book_reap, book_release, book_zombie, release},
    follow,
    maps::{
        LIVES, LIVES_WERE_FULL, NS_PIDS, Stage, add, add32, copy_task, exchange, lose, name_task, send,
        send_event, slot_of,
    },
    parent::{key_of, record_of, settle},
    setting,
    task::{Memory, TaskPtr, Untyped, describe_process, forgotten, process_of},
};

const BPF_NOEXIST: u64 = 1;

/// CLOCK_BOOTTIME, ns.
pub fn now_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// The life of `tgid`, if it is in the slot.
#[inline(always)]
fn in_slot(slot: *mut LifeSlot, tgid: u32) -> bool {
    // SAFETY: a value of our own map. A claim whose life is not written yet is nobody's.
    unsafe {
        (*slot).claim_ns != 0
            && (*slot).claim_ns == (*slot).life.process.start_boottime_ns
            && (*slot).life.process.tgid == tgid
    }
}

/// The life of `tgid`.
#[inline(always)]
pub fn find(tgid: u32) -> Option<*mut Life> {
    if let Some(slot) = slot_of(tgid) {
        if in_slot(slot, tgid) {
            // SAFETY: a value of our own map.
            return Some(unsafe { &raw mut (*slot).life });
        }
        // SAFETY: as above.
        if unsafe { (*slot).elsewhere } == 0 {
            return None;
        }
    }
    LIVES.get_ptr_mut(tgid)
}

/// Takes out the life of `tgid`: true for one caller of all.
#[inline(always)]
fn take_out(tgid: u32, start_boottime_ns: u64) -> bool {
    let slot = slot_of(tgid);
    if let Some(slot) = slot
        && in_slot(slot, tgid)
    {
        // SAFETY: a value of our own map.
        return unsafe { exchange(&raw mut (*slot).claim_ns, start_boottime_ns, 0) } == start_boottime_ns;
    }
    if LIVES.remove(tgid).is_err() {
        return false;
    }
    if let Some(slot) = slot {
        // SAFETY: as above.
        unsafe { add32(&raw mut (*slot).elsewhere, u64::MAX) };
    }
    true
}

/// What became of a death that was to be entered.
#[derive(Clone, Copy, PartialEq)]
pub enum Entered {
    New,
    /// The same process is there.
    Known,
    /// There is no room: its later stages will not be seen.
    Nowhere,
}

/// Puts a life where it can be found. `alone`: nobody else can be entering the same one at this moment.
#[inline(always)]
fn put(life: &Life, alone: bool) -> Entered {
    let (tgid, start) = (life.process.tgid, life.process.start_boottime_ns);
    let slot = slot_of(tgid);
    if let Some(slot) = slot {
        // SAFETY, here and below: a value of our own map.
        let found = if alone {
            unsafe { exchange(&raw mut (*slot).claim_ns, 0, start) }
        } else {
            unsafe { (*slot).claim_ns }
        };
        if found == start {
            return Entered::Known;
        }
        if alone && found == 0 {
            unsafe { (*slot).life = *life };
            return Entered::New;
        }
        unsafe { add32(&raw mut (*slot).elsewhere, 1) };
    }
    if LIVES.insert(tgid, life, BPF_NOEXIST).is_ok() {
        return Entered::New;
    }
    if let Some(slot) = slot {
        unsafe { add32(&raw mut (*slot).elsewhere, u64::MAX) };
    }
    if LIVES.get_ptr(tgid).is_some() {
        return Entered::Known;
    }
    lose(loss::LIVES_FULL);
    if let Some(were_full) = LIVES_WERE_FULL.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe { *were_full = 1 };
    }
    Entered::Nowhere
}

/// Whether a life ever found no room.
#[inline(always)]
pub fn were_full() -> bool {
    // SAFETY: a value of our own map.
    LIVES_WERE_FULL.get_ptr(0).is_some_and(|were_full| unsafe { *were_full } != 0)
}

/// Enters a death. It may be known already: several threads can see themselves as the last (`alone` where that cannot
/// be).
#[inline(always)]
pub fn enter(life: &Life, alone: bool) -> Entered {
    if let Some(known) = find(life.process.tgid) {
        // SAFETY: a value of our own map.
        if unsafe { (*known).process.start_boottime_ns } == life.process.start_boottime_ns {
            return Entered::Known;
        }
        overdue(life.process.tgid);
    }
    let entered = put(life, alone);
    if entered == Entered::New {
        name_in_namespace(life);
    }
    entered
}

/// The pid was given out again before any release of its last owner was seen: that one is released. Counted here; that
/// the events lack it is what the pid's new owner tells the collector.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn overdue(tgid: u32) -> i32 {
    let Some(life) = find(tgid) else { return 0 };
    // SAFETY: a value of our own map.
    let (parent, start, flags, zombie_ns) =
        unsafe { ((*life).parent, (*life).process.start_boottime_ns, (*life).flags, (*life).zombie_ns) };
    if !take_out(tgid, start) {
        return 0;
    }
    if let Some(record) = record_of(&parent) {
        // SAFETY: a value of our own map.
        unsafe {
            if zombie_ns == 0 {
                add(&raw mut (*record).exited, 1);
            }
            if flags & flag::AUTOREAP != 0 {
                add(&raw mut (*record).autoreaped, 1);
            } else {
                add(&raw mut (*record).reaped, 1);
                add(&raw mut (*record).coarse, 1);
            }
        }
    }
    0
}

/// Enters a zombie that was dead before the programs came.
#[inline(always)]
pub fn enter_older(life: &Life) {
    if find(life.process.tgid).is_none() && put(life, true) == Entered::New {
        name_in_namespace(life);
    }
}

#[inline(always)]
fn name_in_namespace(life: &Life) {
    if life.ns_inum != 0
        && NS_PIDS.insert(NsPid { ns_inum: life.ns_inum, nr: life.nr }, life.process.tgid, 0).is_err()
    {
        lose(loss::LIVES_FULL);
    }
}

/// Takes out a life that was entered too late, uncounted.
pub fn forget(tgid: u32, start_boottime_ns: u64) {
    if let Some(life) = find(tgid)
        // SAFETY: a value of our own map.
        && unsafe { (*life).flags & flag::OLDER != 0 && (*life).process.start_boottime_ns == start_boottime_ns }
    {
        take_out(tgid, start_boottime_ns);
    }
}

/// Whether the dead child that `parent` calls `nr` is the one with that tgid: the initial PID namespace is known without
/// asking the task for its own.
#[inline(always)]
pub fn is_known_as(nr: u32, parent_tgid: u32) -> bool {
    // SAFETY: a value of our own map.
    find(nr).is_some_and(|life| unsafe { (*life).ns_inum == 0 && (*life).parent.tgid == parent_tgid })
}

/// tgid of the dead process that a wait in this PID namespace calls `nr`.
pub fn resolve(nr: u32, ns_inum: u32) -> Option<u32> {
    if ns_inum == 0 {
        return Some(nr);
    }
    let tgid = NS_PIDS.get_ptr(NsPid { ns_inum, nr })?;
    // SAFETY: a value of our own map.
    Some(unsafe { *tgid })
}

/// What a notice is: of a new zombie, of one that changes hands; the kernel will reap it; a tracer is told.
const FIRST: u32 = 1;
const MOVED: u32 = 2;
const AUTOREAP: u32 = 4;
const HELD: u32 = 8;

/// [`notified`] where that is rare. `parent`, `told`: addresses.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn notified_rarely(tgid: u32, parent: u64, told: u64, held: u32, autoreap: u32) -> i32 {
    notified(tgid, TaskPtr::<Untyped>::at(parent), TaskPtr::at(told), held != 0, autoreap != 0);
    0
}

/// `told` was told of the death of `tgid`: by `held` a tracer, else `parent`, its real parent now.
#[inline(always)]
pub fn notified<M: Memory>(tgid: u32, parent: TaskPtr<M>, told: TaskPtr<M>, held: bool, autoreap: bool) {
    let new = parent.identity();
    let told_by = (if autoreap { AUTOREAP } else { 0 }) | (if held { HELD } else { 0 });
    let told_by = forgotten(told_by, &tgid);
    let now = now_ns();
    let Some(life) = find(tgid) else { return };
    // SAFETY: a value of our own map; only hooks of this one death write it, one after the other.
    let life = unsafe { &mut *life };
    let (before_ns, exit_ns, old) = (life.zombie_ns, life.exit_ns, life.parent);
    let mut what = told_by & AUTOREAP;
    if before_ns == 0 {
        what |= FIRST;
    } else if old != new {
        what |= MOVED;
    }
    let what = forgotten(what, &tgid);
    let held = told_by & HELD != 0;
    // Told already (a child without an exit signal, at its exit), and nobody held it: no news.
    if what == 0 && life.flags & flag::HELD == 0 && !held {
        return;
    }
    let (first, moved) = (what & FIRST != 0, what & MOVED != 0);
    life.parent = new;
    let mut flags = life.flags & (flag::UNDER_INIT | flag::OLDER | flag::PARENT);
    if moved {
        life.real_parent = 0;
        flags &= flag::OLDER | flag::PARENT;
    }
    if what & AUTOREAP != 0 {
        flags |= flag::AUTOREAP;
    }
    if held {
        flags |= flag::HELD;
        life.tracer_tgid = told.tgid();
    }
    let flags = forgotten(flags, &tgid);
    life.flags = flags;
    if what == FIRST | AUTOREAP {
        return;
    }
    // The last that is made of the life's own address: the verifier goes through what follows once, wherever the life is.
    life.zombie_ns = now;
    if first || moved {
        let teardown_ns = if first && exit_ns != 0 { now.saturating_sub(exit_ns) } else { UNKNOWN_NS };
        book_zombie(new.tgid, new.start_boottime_ns, parent.address(), u32::from(moved), teardown_ns);
    }
    // A first notice to the parent is what should be.
    if setting!(stream_all) == 0 && first && flags & flag::HELD == 0 {
        return;
    }
    let notice = Notice { before_ns, old, what };
    tell(tgid, parent.address(), if held && !moved { told.address() } else { 0 }, &notice);
}

/// What is told of a death, beside what its life says.
struct Notice {
    /// When it was a zombie before; 0: never.
    before_ns: u64,
    /// The parent before.
    old: ParentKey,
    /// [`FIRST`], [`MOVED`].
    what: u32,
}

/// Sends it, written in place, in a function of its own: the stack is 512 bytes for all that call one another.
#[inline(never)]
fn tell(tgid: u32, parent: u64, tracer: u64, notice: &Notice) {
    let Some(life) = find(tgid) else { return };
    // SAFETY: a value of our own map.
    let life = unsafe { &*life };
    if setting!(min_latency_ns) != 0 || !follow::asked(&key_of(&life.process), &life.parent) {
        return;
    }
    // Forgotten, or the verifier of 5.10 takes a number in a caller's stack for one value that it has seen there, and
    // rewrites the branches for other values as never taken.
    let what = forgotten(notice.what, &tgid);
    let (first, moved) = (what & FIRST != 0, what & MOVED != 0);
    let held = life.flags & flag::HELD;
    // A zombie is handed on by its dying parent itself.
    let handing_on = TaskPtr::current().leader();
    // SAFETY: a reserved Event of ours, written whole.
    send_event(|event| unsafe {
        (*event).time_ns = life.zombie_ns;
        (*event).kind = if moved { kind::REPARENT } else { kind::ZOMBIE };
        (*event).flags = if moved || first { held } else { held | flag::AGAIN };
        copy_task(&raw mut (*event).process, &life.process);
        describe_process(TaskPtr::at(parent), &mut (*event).parent);
        if tracer != 0 {
            describe_process(TaskPtr::at(tracer), &mut (*event).other);
        } else if moved && handing_on.tgid() == notice.old.tgid {
            describe_process(handing_on, &mut (*event).other);
        } else {
            let old = if moved { notice.old } else { ParentKey::default() };
            name_task(&raw mut (*event).other, &old);
        }
        (*event).exit_ns = life.exit_ns;
        (*event).zombie_ns = if moved { notice.before_ns } else { life.zombie_ns };
        (*event).status = 0;
        (*event).reserved = 0;
    });
}

/// The free of `tgid`, whose `task_struct` still says whose child it last was. A parent's death hands its children on,
/// zombies too: one that is not handed on was reaped before.
pub fn freed<M: Memory>(task: TaskPtr<M>) {
    let tgid = task.tgid();
    let Some(life) = find(tgid) else { return };
    let (start_boottime_ns, real_parent) = (task.start_boottime_ns(), task.real_parent().0);
    // SAFETY: a value of our own map.
    let (known, life_flags) = unsafe { ((*life).real_parent, (*life).flags) };
    let same = known == real_parent && known != 0 && life_flags & (flag::UNDER_INIT | flag::HELD) == 0;
    let flags = if same { flag::COARSE | flag::BY_PARENT } else { flag::COARSE };
    released(tgid, start_boottime_ns, task, false, flags);
}

/// `reaper` waited and took the entry of `tgid`: true where that was as it should be, which needs no more than to be
/// counted, in few instructions and in place. Else [`released`] has to look closer.
#[inline(always)]
pub fn reaped_as_usual(tgid: u32, start_boottime_ns: u64, reaper_tgid: u32) -> bool {
    if setting!(stream_all) != 0 || setting!(scope) == scope::TREE {
        return false;
    }
    let Some(life) = find(tgid) else { return false };
    // SAFETY: a value of our own map; read before it is taken out.
    let (start, parent, since_ns, flags, ns_inum) = unsafe {
        ((*life).process.start_boottime_ns, (*life).parent, (*life).zombie_ns, (*life).flags, (*life).ns_inum)
    };
    let latency_ns = now_ns().saturating_sub(since_ns);
    if parent.tgid != reaper_tgid
        || flags & !(flag::UNDER_INIT | flag::PARENT) != 0
        || ns_inum != 0
        || since_ns == 0
        || latency_ns >= setting!(slow_ns)
        || start_boottime_ns != 0 && start_boottime_ns != start
    {
        return false;
    }
    let Some(record) = record_of(&parent) else { return false };
    // Whoever takes it out books it: a wait's return and the free may come at once on two CPUs.
    if take_out(tgid, start) {
        book_reap(record, latency_ns);
        if flags & flag::PARENT != 0 {
            settle(tgid, start);
        }
    }
    true
}

/// The entry of `tgid` is gone. `start_boottime_ns`: whose, where known (0: whoever is entered). `by_wait`: `reaper`
/// waited; else the kernel reaped, or it was not seen who, and `reaper` is anybody.
///
/// In place: where returns are guarded against speculation, a call costs 20 ns.
#[inline(always)]
pub fn released<M: Memory>(tgid: u32, start_boottime_ns: u64, reaper: TaskPtr<M>, by_wait: bool, flags: u32) {
    let Some(life) = find(tgid) else { return };
    // SAFETY: a value of our own map; copied before it is taken out.
    let life = unsafe { *life };
    let start = life.process.start_boottime_ns;
    if start_boottime_ns != 0 && start_boottime_ns != start {
        return;
    }
    let mut parent = life.parent;
    let mut what = 0;
    if by_wait && reaper.tgid() != parent.tgid {
        // A tracer's wait lets go of the zombie; the parent still has to reap it.
        if reaper.tgid() == life.tracer_tgid {
            return;
        }
        parent = reaper.untyped().identity();
        what |= release::ADOPTED;
    }
    // Whoever takes it out books it: a wait's return and the free may come at once on two CPUs.
    if !take_out(tgid, start) {
        return;
    }
    if life.ns_inum != 0 {
        let _ = NS_PIDS.remove(NsPid { ns_inum: life.ns_inum, nr: life.nr });
    }
    follow::gone(tgid);
    if life.flags & flag::PARENT != 0 {
        settle(tgid, start);
    }
    let now = now_ns();
    if life.flags & flag::AUTOREAP != 0 && !by_wait {
        what |= release::AUTO;
    }
    let since = if life.zombie_ns != 0 { life.zombie_ns } else { life.exit_ns };
    let latency_ns = now.saturating_sub(since);
    // Of a child older than the tracer the latency is a lower bound; a tracer's is not the parent's doing.
    let mut wrong = life.flags & (flag::OLDER | flag::HELD) != 0 || latency_ns >= setting!(slow_ns);
    // Nobody is enrolled by a late free: a parent that had a record and has none any more is settled. But of a child that
    // died before the programs came, its parent may never have been heard of.
    if !by_wait && life.flags & flag::OLDER == 0 {
        what |= release::LATE;
    }
    if life.zombie_ns == 0 {
        what |= release::UNHEARD;
    }
    let what = forgotten(what | (flags & (flag::COARSE | flag::BY_PARENT)), &life.process.tgid);
    let named = if by_wait { reaper.address() } else { 0 };
    if book_release(parent.tgid, parent.start_boottime_ns, named, what, latency_ns) != 0 {
        wrong = true;
    }
    if setting!(stream_all) == 0 && !wrong {
        return;
    }
    if latency_ns < setting!(min_latency_ns) {
        return;
    }
    let unnamed = TaskRef { start_boottime_ns: parent.start_boottime_ns, tgid: parent.tgid, ..TaskRef::NONE };
    let by = if by_wait { process_of(reaper.untyped()) } else { TaskRef::NONE };
    send(&Stage {
        time_ns: now,
        kind: kind::REAP,
        flags: flags | (if what & release::AUTO != 0 { flag::AUTOREAP } else { 0 }),
        process: &life.process,
        parent: if by_wait { &by } else { &unnamed },
        other: Some(if flags & flag::BY_PARENT != 0 { &unnamed } else { &by }),
        exit_ns: life.exit_ns,
        zombie_ns: life.zombie_ns,
        status: 0,
    });
}
