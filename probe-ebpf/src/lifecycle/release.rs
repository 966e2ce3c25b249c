//! The entry of a dead child leaves the process table: a wait took it, the kernel reaped it, or only its free was seen.
//!
//! Must not know which hook saw it.

use probe_common::wire::{DeadFlags, EventFlags, NsPid, TaskRef};

use crate::{
    dead_child_table::{
        find, find_usual, forget_name_in_namespace, is_known_as, place_of, resolve, take_out, take_out_usual,
    },
    event, filter,
    kernel::{
        clock::{elapsed_ns, now_ns},
        task::{TaskPtr, process_of, with_current},
        typed::Memory,
    },
    ledger::{self, Release, count_reap, count_release, fold_finished_parent},
    lifecycle::forget_preexisting,
    parent_table,
    settings::setting,
    verifier::forget,
};

/// `release_task` is entered for `task`.
#[inline(always)]
pub fn task_released<M: Memory>(task: TaskPtr<M>) {
    // That of a thread is no process's.
    let tgid = task.pid();
    // An exiting task (the child itself, its dying parent) does the kernel's work; it does not wait.
    let start_boottime_ns = task.start_boottime_ns();
    with_current!(|current| {
        let by_wait = !current.is_exiting();
        let is_counted = if by_wait {
            reaped_as_usual(tgid, start_boottime_ns, current.tgid())
        } else {
            task.tgid() != tgid
        };
        if !is_counted {
            if !by_wait {
                // A dying parent left it: the next walk tells.
                forget_preexisting(tgid, start_boottime_ns);
            }
            released(tgid, start_boottime_ns, current, by_wait, EventFlags::empty());
        }
    });
}

/// The current process waited, and got `nr`.
#[inline(always)]
pub fn waited(nr: u32) {
    if !with_current!(|current| reaped_as_usual(nr, 0, current.tgid())) {
        waited_for_another(nr);
    }
}

/// The same, where the common path does not apply. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn waited_for_another(nr: u32) -> i32 {
    with_current!(|current| {
        let mut tgid = Some(nr);
        if !is_known_as(nr, current.tgid()) {
            tgid = resolve(nr, current.untyped().signal().pid_ns_inum());
        }
        if let Some(tgid) = tgid {
            released(tgid, 0, current, true, EventFlags::empty());
        }
    });
    0
}

/// Those that a dying parent does not hand on, or that it may not have had for itself.
const NOT_HANDED_ON: DeadFlags =
    DeadFlags::UNDER_INIT.union(DeadFlags::HELD).union(DeadFlags::THOUGH_IGNORED);

/// The kernel frees `task`, whose `task_struct` still says whose child it last was. A dying parent hands on its children,
/// zombies included: one that was not handed on was reaped before, unless it was one that a parent which ignores SIGCHLD
/// traced itself: those the kernel reaps when the parent dies.
pub fn freed<M: Memory>(task: TaskPtr<M>) {
    let tgid = task.tgid();
    let Some(child) = find(tgid) else { return };
    let (start_boottime_ns, real_parent) = (task.start_boottime_ns(), task.real_parent().0);
    // SAFETY: a value of our own map.
    let (known, child_flags) = unsafe { ((*child).real_parent, (*child).flags) };
    // Of one that was dead before, the parent may have no entry that says when it died: the next walk tells what it left.
    if child_flags.intersects(DeadFlags::PREEXISTING) && task.real_parent().is_exiting() {
        forget_preexisting(tgid, start_boottime_ns);
        return;
    }
    let same = known == real_parent && known != 0 && !child_flags.intersects(NOT_HANDED_ON);
    let seen = if same { EventFlags::COARSE.union(EventFlags::BY_PARENT) } else { EventFlags::COARSE };
    released(tgid, start_boottime_ns, task, false, seen);
}

/// What the usual dead child may be.
const USUAL: DeadFlags =
    DeadFlags::UNDER_INIT.union(DeadFlags::PARENT).union(DeadFlags::CLONE_CHILD).union(DeadFlags::READINESS);

/// `reaper` waited and took the entry of `tgid`. Returns true where that is the usual case, which is only counted: in few
/// instructions and in place. Otherwise the caller calls [`released`].
#[inline(always)]
fn reaped_as_usual(tgid: u32, start_boottime_ns: u64, reaper_tgid: u32) -> bool {
    if setting!(counts_usual) == 0 {
        return false;
    }
    let place = place_of(tgid);
    let Some(child) = find_usual(place, tgid) else { return false };
    // SAFETY: a value of our own map; read before it is taken out.
    let child = unsafe { &*child };
    let start = child.process.start_boottime_ns;
    if child.parent.tgid != reaper_tgid
        || !child.flags.difference(USUAL).is_empty()
        || child.ns_inum != 0
        || start_boottime_ns != 0 && start_boottime_ns != start
    {
        return false;
    }
    let (since_ns, flags) = (child.zombie_ns, child.flags);
    let Some(entry) = parent_table::find_here(&child.parent) else { return false };
    let latency_ns = elapsed_ns(since_ns, now_ns());
    // Where nobody was notified, that is since the boot.
    if since_ns == 0 || latency_ns >= setting!(slow_ns) {
        return false;
    }
    // Only the hook that takes it out counts it: a wait's return and the free may run at the same time on two CPUs.
    if take_out_usual(place, tgid, start) {
        count_reap(entry, latency_ns);
        if flags.intersects(DeadFlags::PARENT) {
            fold_finished_parent(tgid, start);
        }
    }
    true
}

/// The entry of `tgid` is gone. `start_boottime_ns`: which process of that pid, 0 where unknown. `by_wait`: `reaper` waited;
/// else the kernel reaped, or no hook saw who did, and `reaper` is any task. In place: it is common.
#[inline(always)]
fn released<M: Memory>(
    tgid: u32,
    start_boottime_ns: u64,
    reaper: TaskPtr<M>,
    by_wait: bool,
    seen: EventFlags,
) {
    let Some(child) = find(tgid) else { return };
    // SAFETY: a value of our own map; copied before it is taken out.
    let child = unsafe { *child };
    let start = child.process.start_boottime_ns;
    if start_boottime_ns != 0 && start_boottime_ns != start {
        return;
    }
    let mut parent = child.parent;
    let mut what = Release::empty();
    if by_wait && reaper.tgid() != parent.tgid {
        // A tracer's wait lets go of the zombie; the parent still has to reap it.
        if reaper.tgid() == child.tracer_tgid {
            return;
        }
        parent = reaper.untyped().identity();
        what = what.union(Release::ADOPTED);
    }
    // Only the hook that takes it out counts it: a wait's return and the free may run at the same time on two CPUs.
    if !take_out(tgid, start) {
        return;
    }
    if child.ns_inum != 0 {
        forget_name_in_namespace(NsPid { ns_inum: child.ns_inum, nr: child.nr });
    }
    filter::leave_scope(tgid);
    if child.flags.intersects(DeadFlags::PARENT) {
        fold_finished_parent(tgid, start);
    }
    let now = now_ns();
    if child.flags.intersects(DeadFlags::AUTOREAP) && !by_wait {
        what = what.union(Release::AUTO);
    }
    let since = if child.zombie_ns != 0 { child.zombie_ns } else { child.exit_ns };
    let latency_ns = elapsed_ns(since, now);
    // Of a child older than the tracer the latency is a lower bound; a tracer's is not the parent's doing.
    let mut wrong = child.flags.intersects(DeadFlags::PREEXISTING.union(DeadFlags::HELD))
        || latency_ns >= setting!(slow_ns);
    // A late free creates no entry: a parent whose entry is gone was folded before. But the parent of a child that died
    // before the programs were attached may never have had one.
    if !by_wait && !child.flags.intersects(DeadFlags::PREEXISTING) {
        what = what.union(Release::LATE);
    }
    if child.zombie_ns == 0 {
        what = what.union(Release::UNANNOUNCED);
    }
    let what = Release::from_bits_retain(forget(what.bits() | seen.bits(), &child.process.tgid));
    let named = if by_wait { reaper.address() } else { 0 };
    if count_release(parent.tgid, parent.start_boottime_ns, named, what.bits(), latency_ns) != 0 {
        wrong = true;
    }
    if !event::wants_reap(wrong, latency_ns) {
        return;
    }
    let unnamed = TaskRef { start_boottime_ns: parent.start_boottime_ns, tgid: parent.tgid, ..TaskRef::NONE };
    let by = if by_wait { process_of(reaper.untyped()) } else { TaskRef::NONE };
    let mut readiness = child.flags.readiness();
    // What waits by io_uring has left the queue when `do_notify_parent` returns, so nothing can be said of it there.
    if by_wait && readiness.intersects(EventFlags::NOBODY_WAITED) && reaper.uses_io_uring() {
        readiness = EventFlags::empty();
    }
    event::send_reap(
        now,
        seen.union(readiness)
            .union(EventFlags::from_bits_retain(what.intersection(Release::AUTO).bits() >> 1)),
        &child,
        if by_wait { &by } else { &unnamed },
        if seen.intersects(EventFlags::BY_PARENT) { &unnamed } else { &by },
    );
}

/// Releases a dead child that autoreap takes. Leaf function, see `verifier`.
#[inline(never)]
pub fn released_by_kernel<M: Memory>(task: TaskPtr<M>) {
    released(task.tgid(), task.start_boottime_ns(), task, false, EventFlags::empty());
}

/// PID reuse proves that the previous owner was released although no hook saw it. Counts the release now. User space infers
/// the missing event when it sees the new owner. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn release_reused_pid(tgid: u32) -> i32 {
    let Some(child) = find(tgid) else { return 0 };
    // SAFETY: a value of our own map.
    let (parent, start, flags, zombie_ns) =
        unsafe { ((*child).parent, (*child).process.start_boottime_ns, (*child).flags, (*child).zombie_ns) };
    if take_out(tgid, start) {
        ledger::count_unseen_release(&parent, zombie_ns != 0, flags.intersects(DeadFlags::AUTOREAP));
    }
    0
}
