//! The bounded tables of processes and parents: who enters, who leaves, who finds no room.
//!
//! Must not know why a process enters or leaves.

use super::{Engine, Parent, Process, State};
use crate::model::{Identity, Task};

impl Engine {
    pub(super) fn entry(&mut self, task: Task, parent: Option<Task>) -> &mut Process {
        if self.processes.len() >= self.crowded_at.max(self.finished.bounds.processes_max)
            && !self.processes.contains_key(&task.identity)
        {
            self.make_room(task.identity);
        }
        self.by_tgid.insert(task.identity.tgid, task.identity);
        let root = self.root();
        let parent_identity = parent.map(|parent| parent.identity).unwrap_or_default();
        let in_tree = root == Some(task.identity)
            || (!self.processes.contains_key(&task.identity)
                && self.processes.get(&parent_identity).is_some_and(|parent| parent.in_tree));
        let process = self
            .processes
            .entry(task.identity)
            .or_insert_with(|| Box::new(Process::new(task, parent_identity)));
        process.in_tree |= in_tree;
        process
    }

    pub(super) fn parent_entry(&mut self, task: Task) -> Option<&mut Parent> {
        if task.identity.tgid == 0 {
            return None;
        }
        if self.parents.len() >= self.finished.bounds.parents_max
            && !self.parents.contains_key(&task.identity)
        {
            self.not_followed += 1;
            return None;
        }
        if let Some(died_ns) = self.finished.died_ns(&task.identity)
            && !self.parents.contains_key(&task.identity)
        {
            // Where the kernel counts, it has counted this.
            if self.is_filtered() {
                return None;
            }
            let resumed = Parent { died_ns: Some(died_ns), resumed: true, ..Parent::new(task) };
            self.parents.insert(task.identity, Box::new(resumed));
            self.finished.one_more_dead();
        }
        let process = self.processes.get(&task.identity);
        let parent = self.parents.entry(task.identity).or_insert_with(|| Box::new(Parent::new(task)));
        if let Some(process) = process {
            parent.in_tree |= process.in_tree;
            if parent.info.is_none() {
                parent.info.clone_from(&process.info);
                parent.program_ns = parent.program_ns.max(process.program_ns);
            }
            parent.name_if_nameless(&process.task);
        }
        parent.name(&task);
        Some(parent)
    }

    /// Too many are followed at once. Those that run carry no debt: the eldest go, so many at a time that it is cheap for
    /// each.
    pub(super) fn make_room(&mut self, besides: Identity) {
        let at_once = self.finished.bounds.processes_max / 8;
        let running = self.processes.values().filter(|one| matches!(one.state, State::Running));
        let mut running: Vec<Identity> = running.map(|one| one.task.identity).collect();
        running.retain(|one| *one != besides && Some(*one) != self.root());
        running.sort_unstable_by_key(|one| (one.start_boottime_ns, one.tgid));
        running.truncate(at_once);
        for one in &running {
            self.forget(*one);
        }
        self.not_followed = self.not_followed.saturating_add(running.len().max(1) as u64);
        self.crowded_at = self.processes.len() + at_once;
    }

    /// It has left the process table.
    pub(super) fn release(&mut self, identity: Identity, now: u64) {
        self.released.push(now, identity);
        self.forget(identity);
    }

    pub(super) fn forget(&mut self, identity: Identity) {
        if self.by_tgid.get(&identity.tgid) == Some(&identity) {
            self.by_tgid.remove(&identity.tgid);
        }
        self.processes.remove(&identity);
    }
}
