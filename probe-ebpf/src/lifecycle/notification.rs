//! Somebody is notified of a death: the dead child becomes a zombie, gets a new parent, or a tracer lets go of it.
//!
//! Must not know which hook saw it.

use probe_common::wire::{DeadChild, DeadFlags, ParentKey};

use crate::{
    dead_child_table::{find, find_usual, place_of, resolve},
    event::{self, Notification},
    kernel::{
        clock::{elapsed_ns, now_ns},
        task::{SIGCHLD, TaskPtr},
        typed::{Memory, Untyped},
        waiters::readiness_for,
    },
    ledger::{UNKNOWN_NS, count_announced, count_zombie, has_reaped_late},
    lifecycle::{death::find_or_enter, merged_signal::count_if_merged, release::released_by_kernel},
    parent_table,
    settings::setting,
    verifier::{forget, opaque},
};

bitflags::bitflags! {
    /// What a death notification is.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Notice: u32 {
        /// The task has just become a zombie.
        const FIRST = 1;
        /// The zombie has a new parent.
        const MOVED = 2;
        /// The kernel will reap it.
        const AUTOREAP = 4;
        /// A tracer that is not the parent is notified.
        const HELD = 8;
    }
}

/// What a new parent does not change of a dead child.
const KEPT: DeadFlags = DeadFlags::PREEXISTING.union(DeadFlags::PARENT).union(DeadFlags::CLONE_CHILD);

/// What holds of it as long as it has this parent.
const OF_PARENT: DeadFlags = DeadFlags::UNDER_INIT.union(DeadFlags::THOUGH_IGNORED);
/// Its exit hook took it for one that the kernel will reap; if it is notified of and stays, this is known of it.
const PER_AUTOREAP: u32 = DeadFlags::THOUGH_IGNORED.bits() / DeadFlags::AUTOREAP.bits();

/// Whether the kernel will reap, where the hook does not say.
pub const UNKNOWN: u32 = 2;

/// `dying`, which has this tgid and entry, notifies of itself whom it has to: nearly every notification, hence in place.
/// `autoreap`: 0, 1 or [`UNKNOWN`]. `sees_merged`: the hook says itself whether the signal was merged.
#[inline(always)]
pub fn own_death<M: Memory>(
    dying: TaskPtr<M>,
    tgid: u32,
    child: *mut DeadChild,
    autoreap: u32,
    sees_merged: bool,
) {
    let parent = dying.real_parent();
    // Opaque, or the compiler would go on with the other one, which costs more to read.
    if opaque(dying.notified_parent().0) == parent.0 {
        // Where SIGCHLD has its default disposition it is never pending, unless it is blocked: most need no second look.
        if !sees_merged && parent.signal().has_sigchld_pending() {
            count_if_merged(dying.address());
        }
        let autoreap = will_autoreap(dying, parent, autoreap);
        notified(tgid, child, parent, parent, false, autoreap);
    } else {
        death_of_traced(dying.address(), autoreap);
    }
}

/// What the usual dead child may be when its parent is notified.
const USUAL: DeadFlags = DeadFlags::UNDER_INIT.union(DeadFlags::PARENT);

/// `dying`, which has this tgid, notifies of itself, and the kernel will not reap it as far as the hook says. Counts the
/// usual case in few instructions, where nothing is sent of it. Returns false, and has done nothing, where it is another one.
/// `autoreap`, `sees_merged`: as of [`own_death`].
#[inline(always)]
pub fn notified_as_usual<M: Memory>(dying: TaskPtr<M>, tgid: u32, autoreap: u32, sees_merged: bool) -> bool {
    if setting!(stream_all) != 0 {
        return false;
    }
    let Some(child) = find_usual(place_of(tgid), tgid) else { return false };
    // SAFETY: a value of our own map; only hooks of this one death write it, one after the other.
    let child = unsafe { &mut *child };
    let parent = dying.real_parent();
    if child.zombie_ns != 0
        || child.exit_ns == 0
        || !child.flags.difference(USUAL).is_empty()
        || child.real_parent != parent.0
        || child.parent.tgid != parent.tgid()
        // Opaque, or the compiler would go on with the other one, which costs more to read.
        || opaque(dying.notified_parent().0) != parent.0
        || autoreap == UNKNOWN && parent.autoreaps_though_signalled()
    {
        return false;
    }
    let signal = parent.signal();
    if !sees_merged && signal.has_sigchld_pending() {
        return false;
    }
    let Some(entry) = parent_table::find_here(&child.parent) else { return false };
    let readiness = signal.readiness();
    if readiness.intersects(DeadFlags::WAITED) && has_reaped_late(entry) {
        return false;
    }
    let now = now_ns();
    count_announced(entry, elapsed_ns(child.exit_ns, now));
    child.flags = child.flags.union(readiness);
    child.zombie_ns = now;
    true
}

/// The same of a task, by its address, that is not the current process's leader: a dying parent hands it on, or a thread of
/// it was the last to end. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn death_of_other_task(task: u64, autoreap: u32) -> i32 {
    let dying = TaskPtr::<Untyped>::at(task);
    let tgid = dying.tgid();
    if dying.pid() != tgid || find_or_enter(dying, tgid).is_none() {
        return 0;
    }
    let parent = dying.real_parent();
    if dying.notified_parent() == parent && parent.signal().has_sigchld_pending() {
        count_if_merged(task);
    }
    death_of_traced(task, autoreap);
    if autoreap != 0 {
        released_by_kernel(dying);
    }
    0
}

#[inline(always)]
fn will_autoreap<M: Memory>(dying: TaskPtr<M>, parent: TaskPtr<M>, autoreap: u32) -> bool {
    if autoreap == UNKNOWN {
        dying.exit_signal() == SIGCHLD && parent.autoreaps_though_signalled()
    } else {
        autoreap != 0
    }
}

/// The same where a tracer is notified, which may be another thread of the parent. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn death_of_traced(leader: u64, autoreap: u32) -> i32 {
    let dying = TaskPtr::<Untyped>::at(leader);
    let (parent, told) = (dying.real_parent(), dying.notified_parent());
    let held = told.tgid() != parent.tgid();
    let autoreap = if held && autoreap == UNKNOWN { false } else { will_autoreap(dying, parent, autoreap) };
    notified_rarely(dying.tgid(), parent.0, told.0, u32::from(held), u32::from(autoreap));
    0
}

/// A dying parent hands on its zombies, or a tracer lets go: in both cases the target is the real parent. Global function,
/// see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn death_of_another(nr: u32, target: u64) -> i32 {
    let target = TaskPtr::<Untyped>::at(target);
    if let Some(tgid) = resolve(nr, target.signal().pid_ns_inum()) {
        notified_rarely(tgid, target.0, target.0, 0, u32::from(target.autoreaps_though_signalled()));
    }
    0
}

/// [`notified`] where that is rare. `parent`, `told`: addresses. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn notified_rarely(tgid: u32, parent: u64, told: u64, held: u32, autoreap: u32) -> i32 {
    if let Some(child) = find(tgid) {
        notified(tgid, child, TaskPtr::<Untyped>::at(parent), TaskPtr::at(told), held != 0, autoreap != 0);
    }
    0
}

/// `told` was notified of the death of `tgid`, whose entry is `child`: a tracer if `held`, else `parent`, its real parent now.
#[inline(always)]
fn notified<M: Memory>(
    tgid: u32,
    child: *mut DeadChild,
    parent: TaskPtr<M>,
    told: TaskPtr<M>,
    held: bool,
    autoreap: bool,
) {
    let new = parent.identity();
    let told_by = u32::from(autoreap) * Notice::AUTOREAP.bits() | u32::from(held) * Notice::HELD.bits();
    let told_by = Notice::from_bits_retain(forget(told_by, &tgid));
    let now = now_ns();
    // SAFETY: a value of our own map; only hooks of this one death write it, one after the other.
    let child = unsafe { &mut *child };
    let (before_ns, exit_ns, old) = (child.zombie_ns, child.exit_ns, child.parent);
    let mut what = told_by.intersection(Notice::AUTOREAP);
    if before_ns == 0 {
        what = what.union(Notice::FIRST);
    } else if old != new {
        what = what.union(Notice::MOVED);
    }
    let what = Notice::from_bits_retain(forget(what.bits(), &tgid));
    let held = told_by.intersects(Notice::HELD);
    // It was notified before (a child without an exit signal, at its exit) and no tracer held it: nothing is new.
    if what.is_empty() && !child.flags.intersects(DeadFlags::HELD) && !held {
        return;
    }
    let (first, moved) = (what.intersects(Notice::FIRST), what.intersects(Notice::MOVED));
    child.parent = new;
    let though_ignored = child.flags.intersection(DeadFlags::AUTOREAP).bits() * PER_AUTOREAP;
    let mut flags = child.flags.intersection(OF_PARENT.union(KEPT));
    flags = flags.union(DeadFlags::from_bits_retain(though_ignored));
    if moved {
        child.real_parent = 0;
        flags = flags.intersection(KEPT);
    }
    if what.intersects(Notice::AUTOREAP) {
        flags = flags.union(DeadFlags::AUTOREAP);
    }
    if held {
        flags = flags.union(DeadFlags::HELD);
        child.tracer_tgid = told.tgid();
    }
    let flags = flags.union(parent.signal().readiness());
    let flags = DeadFlags::from_bits_retain(forget(flags.bits(), &tgid));
    child.flags = flags;
    if what == Notice::FIRST.union(Notice::AUTOREAP) {
        return;
    }
    // Last use of this pointer. Below, the verifier's state no longer depends on whether it came from the slot or the
    // hash, so the rest is verified once, not twice.
    child.zombie_ns = now;
    if first || moved {
        let teardown_ns = if first && exit_ns != 0 { elapsed_ns(exit_ns, now) } else { UNKNOWN_NS };
        let was_slow =
            count_zombie(new.tgid, new.start_boottime_ns, parent.address(), u32::from(moved), teardown_ns);
        // For whom they wait costs more to find out. It matters of a reap that will be slow, and who was slow once may be again.
        if flags.intersects(DeadFlags::WAITED) && (setting!(stream_all) != 0 || was_slow != 0) {
            look_at_waiters(tgid, parent.address());
        }
    }
    if !event::wants_notification(first, flags.intersects(DeadFlags::HELD)) {
        return;
    }
    let before = Before { zombie_ns: before_ns, parent: old, what };
    send_zombie_event(tgid, parent.address(), if held && !moved { told.address() } else { 0 }, &before);
}

/// Enters for whom the threads of `parent` wait, of the dead child `tgid`. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look_at_waiters(tgid: u32, parent: u64) -> i32 {
    let readiness = readiness_for(tgid, TaskPtr::<Untyped>::at(parent));
    if let Some(child) = find(tgid) {
        // SAFETY: a value of our own map; only hooks of this one death write it, one after the other.
        unsafe { (*child).flags = (*child).flags.union(readiness) };
    }
    0
}

/// What the entry said before the notification, and what the notification is.
struct Before {
    zombie_ns: u64,
    parent: ParentKey,
    what: Notice,
}

/// Leaf function, see `verifier`.
#[inline(never)]
fn send_zombie_event(tgid: u32, parent: u64, tracer: u64, before: &Before) {
    let Some(child) = find(tgid) else { return };
    // SAFETY: a value of our own map.
    let child = unsafe { &*child };
    if !event::wants_notifications_of(child) {
        return;
    }
    // Must be forgotten: a number in a caller's stack, see `verifier`.
    let what = Notice::from_bits_retain(forget(before.what.bits(), &tgid));
    event::send_notification(
        child,
        &Notification {
            parent,
            tracer,
            before_ns: before.zombie_ns,
            old_parent: &before.parent,
            is_first: what.intersects(Notice::FIRST),
            is_moved: what.intersects(Notice::MOVED),
        },
    );
}
