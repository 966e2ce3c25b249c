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
    life::{notified, released, resolve},
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
        let Some(nr) = death_notice(signal, info, current) else { return 0 };
        debug!(&ctx, "notice of {} to {}, from {}", nr, target.tgid(), current.tgid());
        let dying = current.leader();
        if current.is_exiting() && dying.as_seen_by(target).nr == nr {
            died_unseen(dying);
            own_death(dying, target);
        } else {
            death_of_another(nr, target.address());
        }
    });
    0
}

/// `dying` tells `target` of itself: nearly every notice, hence in place.
#[inline(always)]
fn own_death<M: Memory>(dying: TaskPtr<M>, target: TypedTask) {
    let parent = dying.real_parent();
    let held = target.tgid() != parent.tgid();
    let autoreap = !held && dying.exit_signal() == 17 && parent.autoreaps();
    notified(dying.tgid(), parent, TaskPtr::at(target.0), held, autoreap);
}

/// A dying parent hands its zombies on, or a tracer lets go: either way the target is the real parent. A function of its
/// own, as others that are rarely called: the stack is 512 bytes for all that call one another.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn death_of_another(nr: u32, target: u64) -> i32 {
    let target = TaskPtr::<Untyped>::at(target);
    if let Some(tgid) = resolve(nr, target.pid_ns_inum()) {
        notified(tgid, target, target, false, target.autoreaps());
    }
    0
}

#[inline(always)]
fn parent_notified<M: Memory>(task: TaskPtr<M>, autoreap: bool) {
    if task.pid() != task.tgid() {
        return;
    }
    died_unseen(task);
    told(task, autoreap);
    if autoreap {
        released_by_kernel(task);
    }
}

/// Rare: in a function of its own, for the stack's sake.
#[inline(never)]
fn released_by_kernel<M: Memory>(task: TaskPtr<M>) {
    released(task.tgid(), task.start_boottime_ns(), task, false, 0);
}

/// Whoever is to be told of `task` has been.
#[inline(never)]
fn told<M: Memory>(task: TaskPtr<M>, autoreap: bool) {
    let (parent, told) = (task.real_parent(), task.notified_parent());
    notified(task.tgid(), parent, told, told.tgid() != parent.tgid(), autoreap);
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
