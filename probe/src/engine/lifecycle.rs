//! One lifecycle event: what it changes, and what is said of it.
//!
//! Must not know where events come from, nor which are missing: that is `snapshot`'s and `reconcile`'s.

use super::{Engine, EnrichedEvent, State, death::Release};
use crate::model::{Coverage, Identity, LifecycleEvent, ReapHow, Scope, Stage, Task, TaskTraits};

/// While so many processes are kept where not every event is told, no further orphan is.
const ORPHANS_MAX: usize = 16_384;

impl Engine {
    pub(super) fn lifecycle(&mut self, mut event: LifecycleEvent, enriched: &mut Vec<EnrichedEvent>) {
        let identity = event.process.identity;
        let now = event.time_ns;
        let mut reap_latency_ns = None;
        let mut teardown_ns = None;
        self.evict_former_owner(identity, now, enriched);
        // The free of a process that a walk of the task list has found gone before.
        if matches!(event.stage, Stage::Reap { .. }) && self.is_released(identity) {
            return;
        }
        match &mut event.stage {
            Stage::Fork { parent, creator } => self.fork(event.process, parent, creator, now),
            Stage::Exec { info } => {
                let process = self.entry(event.process, None);
                process.task = event.process;
                process.program_ns = now;
                process.info = Some(info.clone());
                if let Some(parent) = self.parents.get_mut(&identity) {
                    parent.task = event.process;
                    parent.runs(now, Some(info.clone()));
                    parent.exec_ns = Some(now);
                    parent.reaped_before_exec = parent.ledger.counts.reaped;
                }
            }
            Stage::Exit { parent, status, autoreap, is_clone_child, account } => {
                let process = self.entry(event.process, Some(*parent));
                process.task = event.process;
                if matches!(process.state, State::Running) {
                    process.state = State::Exited { exit_ns: now, autoreap: *autoreap };
                }
                if *is_clone_child {
                    process.traits |= TaskTraits::CLONE_CHILD;
                }
                // Whose zombie it is, the books say already.
                if !process.is_dead() {
                    process.parent = parent.identity;
                }
                self.ended(identity, now, *status, account.clone());
                if let (Some(signal), Some(parent)) = (status.signal(), self.parents.get_mut(&identity)) {
                    parent.killed_by = u8::try_from(signal).ok();
                }
                self.parent_died(identity, now);
            }
            Stage::Zombie { parent, held_by, exit_ns, again } => {
                self.entry(event.process, Some(*parent));
                teardown_ns = (*exit_ns != 0).then(|| now.saturating_sub(*exit_ns));
                self.zombie(
                    identity,
                    *parent,
                    now,
                    *held_by,
                    if *again { None } else { teardown_ns },
                    *again,
                );
            }
            Stage::Reparent { parent, from, since_ns } => {
                self.name(from);
                if *since_ns != 0 && !self.is_known_dead(identity) {
                    // Its first notice was not told: it became a zombie of the parent it had.
                    self.entry(event.process, Some(*from));
                    self.zombie(identity, *from, *since_ns, None, None, false);
                }
                self.entry(event.process, Some(*parent));
                self.adopt(identity, *parent, now);
            }
            Stage::Killed { kill } => {
                self.killed(identity, *kill, now);
                // As with the next one.
                return;
            }
            Stage::Orphan { from } => {
                self.name(from);
                self.orphaned(event.process, *from, now);
                // No stage of its own life: nobody is shown it.
                return;
            }
            Stage::Reap { parent, reaper, how, precision, exit_ns, zombie_ns, readiness } => {
                self.name(parent);
                self.name(reaper);
                if *exit_ns != 0 && *zombie_ns >= *exit_ns {
                    teardown_ns = Some(*zombie_ns - *exit_ns);
                }
                let since = if *zombie_ns != 0 { *zombie_ns } else { *exit_ns };
                // Somebody who lived took it, even where that is learnt after that somebody's own end.
                let taken = reaper.identity.tgid != 0 && reaper.identity == parent.identity;
                let (task, by, how, precision) = (event.process, *parent, *how, *precision);
                reap_latency_ns =
                    self.reap(Release { task, by, taken, how, precision, since_ns: since, now });
                self.reaped_of_site(identity, parent.identity, reap_latency_ns);
                // What the life in the kernel calls a wait may have been the kernel's own reaping.
                if how == ReapHow::Auto {
                    reap_latency_ns = None;
                } else if reap_latency_ns.is_none() && *zombie_ns != 0 && taken && self.is_filtered() {
                    // That it had changed hands was not told; the kernel timed it from then on.
                    reap_latency_ns = Some(now.saturating_sub(*zombie_ns));
                }
                // Of one that was freed, and of whom nobody is known to have taken it, the parent may have died before.
                let late = reap_latency_ns.filter(|ns| taken && *ns > self.finished.bounds.late_ns);
                if let Some(latency_ns) = late
                    && let Some(entry) = self.parents.get_mut(&parent.identity)
                {
                    entry.late_reaps_mut().slow.count(*readiness, latency_ns);
                }
            }
        }
        let in_scope = self.is_in_scope(&event, reap_latency_ns);
        let ended = self.ended_of(identity, &event.stage);
        if matches!(event.stage, Stage::Reap { .. }) {
            self.release(identity, now);
        }
        enriched.push(EnrichedEvent::Stage { event, reap_latency_ns, teardown_ns, in_scope, ended });
    }

    pub(super) fn fork(&mut self, child: Task, parent: &Task, creator: &Task, now: u64) {
        let inherited =
            self.processes.get(&creator.identity).or_else(|| self.processes.get(&parent.identity));
        let (info, in_tree) =
            inherited.map_or((None, false), |process| (process.info.clone(), process.in_tree));
        let is_tree = self.root().is_some();
        let process = self.entry(child, Some(*parent));
        if !process.is_dead() {
            process.parent = parent.identity;
        }
        process.born_to = parent.identity;
        process.in_tree |= in_tree;
        if is_tree && process.in_tree {
            // Not the parent where it was cloned as a sibling (CLONE_PARENT).
            let spawner = if creator.identity.tgid == 0 { parent } else { creator };
            process.spawned_by = Some(Box::new(*spawner));
        }
        if process.info.is_none() {
            process.info = info;
        }
        if let Some(parent) = self.parent_entry(*parent) {
            parent.ledger.counts.forked += 1;
            // Of a sibling that somebody cloned for it, it does nothing itself.
            if creator.identity.tgid == 0 || creator.identity == parent.task.identity {
                parent.forks(now);
            }
        }
    }

    /// Its parent dies while it lives.
    pub(super) fn orphaned(&mut self, process: Task, by: Task, now: u64) {
        // Where nobody tells of its end, it is kept until the next snapshot. That must not be as many as somebody can fork
        // meanwhile; of those beyond, it is not known where they come from.
        let is_crowded = self.is_filtered() && self.processes.len() >= ORPHANS_MAX;
        if is_crowded && !self.processes.contains_key(&process.identity) {
            return;
        }
        let process = self.entry(process, Some(by));
        if !process.is_dead() && process.orphaned_by.is_none() {
            (process.orphaned_by, process.orphaned_ns) = (Some(Box::new(by)), now);
        }
    }

    pub(super) fn is_known_dead(&self, identity: Identity) -> bool {
        self.processes.get(&identity).is_some_and(|process| process.is_dead())
    }

    /// Whether this stage of this process was asked for.
    pub(super) fn is_in_scope(&self, event: &LifecycleEvent, reap_latency_ns: Option<u64>) -> bool {
        let process = event.process.identity;
        let of_whom = match &self.begin.scope {
            Scope::Host => true,
            Scope::Tree(_) => self.processes.get(&process).is_some_and(|process| process.in_tree),
            Scope::Pids(pids) => {
                let parent = event.stage.parent().map_or(0, |parent| parent.identity.tgid);
                pids.contains(&process.tgid) || pids.contains(&parent)
            }
        };
        let of_what = match self.begin.coverage {
            Coverage::LateReaps { min_latency_ns } => {
                matches!(event.stage, Stage::Reap { .. })
                    && reap_latency_ns.is_some_and(|latency_ns| latency_ns >= min_latency_ns)
            }
            Coverage::EveryEvent | Coverage::Exceptions { .. } | Coverage::Unstated => true,
        };
        of_whom && of_what
    }

    /// Whether a process that is not known here has been released already: every process was seen by the first walk, or
    /// its birth or its death was told. Where events were lost, the kernel's counters take the place of the ledgers.
    pub(super) fn is_released(&self, identity: Identity) -> bool {
        self.first_snapshot_ns.is_some()
            && self.begin.coverage == Coverage::EveryEvent
            && !self.processes.contains_key(&identity)
    }

    /// Fills in a comm that the kernel had no chance to read.
    pub(super) fn name(&self, task: &mut Task) {
        if task.comm.0[0] != 0 || task.identity.tgid == 0 {
            return;
        }
        if let Some(known) = self.parents.get(&task.identity).map(|parent| parent.task) {
            *task = known;
        } else if let Some(known) = self.processes.get(&task.identity).map(|process| process.task) {
            *task = known;
        }
    }

    /// A tgid with a new start belongs to somebody else: whoever had it before has been released.
    pub(super) fn evict_former_owner(
        &mut self,
        identity: Identity,
        now: u64,
        enriched: &mut Vec<EnrichedEvent>,
    ) {
        if let Some(former) = self.by_tgid.get(&identity.tgid).copied()
            && former != identity
            && former.start_boottime_ns < identity.start_boottime_ns
        {
            self.release_unseen(former, now, enriched);
        }
    }
}
