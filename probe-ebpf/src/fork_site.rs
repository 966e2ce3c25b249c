//! Sends where a fork came from: a copy of the forking thread's stack, through a ring buffer of its own, so that stacks
//! never take the room of events. What finds no room is counted.
//!
//! Whose forks are asked for `fork_stacks` and the filter say. Must not know what a site is good for.

use probe_common::{
    fork_stack::ForkStack,
    interpreter::{Interpreter, python},
    settings::fork_stacks,
    wire::{ParentKey, loss},
};

use crate::{
    filter,
    kernel::{
        clock::now_ns,
        python::write_frames,
        task::{TaskPtr, TypedTask, describe_process},
        user_stack::write_stack,
    },
    loss::count_loss,
    maps::{FORK_STACKS, INTERPRETERS},
    settings::setting,
};

/// Bytes pending at which the reader is woken before its timer: a quarter of the smallest buffer.
const WAKE_AT_BYTES: u64 = 256 * 1024;
/// A process that has lived for so long is taken to live on for a while.
const YOUNG_NS: u64 = 1_000_000_000;
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

/// Whether the site of a fork of this process is asked for.
#[inline(always)]
pub fn is_wanted(creator: &ParentKey) -> bool {
    match setting!(fork_stacks) {
        fork_stacks::OF_ALL => filter::wants_fork_of(creator),
        fork_stacks::OF_TARGETS => filter::is_suspect(creator),
        _ => false,
    }
}

/// Sends the site of a fork by the current task.
#[inline(always)]
pub fn send(current: TypedTask, creator: &ParentKey, child: &ParentKey) {
    let interpreter = interpreter_of(creator, child);
    let Some(mut entry) = FORK_STACKS.reserve::<ForkStack>(0) else {
        return count_loss(loss::FORK_STACKS_FULL);
    };
    let fork = entry.as_mut_ptr();
    let now_ns = now_ns();
    let is_young = now_ns.wrapping_sub(creator.start_boottime_ns) < YOUNG_NS;
    // SAFETY: a reserved ForkStack of ours, written whole but for the part of the stack that `copied` says is not valid.
    let written = unsafe {
        (*fork).time_ns = now_ns;
        describe_process(TaskPtr::at(current.0).leader(), &mut (*fork).creator);
        (*fork).child = *child;
        (*fork).python = python::NONE;
        (*fork).frame_count = 0;
        let written = write_stack(fork, current);
        if written && let Some(interpreter) = interpreter {
            write_frames(fork, current, interpreter);
        }
        written
    };
    if written {
        entry.submit(wake_flag(is_young));
    } else {
        entry.discard(BPF_RB_NO_WAKEUP);
    }
}

/// The interpreter of a process, if one is known; the child has the same one until it runs another program.
#[inline(always)]
fn interpreter_of(creator: &ParentKey, child: &ParentKey) -> Option<&'static Interpreter> {
    let interpreter = INTERPRETERS.get_ptr(&creator.tgid)?;
    // SAFETY: a value of our own map.
    let interpreter = unsafe { &*interpreter };
    if interpreter.start_boottime_ns != creator.start_boottime_ns {
        return None;
    }
    let inherited = Interpreter { start_boottime_ns: child.start_boottime_ns, ..*interpreter };
    let _ = INTERPRETERS.insert(&child.tgid, &inherited, 0);
    Some(interpreter)
}

/// A young process may end before a timer comes, and its memory map with it: where every fork is asked for, the reader is
/// woken for it whenever it has read all there was. That is most of what a fork costs, so an older one waits for the timer.
#[inline(always)]
fn wake_flag(is_young: bool) -> u64 {
    if is_young && setting!(fork_stacks) == fork_stacks::OF_ALL {
        0
    } else if FORK_STACKS.query(BPF_RB_AVAIL_DATA) >= WAKE_AT_BYTES {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    }
}
