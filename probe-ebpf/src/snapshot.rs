//! The kernel's own task list, process by process: what is unreaped now.

use aya_ebpf::helpers::generated::bpf_seq_write;
use probe_common::wire::{SeenTask, TaskRef, state};

use crate::{life::now_ns, task::TaskPtr};

const EXIT_ZOMBIE: u32 = 32;
const EXIT_DEAD: u32 = 16;

/// `struct bpf_iter__task`, as the kernel hands it to the program (include/linux/bpf.h: fixed ABI of the iterator).
#[repr(C)]
pub struct IterContext {
    meta: *const IterMeta,
    task: u64,
}

#[repr(C)]
struct IterMeta {
    seq: *mut core::ffi::c_void,
}

/// match-proto: kernel/bpf/task_iter.c: struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; }
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
pub extern "C" fn task_snapshot(ctx: *mut IterContext) -> i32 {
    // SAFETY: the kernel hands a valid context; the verifier checks these loads by type.
    let (seq, task) = unsafe { ((*(*ctx).meta).seq, TaskPtr((*ctx).task)) };
    if task.is_null() || task.pid() != task.tgid() {
        return 0;
    }
    let exit_state = task.exit_state();
    // On its way out of the table: released while we look.
    if exit_state & EXIT_DEAD != 0 && exit_state & EXIT_ZOMBIE == 0 {
        return 0;
    }
    let real_parent = task.real_parent();
    let parent = real_parent.process();
    let told = task.notified_parent().process();
    let (nr, ns_inum) = task.pid_as_seen_by(real_parent);
    let state = if exit_state & EXIT_ZOMBIE != 0 {
        if task.nr_threads() > 1 { state::DEAD_LEADER } else { state::ZOMBIE }
    } else if task.live_threads() == 0 {
        state::EXITING
    } else {
        state::RUNNING
    };
    let seen = SeenTask {
        time_ns: now_ns(),
        process: task.process(),
        parent,
        tracer: if told.tgid == parent.tgid { TaskRef::default() } else { told },
        state,
        nr,
        ns_inum,
        reserved: 0,
    };
    // SAFETY: seq is the iterator's own; the record is on our stack and initialised whole. A full buffer makes the
    // kernel call again for this task.
    unsafe { bpf_seq_write(seq.cast(), (&raw const seen).cast_mut().cast(), size_of::<SeenTask>() as u32) };
    0
}
