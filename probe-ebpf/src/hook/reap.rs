//! The entry leaves the process table.
//!
//! Exact rung: `release_task`. Tracepoint rung: the return of the wait call that took it, and the RCU free behind
//! everything no wait call shows (4 to 32 ms late: coarse). Must not decide whose child it was.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, fentry, kprobe, tracepoint},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, TracePointContext},
};
use aya_log_ebpf::debug;

use crate::{
    kernel::{
        context,
        notice::waited_pid,
        task::{TaskPtr, TypedTask},
        typed::Untyped,
        wait_call::siginfo_of_reaping_waitid,
    },
    lifecycle::{freed, task_released, waited},
};

/// match-proto: kernel/exit.c: void release_task(struct task_struct *p)
#[fentry(function = "release_task")]
pub fn release_fentry(ctx: FEntryContext) -> i32 {
    let task = TypedTask::at(ctx.arg::<u64>(0));
    debug!(&ctx, "release of {} by {}", task.pid(), TaskPtr::current().tgid());
    task_released(task);
    0
}

/// A second copy of `release_fentry`. `release_task` can be preempted, and the program with it, and the kernel skips a
/// program that is already running on this CPU: a release that one copy misses is seen by the other.
///
/// match-proto: kernel/exit.c: void release_task(struct task_struct *p)
#[fentry(function = "release_task")]
pub fn release_again(ctx: FEntryContext) -> i32 {
    task_released(TypedTask::at(ctx.arg::<u64>(0)));
    0
}

/// match-proto: kernel/exit.c: void release_task(struct task_struct *p)
#[kprobe(function = "release_task")]
pub fn release_kprobe(ctx: ProbeContext) -> u32 {
    task_released(TaskPtr::<Untyped>::at(context::kprobe_argument(ctx.as_ptr())));
    0
}

/// match-proto: include/trace/events/sched.h: sched_process_free(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_free")]
pub fn process_free(ctx: BtfTracePointContext) -> i32 {
    let task = TypedTask::at(ctx.arg::<u64>(0));
    debug!(&ctx, "free of {} of {}", task.pid(), task.tgid());
    if task.pid() == task.tgid() {
        freed(task);
    }
    0
}

/// match-proto: kernel/exit.c: SYSCALL_DEFINE4(wait4, pid_t, upid, int __user *, stat_addr, int, options, struct rusage __user *, ru)
#[tracepoint(category = "syscalls", name = "sys_exit_wait4")]
pub fn exit_wait4(ctx: TracePointContext) -> u32 {
    let ret = context::exit_wait4_ret(ctx.as_ptr());
    if ret > 0 {
        waited(ret as u32);
    }
    0
}

/// match-proto: kernel/exit.c: SYSCALL_DEFINE5(waitid, int, which, pid_t, upid, struct siginfo __user *, infop, int, options, struct rusage __user *, ru)
#[tracepoint(category = "syscalls", name = "sys_exit_waitid")]
pub fn exit_waitid(ctx: TracePointContext) -> u32 {
    // Looking is not reaping; and without a siginfo only the free will tell.
    if context::exit_waitid_ret(ctx.as_ptr()) == 0
        && let Some(infop) = siginfo_of_reaping_waitid()
        && let Some(nr) = waited_pid(infop)
        && nr != 0
    {
        waited(nr);
    }
    0
}
