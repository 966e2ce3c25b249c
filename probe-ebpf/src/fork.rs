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
    task::{Memory, TaskPtr, TypedTask},
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
        let parent = child.real_parent();
        born_to(&parent.identity(), parent);
        return 0;
    }
    let (process, parent, creator) = (child.process(), child.real_parent().process(), creator.process());
    if !follow::born(&process, &parent, &creator) {
        return 0;
    }
    born_to(&key_of(&parent), child.real_parent());
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
fn born_to<M: Memory>(key: &ParentKey, parent: TaskPtr<M>) {
    if let Some(record) = parent_record(key, parent) {
        // SAFETY: a value of our own map.
        unsafe { add(&raw mut (*record).forked, 1) };
    }
}
