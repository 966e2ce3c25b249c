//! Somebody is notified of a death: a process becomes waitable, or its zombie gets another parent.
//!
//! Exact rung: `do_notify_parent`, whose return value is autoreap. Tracepoint rung: the signal it sends, which says
//! less: without a signal (SIGCHLD ignored) nothing is seen here. Must not decide what a notification means.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, fexit, kprobe, kretprobe},
    programs::{BtfTracePointContext, FExitContext, ProbeContext, RetProbeContext},
};
use aya_log_ebpf::debug;

use crate::{
    kernel::{
        context,
        notice::death_notice,
        task::{SIGCHLD, TypedTask, with_current},
    },
    lifecycle::{another_notified, death_signalled, leader_notified, parent_notified},
    maps::NOTIFIED,
    settings::setting,
};

/// TRACE_SIGNAL_ALREADY_PENDING, include/trace/events/signal.h.
const ALREADY_PENDING: i32 = 2;

/// match-proto: include/trace/events/signal.h: signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)
#[btf_tracepoint(function = "signal_generate")]
pub fn zombie_signal(ctx: BtfTracePointContext) -> i32 {
    let (signal, info) = (ctx.arg::<u64>(0) as i32, ctx.arg::<u64>(1));
    let target = TypedTask::at(ctx.arg::<u64>(2));
    let result = ctx.arg::<u64>(4) as i32;
    with_current!(|current| {
        let dying = current.leader();
        let Some(nr) = death_notice(signal, info, current, dying) else { return 0 };
        debug!(&ctx, "notice of {} to {}, from {}", nr, target.tgid(), current.tgid());
        let merged = result == ALREADY_PENDING && signal == SIGCHLD;
        death_signalled(nr, merged, target, current, dying);
    });
    0
}

/// match-proto: kernel/signal.c: bool do_notify_parent(struct task_struct *tsk, int sig)
#[fexit(function = "do_notify_parent")]
pub fn notify_fexit(ctx: FExitContext) -> i32 {
    let (task, autoreap) = (ctx.arg::<u64>(0), ctx.arg::<u64>(2) as u8 != 0);
    debug!(&ctx, "notice of {}, autoreap {}", TypedTask::at(task).pid(), u8::from(autoreap));
    if setting!(typed_current) != 0 {
        parent_notified(task, autoreap);
        return 0;
    }
    let task = TypedTask::at(task);
    if task.pid() == task.tgid() {
        leader_notified(task, autoreap);
    }
    0
}

/// match-proto: kernel/signal.c: bool do_notify_parent(struct task_struct *tsk, int sig)
#[kprobe(function = "do_notify_parent")]
pub fn notify_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(slot) = NOTIFIED.get_ptr_mut(0) {
        // SAFETY: a per-CPU slot of our own map.
        unsafe { *slot = context::kprobe_argument(ctx.as_ptr()) };
    }
    0
}

/// match-proto: kernel/signal.c: bool do_notify_parent(struct task_struct *tsk, int sig)
#[kretprobe(function = "do_notify_parent")]
pub fn notify_kretprobe(ctx: RetProbeContext) -> u32 {
    if let Some(slot) = NOTIFIED.get_ptr_mut(0) {
        // SAFETY: a per-CPU slot of our own map; the function ran on this CPU with interrupts off.
        let task = unsafe { core::mem::replace(&mut *slot, 0) };
        if task != 0 {
            let autoreap = context::kretprobe_result(ctx.as_ptr()) as u8 != 0;
            if setting!(typed_current) != 0 {
                parent_notified(task, autoreap);
            } else {
                another_notified(task, autoreap);
            }
        }
    }
    0
}
