//! The kernel's own task list, process by process: what is unreaped now. Enters the zombies that no hook has seen die.
//! Must not count.

use aya_ebpf::helpers::generated::bpf_seq_write;
use probe_common::wire::{DeadFlags, TaskEntry, TaskRef, TaskTraits, state};

use crate::{
    dead_child_table::find,
    kernel::{
        clock::now_ns,
        task::{TaskPtr, TypedTask, process_of, traits_of},
    },
    lifecycle::{enter_preexisting, forget_preexisting},
};

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
    let (seq, task) = unsafe { ((*(*ctx).meta).seq, TypedTask::at((*ctx).task)) };
    if task.is_null() || task.pid() != task.tgid() {
        return 0;
    }
    let exit_state = task.exit_state();
    // On its way out of the table: released while we look.
    if exit_state & EXIT_DEAD != 0 && exit_state & EXIT_ZOMBIE == 0 {
        return 0;
    }
    let signal = task.signal();
    let told = task.notified_parent();
    let real_parent = task.real_parent().0;
    let is_traced = told.0 != real_parent;
    let told = told.process();
    let parent = if is_traced { process_of(TaskPtr::at(real_parent)) } else { told };
    let state = if exit_state & EXIT_ZOMBIE != 0 {
        if signal.nr_threads() > 1 { state::DEAD_LEADER } else { state::ZOMBIE }
    } else if signal.live_threads() == 0 {
        state::EXITING
    } else {
        state::RUNNING
    };
    let now = now_ns();
    let tracer = if told.tgid == parent.tgid { TaskRef::NONE } else { told };
    let mut seen = TaskEntry {
        time_ns: now,
        process: task.process_of_leader(signal, signal.level()),
        parent,
        tracer,
        state,
        ..TaskEntry::default()
    };
    if state == state::ZOMBIE {
        seen.traits = TaskTraits::from_bits_retain(traits_of(task.untyped(), TaskPtr::at(real_parent)));
        enter_preexisting(task.untyped(), &parent, &tracer, now);
        // A zombie that was released meanwhile may have been released before it was entered.
        if task.exit_state() & EXIT_ZOMBIE == 0 {
            forget_preexisting(seen.process.tgid, seen.process.start_boottime_ns);
            return 0;
        }
        if let Some(child) = find(seen.process.tgid) {
            // SAFETY: a value of our own map.
            let child = unsafe { &*child };
            if !child.flags.intersects(DeadFlags::PREEXISTING) {
                seen.zombie_ns = child.zombie_ns;
                // By arithmetic: a branch would be followed both ways.
                let bit = TaskTraits::THOUGH_IGNORED.bits();
                let though_ignored = child.flags.bits() / (DeadFlags::THOUGH_IGNORED.bits() / bit) & bit;
                seen.traits = seen.traits.union(TaskTraits::from_bits_retain(though_ignored));
            }
        }
    }
    // SAFETY: seq is the iterator's own; the record is on our stack and initialised whole. A full buffer makes the
    // kernel call again for this task.
    unsafe { bpf_seq_write(seq.cast(), (&raw const seen).cast_mut().cast(), size_of::<TaskEntry>() as u32) };
    0
}
