//! From death to release: who has a zombie, who abandons it, who adopts it, who reaps it; each is booked once.
//!
//! Must not know how a stage was learnt of.

use super::{
    Engine, Process, State,
    parent::{Left, Untold},
    provenance::Provenance,
};
use crate::model::{Coverage, Identity, Losses, Precision, ReapHow, Task, TaskTraits};

/// A process that left the process table.
#[derive(Clone, Copy)]
pub(super) struct Release {
    pub task: Task,
    /// Its parent by then.
    pub by: Task,
    /// `by` is known to have reaped it.
    pub taken: bool,
    pub how: ReapHow,
    pub precision: Precision,
    /// When it became a zombie or, where that was not seen, exited; 0: neither was.
    pub since_ns: u64,
    pub now: u64,
}

impl Engine {
    /// A parent's last thread dies: its zombies are abandoned. Its running children go to an adopter unseen.
    pub(super) fn parent_died(&mut self, identity: Identity, now: u64) {
        if identity.is_init() {
            return;
        }
        let Some(parent) = self.parents.get_mut(&identity) else { return };
        if parent.died_ns.is_some() {
            return;
        }
        parent.died_ns = Some(now);
        self.finished.one_more_dead();
        // In an order that a replay has too.
        let mut zombies: Vec<Identity> = std::mem::take(&mut parent.zombies).into_iter().collect();
        zombies.sort_unstable();
        for child in zombies {
            self.outlives(child, identity, now, None);
        }
    }

    /// A zombie of a parent that is dead, since `now` or since before. Where its reap would have been told, the parent has
    /// left it behind. `waited_ns`: for how long it had waited by then, if that is not what follows from `now`.
    fn outlives(&mut self, identity: Identity, parent: Identity, now: u64, waited_ns: Option<u64>) {
        let is_there = self.processes.get(&identity).is_some_and(|process| self.is_reap_told(process));
        let (Some(process), Some(parent)) =
            (self.processes.get_mut(&identity), self.parents.get_mut(&parent))
        else {
            return;
        };
        let Some(mut left) = process.left_at(now, self.first_snapshot_ns, process.provenance(parent)) else {
            return;
        };
        left.waited_ns = waited_ns.unwrap_or(left.waited_ns);
        if is_there {
            let (waited_ns, held) = (left.waited_ns, left.held_by.is_some());
            let parent_identity = parent.task.identity;
            parent.abandon(left, self.kills.of(identity));
            process.state = State::Abandoned { since_ns: now, waited_ns, held };
            self.abandoned_of_site(identity, parent_identity, waited_ns);
        } else {
            parent.ledger.counts.reaped += 1;
            process.state = State::TakenForReaped { since_ns: now, left: Box::new(left) };
        }
    }

    /// Whether it would have been told if this zombie had been reaped. Where only late reaps are, that is so of those that
    /// were late already when a walk found them last; and, unless only those are, of those older than the watch.
    fn is_reap_told(&self, process: &Process) -> bool {
        let State::Zombie { since_ns, .. } = process.state else { return false };
        let had_waited_ns = self.walked_ns.saturating_sub(since_ns);
        match self.begin.coverage {
            Coverage::EveryEvent => true,
            _ if self.losses() != Losses::default() => false,
            Coverage::Exceptions { slow_ns } => had_waited_ns > slow_ns || self.is_older(process),
            Coverage::LateReaps { min_latency_ns } => had_waited_ns > min_latency_ns,
            Coverage::Unstated => false,
        }
    }

    pub(super) fn zombie(
        &mut self,
        identity: Identity,
        parent: Task,
        now: u64,
        held_by: Option<Task>,
        teardown_ns: Option<u64>,
        again: bool,
    ) {
        let Some(process) = self.processes.get(&identity) else { return };
        let owner = process.parent;
        let zombie = State::Zombie { since_ns: now, held_by: held_by.map(Box::new), at_least: false };
        match process.state {
            State::Zombie { .. } if owner == parent.identity => {
                self.set_zombie(identity, zombie);
                // From a snapshot before its own event: only the teardown is news.
                if !again && let Some(entry) = self.parents.get_mut(&owner) {
                    entry.teardown.extend(teardown_ns);
                }
            }
            State::Zombie { .. } | State::Abandoned { .. } | State::TakenForReaped { .. } => {
                self.adopt(identity, parent, now);
            }
            State::Running | State::Exited { .. } => {
                let is_though_ignored = matches!(process.state, State::Exited { autoreap: true, .. });
                self.set_zombie(identity, zombie);
                if let Some(process) = self.processes.get_mut(&identity) {
                    if is_though_ignored {
                        process.traits |= TaskTraits::THOUGH_IGNORED;
                    }
                    process.parent = parent.identity;
                }
                let Some(entry) = self.parent_entry(parent) else { return };
                entry.ledger.counts.exited += 1;
                entry.teardown.extend(teardown_ns);
                if let Some(died_ns) = entry.died_ns {
                    self.outlives(identity, parent.identity, now, Some(died_ns.saturating_sub(now)));
                } else {
                    entry.zombies.insert(identity);
                }
            }
        }
    }

    fn provenance_of(&self, process: Identity, parent: Identity) -> Provenance {
        match (self.processes.get(&process), self.parents.get(&parent)) {
            (Some(process), Some(parent)) => process.provenance(parent),
            _ => Provenance::Unknown,
        }
    }

    pub(super) fn set_zombie(&mut self, identity: Identity, state: State) {
        if let Some(process) = self.processes.get_mut(&identity) {
            process.state = state;
        }
    }

    /// A zombie comes into the hands of `parent`.
    pub(super) fn adopt(&mut self, identity: Identity, parent: Task, now: u64) {
        let Some(process) = self.processes.get_mut(&identity) else { return };
        let former = process.parent;
        let is_taken_for_reaped = matches!(process.state, State::TakenForReaped { .. });
        if matches!(process.state, State::Running | State::Exited { .. }) {
            // Its first notification was lost; the former parent is unknown to have seen it dead.
            return self.zombie(identity, parent, now, None, None, false);
        }
        if is_taken_for_reaped && former == parent.identity {
            return;
        }
        let provenance =
            (self.parents.get(&former)).map_or(Provenance::Unknown, |former| process.provenance(former));
        let left = process.left_at(now, self.first_snapshot_ns, provenance);
        process.parent = parent.identity;
        process.state = State::Zombie { since_ns: now, held_by: None, at_least: false };
        if let Some(left) = left {
            if former == parent.identity {
                return;
            }
            if let Some(former) = self.parents.get_mut(&former) {
                if is_taken_for_reaped {
                    former.abandon_after_all(left, self.kills.of(identity));
                } else if former.let_go(&identity) {
                    former.abandon(left, self.kills.of(identity));
                }
            }
        }
        process.handed_on = true;
        let Some(entry) = self.parent_entry(parent) else { return };
        entry.ledger.counts.adopted += 1;
        if entry.died_ns.is_some() {
            self.outlives(identity, parent.identity, now, Some(0));
        } else {
            entry.zombies.insert(identity);
        }
    }

    /// Counts a release once, in the ledger of the parent that it belongs to. Returns the latency the reaper is answerable for.
    pub(super) fn reap(&mut self, release: Release) -> Option<u64> {
        let Release { task, by, taken, how, precision, since_ns, now } = release;
        let (state, owner) = self.processes.get(&task.identity).map_or(
            (State::Exited { exit_ns: since_ns, autoreap: how == ReapHow::Auto }, by.identity),
            |process| (process.state.clone(), process.parent),
        );
        if !self.processes.contains_key(&task.identity) && self.root().is_some() {
            return None;
        }
        let dead = match self.parents.get(&by.identity) {
            Some(parent) => parent.died_ns.is_some(),
            None => self.finished.died_ns(&by.identity).is_some(),
        };
        let provenance = self.provenance_of(task.identity, by.identity);
        if !taken && !dead && how == ReapHow::Wait && self.is_filtered() {
            self.released_untold(task, by, since_ns, now);
        }
        let coarse = u64::from(precision == Precision::Coarse);
        let late_ns = self.finished.bounds.late_ns;
        match state {
            State::Zombie { since_ns, at_least, .. } if owner == by.identity => {
                let latency = (how == ReapHow::Wait).then(|| now.saturating_sub(since_ns));
                // A parent that could not be followed reaps all the same.
                let Some(entry) = self.parents.get_mut(&owner) else { return latency };
                entry.let_go(&task.identity);
                entry.reaped_late_at_least |= at_least && latency.is_some();
                if let Some(latency_ns) = latency {
                    entry.reaps(now, latency_ns, late_ns, at_least);
                    entry.reaps_at_pipe(task.identity, now, &self.processes);
                    entry.ledger.counts.reaped += 1;
                    entry.ledger.counts.coarse += coarse;
                } else {
                    entry.ledger.counts.autoreaped += 1;
                }
                latency
            }
            State::TakenForReaped { left, .. } if owner == by.identity => {
                let entry = self.parents.get_mut(&owner)?;
                if !taken && how == ReapHow::Wait {
                    entry.abandon_after_all(*left, self.kills.of(task.identity));
                    return None;
                }
                entry.ledger.counts.coarse += coarse;
                entry.reap_latency.extend(Some(left.waited_ns));
                Some(left.waited_ns)
            }
            State::Zombie { .. } | State::TakenForReaped { .. } => {
                self.adopt(task.identity, by, now);
                self.reap(release).filter(|_| false)
            }
            // Only its free came after the parent's end; the reap itself did not.
            State::Abandoned { waited_ns, held, .. } if taken && by.identity == owner => {
                let latency = Some(waited_ns.min(now.saturating_sub(since_ns)));
                let Some(entry) = self.parents.get_mut(&owner) else { return latency };
                let kill = self.kills.of(task.identity);
                entry.reclassify_as_reaped(task.identity, waited_ns, held, kill);
                entry.ledger.counts.coarse += coarse;
                entry.reap_latency.extend(latency);
                latency
            }
            // Taken by the kernel on behalf of the dead parent, or by an adopter.
            State::Abandoned { .. } if dead || how == ReapHow::Auto || by.identity == owner => None,
            State::Abandoned { since_ns, .. } => {
                let latency = Some(now.saturating_sub(since_ns));
                let Some(entry) = self.parent_entry(by) else { return latency };
                entry.ledger.counts.adopted += 1;
                entry.ledger.counts.reaped += 1;
                entry.ledger.counts.coarse += coarse;
                entry.reap_latency.extend(latency);
                latency
            }
            State::Running | State::Exited { .. } => {
                let latency = (how == ReapHow::Wait && since_ns != 0 && (taken || !dead))
                    .then(|| now.saturating_sub(since_ns));
                let kill = self.kills.of(task.identity).copied();
                let label = self.label_of(task.identity);
                let Some(entry) = self.parent_entry(by) else { return latency };
                entry.ledger.counts.exited += 1;
                // Never a zombie to anybody: the free is only noticed late, perhaps after the parent's own end.
                if how == ReapHow::Auto {
                    entry.ledger.counts.autoreaped += 1;
                    entry.last_autoreap_ns = now;
                    return None;
                }
                if dead && !taken {
                    let died_ns = entry.died_ns.unwrap_or(now);
                    let left = Left {
                        child: task.identity,
                        waited_ns: if since_ns == 0 { 0 } else { died_ns.saturating_sub(since_ns) },
                        held_by: None,
                        older: false,
                        provenance,
                        is_clone_child: false,
                        is_though_ignored: false,
                        label,
                    };
                    entry.abandon(left, kill.as_ref());
                    return None;
                }
                entry.ledger.counts.reaped += 1;
                entry.ledger.counts.coarse += coarse;
                entry.reap_latency.extend(latency);
                latency
            }
        }
    }

    /// A release of which only the free is told: if the parent had died, the kernel did it for the parent, as it does for
    /// an init of a PID namespace. Where the parent's death is not told, only its counters will say.
    pub(super) fn released_untold(&mut self, task: Task, by: Task, since_ns: u64, now: u64) {
        let (since_ns, held_by, older) = match self.processes.get(&task.identity).map(Box::as_ref) {
            Some(process @ Process { state: State::Zombie { since_ns, held_by, .. }, .. }) => {
                (*since_ns, held_by.clone(), self.is_older(process))
            }
            _ => (since_ns, None, false),
        };
        let provenance = self.provenance_of(task.identity, by.identity);
        let label = self.label_of(task.identity);
        if since_ns != 0
            && let Some(parent) = self.parent_entry(by)
        {
            let left = Left {
                child: task.identity,
                waited_ns: 0,
                held_by,
                older,
                provenance,
                is_clone_child: false,
                is_though_ignored: false,
                label,
            };
            parent.released_untold(Untold { since_ns, released_ns: now, left });
        }
    }
}
