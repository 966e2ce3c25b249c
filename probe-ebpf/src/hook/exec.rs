//! A process runs another program. Must not know what becomes of what it counted before.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    event, filter,
    kernel::{clock::now_ns, task::TypedTask},
    ledger::start_new_program,
    parent_table,
};

/// match-proto: include/trace/events/sched.h: sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(ctx: BtfTracePointContext) -> i32 {
    let current = TypedTask::at(ctx.arg::<u64>(0));
    let binprm = ctx.arg::<u64>(2);
    // The thread that runs another program has become the leader by then.
    let key = current.identity_of_leader();
    if !filter::in_scope(&key) {
        return 0;
    }
    let own = parent_table::find(&key);
    if !event::wants_exec(own.is_some()) {
        return 0;
    }
    let now = now_ns();
    let process = current.process();
    if let Some(own) = own {
        start_new_program(own, process.comm, now);
    }
    event::send_exec(now, &key, &process, current, binprm);
    0
}
