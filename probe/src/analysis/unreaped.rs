//! The dead children that a parent leaves unreaped, sorted by who is to blame and by how much is known about them.
//!
//! Must not judge: that is `verdict`'s and `cause`'s.

use std::collections::BTreeMap;

use crate::{
    engine::{Parent, Provenances, State, View},
    model::{Task, TaskTraits},
};

/// Maximum number of first parents that are kept: a reader of the report only needs examples.
const FIRST_PARENTS_MAX: usize = 16;

/// The unreaped children of a living parent and the abandoned ones of a dead one. Only the `held*` fields count
/// children that a tracer holds.
#[derive(Clone, Debug, Default)]
pub struct Unreaped {
    /// Unreaped now.
    pub own: u64,
    /// Abandoned, where it is known how long each had waited.
    pub abandoned: u64,
    /// Abandoned according to the kernel's counters; nothing else is known about these.
    pub abandoned_unseen: u64,
    /// Of `own` and `abandoned`: those that waited past the grace.
    pub past_grace: u64,
    /// Of `past_grace`: those known to have died, or to have been adopted, within the window.
    pub past_grace_in_window: u64,
    /// Of `own` and `abandoned`: those that died before the window began.
    pub older: u64,
    /// Where `own` and `abandoned` come from.
    pub from: Provenances,
    /// The first parents of the adopted ones, as far as they were seen, each once.
    pub first_parents: Vec<Task>,
    /// Of `own`: those that only waits with __WALL or __WCLONE see.
    pub clone_children: u64,
    /// Of `own` and `abandoned`: those that died while the parent ignored SIGCHLD, and stayed.
    pub though_ignored: u64,
    /// When the youngest was born.
    pub youngest_ns: u64,
    /// When the youngest of those that are unreaped died.
    pub youngest_death_ns: Option<u64>,
    /// How long the oldest has waited, and whether it may have waited longer. If a tracer holds all, this is the oldest
    /// held one.
    pub oldest_ns: u64,
    pub at_least: bool,
    /// Held by a tracer now.
    pub held: u64,
    /// Held for longer than the grace, or when the parent died.
    pub held_past_grace: u64,
    /// Each tracer and how many it holds, in descending order of that number.
    pub tracers: Vec<(Task, u64)>,
}

impl Unreaped {
    pub fn of(view: &View<'_>, parent: &Parent, grace_ns: u64, end_ns: u64) -> Self {
        let mut found = Self::abandoned(parent, grace_ns);
        let (mut oldest_held_ns, mut held_at_least) = (parent.abandoned().held_after.max_ns(), false);
        // The first by pid, in whatever order the zombies are gone through: a replay names the same.
        let mut first_parents = BTreeMap::new();
        for process in parent.zombies.iter().filter_map(|child| view.process(*child)) {
            let State::Zombie { since_ns, held_by, at_least } = &process.state else { continue };
            let (since_ns, at_least) = (*since_ns, *at_least);
            let waited_ns = end_ns.saturating_sub(since_ns);
            if let Some(tracer) = held_by {
                found.held += 1;
                found.held_past_grace += u64::from(waited_ns > grace_ns);
                found.hold(**tracer);
                if waited_ns >= oldest_held_ns {
                    (oldest_held_ns, held_at_least) = (waited_ns, at_least);
                }
                continue;
            }
            let older = view.is_older(process);
            let born_ns = process.task.identity.start_boottime_ns;
            found.own += 1;
            found.youngest_death_ns = found.youngest_death_ns.max(Some(since_ns));
            found.older += u64::from(older);
            found.from.count(process.provenance(parent));
            if let Some(first) = process.first_parent() {
                first_parents.insert(first.identity, first);
                if first_parents.len() > FIRST_PARENTS_MAX {
                    first_parents.pop_last();
                }
            }
            found.clone_children += u64::from(process.traits.contains(TaskTraits::CLONE_CHILD));
            found.though_ignored += u64::from(process.is_though_ignored());
            found.youngest_ns = found.youngest_ns.max(born_ns);
            if waited_ns > grace_ns {
                found.past_grace += 1;
                found.past_grace_in_window += u64::from(!older);
            }
            if waited_ns >= found.oldest_ns {
                (found.oldest_ns, found.at_least) = (waited_ns, at_least);
            }
        }
        if found.left() == 0 {
            (found.oldest_ns, found.at_least) = (oldest_held_ns, held_at_least);
        }
        found.first_parents = first_parents.into_values().collect();
        found.tracers.sort_by_key(|(tracer, count)| (std::cmp::Reverse(*count), tracer.identity));
        found
    }

    /// What the counts of a dead parent say about the children that it left.
    fn abandoned(parent: &Parent, grace_ns: u64) -> Self {
        let abandoned = parent.abandoned();
        let (free, held) = (&abandoned.after, &abandoned.held_after);
        let past_grace = free.count_over(grace_ns);
        let older = abandoned.older.min(free.count());
        let youngest_ns = abandoned.youngest_ns;
        let mut from = abandoned.from;
        // When it abandoned them, its last exec may not have been known yet.
        if free.count() > 0 && parent.exec_ns.is_some_and(|exec_ns| youngest_ns < exec_ns) {
            from.all_of_other_program();
        }
        let mut found = Self {
            abandoned: free.count().min(parent.ledger.abandoned),
            abandoned_unseen: parent.ledger.abandoned.saturating_sub(free.count() + held.count()),
            past_grace,
            past_grace_in_window: past_grace.saturating_sub(older),
            older,
            from,
            clone_children: abandoned.clone_children,
            though_ignored: abandoned.though_ignored,
            youngest_ns,
            oldest_ns: free.max_ns(),
            held_past_grace: held.count_over(grace_ns),
            ..Self::default()
        };
        if let Some(tracer) = abandoned.held_by.as_deref().copied() {
            found.tracers.push((tracer, held.count()));
        }
        found
    }

    fn hold(&mut self, tracer: Task) {
        match self.tracers.iter_mut().find(|(known, _)| known.identity == tracer.identity) {
            Some((_, count)) => *count += 1,
            None => self.tracers.push((tracer, 1)),
        }
    }

    /// All children that the parent is to blame for.
    pub fn left(&self) -> u64 {
        self.own + self.abandoned + self.abandoned_unseen
    }
}
