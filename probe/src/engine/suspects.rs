//! Suspects: the parents of which more has to be known than what every parent gives away, and what is then known of them.
//!
//! The question goes up as a query, and the answers come down as inputs, so that a replay has them and asks nothing. Must
//! not read /proc, and must not know causes.

use std::cmp::Reverse;

use super::{Engine, State};
use crate::model::{Blocked, Evidence, Identity, SUSPECTS_MAX, Task};

/// A child that has been dead for so long, or for the grace where that is shorter, makes its parent a suspect: what it was
/// doing must be known before it is judged, and it may not live until then.
const SUSPECT_AFTER_NS: u64 = 250_000_000;
/// Of a parent so many late zombies are counted: tens of thousands more would change nothing but the time it takes.
const LATE_COUNTED_MAX: usize = 256;

impl Engine {
    /// Parents that live and have children which no tracer holds unreaped for some time by now; the worst first.
    pub fn suspects(&self, now_ns: u64) -> Vec<Task> {
        let late_ns = self.finished.bounds.late_ns.min(SUSPECT_AFTER_NS);
        let is_late = |zombie: &&Identity| match self.processes.get(*zombie).map(|process| &process.state) {
            Some(State::Zombie { since_ns, held_by: None, .. }) => now_ns.saturating_sub(*since_ns) > late_ns,
            _ => false,
        };
        let mut suspects: Vec<(usize, usize, Task)> = self
            .parents
            .values()
            .filter(|parent| parent.died_ns.is_none() && self.is_asked_for(parent))
            .map(|parent| {
                let late = parent.zombies.iter().filter(is_late).take(LATE_COUNTED_MAX).count();
                (late, parent.zombies.len(), parent.task)
            })
            .filter(|(late, ..)| *late > 0)
            .collect();
        suspects.sort_unstable_by_key(|(late, all, task)| (Reverse((*late, *all)), task.identity));
        suspects.into_iter().take(SUSPECTS_MAX).map(|(.., task)| task).collect()
    }

    /// A suspect was looked at. Of a process that is no parent nothing is kept.
    pub(super) fn looked_at(&mut self, time_ns: u64, identity: Identity, evidence: Box<Evidence>) {
        let left_behind = self.left_behind(identity, &evidence);
        if let Some(parent) = self.parents.get_mut(&identity) {
            let before = parent.evidence.replace(evidence);
            if before.is_some_and(|before| before.is_free()) {
                parent.free_ns = Some(parent.evidence_ns);
            }
            parent.evidence_ns = time_ns;
            if let Some((writer, zombie)) = left_behind {
                parent.pipe.found(writer, zombie);
            }
        }
    }

    /// The process that holds the pipe open from which this parent reads, if a zombie of the parent's left it behind: and
    /// that zombie.
    fn left_behind(&self, parent: Identity, evidence: &Evidence) -> Option<(Task, Identity)> {
        let Blocked::PipeRead(read) = &evidence.blocked else { return None };
        let zombies = &self.parents.get(&parent)?.zombies;
        read.writers.iter().find_map(|writer| {
            let process = self.processes.get(self.by_tgid.get(&writer.identity.tgid)?)?;
            let first = process.orphaned_by.as_ref().map(|first| first.identity);
            let zombie =
                [Some(process.born_to), first].into_iter().flatten().find(|one| zombies.contains(one));
            zombie.map(|zombie| (process.task, zombie))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChildCounts, Counters, Input};

    #[test]
    fn the_last_answer_is_kept_of_parents_alone() {
        let identity = |tgid| Identity { tgid, start_boottime_ns: 1 };
        let parent = Task { identity: identity(7), ..Task::default() };
        let mut engine = Engine::default();
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        let counts = ChildCounts { exited: 1, ..ChildCounts::default() };
        apply(Input::Counters(Box::new(Counters { parent, counts, ..Counters::default() })));
        let pending = |pending| Box::new(Evidence { pending: Some(pending), ..Evidence::default() });
        for (time_ns, tgid, blocked) in [(1, 7, 1 << 16), (2, 7, 3), (2, 8, 5)] {
            apply(Input::Evidence { time_ns, identity: identity(tgid), evidence: pending(blocked) });
        }
        let kept = &engine.parents[&identity(7)];
        assert_eq!((&kept.evidence, kept.evidence_ns), (&Some(pending(3)), 2));
        assert!(!engine.parents.contains_key(&identity(8)));
        let parent = engine.parents.get_mut(&identity(7)).expect("it is kept");
        let has_current = |parent: &crate::engine::Parent| parent.current_evidence().is_some();
        assert!(has_current(parent));
        (parent.died_ns, parent.exec_ns) = (Some(3), Some(2));
        assert!(has_current(parent), "it died over what it was doing");
        parent.exec_ns = Some(3);
        assert!(!has_current(parent), "of the program before");
        (parent.died_ns, parent.exec_ns) = (Some(1), None);
        assert!(!has_current(parent), "nobody is looked at after its death");
    }
}
