//! A dying process leaves living children, which the kernel hands on to the reaper: the only moment at which anybody can
//! still say whose children they were.
//!
//! Must not know who gets them: the kernel decides that later.

use crate::{
    event, filter,
    kernel::{
        children::{Link, has_lists},
        task::TaskPtr,
        typed::Untyped,
    },
};

/// Most children of one thread that are reported. The verifier goes through the loop turn by turn.
const CHILDREN_MAX: u32 = 32;

/// `task`, the address of a thread of a dying process, has children. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn leave_orphans(task: u64) -> i32 {
    if !event::wants_orphans() || !has_lists() {
        return 0;
    }
    let mut link = Link::first_of(task);
    for _ in 0..CHILDREN_MAX {
        let Some(child) = link.child_of(task) else { break };
        leave_orphan(child, task);
        link = link.next();
    }
    0
}

/// One child. A zombie is handed on with a notification of its own. Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn leave_orphan(child: u64, parent: u64) -> i32 {
    let child = TaskPtr::<Untyped>::at(child);
    if child.exit_state() == 0 && filter::in_scope(&child.identity_of_leader()) {
        event::send_orphan(child, TaskPtr::at(parent));
    }
    0
}
