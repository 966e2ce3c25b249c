//! A parent starts to wait: for any child, or for certain ones. Counted, never sent.

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    life::{key_of, parent_record},
    maps::add,
    task::{TaskPtr, record},
};

/// match-proto: include/trace/events/sched.h: sched_process_wait(struct pid *pid)
#[btf_tracepoint(function = "sched_process_wait")]
pub fn process_wait(ctx: BtfTracePointContext) -> i32 {
    // The verifier takes a tracepoint's pointer for never NULL and drops a comparison with it: read it as a number.
    let any = record::first_argument(ctx.as_ptr()) == 0;
    let process = TaskPtr::current().process();
    if let Some(record) = parent_record(&key_of(&process), Some(&process)) {
        // SAFETY: a value of our own map.
        unsafe {
            if any {
                add(&raw mut (*record).waits_any, 1);
            } else {
                add(&raw mut (*record).waits_specific, 1);
            }
        }
    }
    0
}
