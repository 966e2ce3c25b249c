//! Birth of a process, for the site that it came from. A program of its own: it is loaded only where sites are asked for.
//! Must not count.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{fork_site, kernel::task::TypedTask};

/// Runs in the context of the thread that forks.
///
/// match-proto: include/trace/events/sched.h: sched_process_fork(struct task_struct *parent, struct task_struct *child)
#[btf_tracepoint(function = "sched_process_fork")]
pub fn fork_site(ctx: BtfTracePointContext) -> i32 {
    let creator = TypedTask::at(ctx.arg::<u64>(0));
    let child = TypedTask::at(ctx.arg::<u64>(1));
    if child.pid() != child.tgid() {
        return 0;
    }
    let key = creator.identity();
    if fork_site::is_wanted(&key) {
        fork_site::send(creator, &key, &child.identity_of_leader());
    }
    0
}
