//! The life of a process from its death to its release, the same whichever hook reports it: what the hooks call.
//!
//! A dead child is entered by the exit hook, marked by the notification hooks, taken out by the release hooks. What a
//! notification means follows from the entry's state, never from the hook that called. Must not know hooks and contexts.

mod death;
mod merged_signal;
mod notification;
mod orphan;
mod release;

pub use death::{enter_preexisting, enter_usual, forget_preexisting, is_unseen};
pub use orphan::leave_orphans;
pub use release::{freed, task_released, waited};

use crate::{
    kernel::{
        task::{SignalPtr, TaskPtr, TypedTask},
        typed::Memory,
    },
    lifecycle::{
        merged_signal::signal_merged,
        notification::{
            UNKNOWN, death_of_another, death_of_other_task, notified_as_usual, notified_rarely, own_death,
        },
    },
    verifier::{as_scalar, opaque},
};

/// The last thread of a process exits.
#[inline(always)]
pub fn on_group_dead<M: Memory>(leader: TaskPtr<M>, signal: SignalPtr<M>, exit_ns: u64) {
    // Two leaf functions, called one after the other; see `verifier`.
    if death::enter_seen(leader, signal, exit_ns) {
        // A child without an exit signal (clone): nobody will be notified. From here on it is waitable, as far as can be
        // seen.
        let parent = leader.untyped().real_parent().0;
        notified_rarely(leader.tgid(), parent, parent, 0, 0);
    }
}

/// `current`, of the process `dying`, sends `target` the signal that says: the child that you call `nr` is dead. `merged`:
/// it is a SIGCHLD, and one was pending already.
#[inline(always)]
pub fn death_signalled<M: Memory, N: Memory>(
    nr: u32,
    merged: bool,
    target: TaskPtr<N>,
    current: TaskPtr<M>,
    dying: TaskPtr<M>,
) {
    let notified = dying.notified_parent();
    // Opaque, or the compiler would go on with the target, which costs the verifier more.
    if current.is_exiting() && opaque(notified.0) == target.0 && dying.is_seen_as(nr, notified) {
        let tgid = dying.tgid();
        if !merged && notified_as_usual(dying, tgid, UNKNOWN, true) {
            return;
        }
        if let Some(child) = death::find_or_enter(dying, tgid) {
            if merged {
                signal_merged(dying.address());
            }
            own_death(dying, tgid, child, UNKNOWN, true);
        }
    } else {
        death_of_another(nr, target.address());
    }
}

/// `do_notify_parent` has run for the task with this address. `autoreap`: the kernel will reap it. Only where the current task can
/// be had as a typed pointer.
///
/// Nearly always that is the leader of the process that is dying just now, and through the current task its members cost
/// the least to read.
#[inline(always)]
pub fn parent_notified(task: u64, autoreap: bool) {
    let leader = TypedTask::current_typed().leader();
    if opaque(leader.0) == task {
        leader_notified(leader, autoreap);
    } else {
        another_notified(task, autoreap);
    }
}

/// The same of any task.
#[inline(always)]
pub fn another_notified(task: u64, autoreap: bool) {
    death_of_other_task(as_scalar(task), u32::from(autoreap));
}

/// The same, of a leader.
#[inline(always)]
pub fn leader_notified<M: Memory>(leader: TaskPtr<M>, autoreap: bool) {
    let tgid = leader.tgid();
    if !autoreap && notified_as_usual(leader, tgid, 0, false) {
        return;
    }
    if let Some(child) = death::find_or_enter(leader, tgid) {
        own_death(leader, tgid, child, u32::from(autoreap), false);
        if autoreap {
            release::released_by_kernel(leader);
        }
    }
}
