//! Death of a process: its last thread. Must not take a thread's exit, or a leader's with threads left, for one.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::debug;

use crate::{
    kernel::{clock::now_ns, task::TypedTask},
    lifecycle::{enter_usual, is_unseen, leave_orphans, on_group_dead},
};

/// `group_dead` is an argument only from 6.16 on; `signal->live == 0` says the same on every kernel, but several exiting
/// threads can see it: the table of dead children takes one.
///
/// match-proto: include/trace/events/sched.h: sched_process_exit(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(ctx: BtfTracePointContext) -> i32 {
    let task = TypedTask::at(ctx.arg::<u64>(0));
    let signal = task.signal();
    let is_last = signal.live_threads() == 0;
    // Of several threads that exit at the same time each may hand on children of its own.
    if task.has_children() && (is_last || signal.is_group_exit()) {
        leave_orphans(task.address());
    }
    if !is_last {
        return 0;
    }
    let leader = task.leader();
    debug!(&ctx, "exit of {}, child of {}", leader.tgid(), leader.untyped().real_parent().tgid());
    let exit_ns = now_ns();
    if !enter_usual(leader, signal, exit_ns) {
        on_group_dead(leader, signal, exit_ns);
    }
    0
}

/// A second copy of `process_exit`. The kernel skips a program that is already running on this CPU. On kernels with
/// preemptible tracepoints, and without an exact zombie hook as a backstop, an exit that one copy misses is seen by the
/// other.
///
/// match-proto: include/trace/events/sched.h: sched_process_exit(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_exit")]
pub fn exit_again(ctx: BtfTracePointContext) -> i32 {
    let task = TypedTask::at(ctx.arg::<u64>(0));
    if task.signal().live_threads() == 0 && is_unseen(task.tgid()) {
        let leader = task.untyped().leader();
        on_group_dead(leader, leader.signal(), now_ns());
    }
    0
}
