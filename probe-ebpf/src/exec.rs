//! A process runs another program.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use probe_common::wire::{TaskRef, kind};

use crate::{
    life::{key_of, now_ns},
    maps::{PARENTS, Stage, send_exec, write_stage},
    task,
};

/// match-proto: include/trace/events/sched.h: sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(ctx: BtfTracePointContext) -> i32 {
    let current = task::TaskPtr(ctx.arg::<u64>(0));
    let binprm = ctx.arg::<u64>(2);
    let process = current.process();
    let stage = Stage {
        time_ns: now_ns(),
        kind: kind::EXEC,
        flags: 0,
        process: &process,
        parent: &TaskRef::NONE,
        other: None,
        exit_ns: 0,
        zombie_ns: 0,
        status: 0,
    };
    // The waits so far were those of the program before.
    if let Some(own) = PARENTS.get_ptr_mut(key_of(&process)) {
        // SAFETY: a value of our own map.
        unsafe {
            (*own).waits_any = 0;
            (*own).waits_specific = 0;
        }
    }
    send_exec(|record| {
        // SAFETY: record is a reserved ExecEvent of ours, written whole before it is submitted.
        unsafe {
            write_stage(&raw mut (*record).event, &stage);
            task::write_program(record, current, binprm);
        }
    });
    0
}
