//! Programs that do nothing, on the hooks of the tracepoint rung: what merely being called costs. For benchmarks.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{btf_tracepoint, tracepoint},
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
