//! Birth of a process. Must not take the caller of clone for the parent: with CLONE_PARENT it is not.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use probe_common::wire::kind;

use crate::{
    life::{key_of, now_ns, parent_record},
    maps::{Stage, add, send},
    task::TaskPtr,
};

/// match-proto: include/trace/events/sched.h: sched_process_fork(struct task_struct *parent, struct task_struct *child)
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork(ctx: BtfTracePointContext) -> i32 {
    let creator = TaskPtr(ctx.arg::<u64>(0));
    let child = TaskPtr(ctx.arg::<u64>(1));
    if child.pid() != child.tgid() {
        return 0;
    }
    let parent = child.real_parent().process();
    if let Some(record) = parent_record(&key_of(&parent), Some(&parent)) {
        // SAFETY: a value of our own map.
        unsafe { add(&raw mut (*record).forked, 1) };
    }
    send(&Stage {
        time_ns: now_ns(),
        kind: kind::FORK,
        flags: 0,
        process: &child.process(),
        parent: &parent,
        other: Some(&creator.process()),
        exit_ns: 0,
        zombie_ns: 0,
        status: 0,
    });
    0
}
