//! What a walk of the kernel's task list says: who is there, whose child each is, and who has gone unseen.
//!
//! Must not know what events say, but that the younger word counts.

use foldhash::{HashMap, HashSet, HashSetExt};

use super::{Engine, EnrichedEvent, State, death::Release};
use crate::model::{
    Identity, LifecycleEvent, Precision, Readiness, ReapHow, Snapshot, Stage, Task, TaskEntry, TaskState,
    TaskTraits,
};

/// Room for so many is not worth giving back.
const ROOM_KEPT: usize = 4_096;

impl Engine {
    /// The kernel's task list no longer has it, and no event said so: released, time unknown.
    pub(super) fn release_unseen(&mut self, identity: Identity, now: u64, enriched: &mut Vec<EnrichedEvent>) {
        let Some(process) = self.processes.get(&identity) else { return };
        if identity.is_init() {
            return;
        }
        let task = process.task;
        let owner = process.parent;
        let how = match process.state {
            State::Exited { autoreap: true, .. } => ReapHow::Auto,
            _ => ReapHow::Wait,
        };
        let mut parent = Task { identity: owner, ..Task::default() };
        self.name(&mut parent);
        match process.state {
            // Booked with its parent's death.
            State::TakenForReaped { .. } => {}
            // Born and gone unseen by any other stage: nothing is known of its death but that it was.
            State::Running => self.parent_died(identity, now),
            State::Exited { .. } | State::Abandoned { .. } => {
                let precision = Precision::Coarse;
                self.reap(Release { task, by: parent, taken: false, how, precision, since_ns: 0, now });
            }
            State::Zombie { .. } => {
                if let Some(entry) = self.parents.get_mut(&owner) {
                    entry.let_go(&identity);
                    entry.ledger.counts.reaped += 1;
                    entry.ledger.counts.coarse += 1;
                }
            }
        }
        if !matches!(self.processes[&identity].state, State::Running) {
            let stage = Stage::Reap {
                parent,
                reaper: Task::default(),
                how,
                precision: Precision::Coarse,
                exit_ns: 0,
                zombie_ns: 0,
                readiness: Readiness::Unknown,
            };
            let event = LifecycleEvent { time_ns: now, process: task, stage };
            let in_scope = self.is_in_scope(&event, None);
            let ended = self.ended_of(identity, &event.stage);
            enriched.push(EnrichedEvent::Stage {
                event,
                reap_latency_ns: None,
                teardown_ns: None,
                in_scope,
                ended,
            });
        }
        self.release(identity, now);
    }

    pub(super) fn snapshot(&mut self, snapshot: &Snapshot, enriched: &mut Vec<EnrichedEvent>) {
        let first = self.first_snapshot_ns.is_none();
        self.first_snapshot_ns.get_or_insert(snapshot.ended_ns);
        self.ended_ns = self.ended_ns.max(snapshot.ended_ns);
        let mut present = HashSet::with_capacity(snapshot.tasks.len());
        let released = self.released.take_since(snapshot.began_ns);
        for seen in &snapshot.tasks {
            let identity = seen.process.identity;
            present.insert(identity);
            // Released since it was seen; or, where that is not known, the next walk will tell.
            if !self.processes.contains_key(&identity)
                && released.as_ref().is_none_or(|released| released.contains(&identity))
            {
                continue;
            }
            self.evict_former_owner(identity, seen.time_ns, enriched);
            self.seen(seen, first);
        }
        let settled_before = snapshot.began_ns.saturating_sub(snapshot.settle_after_ns);
        // Parents first: a zombie that has gone with its parent was left behind, if a reap of it would have been told.
        let gone = oldest_first(
            self.parents
                .iter()
                .filter(|(identity, parent)| {
                    parent.died_ns.is_none()
                        && !present.contains(identity)
                        && identity.start_boottime_ns < settled_before
                })
                .map(|(identity, _)| *identity),
        );
        for identity in gone {
            self.parent_died(identity, snapshot.ended_ns);
        }
        let gone = oldest_first(
            self.processes
                .values()
                .filter(|process| {
                    !present.contains(&process.task.identity) && process.last_change_ns() < settled_before
                })
                .map(|process| process.task.identity),
        );
        for identity in gone {
            self.release_unseen(identity, snapshot.ended_ns, enriched);
        }
        self.kills.keep(&present, snapshot.began_ns);
        let processes = &self.processes;
        let is_there = |child: &Identity| present.contains(child) || processes.contains_key(child);
        self.fork_sites.keep(is_there, snapshot.began_ns);
        self.walked_ns = snapshot.began_ns;
        for parent in self.parents.values_mut() {
            parent.walked();
            if parent.pipe.by().is_some_and(|by| present.contains(&by.found.writer.identity)) {
                parent.pipe.writer_ran_until(snapshot.began_ns);
            }
        }
        give_room_back(&mut self.processes);
        give_room_back(&mut self.by_tgid);
        give_room_back(&mut self.parents);
    }

    pub(super) fn seen(&mut self, seen: &TaskEntry, first: bool) {
        let identity = seen.process.identity;
        if let Some(parent) = self.parents.get_mut(&identity) {
            parent.name_if_nameless(&seen.process);
        }
        let known = self.processes.contains_key(&identity);
        // One that runs and ended between this look and now is not brought back: only what began before is news.
        if !known
            && !first
            && seen.process.identity.start_boottime_ns >= self.begin.time_ns
            && seen.state == TaskState::Running
        {
            return;
        }
        let tracer = seen.tracer.clone();
        let process = self.entry(seen.process, Some(seen.parent));
        process.found(seen.state, seen.time_ns);
        let state = process.state.clone();
        let exited_ns = if let State::Exited { exit_ns, .. } = state { Some(exit_ns) } else { None };
        match (state, seen.state) {
            (State::Running, TaskState::Running | TaskState::DeadLeader | TaskState::Exiting) => {
                let former = process.parent;
                process.parent = seen.parent.identity;
                process.task.comm = seen.process.comm;
                if former.tgid != 0 && former != seen.parent.identity {
                    let mut by = Task { identity: former, ..Task::default() };
                    self.name(&mut by);
                    self.orphaned(seen.process, by, seen.time_ns);
                }
            }
            (State::Running | State::Exited { .. }, TaskState::Zombie) => {
                self.parent_died(identity, seen.time_ns);
                self.zombie(
                    identity,
                    seen.parent,
                    seen.time_ns,
                    seen.tracer.as_deref().copied(),
                    None,
                    false,
                );
                if let Some(process) = self.processes.get_mut(&identity)
                    && let State::Zombie { at_least, since_ns, .. } = &mut process.state
                {
                    *at_least = seen.since_ns == 0;
                    if let Some(told_ns) = Some(seen.since_ns).filter(|since_ns| *since_ns != 0).or(exited_ns)
                    {
                        *since_ns = told_ns;
                    }
                }
                // Whose death the programs have seen is among what they counted.
                if first
                    && seen.since_ns == 0
                    && let Some(parent) = self.parents.get_mut(&seen.parent.identity)
                {
                    parent.older += 1;
                }
            }
            // Older than what events have told since: no news.
            (
                State::Zombie { since_ns, .. }
                | State::Abandoned { since_ns, .. }
                | State::TakenForReaped { since_ns, .. },
                _,
            ) if since_ns >= seen.time_ns => {}
            (State::Zombie { .. }, TaskState::Zombie) if process.parent != seen.parent.identity => {
                self.adopt(identity, seen.parent, seen.time_ns);
            }
            (State::Zombie { since_ns, at_least, .. }, TaskState::Zombie) => {
                process.state = State::Zombie { since_ns, at_least, held_by: tracer };
            }
            (
                State::Abandoned { since_ns, .. } | State::TakenForReaped { since_ns, .. },
                TaskState::Zombie,
            ) if process.parent != seen.parent.identity => {
                self.adopt(identity, seen.parent, seen.time_ns);
                self.set_zombie(identity, State::Zombie { since_ns, held_by: tracer, at_least: false });
            }
            _ => {}
        }
        if seen.state == TaskState::Zombie {
            self.keep_traits(seen);
        }
    }

    /// What the task list says of a zombie and of its parent.
    fn keep_traits(&mut self, seen: &TaskEntry) {
        if let Some(process) = self.processes.get_mut(&seen.process.identity)
            && process.parent == seen.parent.identity
        {
            // An adopter is notified by SIGCHLD whatever the first parent was.
            let kept = TaskTraits::CLONE_CHILD | TaskTraits::THOUGH_IGNORED;
            process.traits = seen.traits | (process.traits & kept);
            // Only kernels that say the one say the other.
            if !seen.traits.is_empty()
                && let Some(parent) = self.parents.get_mut(&seen.parent.identity)
            {
                parent.is_subreaper = Some(seen.traits.contains(TaskTraits::UNDER_SUBREAPER));
            }
        }
    }
}

/// In the order of their births: a table has another order in each run, and a replay must give what the live run gave.
fn oldest_first(identities: impl Iterator<Item = Identity>) -> Vec<Identity> {
    let mut identities: Vec<Identity> = identities.collect();
    identities.sort_unstable_by_key(|identity| (identity.start_boottime_ns, identity.tgid));
    identities
}

/// A table in which many more were than are keeps the room of all.
fn give_room_back<K: Eq + std::hash::Hash, V>(table: &mut HashMap<K, V>) {
    if table.capacity() > ROOM_KEPT && table.len() < table.capacity() / 4 {
        table.shrink_to(2 * table.len());
    }
}
