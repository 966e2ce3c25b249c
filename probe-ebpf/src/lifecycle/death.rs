//! A death enters the table of dead children. Must not know its notification.

use probe_common::wire::{DeadChild, DeadFlags, ParentKey, TaskRef};

use crate::{
    dead_child_table::{self, Entered, Place, place_of},
    event::{self, Dying},
    filter,
    kernel::{
        clock::now_ns,
        task::{SIGCHLD, SignalPtr, TaskPtr, TypedTask},
        typed::{Memory, Typed, Untyped},
    },
    ledger,
    lifecycle::release::release_reused_pid,
    parent_table,
    settings::setting,
    verifier::{forget, opaque},
};

/// Whether no hook has seen the death of `tgid`. Where the table was full once, this cannot be told.
#[inline(always)]
pub fn is_unseen(tgid: u32) -> bool {
    dead_child_table::find(tgid).is_none() && !dead_child_table::were_full()
}

/// The entry of `leader`, which has this tgid. Enters a death that the exit hook missed, because the kernel skipped the
/// program. The notification hooks run with interrupts off and are never skipped.
#[inline(always)]
pub fn find_or_enter<M: Memory>(leader: TaskPtr<M>, tgid: u32) -> Option<*mut DeadChild> {
    let found = dead_child_table::find(tgid);
    if found.is_some() {
        return found;
    }
    if leader.untyped().signal().live_threads() == 0 && !dead_child_table::were_full() {
        enter_unseen_death(leader.address());
    }
    dead_child_table::find(tgid)
}

/// The same, rare. `leader`: the address. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn enter_unseen_death(leader: u64) -> i32 {
    let leader = TaskPtr::<Untyped>::at(leader);
    enter_death(leader, leader.signal(), 0);
    0
}

/// A death as the exit hook sees it. Leaf function, see `verifier`.
#[inline(never)]
pub fn enter_seen<M: Memory>(leader: TaskPtr<M>, signal: SignalPtr<M>, exit_ns: u64) -> bool {
    enter_death(leader, signal, exit_ns)
}

/// Enters the usual death, where nothing is sent of it, in few instructions: a child in the initial PID namespace, whose
/// parent neither is traced away nor has the kernel reap. Returns false, and has done nothing, where it is another one.
#[inline(always)]
pub fn enter_usual(leader: TypedTask, signal: SignalPtr<Typed>, exit_ns: u64) -> bool {
    if setting!(counts_usual) == 0 {
        return false;
    }
    let process = leader.identity_of_leader();
    let Some(place) = dead_child_table::usual_place(process.tgid) else { return false };
    let parent = leader.real_parent();
    let parent_process = parent.identity();
    // Opaque, or the compiler would go on with the other one, which costs more to read.
    if opaque(leader.notified_parent().0) != parent.0
        || leader.exit_signal() != SIGCHLD
        || signal.nr_threads() != 1
        || leader.level() != 0
        || parent.autoreaps()
    {
        return false;
    }
    let Some(own) = parent_table::find_usual(&process) else { return false };
    let Some(child) = place.claim(process.start_boottime_ns) else { return false };
    let mut flags =
        DeadFlags::from_bits_retain(u32::from(parent_process.tgid == 1) * DeadFlags::UNDER_INIT.bits());
    if !own.is_null() {
        flags = flags.union(DeadFlags::PARENT);
        // SAFETY: a value of our own map.
        unsafe { (*own).dead_ns = exit_ns };
    }
    // SAFETY: a value of our own map; nobody else writes it before its release.
    unsafe {
        leader.name(&raw mut (*child).process.comm);
        (*child).process.tgid = process.tgid;
        (*child).process.ns_pid = process.tgid;
        (*child).process.start_boottime_ns = process.start_boottime_ns;
        (*child).parent = parent_process;
        (*child).real_parent = parent.0;
        (*child).exit_ns = exit_ns;
        (*child).zombie_ns = 0;
        (*child).tracer_tgid = 0;
        (*child).flags = flags;
        (*child).nr = process.tgid;
        (*child).ns_inum = 0;
    }
    true
}

/// Nobody will be notified of the death. A bit that no flag of a dead child has, so that the verifier follows one number.
const UNANNOUNCED: DeadFlags = DeadFlags::from_bits_retain(1 << 31);
const _: () = assert!(!DeadFlags::all().intersects(UNANNOUNCED));

/// What has to be known of the parent when its child dies.
struct ParentAtDeath {
    key: ParentKey,
    /// `AUTOREAP`, `UNDER_INIT`, [`UNANNOUNCED`].
    flags: DeadFlags,
    nr: u32,
    ns_inum: u32,
}

#[inline(always)]
fn parent_at_death<M: Memory>(
    leader: TaskPtr<M>,
    process: &TaskRef,
    signal: SignalPtr<M>,
    level: u32,
    parent: TaskPtr<M>,
    is_seen: bool,
) -> ParentAtDeath {
    let key = parent.identity();
    let exit_signal = leader.exit_signal();
    let seen_as = signal.seen_by(process, level, parent, key.tgid);
    let notified = leader.notified_parent();
    let clone_child = if exit_signal == SIGCHLD { DeadFlags::empty() } else { DeadFlags::CLONE_CHILD };
    let mut flags =
        clone_child.union(if seen_as.by_init { DeadFlags::UNDER_INIT } else { DeadFlags::empty() });
    // Opaque, or the compiler would go on with the other one, which costs more to read.
    if opaque(notified.0) == parent.0 || notified.tgid() == key.tgid {
        if exit_signal == SIGCHLD && parent.autoreaps() {
            flags = flags.union(DeadFlags::AUTOREAP);
        }
        if exit_signal == 0 && is_seen {
            flags = flags.union(UNANNOUNCED);
        }
    }
    let flags = DeadFlags::from_bits_retain(forget(flags.bits(), &key.tgid));
    let ns_inum = forget(seen_as.ns_inum, &key.tgid);
    ParentAtDeath { key, flags, nr: seen_as.nr, ns_inum }
}

/// Enters the death of a process, whose threads share `signal`. `exit_ns`: 0 where it was not seen. True where nobody
/// will be notified of it.
#[inline(always)]
fn enter_death<M: Memory>(leader: TaskPtr<M>, signal: SignalPtr<M>, exit_ns: u64) -> bool {
    let place = place_of(leader.tgid());
    let level = signal.level();
    let process = leader.process_of_leader(signal, level);
    let key = process.key();
    if !filter::in_scope(&key) {
        return false;
    }
    let parent = leader.real_parent();
    let real_parent = parent.untyped();
    let ParentAtDeath { key: parent, mut flags, nr, ns_inum } =
        parent_at_death(leader, &process, signal, level, parent, exit_ns != 0);
    if parent_table::find(&key).is_some() {
        flags = flags.union(DeadFlags::PARENT);
    }
    if flags.intersects(DeadFlags::AUTOREAP) {
        // Its release may be seen when the name of the parent can no longer be read.
        let _ = parent_table::find_or_create(&parent, real_parent);
    }
    let flags = DeadFlags::from_bits_retain(forget(flags.bits(), &process.tgid));
    // Every member by name, see `verifier`.
    let child = DeadChild {
        process,
        parent,
        real_parent: real_parent.0,
        exit_ns,
        zombie_ns: 0,
        tracer_tgid: 0,
        flags: flags.difference(UNANNOUNCED),
        nr,
        ns_inum,
    };
    match enter_once(place, &child, signal.nr_threads() == 1) {
        Entered::Known => return false,
        Entered::New => {}
        Entered::Nowhere => {
            ledger::count_untracked(&parent, real_parent, flags.intersects(DeadFlags::AUTOREAP))
        }
    }
    let time_ns = if exit_ns != 0 { exit_ns } else { now_ns() };
    if flags.intersects(DeadFlags::PARENT) {
        ledger::mark_dead(&key, time_ns);
    }
    event::send_exit(time_ns, &child, flags.sent(), real_parent, || Dying {
        status: leader.wait_status(signal),
        leader: leader.address(),
        signal: signal.address(),
    });
    flags.intersects(UNANNOUNCED)
}

/// Enters a death. It may be known already: several threads can see themselves as the last one (`alone`: not here).
#[inline(always)]
fn enter_once(place: Place, child: &DeadChild, alone: bool) -> Entered {
    if let Some(known) = dead_child_table::find_at(place, child.process.tgid) {
        // SAFETY: a value of our own map.
        if unsafe { (*known).process.start_boottime_ns } == child.process.start_boottime_ns {
            return Entered::Known;
        }
        release_reused_pid(child.process.tgid);
    }
    dead_child_table::enter(place, child, alone)
}

/// Enters a zombie of the task list that no hook has seen die: it was dead before the programs were attached.
#[inline(never)]
pub fn enter_preexisting<M: Memory>(leader: TaskPtr<M>, parent: &TaskRef, tracer: &TaskRef, now_ns: u64) {
    let signal = leader.signal();
    let process = leader.process_of_leader(signal, signal.level());
    if !filter::in_scope(&process.key()) {
        return;
    }
    // Read once more, because there is no room on the stack to keep it.
    let seen_as = signal.seen_by(&process, signal.level(), leader.real_parent(), parent.tgid);
    let child = DeadChild {
        process,
        parent: parent.key(),
        real_parent: 0,
        exit_ns: 0,
        zombie_ns: now_ns,
        tracer_tgid: tracer.tgid,
        flags: DeadFlags::PREEXISTING.union(if tracer.tgid == 0 {
            DeadFlags::empty()
        } else {
            DeadFlags::HELD
        }),
        nr: seen_as.nr,
        ns_inum: seen_as.ns_inum,
    };
    if dead_child_table::find(child.process.tgid).is_none() {
        dead_child_table::enter(place_of(child.process.tgid), &child, true);
    }
}

/// Takes out a zombie that was released before [`enter_preexisting`] entered it. It is not counted.
pub fn forget_preexisting(tgid: u32, start_boottime_ns: u64) {
    if let Some(child) = dead_child_table::find(tgid)
        // SAFETY: a value of our own map.
        && unsafe { (*child).flags.intersects(DeadFlags::PREEXISTING) && (*child).process.start_boottime_ns == start_boottime_ns }
    {
        dead_child_table::take_out(tgid, start_boottime_ns);
    }
}
