//! Where a parent has a dead child from: decided for each child, from the process that forked it, its parents since, and which
//! programs its parent ran meanwhile.
//!
//! Must not know causes: it states facts, and says where there is none.

use super::{Parent, Process};
use crate::model::{Task, TaskTraits};

/// Where a parent has a dead child from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// The program that the parent runs now forked it.
    Own,
    /// The parent forked it before it ran the program that it runs now.
    Inherited,
    /// It had another parent before, which died.
    Adopted,
    /// Not forked by the program that the parent runs now: inherited or adopted.
    Foreign,
    /// Nothing was seen that tells.
    Unknown,
}

/// How many children are of which provenance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provenances {
    pub own: u64,
    pub inherited: u64,
    pub adopted: u64,
    pub foreign: u64,
    pub unknown: u64,
}

impl Provenances {
    pub fn count(&mut self, one: Provenance) {
        let count = match one {
            Provenance::Own => &mut self.own,
            Provenance::Inherited => &mut self.inherited,
            Provenance::Adopted => &mut self.adopted,
            Provenance::Foreign => &mut self.foreign,
            Provenance::Unknown => &mut self.unknown,
        };
        *count = count.saturating_add(1);
    }

    /// All were born before the parent ran the program that it runs now.
    pub fn all_of_other_program(&mut self) {
        self.inherited = self.inherited.saturating_add(std::mem::take(&mut self.own));
        self.foreign = self.foreign.saturating_add(std::mem::take(&mut self.unknown));
    }
}

impl Process {
    /// Where its parent, which `parent` must be, has it from.
    pub fn provenance(&self, parent: &Parent) -> Provenance {
        let was_born_before_exec =
            parent.exec_ns.is_some_and(|exec_ns| self.task.identity.start_boottime_ns < exec_ns);
        let is_of_other_program = was_born_before_exec || self.traits.contains(TaskTraits::OTHER_PROGRAM);
        if self.is_adopted() {
            return Provenance::Adopted;
        }
        // Only a reaper gets children that it did not fork.
        let is_forked_by_parent = self.born_to == parent.task.identity || parent.is_reaper() == Some(false);
        match (is_forked_by_parent, is_of_other_program) {
            (true, true) => Provenance::Inherited,
            (true, false) if self.born_to.tgid != 0 || self.traits.contains(TaskTraits::SAME_PROGRAM) => {
                Provenance::Own
            }
            (false, true) => Provenance::Foreign,
            _ => Provenance::Unknown,
        }
    }

    /// Its first parent, where it has another now and that one was seen.
    pub fn first_parent(&self) -> Option<Task> {
        let first = self.spawned_by.as_deref().filter(|_| self.born_to.tgid != 0);
        let first = first.filter(|first| first.identity == self.born_to).or(self.orphaned_by.as_deref());
        first.copied().filter(|first| first.identity != self.parent)
    }

    /// It had another parent before.
    fn is_adopted(&self) -> bool {
        let was_born_to_another = self.born_to.tgid != 0 && self.born_to != self.parent;
        let was_orphaned = self.orphaned_by.as_ref().is_some_and(|first| first.identity != self.parent);
        self.handed_on || was_born_to_another || was_orphaned
    }
}

impl Parent {
    /// Whether orphans come to it: it is an init, or a subreaper. `None`: that was not seen.
    pub fn is_reaper(&self) -> Option<bool> {
        if self.is_namespace_init() { Some(true) } else { self.is_subreaper }
    }

    /// Whether it is the init of a PID namespace, the host's included.
    pub fn is_namespace_init(&self) -> bool {
        self.task.ns_pid == 1 || self.task.identity.is_init()
    }

    /// Whether it was one and has died. The kernel has it ignore SIGCHLD then, so that all that it kills there are reaped at
    /// once: that says nothing of its program.
    pub fn is_dead_namespace_init(&self) -> bool {
        self.is_namespace_init() && self.died_ns.is_some()
    }
}
