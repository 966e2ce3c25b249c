//! Death of a process: its last thread. Must not take a thread's exit, or a leader's with threads left, for one.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::debug;
use probe_common::wire::{Life, ParentKey, TaskRef, flag, kind};

use crate::{
    follow,
    life::{Entered, enter, enter_older, find, notified_rarely, now_ns, were_full},
    maps::{add, copy_task, name_task, send_event, slot_of, will_need},
    parent::{key_of, parent_died, parent_record, record_of},
    setting,
    task::{Memory, SignalPtr, TaskPtr, TypedTask, Untyped, describe_process, forgotten},
    with_real_parent,
};

/// `group_dead` is an argument only from 6.16 on; `signal->live == 0` says the same everywhere, but several exiting
/// threads can see it: entering the life de-duplicates.
///
/// match-proto: include/trace/events/sched.h: sched_process_exit(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(ctx: BtfTracePointContext) -> i32 {
    let task = TypedTask::at(ctx.arg::<u64>(0));
    let signal = task.signal();
    if signal.live_threads() != 0 {
        return 0;
    }
    let leader = task.leader();
    debug!(&ctx, "exit of {}, child of {}", leader.tgid(), leader.untyped().real_parent().tgid());
    seen(leader, signal);
    0
}

/// The same once more, where tracepoints can be preempted and no exact zombie hook makes good for it: a program is
/// skipped while it is under way on the same CPU, and whoever is skipped above is not skipped here too.
///
/// match-proto: include/trace/events/sched.h: sched_process_exit(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_exit")]
pub fn exit_again(ctx: BtfTracePointContext) -> i32 {
    let task = TypedTask::at(ctx.arg::<u64>(0));
    if task.signal().live_threads() == 0 && find(task.tgid()).is_none() && !were_full() {
        let leader = task.untyped().leader();
        seen(leader, leader.signal());
    }
    0
}

/// A death that the exit hook did not see, because it was skipped. Whoever is told of deaths runs with interrupts off
/// and is never skipped.
#[inline(always)]
pub fn died_unseen<M: Memory>(leader: TaskPtr<M>) {
    if find(leader.tgid()).is_none() && leader.untyped().signal().live_threads() == 0 && !were_full() {
        died(leader.address());
    }
}

/// Nobody will be told of the death. Beside the flags of a life, so that all that follows has one state to check.
const UNANNOUNCED: u32 = 1 << 31;

/// A death the exit hook did not see. `leader`: the address.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn died(leader: u64) -> i32 {
    let leader = TaskPtr::<Untyped>::at(leader);
    enter_death(leader, leader.signal(), 0);
    0
}

/// A death as the exit hook sees it.
#[inline(always)]
fn seen<M: Memory>(leader: TaskPtr<M>, signal: SignalPtr<M>) {
    // One after the other, not one in the other: the stack is 512 bytes for all that call one another.
    if enter_seen(leader, signal, now_ns()) {
        // Nobody will be told of such a child (clone without an exit signal): waitable from here on, as far as can be
        // seen.
        let parent = leader.untyped().real_parent().0;
        notified_rarely(leader.tgid(), parent, parent, 0, 0);
    }
}

#[inline(never)]
fn enter_seen<M: Memory>(leader: TaskPtr<M>, signal: SignalPtr<M>, exit_ns: u64) -> bool {
    enter_death(leader, signal, exit_ns)
}

/// What a death has to know of the parent.
struct Bereaved {
    key: ParentKey,
    /// The address of the task whose child it is.
    task: u64,
    /// [`flag::AUTOREAP`], [`flag::UNDER_INIT`], [`UNANNOUNCED`].
    flags: u32,
    nr: u32,
    ns_inum: u32,
}

#[inline(always)]
fn bereaved<M: Memory, N: Memory>(
    leader: TaskPtr<M>,
    signal: SignalPtr<M>,
    parent: TaskPtr<N>,
    told: TaskPtr<M>,
    is_seen: bool,
) -> Bereaved {
    let key = parent.identity();
    let exit_signal = leader.exit_signal();
    let seen_as = leader.as_seen_by(parent, signal);
    let mut flags = if seen_as.by_init { flag::UNDER_INIT } else { 0 };
    if told.tgid() == key.tgid {
        if exit_signal == 17 && parent.autoreaps() {
            flags |= flag::AUTOREAP;
        }
        if exit_signal == 0 && is_seen {
            flags |= UNANNOUNCED;
        }
    }
    // Forgotten, so that there is one way on from here.
    let flags = forgotten(flags, &key.tgid);
    let ns_inum = forgotten(seen_as.ns_inum, &key.tgid);
    Bereaved { key, task: parent.0, flags, nr: seen_as.nr, ns_inum }
}

/// Enters the death of a process, whose threads share `signal`. `exit_ns`: 0 where it was not seen. True where nobody
/// will be told of it.
#[inline(always)]
fn enter_death<M: Memory>(leader: TaskPtr<M>, signal: SignalPtr<M>, exit_ns: u64) -> bool {
    if let Some(slot) = slot_of(leader.tgid()) {
        // SAFETY: a value of our own map.
        unsafe { will_need(&raw const (*slot).claim_ns) };
    }
    let process = leader.process_of_leader(signal);
    let key = key_of(&process);
    if !follow::in_scope(&key) {
        return false;
    }
    let Bereaved { key: parent, task, mut flags, nr, ns_inum } =
        with_real_parent!(leader, |parent, told| bereaved(leader, signal, parent, told, exit_ns != 0));
    let real_parent = TaskPtr::<Untyped>::at(task);
    if record_of(&key).is_some() {
        flags |= flag::PARENT;
    }
    if flags & flag::AUTOREAP != 0 {
        // Its release may be learnt of when the parent can no longer be asked for its name.
        let _ = parent_record(&parent, real_parent);
    }
    let flags = forgotten(flags, &process.tgid);
    // Every member by name: what is left to a default is zeroed byte by byte, in a loop.
    let life = Life {
        process,
        parent,
        real_parent: task,
        exit_ns,
        zombie_ns: 0,
        tracer_tgid: 0,
        flags: flags & !UNANNOUNCED,
        nr,
        ns_inum,
    };
    match enter(&life, signal.nr_threads() == 1) {
        Entered::Known => return false,
        Entered::New => {}
        Entered::Nowhere => untracked(&parent, real_parent, flags & flag::AUTOREAP != 0),
    }
    let time_ns = if exit_ns != 0 { exit_ns } else { now_ns() };
    if flags & flag::PARENT != 0 {
        parent_died(&key, time_ns);
    }
    if setting!(stream_all) != 0 && setting!(min_latency_ns) == 0 && follow::asked(&key, &parent) {
        let status = leader.wait_status(signal);
        // SAFETY: a reserved Event of ours, written whole.
        send_event(|event| unsafe {
            (*event).time_ns = time_ns;
            (*event).kind = kind::EXIT;
            (*event).flags = flags & flag::AUTOREAP;
            copy_task(&raw mut (*event).process, &life.process);
            describe_process(real_parent, &mut (*event).parent);
            name_task(&raw mut (*event).other, &ParentKey::default());
            (*event).exit_ns = exit_ns;
            (*event).zombie_ns = 0;
            (*event).status = status;
            (*event).reserved = 0;
        });
    }
    flags & UNANNOUNCED != 0
}

/// A death that cannot be followed to its reap is booked now.
#[inline(always)]
fn untracked(key: &ParentKey, parent: TaskPtr<Untyped>, autoreap: bool) {
    if let Some(record) = parent_record(key, parent) {
        // SAFETY: a value of our own map.
        unsafe {
            add(&raw mut (*record).exited, 1);
            let outcome = if autoreap { &raw mut (*record).autoreaped } else { &raw mut (*record).untracked };
            add(outcome, 1);
        }
    }
}

/// A zombie of the task list that no hook has seen die: it is older than the programs.
#[inline(never)]
pub fn older<M: Memory>(leader: TaskPtr<M>, parent: &TaskRef, tracer: &TaskRef, now_ns: u64) {
    let signal = leader.signal();
    let process = leader.process_of_leader(signal);
    if !follow::in_scope(&key_of(&process)) {
        return;
    }
    let seen_as = leader.as_seen_by(leader.real_parent(), signal);
    enter_older(&Life {
        process,
        parent: key_of(parent),
        real_parent: 0,
        exit_ns: 0,
        zombie_ns: now_ns,
        tracer_tgid: tracer.tgid,
        flags: flag::OLDER | if tracer.tgid == 0 { 0 } else { flag::HELD },
        nr: seen_as.nr,
        ns_inum: seen_as.ns_inum,
    });
}
