//! Programs that do nothing, one of each kind that we use: what merely being called costs. One that does the least a tracer
//! of lives could: an entry made and taken away. And two that do what a bpftrace script of two hooks does. For benchmarks.
#![no_std]
#![no_main]

use aya_ebpf::{
    EbpfContext,
    helpers::generated::bpf_ktime_get_ns,
    macros::{btf_tracepoint, fentry, fexit, kprobe, kretprobe, map, tracepoint},
    maps::{Array, HashMap, PerCpuHashMap},
    programs::{
        BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, RetProbeContext, TracePointContext,
    },
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

empty_call!(sys_exit_wait4 sys_exit_waitid);

/// Nothing.
///
/// match-proto: kernel/exit.c: void release_task(struct task_struct *p)
#[fentry(function = "release_task")]
pub fn release_fentry(_ctx: FEntryContext) -> i32 {
    0
}

/// Nothing.
///
/// match-proto: kernel/signal.c: bool do_notify_parent(struct task_struct *tsk, int sig)
#[fexit(function = "do_notify_parent")]
pub fn notify_fexit(_ctx: FExitContext) -> i32 {
    0
}

/// Nothing.
///
/// match-proto: kernel/exit.c: void release_task(struct task_struct *p)
#[kprobe(function = "release_task")]
pub fn release_kprobe(_ctx: ProbeContext) -> u32 {
    0
}

/// Nothing.
///
/// match-proto: kernel/signal.c: bool do_notify_parent(struct task_struct *tsk, int sig)
#[kretprobe(function = "do_notify_parent")]
pub fn notify_kretprobe(_ctx: RetProbeContext) -> u32 {
    0
}

/// When each death was, and whose: a script's maps, of the size that bpftrace gives them. A script's keys are pids; ours are
/// numbers in turn, for which no kernel memory has to be read.
#[map]
static EXITS: HashMap<u32, u64> = HashMap::with_max_entries(4_096, 0);
#[map]
static PARENTS: HashMap<u32, u32> = HashMap::with_max_entries(4_096, 0);
/// By parent and power of two.
#[map]
static FREES: PerCpuHashMap<[u32; 2], u64> = PerCpuHashMap::with_max_entries(4_096, 0);
/// Deaths so far, and frees.
#[map]
static TURNS: Array<u32> = Array::with_max_entries(2, 0);

fn turn(of: u32) -> Option<u32> {
    let count = TURNS.get_ptr_mut(of)?;
    // SAFETY: a value of our own map, on the one CPU of the measurement.
    unsafe {
        *count += 1;
        Some(*count)
    }
}

/// `@exit[pid] = nsecs; @parent[pid] = …`
///
/// match-proto: include/trace/events/sched.h: sched_process_exit(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_exit")]
pub fn script_exit(ctx: BtfTracePointContext) -> i32 {
    let Some(key) = turn(0) else { return 0 };
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let _ = EXITS.insert(key, now_ns, 0);
    let _ = PARENTS.insert(key, ctx.tgid(), 0);
    0
}

/// `/@exit[pid]/ { @free[@parent[pid]] = hist(nsecs - @exit[pid]); delete(@exit[pid]); delete(@parent[pid]); }`
///
/// match-proto: include/trace/events/sched.h: sched_process_free(struct task_struct *p)
#[btf_tracepoint(function = "sched_process_free")]
pub fn script_free(_ctx: BtfTracePointContext) -> i32 {
    let Some(key) = turn(1) else { return 0 };
    // SAFETY, here and below: values of our own maps, copied.
    let Some(exit_ns) = EXITS.get_ptr(key).map(|exit_ns| unsafe { *exit_ns }) else { return 0 };
    let parent = PARENTS.get_ptr(key).map_or(0, |parent| unsafe { *parent });
    // SAFETY: a helper without arguments.
    let took_ns = unsafe { bpf_ktime_get_ns() } - exit_ns;
    let bucket = [parent, 64 - took_ns.leading_zeros()];
    match FREES.get_ptr_mut(bucket) {
        // SAFETY: this CPU's value of our own map.
        Some(count) => unsafe { *count += 1 },
        None => drop(FREES.insert(bucket, 1, 0)),
    }
    let _ = EXITS.remove(key);
    let _ = PARENTS.remove(key);
    0
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
