//! How a window went, from its events: what happened when, and the lives of its processes. In bounded memory.
//!
//! Must not judge. What it does not keep it counts.

use foldhash::HashMap;

use crate::{
    engine::EnrichedEvent,
    model::{Identity, ProcessInfo, ReapHow, Stage, Task},
    report::page::{STEPS_MAX, Step},
};

/// Most processes that are kept: an agent's turn starts thousands, and each takes some 200 bytes.
const LIVES_MAX: usize = 16_384;
/// The shortest step, in ns. Steps are joined in pairs where the window becomes too long for them.
const STEP_NS: u64 = 1_000_000;

/// What events told so far.
#[derive(Debug)]
pub struct History {
    began_ns: Option<u64>,
    step_ns: u64,
    steps: Vec<Step>,
    lives: HashMap<Identity, Life>,
    not_kept: u64,
}

/// One process, as its events told it. Times are ns since boot; 0: not seen.
#[derive(Clone, Debug)]
pub struct Life {
    pub task: Task,
    /// The parent it was born to.
    pub born_to: Identity,
    pub info: Option<std::sync::Arc<ProcessInfo>>,
    /// Whose zombie it became, and when.
    pub zombie_of: Identity,
    pub zombie_ns: u64,
    pub is_dead: bool,
    /// When it left the process table, and by whom it was taken.
    pub released_ns: u64,
    pub reaped_by: Identity,
}

impl Life {
    /// Nothing is known of it but who it is.
    pub fn new(task: Task) -> Self {
        Self {
            task,
            born_to: Identity::default(),
            info: None,
            zombie_of: Identity::default(),
            zombie_ns: 0,
            is_dead: false,
            released_ns: 0,
            reaped_by: Identity::default(),
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { began_ns: None, step_ns: STEP_NS, steps: Vec::new(), lives: HashMap::default(), not_kept: 0 }
    }
}

impl History {
    /// Takes one event. Those that were not asked for are passed over.
    pub fn take(&mut self, enriched: &EnrichedEvent) {
        let EnrichedEvent::Stage { event, in_scope: true, .. } = enriched else { return };
        let now_ns = event.time_ns;
        let step = self.step(now_ns);
        match &event.stage {
            Stage::Fork { .. } => step.forked += 1,
            Stage::Zombie { again: false, .. } => step.died += 1,
            Stage::Reap { how: ReapHow::Wait, zombie_ns, .. } if *zombie_ns != 0 => step.reaped += 1,
            _ => {}
        }
        let Some(life) = self.life(event.process) else { return };
        match &event.stage {
            Stage::Fork { parent, creator } => {
                let spawner = if creator.identity.tgid == 0 { parent } else { creator };
                life.born_to = spawner.identity;
            }
            Stage::Exec { info } => {
                life.task = event.process;
                life.info = Some(info.clone());
            }
            Stage::Exit { .. } => life.is_dead = true,
            Stage::Zombie { parent, .. } => {
                (life.is_dead, life.zombie_of, life.zombie_ns) = (true, parent.identity, now_ns);
            }
            Stage::Reap { reaper, .. } => {
                (life.is_dead, life.released_ns, life.reaped_by) = (true, now_ns, reaper.identity);
            }
            Stage::Reparent { .. } | Stage::Killed { .. } | Stage::Orphan { .. } => {}
        }
    }

    /// The steps of a window that began and ended at these times, and how long each is.
    pub fn steps(&self, began_ns: u64, ended_ns: u64) -> (u64, Vec<Step>) {
        let first_ns = self.began_ns.unwrap_or(began_ns);
        let mut all = self.clone_steps();
        // Nothing happened before the first event.
        let before = |step_ns: u64| (first_ns.saturating_sub(began_ns) / step_ns) as usize;
        let needed = |step_ns: u64| (ended_ns.saturating_sub(began_ns) / step_ns) as usize;
        while before(all.step_ns).saturating_add(all.steps.len()).max(needed(all.step_ns)) > STEPS_MAX {
            all.join_steps();
        }
        let mut steps = vec![Step::default(); before(all.step_ns)];
        steps.append(&mut all.steps);
        steps.resize(steps.len().max(needed(all.step_ns)), Step::default());
        let mut zombies = 0_u64;
        for step in &mut steps {
            zombies = zombies.saturating_add(step.died).saturating_sub(step.reaped);
            step.zombies = zombies;
        }
        (all.step_ns, steps)
    }

    /// The same without its processes.
    fn clone_steps(&self) -> Self {
        Self { step_ns: self.step_ns, steps: self.steps.clone(), ..Self::default() }
    }

    /// The processes that are kept.
    pub fn lives(&self) -> &HashMap<Identity, Life> {
        &self.lives
    }

    /// How many were not.
    pub fn not_kept(&self) -> u64 {
        self.not_kept
    }

    fn step(&mut self, now_ns: u64) -> &mut Step {
        let since_ns = now_ns.saturating_sub(*self.began_ns.get_or_insert(now_ns));
        while since_ns / self.step_ns >= STEPS_MAX as u64 {
            self.join_steps();
        }
        let place = (since_ns / self.step_ns) as usize;
        if self.steps.len() <= place {
            self.steps.resize(place + 1, Step::default());
        }
        &mut self.steps[place]
    }

    fn join_steps(&mut self) {
        self.step_ns = self.step_ns.saturating_mul(2);
        let joined = self.steps.chunks(2).map(|pair| {
            pair.iter().fold(Step::default(), |sum, step| Step {
                forked: sum.forked + step.forked,
                died: sum.died + step.died,
                reaped: sum.reaped + step.reaped,
                zombies: 0,
            })
        });
        self.steps = joined.collect();
    }

    fn life(&mut self, task: Task) -> Option<&mut Life> {
        if self.lives.len() >= LIVES_MAX && !self.lives.contains_key(&task.identity) {
            self.not_kept += 1;
            return None;
        }
        Some(self.lives.entry(task.identity).or_insert_with(|| Life::new(task)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Comm, LifecycleEvent, Precision, Readiness, WaitStatus};

    fn task(tgid: u32) -> Task {
        let identity = Identity { tgid, start_boottime_ns: u64::from(tgid) };
        Task { identity, ns_pid: tgid, comm: Comm::from(&b"x"[..]) }
    }

    fn event(time_ns: u64, tgid: u32, stage: Stage) -> EnrichedEvent {
        let event = LifecycleEvent { time_ns, process: task(tgid), stage };
        EnrichedEvent::Stage { event, reap_latency_ns: None, teardown_ns: None, in_scope: true, ended: None }
    }

    fn zombie(time_ns: u64, tgid: u32) -> EnrichedEvent {
        event(time_ns, tgid, Stage::Zombie { parent: task(1), held_by: None, exit_ns: time_ns, again: false })
    }

    fn reap(time_ns: u64, tgid: u32, zombie_ns: u64) -> EnrichedEvent {
        let stage = Stage::Reap {
            parent: task(1),
            reaper: task(1),
            how: ReapHow::Wait,
            precision: Precision::Exact,
            exit_ns: zombie_ns,
            zombie_ns,
            readiness: Readiness::Unknown,
        };
        event(time_ns, tgid, stage)
    }

    #[test]
    fn a_long_window_has_no_more_steps_and_loses_no_count() {
        let mut history = History::default();
        for number in 1..=10_000_u64 {
            history.take(&zombie(number * 7_000_000, number as u32 + 2));
            if number % 2 == 0 {
                history.take(&reap(number * 7_000_000 + 10, number as u32 + 2, number * 7_000_000));
            }
        }
        let (step_ns, steps) = history.steps(0, 70_007_000_000);
        assert!(steps.len() <= STEPS_MAX && step_ns > STEP_NS, "{step_ns} {}", steps.len());
        assert_eq!(steps.iter().map(|step| step.died).sum::<u64>(), 10_000);
        assert_eq!(steps.last().map(|step| step.zombies), Some(5_000));
    }

    #[test]
    fn a_life_is_told_from_fork_to_reap_and_what_is_not_kept_is_counted() {
        let mut history = History::default();
        history.take(&event(10, 5, Stage::Fork { parent: task(1), creator: task(4) }));
        let exit = Stage::Exit {
            parent: task(1),
            status: WaitStatus(0),
            autoreap: false,
            is_clone_child: false,
            account: None,
        };
        history.take(&event(20, 5, exit));
        history.take(&zombie(21, 5));
        history.take(&reap(30, 5, 21));
        let life = &history.lives()[&task(5).identity];
        assert_eq!((life.born_to, life.zombie_of), (task(4).identity, task(1).identity));
        assert_eq!((life.zombie_ns, life.released_ns, life.is_dead), (21, 30, true));
        for number in 0..LIVES_MAX as u32 {
            history.take(&event(40, number + 100, Stage::Fork { parent: task(1), creator: task(1) }));
        }
        assert_eq!((history.lives().len(), history.not_kept()), (LIVES_MAX, 1));
    }
}
