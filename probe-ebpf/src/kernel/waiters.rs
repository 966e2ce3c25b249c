//! The threads of a parent that are in a wait call: for whom they wait. Must not know who asks.
//!
//! The entries of the queue are on the stacks of these threads and are read without the queue's lock, so an entry that has
//! just been left may be read as anything: one whose task is no thread of the parent tells nothing.

use probe_common::wire::DeadFlags;

use crate::{
    kernel::{
        memory::read,
        task::TaskPtr,
        typed::Untyped,
        wait_call::{WCLONE, WEXITED, WNOTHREAD, WNOWAIT},
    },
    settings::{has_member, offset},
};

/// So many are looked at.
const LOOKED_AT_MAX: u32 = 4;
const WNOHANG: u32 = 1;
/// `enum pid_type`, include/linux/pid_types.h: a process or thread, a thread group; the last stands for any child.
const PIDTYPE_TGID: u32 = 1;
const PIDTYPE_MAX: u32 = 4;

/// Whether one of them is in a call that takes the dead child `tgid`, or none is; empty: that cannot be told.
#[inline(always)]
pub fn readiness_for(tgid: u32, parent: TaskPtr<Untyped>) -> DeadFlags {
    if !has_member!(waiter_task) || !has_member!(wait_call_pid) {
        return DeadFlags::empty();
    }
    let head = parent.signal().waiters();
    let mut entry: u64 = read(head, offset!(list_next));
    for _ in 0..LOOKED_AT_MAX {
        if entry == head {
            return DeadFlags::WAITED_OTHERWISE;
        }
        let waiter = entry.wrapping_sub(offset!(waiter_list));
        let thread = TaskPtr::<Untyped>::at(read(waiter, offset!(waiter_task)));
        let call = waiter.wrapping_sub(offset!(wait_call_entry));
        let options: u32 = read(call, offset!(wait_call_options));
        let pid_type: u32 = read(call, offset!(wait_call_type));
        if !thread.signal().is(parent.signal()) || options & (WNOHANG | WNOTHREAD | WCLONE) != 0 {
            return DeadFlags::empty();
        }
        // Others do not take the dead.
        if options & (WEXITED | WNOWAIT) == WEXITED {
            if pid_type == PIDTYPE_MAX {
                return DeadFlags::WAITED_FOR_IT;
            }
            if pid_type > PIDTYPE_TGID {
                return DeadFlags::empty();
            }
            let pid: u64 = read(call, offset!(wait_call_pid));
            let nr: u32 = read(pid, offset!(pid_numbers) + offset!(upid_nr));
            if nr == tgid {
                return DeadFlags::WAITED_FOR_IT;
            }
        }
        entry = read(entry, offset!(list_next));
    }
    DeadFlags::empty()
}
