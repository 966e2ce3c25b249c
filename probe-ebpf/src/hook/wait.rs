//! A parent starts to wait: for any child, or for certain ones. Every call is counted, of some the arguments too. Never
//! sent. Must not know what a call returns.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::wire::ParentKey;

use crate::{
    filter,
    kernel::{
        task::{TaskPtr, with_current},
        typed::Memory,
        wait_call::WaitCall,
    },
    ledger::{count_wait, count_wait_arguments},
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
    if filter::in_scope(&key) && count_wait(&key, caller, any) {
        look_at_call(key.tgid, key.start_boottime_ns, u32::from(any));
    }
}

/// Counts what the arguments of the call say. `any`: the hook's own argument says it is for any child, or for somebody who
/// does not exist. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look_at_call(tgid: u32, start_boottime_ns: u64, any: u32) -> i32 {
    let key = ParentKey { tgid, start_boottime_ns, reserved: 0 };
    // Registers that contradict the hook are no wait call's.
    let call = WaitCall::of_current().filter(|call| any != 0 || !call.contains(WaitCall::ANY));
    count_wait_arguments(&key, call, any != 0);
    0
}
