//! Birth of a process. Must not take the caller of clone for the parent: with CLONE_PARENT it is not.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    event, filter,
    kernel::{
        clock::now_ns,
        task::{TaskPtr, TypedTask, process_of, with_real_parent},
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
    if !event::wants_forks() {
        let (key, task) = with_real_parent!(child, |parent, _| (parent.identity(), parent.0));
        count_fork(&key, TaskPtr::at(task));
        return 0;
    }
    let process = child.process_of_leader(child.signal());
    let (parent, task) = with_real_parent!(child, |parent, _| (parent.process(), parent.0));
    let creator = if creator.0 == task { parent } else { process_of(creator.untyped()) };
    if !filter::inherit_scope(&process, &parent, &creator) {
        return 0;
    }
    count_fork(&parent.key(), TaskPtr::at(task));
    event::send_fork(now_ns(), &process, &parent, &creator);
    0
}
