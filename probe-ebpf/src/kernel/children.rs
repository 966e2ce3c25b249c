//! The list of a task's children. Must not know what is done with them.

use crate::{
    kernel::memory::read,
    settings::{has_member, offset},
};

/// Whether this kernel says where the lists are.
#[inline(always)]
pub fn has_lists() -> bool {
    has_member!(task_children) && has_member!(task_sibling)
}

/// A place in the list. It is read without its lock, while the kernel may take children off that go away: whoever follows it
/// must stop after so many.
#[derive(Clone, Copy)]
pub struct Link(u64);

impl Link {
    /// Of the task at this address.
    #[inline(always)]
    pub fn first_of(task: u64) -> Self {
        Self(read(task, offset!(task_children)))
    }

    /// The address of the child; `None` at the end of `task`'s list.
    #[inline(always)]
    pub fn child_of(self, task: u64) -> Option<u64> {
        let is_end = self.0 == 0 || self.0 == task + offset!(task_children);
        if is_end { None } else { Some(self.0 - offset!(task_sibling)) }
    }

    #[inline(always)]
    pub fn next(self) -> Self {
        Self(read(self.0, 0))
    }
}
