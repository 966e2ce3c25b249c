//! Programs that do nothing, on the hooks of the tracepoint rung: what merely being called costs. And one that does the
//! least a tracer of lives could: an entry made and taken away. For benchmarks.
#![no_std]
#![no_main]

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, map, tracepoint},
    maps::HashMap,
    programs::{BtfTracePointContext, TracePointContext},
};

macro_rules! empty {
    ($($name:ident)*) => {
        $(
            /// Nothing.
            #[btf_tracepoint]
            pub fn $name(_ctx: BtfTracePointContext) -> i32 {
                0
            }
        )*
    };
}

empty!(sched_process_fork sched_process_exec sched_process_exit sched_process_wait sched_process_free signal_generate);

#[map]
static ENTRIES: HashMap<u32, [u8; 64]> = HashMap::with_max_entries(10_240, 0);

/// One insert and one delete, in place of the empty `sched_process_exit`; reads no argument.
///
/// match-proto: include/trace/events/sched.h: sched_process_exit(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_exit")]
pub fn insert_and_delete(ctx: BtfTracePointContext) -> i32 {
    let key = ctx.pid();
    let _ = ENTRIES.insert(key, [0; 64], 0);
    let _ = ENTRIES.remove(key);
    0
}

macro_rules! empty_call {
    ($($name:ident)*) => {
        $(
            /// Nothing.
            #[tracepoint]
            pub fn $name(_ctx: TracePointContext) -> u32 {
                0
            }
        )*
    };
}

empty_call!(sys_exit_wait4 sys_enter_waitid sys_exit_waitid);

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
