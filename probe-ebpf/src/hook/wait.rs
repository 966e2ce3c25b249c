//! A parent starts to wait: for any child, or for certain ones. Counted, never sent.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{
    filter,
    kernel::{
        task::{TaskPtr, with_current},
        typed::Memory,
    },
    ledger::count_wait,
};

/// Raw, because `pid` is NULL for any child: the verifier takes a typed argument for never NULL.
///
/// match-proto: include/trace/events/sched.h: sched_process_wait(struct pid *pid)
#[raw_tracepoint(tracepoint = "sched_process_wait")]
pub fn process_wait(ctx: RawTracePointContext) -> i32 {
    let any = ctx.arg::<u64>(0) == 0;
    with_current!(|current| began(current, any));
    0
}

#[inline(always)]
fn began<M: Memory>(caller: TaskPtr<M>, any: bool) {
    // The kernel itself waits for all that is left in the PID namespace of a dying init (zap_pid_ns_processes).
    if caller.is_exiting() {
        return;
    }
    let key = caller.identity();
    if filter::in_scope(&key) {
        count_wait(&key, caller, any);
    }
}
