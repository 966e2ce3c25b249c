//! Decides which events are sent, and writes them: one function an event kind. What could not be sent is counted.
//!
//! Three settings and the map of targets decide. `stream_all`: everything, or only what is slow or wrong and what a cause
//! needs (execs of parents, orphans), while the rest is counted.
//! `min_latency_ns`: reaps from this latency on, and nothing else. `scope` and the targets: see `filter`. Must not know what
//! is counted.

use probe_common::{
    sent_signal::{SentSignal, sender},
    settings::scope,
    wire::{DeadChild, Event, EventFlags, ExecEvent, ExitEvent, ParentKey, TaskRef, kind, loss},
};

use crate::{
    filter,
    kernel::{
        account::write_account,
        clock::now_ns,
        program::write_program,
        task::{TaskPtr, TypedTask, describe_process},
        typed::Untyped,
    },
    loss::count_loss,
    maps::EVENTS,
    settings::setting,
};

/// Bytes pending at which the reader is woken before its timer.
const WAKE_AT_BYTES: u64 = 256 * 1024;
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

/// Whether births are sent, or only counted.
#[inline(always)]
pub fn wants_forks() -> bool {
    setting!(stream_all) != 0 || setting!(scope) != scope::HOST
}

/// Whether an exec is sent. `is_parent`: the process has an entry among the parents. Until it has one, its program does not
/// matter to a report.
#[inline(always)]
pub fn wants_exec(is_parent: bool) -> bool {
    setting!(stream_all) != 0 || is_parent
}

/// Whether a death notification is sent. The first one to the parent is the usual case.
#[inline(always)]
pub fn wants_notification(is_first: bool, is_held: bool) -> bool {
    setting!(stream_all) != 0 || !is_first || is_held
}

/// Whether a release is sent. `is_wrong`: late, or not by the parent.
#[inline(always)]
pub fn wants_reap(is_wrong: bool, latency_ns: u64) -> bool {
    (setting!(stream_all) != 0 || is_wrong) && latency_ns >= setting!(min_latency_ns)
}

/// Sends a birth.
#[inline(always)]
pub fn send_fork(time_ns: u64, process: &TaskRef, parent: &TaskRef, creator: &TaskRef) {
    send(&PendingEvent {
        time_ns,
        kind: kind::FORK,
        flags: EventFlags::empty(),
        process,
        parent,
        other: Some(creator),
        exit_ns: 0,
        zombie_ns: 0,
        status: 0,
    });
}

/// Sends an exec, with what `current` now runs.
#[inline(always)]
pub fn send_exec(time_ns: u64, key: &ParentKey, process: &TaskRef, current: TypedTask, binprm: u64) {
    if setting!(min_latency_ns) != 0 || !filter::wants_event(key, &ParentKey::default()) {
        return;
    }
    reserve_and_send::<ExecEvent>(|event| {
        // SAFETY: a reserved ExecEvent of ours, written whole before it is submitted.
        unsafe {
            let pending = PendingEvent {
                time_ns,
                kind: kind::EXEC,
                flags: EventFlags::empty(),
                process,
                parent: &TaskRef::NONE,
                other: None,
                exit_ns: 0,
                zombie_ns: 0,
                status: 0,
            };
            write(&raw mut (*event).event, &pending);
            write_program(event, current, binprm);
        }
    });
}

/// What is read of a process that dies, where that is sent.
pub struct Dying {
    /// The wait status.
    pub status: u32,
    /// Addresses of its main thread, and of what its threads share.
    pub leader: u64,
    pub signal: u64,
}

/// Sends a death. `dying`: asked only if it is sent.
#[inline(always)]
pub fn send_exit(
    time_ns: u64,
    child: &DeadChild,
    flags: EventFlags,
    parent: TaskPtr<Untyped>,
    dying: impl FnOnce() -> Dying,
) {
    if setting!(stream_all) == 0
        || setting!(min_latency_ns) != 0
        || !filter::wants_event(&child.process.key(), &child.parent)
    {
        return;
    }
    let Dying { status, leader, signal } = dying();
    // SAFETY: a reserved ExitEvent of ours, written whole.
    reserve_and_send::<ExitEvent>(|exit| unsafe {
        let event = &raw mut (*exit).event;
        (*event).time_ns = time_ns;
        (*event).kind = kind::EXIT;
        (*event).flags = flags;
        copy_task(&raw mut (*event).process, &child.process);
        describe_process(parent, &mut (*event).parent);
        name_task(&raw mut (*event).other, &ParentKey::default());
        (*event).exit_ns = child.exit_ns;
        (*event).zombie_ns = 0;
        (*event).status = status;
        (*event).sender = sender::UNKNOWN;
        write_account(&raw mut (*exit).account, leader, signal);
    });
}

/// Whether orphans are sent.
#[inline(always)]
pub fn wants_orphans() -> bool {
    setting!(min_latency_ns) == 0
}

/// Sends that a living child loses its parent, a process of which `parent` is a thread.
#[inline(always)]
pub fn send_orphan(child: TaskPtr<Untyped>, parent: TaskPtr<Untyped>) {
    let leader = parent.leader();
    if !filter::wants_event(&child.identity_of_leader(), &leader.identity_of_leader()) {
        return;
    }
    // SAFETY: a reserved Event of ours, written whole.
    reserve_and_send::<Event>(|event| unsafe {
        (*event).time_ns = now_ns();
        (*event).kind = kind::ORPHAN;
        (*event).flags = EventFlags::empty();
        describe_process(child, &mut (*event).process);
        name_task(&raw mut (*event).parent, &ParentKey::default());
        describe_process(leader, &mut (*event).other);
        (*event).exit_ns = 0;
        (*event).zombie_ns = 0;
        (*event).status = 0;
        (*event).sender = sender::UNKNOWN;
    });
}

/// Sends who killed a process, of which `leader` is the main thread. `sender_kind`: [`sender`].
#[inline(always)]
pub fn send_killed(leader: TaskPtr<Untyped>, sent: &SentSignal, sender_kind: u32) {
    // SAFETY: a reserved Event of ours, written whole.
    reserve_and_send::<Event>(|event| unsafe {
        (*event).time_ns = now_ns();
        (*event).kind = kind::KILLED;
        (*event).flags = EventFlags::empty();
        describe_process(leader, &mut (*event).process);
        name_task(&raw mut (*event).parent, &ParentKey::default());
        copy_task(&raw mut (*event).other, &sent.sender);
        (*event).exit_ns = 0;
        (*event).zombie_ns = 0;
        (*event).status = sent.signal;
        (*event).sender = sender_kind;
    });
}

/// A death notification, beside what the entry of the dead child says.
pub struct Notification<'a> {
    /// The parent; address of its task.
    pub parent: u64,
    /// The tracer that was notified; address of its task, or 0.
    pub tracer: u64,
    /// When it was a zombie before; 0: never.
    pub before_ns: u64,
    /// The parent before.
    pub old_parent: &'a ParentKey,
    pub is_first: bool,
    /// The zombie has a new parent.
    pub is_moved: bool,
}

/// Whether the notifications of this dead child are asked for.
#[inline(always)]
pub fn wants_notifications_of(child: &DeadChild) -> bool {
    setting!(min_latency_ns) == 0 && filter::wants_event(&child.process.key(), &child.parent)
}

/// Sends a death notification.
#[inline(always)]
pub fn send_notification(child: &DeadChild, notification: &Notification) {
    let held = child.flags.sent().intersection(EventFlags::HELD);
    let (first, moved) = (notification.is_first, notification.is_moved);
    // A dying parent hands on its zombies itself.
    let handing_on = TaskPtr::current().leader();
    // SAFETY: a reserved Event of ours, written whole.
    reserve_and_send::<Event>(|event| unsafe {
        (*event).time_ns = child.zombie_ns;
        (*event).kind = if moved { kind::REPARENT } else { kind::ZOMBIE };
        (*event).flags = if moved || first { held } else { held.union(EventFlags::AGAIN) };
        copy_task(&raw mut (*event).process, &child.process);
        describe_process(TaskPtr::at(notification.parent), &mut (*event).parent);
        if notification.tracer != 0 {
            describe_process(TaskPtr::at(notification.tracer), &mut (*event).other);
        } else if moved && handing_on.tgid() == notification.old_parent.tgid {
            describe_process(handing_on, &mut (*event).other);
        } else {
            let old = if moved { *notification.old_parent } else { ParentKey::default() };
            name_task(&raw mut (*event).other, &old);
        }
        (*event).exit_ns = child.exit_ns;
        (*event).zombie_ns = if moved { notification.before_ns } else { child.zombie_ns };
        (*event).status = 0;
        (*event).sender = sender::UNKNOWN;
    });
}

/// Sends a release of `child`.
#[inline(always)]
pub fn send_reap(time_ns: u64, flags: EventFlags, child: &DeadChild, parent: &TaskRef, reaper: &TaskRef) {
    send(&PendingEvent {
        time_ns,
        kind: kind::REAP,
        flags,
        process: &child.process,
        parent,
        other: Some(reaper),
        exit_ns: child.exit_ns,
        zombie_ns: child.zombie_ns,
        status: 0,
    });
}

/// An event, as it is to be written. Absent tasks are zero.
struct PendingEvent<'a> {
    time_ns: u64,
    kind: u32,
    flags: EventFlags,
    process: &'a TaskRef,
    parent: &'a TaskRef,
    other: Option<&'a TaskRef>,
    exit_ns: u64,
    zombie_ns: u64,
    status: u32,
}

#[inline(always)]
fn send(pending: &PendingEvent) {
    if (setting!(min_latency_ns) != 0 && pending.kind != kind::REAP)
        || !filter::wants_event(&pending.process.key(), &pending.parent.key())
    {
        return;
    }
    // SAFETY: a reserved Event of ours, written whole.
    reserve_and_send::<Event>(|event| unsafe { write(event, pending) });
}

/// Sends an event or counts it as lost. `fill` writes it whole and in place: an [`Event`] does not fit the stack twice.
#[inline(always)]
fn reserve_and_send<T: 'static>(fill: impl FnOnce(*mut T)) {
    match EVENTS.reserve::<T>(0) {
        Some(mut entry) => {
            fill(entry.as_mut_ptr());
            entry.submit(wake_flag());
        }
        None => count_loss(loss::RING_FULL),
    }
}

fn wake_flag() -> u64 {
    if EVENTS.query(BPF_RB_AVAIL_DATA) >= WAKE_AT_BYTES { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }
}

/// Writes every field.
///
/// # Safety
/// `event` must be ours to write.
#[inline(always)]
unsafe fn write(event: *mut Event, pending: &PendingEvent) {
    // SAFETY: the caller's.
    unsafe {
        (*event).time_ns = pending.time_ns;
        (*event).kind = pending.kind;
        (*event).flags = pending.flags;
        (*event).process = *pending.process;
        (*event).parent = *pending.parent;
        (*event).other = match pending.other {
            Some(other) => *other,
            None => TaskRef::NONE,
        };
        (*event).exit_ns = pending.exit_ns;
        (*event).zombie_ns = pending.zombie_ns;
        (*event).status = pending.status;
        (*event).sender = sender::UNKNOWN;
    }
}

/// Copies a task by the word: the compiler would call a loop over bytes, hundreds of thousands of steps to the verifiers
/// of older kernels.
///
/// # Safety
/// `to` must be ours to write.
#[inline(always)]
unsafe fn copy_task(to: *mut TaskRef, from: &TaskRef) {
    // SAFETY: the caller's; four words, as the layout says.
    unsafe {
        let (to, from) = (to.cast::<u64>(), (&raw const *from).cast::<u64>());
        for word in 0..size_of::<TaskRef>() / size_of::<u64>() {
            to.add(word).write_volatile(from.add(word).read_volatile());
        }
    }
}

/// Writes a task of which only the identity is known.
///
/// # Safety
/// `to` must be ours to write.
#[inline(always)]
unsafe fn name_task(to: *mut TaskRef, key: &ParentKey) {
    // SAFETY: the caller's.
    unsafe {
        (*to).start_boottime_ns = key.start_boottime_ns;
        (*to).tgid = key.tgid;
        (*to).ns_pid = 0;
        let comm = (&raw mut (*to).comm).cast::<u64>();
        comm.write_volatile(0);
        comm.add(1).write_volatile(0);
    }
}
