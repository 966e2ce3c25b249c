//! Birth of a process. Must not take the caller of clone for the parent: with CLONE_PARENT it is not.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use probe_common::{
    settings::scope,
    wire::{ParentKey, kind},
};

use crate::{
    follow,
    life::now_ns,
    maps::{Stage, add, send},
    parent::{key_of, parent_record},
    setting,
    task::{TaskPtr, TypedTask, Untyped, process_of},
    with_real_parent,
};

/// match-proto: include/trace/events/sched.h: sched_process_fork(struct task_struct *parent, struct task_struct *child)
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork(ctx: BtfTracePointContext) -> i32 {
    let creator = TypedTask::at(ctx.arg::<u64>(0));
    let child = TypedTask::at(ctx.arg::<u64>(1));
    if child.pid() != child.tgid() {
        return 0;
    }
    if setting!(stream_all) == 0 && setting!(scope) == scope::HOST {
        let (key, task) = with_real_parent!(child, |parent, _| (parent.identity(), parent.0));
        born_to(&key, TaskPtr::at(task));
        return 0;
    }
    let process = child.process_of_leader(child.signal());
    let (parent, task) = with_real_parent!(child, |parent, _| (parent.process(), parent.0));
    let creator = if creator.0 == task { parent } else { process_of(creator.untyped()) };
    if !follow::born(&process, &parent, &creator) {
        return 0;
    }
    born_to(&key_of(&parent), TaskPtr::at(task));
    send(&Stage {
        time_ns: now_ns(),
        kind: kind::FORK,
        flags: 0,
        process: &process,
        parent: &parent,
        other: Some(&creator),
        exit_ns: 0,
        zombie_ns: 0,
        status: 0,
    });
    0
}

#[inline(always)]
fn born_to(key: &ParentKey, parent: TaskPtr<Untyped>) {
    if let Some(record) = parent_record(key, parent) {
        // SAFETY: a value of our own map.
        unsafe { add(&raw mut (*record).forked, 1) };
    }
}
