//! Birth of a process. Must not take the caller of clone for the parent: with CLONE_PARENT it is not.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    event, filter,
    kernel::{
        clock::now_ns,
        task::{TypedTask, process_of},
    },
    ledger::count_fork,
};

/// match-proto: include/trace/events/sched.h: sched_process_fork(struct task_struct *parent, struct task_struct *child)
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork(ctx: BtfTracePointContext) -> i32 {
    let creator = TypedTask::at(ctx.arg::<u64>(0));
    let child = TypedTask::at(ctx.arg::<u64>(1));
    if child.pid() != child.tgid() {
        return 0;
    }
    let task = child.real_parent();
    if !event::wants_forks() {
        count_fork(&task.identity(), task.untyped());
        return 0;
    }
    let signal = child.signal();
    let process = child.process_of_leader(signal, signal.level());
    let parent = task.process();
    let creator = if creator.address() == task.address() { parent } else { process_of(creator.untyped()) };
    if !filter::inherit_scope(&process, &parent, &creator) {
        return 0;
    }
    count_fork(&parent.key(), task.untyped());
    event::send_fork(now_ns(), &process, &parent, &creator);
    0
}
