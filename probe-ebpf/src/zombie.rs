//! A dead process becomes waitable, or changes hands: somebody is told.
//!
//! Exact rung: `do_notify_parent`, whose return value is autoreap. Tracepoint rung: the signal it sends, which says
//! less: without a signal (SIGCHLD ignored) nothing is seen here.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, fexit, kprobe, kretprobe},
    programs::{BtfTracePointContext, FExitContext, ProbeContext, RetProbeContext},
};

use crate::{
    exit::died_unseen,
    life::{notified, notified_rarely, released, resolve},
    maps::NOTIFIED,
    task::{Memory, TaskPtr, TypedTask, Untyped, death_notice, record},
    with_current,
};
use aya_log_ebpf::debug;

/// match-proto: include/trace/events/signal.h: signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)
#[btf_tracepoint(function = "signal_generate")]
pub fn zombie_signal(ctx: BtfTracePointContext) -> i32 {
    let (signal, info) = (ctx.arg::<u64>(0) as i32, ctx.arg::<u64>(1));
    let target = TypedTask::at(ctx.arg::<u64>(2));
    with_current!(|current| {
        let dying = current.leader();
        let Some(nr) = death_notice(signal, info, current, dying) else { return 0 };
        debug!(&ctx, "notice of {} to {}, from {}", nr, target.tgid(), current.tgid());
        let told = dying.notified_parent();
        // Opaque, or the compiler would go on with the target, which costs the verifier more.
        if current.is_exiting() && core::hint::black_box(told.0) == target.0 && dying.is_seen_as(nr, told) {
            died_unseen(dying);
            own_death(dying, told, UNKNOWN);
        } else {
            death_of_another(nr, target.address());
        }
    });
    0
}

/// Whether the kernel will reap, where it does not say.
const UNKNOWN: u32 = 2;

/// `dying` tells `told`, whom it has to tell, of itself: nearly every notice, hence in place. `autoreap`: 0, 1 or
/// [`UNKNOWN`].
#[inline(always)]
fn own_death<M: Memory>(dying: TaskPtr<M>, told: TaskPtr<M>, autoreap: u32) {
    if told.0 == dying.real_parent().0 {
        let autoreap = will_autoreap(dying, told, autoreap);
        notified(dying.tgid(), told, told, false, autoreap);
    } else {
        death_of_traced(dying.address(), autoreap);
    }
}

#[inline(always)]
fn will_autoreap<M: Memory>(dying: TaskPtr<M>, parent: TaskPtr<M>, autoreap: u32) -> bool {
    if autoreap == UNKNOWN { dying.exit_signal() == 17 && parent.autoreaps() } else { autoreap != 0 }
}

/// The same where a tracer is told, another thread of the parent maybe. A function of its own, as others that are rarely
/// called: the stack is 512 bytes for all that call one another.
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

/// A dying parent hands its zombies on, or a tracer lets go: either way the target is the real parent.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn death_of_another(nr: u32, target: u64) -> i32 {
    let target = TaskPtr::<Untyped>::at(target);
    if let Some(tgid) = resolve(nr, target.signal().pid_ns_inum()) {
        notified_rarely(tgid, target.0, target.0, 0, u32::from(target.autoreaps()));
    }
    0
}

#[inline(always)]
fn parent_notified<M: Memory>(task: TaskPtr<M>, autoreap: bool) {
    if task.pid() != task.tgid() {
        return;
    }
    died_unseen(task);
    own_death(task, task.notified_parent(), u32::from(autoreap));
    if autoreap {
        released_by_kernel(task);
    }
}

/// Rare: in a function of its own, for the stack's sake.
#[inline(never)]
fn released_by_kernel<M: Memory>(task: TaskPtr<M>) {
    released(task.tgid(), task.start_boottime_ns(), task, false, 0);
}

/// match-proto: kernel/signal.c: bool do_notify_parent(struct task_struct *tsk, int sig)
#[fexit(function = "do_notify_parent")]
pub fn notify_fexit(ctx: FExitContext) -> i32 {
    let (task, autoreap) = (TypedTask::at(ctx.arg::<u64>(0)), ctx.arg::<u64>(2) as u8 != 0);
    debug!(&ctx, "notice of {}, autoreap {}", task.pid(), u8::from(autoreap));
    parent_notified(task, autoreap);
    0
}

/// match-proto: kernel/signal.c: bool do_notify_parent(struct task_struct *tsk, int sig)
#[kprobe(function = "do_notify_parent")]
pub fn notify_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(slot) = NOTIFIED.get_ptr_mut(0) {
        // SAFETY: a per-CPU slot of our own map.
        unsafe { *slot = record::kprobe_argument(ctx.as_ptr()) };
    }
    0
}

/// match-proto: kernel/signal.c: bool do_notify_parent(struct task_struct *tsk, int sig)
#[kretprobe(function = "do_notify_parent")]
pub fn notify_kretprobe(ctx: RetProbeContext) -> u32 {
    if let Some(slot) = NOTIFIED.get_ptr_mut(0) {
        // SAFETY: a per-CPU slot of our own map; the function ran on this CPU with interrupts off.
        let task = TaskPtr::<Untyped>::at(unsafe { core::mem::replace(&mut *slot, 0) });
        if !task.is_null() {
            parent_notified(task, record::kretprobe_result(ctx.as_ptr()) as u8 != 0);
        }
    }
    0
}
