//! A signal that can kill, and the death that it leads to. Programs of their own: they are loaded only where it is asked for
//! who killed a process. Must not count.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    kernel::task::{TaskPtr, TypedTask},
    killer,
    verifier::as_scalar,
};

/// TRACE_SIGNAL_DELIVERED, include/trace/events/signal.h.
const DELIVERED: i32 = 0;

/// Runs in the context of the sender, with the target's signals locked.
///
/// match-proto: include/trace/events/signal.h: signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)
#[btf_tracepoint(function = "signal_generate")]
pub fn signal_sent(ctx: BtfTracePointContext) -> i32 {
    let signal = ctx.arg::<u64>(0) as u32;
    let result = ctx.arg::<u64>(4) as i32;
    if killer::can_kill(signal) && result == DELIVERED {
        // The verifier takes a typed argument for no null pointer, and removes what is done for one.
        let info = as_scalar(ctx.arg::<u64>(1));
        killer::signal_sent(signal, info, TaskPtr::at(ctx.arg::<u64>(2)));
    }
    0
}

/// match-proto: include/trace/events/sched.h: sched_process_exit(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_exit")]
pub fn killed_exit(ctx: BtfTracePointContext) -> i32 {
    let task = TypedTask::at(ctx.arg::<u64>(0));
    if task.signal().live_threads() == 0 && killer::is_signalled(task.tgid()) {
        killer::died(task.untyped().leader());
    }
    0
}
