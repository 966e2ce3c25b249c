//! A process runs another program.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use probe_common::wire::{ParentKey, TaskRef, kind};

use crate::{
    follow,
    life::now_ns,
    maps::{Stage, send_exec, write_stage},
    parent::record_of,
    setting, task,
};

/// match-proto: include/trace/events/sched.h: sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(ctx: BtfTracePointContext) -> i32 {
    let current = task::TypedTask::at(ctx.arg::<u64>(0));
    let binprm = ctx.arg::<u64>(2);
    // Whoever runs another program is the leader by then.
    let key = current.identity_of_leader();
    if !follow::in_scope(&key) {
        return 0;
    }
    let own = record_of(&key);
    // Nobody's parent: where not everything is told, what it runs does not matter yet.
    if setting!(stream_all) == 0 && own.is_none() {
        return 0;
    }
    let now = now_ns();
    let process = current.process_of_leader(current.signal());
    if let Some(own) = own {
        // The waits and reaps so far were those of the program before.
        // SAFETY: a value of our own map.
        unsafe {
            (*own).waits_any = 0;
            (*own).waits_specific = 0;
            (*own).reaped_before_exec = (*own).reaped;
            (*own).exec_ns = now;
            (*own).comm = process.comm;
        }
    }
    let stage = Stage {
        time_ns: now,
        kind: kind::EXEC,
        flags: 0,
        process: &process,
        parent: &TaskRef::NONE,
        other: None,
        exit_ns: 0,
        zombie_ns: 0,
        status: 0,
    };
    if setting!(min_latency_ns) != 0 || !follow::asked(&key, &ParentKey::default()) {
        return 0;
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
