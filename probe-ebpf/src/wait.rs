//! A parent starts to wait: for any child, or for certain ones. Counted, never sent.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    follow,
    maps::add,
    parent::{key_of, parent_record},
    task::is_null,
    with_current,
};

/// match-proto: include/trace/events/sched.h: sched_process_wait(struct pid *pid)
#[btf_tracepoint(function = "sched_process_wait")]
pub fn process_wait(ctx: BtfTracePointContext) -> i32 {
    let any = is_null(ctx.arg::<u64>(0));
    let process = with_current!(|current| current.process());
    if !follow::in_scope(&process) {
        return 0;
    }
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
