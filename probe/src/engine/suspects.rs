//! Suspects: the parents of which more has to be known than what every parent gives away, and what is then known of them.
//!
//! The question goes up as a query, and the answers come down as inputs, so that a replay has them and asks nothing. Must
//! not read /proc, and must not know causes.

use std::{cmp::Reverse, iter};

use foldhash::HashSet;

use super::{
    Engine, State,
    late_reaps::AwaitedChild,
    left_open::{Grade, LeftBehind},
};
use crate::model::{Blocked, Evidence, GENERATIONS_MAX, Identity, SUSPECTS_MAX, Task, Wait, WaitTarget};

/// A child that has been dead for so long, or for the grace where that is shorter, makes its parent a suspect: what it was
/// doing must be known before it is judged, and it may not live until then.
const SUSPECT_AFTER_NS: u64 = 250_000_000;
/// The starts of processes that a look names are known to the clock tick alone.
const TICK_NS: u64 = 10_000_000;
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
        let awaited_held = self.awaited_held(identity, &evidence);
        if let Some(writer) = left_behind.and_then(|found| self.processes.get_mut(&found.writer.identity)) {
            writer.is_pipe_writer = true;
        }
        let is_elsewhere = match &evidence.blocked {
            Blocked::Unknown => false,
            Blocked::PipeRead(read) => !read.are_writers_unknown(),
            Blocked::Wait(_) | Blocked::Vfork | Blocked::Call(_) => true,
        };
        if let Some(parent) = self.parents.get_mut(&identity) {
            if evidence.is_free() {
                parent.free_ns = Some(time_ns);
            }
            // Who has one thread comes out of what it is in to fork.
            let has_forked = evidence.threads == 1 && parent.last_fork_ns > parent.evidence_ns;
            let does_as = |before: &Evidence| evidence.does_as(before) && !has_forked;
            if !parent.current_evidence().is_some_and(does_as) {
                parent.evidence_ns = time_ns;
            }
            let is_still = |before: &Evidence| evidence.switches != 0 && evidence.switches == before.switches;
            if !parent.current_evidence().is_some_and(is_still) {
                parent.still_ns = time_ns;
            }
            parent.is_looked_at_once = parent.current_evidence().is_none();
            parent.looked_ns = time_ns;
            parent.evidence = Some(evidence);
            if awaited_held.is_some() {
                parent.late_reaps_mut().awaited_held = awaited_held;
            }
            match left_behind {
                Some(found) => parent.pipe.found(found),
                None if is_elsewhere => parent.pipe.elsewhere(time_ns),
                None => {}
            }
        }
    }

    /// The dead child that this parent waits for alone, if a tracer holds it.
    fn awaited_held(&self, parent: Identity, evidence: &Evidence) -> Option<AwaitedChild> {
        let Blocked::Wait(Wait { target: WaitTarget::Child(pid), .. }) = evidence.blocked else {
            return None;
        };
        let parent = self.parents.get(&parent)?;
        let is_of_first_namespace = parent.task.ns_pid == parent.task.identity.tgid;
        let is_named = |child: &Task| match is_of_first_namespace {
            true => child.identity.tgid == pid,
            false => child.ns_pid == pid,
        };
        let zombies = parent.zombies.iter().filter_map(|zombie| self.processes.get(zombie));
        zombies.filter(|zombie| is_named(&zombie.task)).find_map(|zombie| match &zombie.state {
            State::Zombie { held_by: Some(tracer), since_ns, .. } => {
                Some(AwaitedChild { pid, tracer: **tracer, since_ns: *since_ns })
            }
            _ => None,
        })
    }

    /// The process that holds the pipe open from which this parent reads, if a zombie of the parent's left it behind. A pipe to
    /// which the parent can write itself does not end by others.
    fn left_behind(&self, parent: Identity, evidence: &Evidence) -> Option<LeftBehind> {
        let Blocked::PipeRead(read) = &evidence.blocked else { return None };
        let parent = self.parents.get(&parent)?;
        if read.writers.iter().any(|writer| is_named(writer, &parent.task)) {
            return None;
        }
        let is_polled = read.is_polled;
        let of_others = |(place, writer): &(usize, &Task)| {
            !read.descends(*place) && !self.is_known_to_descend(writer, parent.task.identity)
        };
        let certain = read.writers.iter().find_map(|writer| {
            let process = self.processes.get(self.by_tgid.get(&writer.identity.tgid)?)?;
            let first = process.orphaned_by.as_ref().map(|first| first.identity);
            let mut origins = [Some(process.born_to), first].into_iter().flatten();
            let zombie = origins.find(|one| parent.zombies.contains(one))?;
            // A pipe that living children of the parent write to as well does not end with this one.
            let is_only_its = |(place, other): (usize, &Task)| {
                other.identity == writer.identity || of_others(&(place, other))
            };
            let is_certain = read.writers.iter().enumerate().all(is_only_its);
            let grade = if is_certain { Grade::Certain } else { Grade::Probable };
            Some(LeftBehind { writer: process.task, zombie, grade, pipe: read.pipe, is_polled })
        });
        // A daemon forks twice: who comes between has gone, and of a watch that does not stream nobody is known.
        let probable = || {
            let others = read.writers.iter().enumerate().filter(of_others);
            others.map(|(_, writer)| writer).find_map(|writer| {
                let by_ns = writer.identity.start_boottime_ns.saturating_add(TICK_NS);
                let before = parent.zombies.iter().filter(|zombie| zombie.start_boottime_ns <= by_ns);
                let zombie = *before.max_by_key(|zombie| (zombie.start_boottime_ns, zombie.tgid))?;
                if self.is_known_to_be_of_others(writer, &parent.zombies) {
                    return None;
                }
                Some(LeftBehind {
                    writer: *writer,
                    zombie,
                    grade: Grade::Probable,
                    pipe: read.pipe,
                    is_polled,
                })
            })
        };
        certain.or_else(probable)
    }

    /// Whether it is known whose child it is, and so of each above it, up to one that is older than all of these.
    fn is_known_to_be_of_others(&self, writer: &Task, zombies: &HashSet<Identity>) -> bool {
        let oldest_ns = zombies.iter().map(|zombie| zombie.start_boottime_ns).min().unwrap_or(0);
        let parent_of = |identity: &Identity| {
            let process = self.processes.get(identity)?;
            (process.born_to == process.parent).then_some(process.parent)
        };
        let first = self.by_tgid.get(&writer.identity.tgid).copied();
        iter::successors(first, parent_of)
            .take(GENERATIONS_MAX)
            .any(|one| one.start_boottime_ns < oldest_ns || one.is_init())
    }

    /// Whether events or the task list told so: recordings before 3.9 do not have it from /proc.
    pub(super) fn is_known_to_descend(&self, writer: &Task, of: Identity) -> bool {
        let parent_of = |identity: &Identity| self.processes.get(identity).map(|process| process.parent);
        let first = self.by_tgid.get(&writer.identity.tgid).copied();
        iter::successors(first, parent_of).take(GENERATIONS_MAX).any(|one| one == of)
    }
}

/// Whether the writer of a pipe, whose start is known to the tick alone, is this process.
fn is_named(writer: &Task, process: &Task) -> bool {
    let (named, own) = (&writer.identity, &process.identity);
    // In a PID namespace of ours a writer is known by its number there alone.
    let has_number = if named.tgid == 0 { writer.ns_pid == process.ns_pid } else { named.tgid == own.tgid };
    has_number && named.start_boottime_ns.abs_diff(own.start_boottime_ns) <= 2 * TICK_NS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Begin, ChildCounts, Counters, Input, LifecycleEvent, PipeRead, Stage};

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
        assert_eq!(kept.evidence, Some(pending(3)));
        assert_eq!((kept.evidence_ns, kept.looked_ns), (1, 2), "it does as before");
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

    /// 2 reads from a pipe; 20 and 21 are its zombies, 20 left 30 behind. 40 was started after them, 9 before.
    #[test]
    fn a_writer_is_left_behind_by_its_lineage_or_by_its_start() {
        use crate::engine::tests::{play_in, task};
        let engine = play_in(
            Begin::default(),
            "19 fork 20 2\n 20 fork 30 20\n 22 fork 21 2\n 30 zombie 20 2\n 31 zombie 21 2\n 32 fork 50 2\n 33 fork 51 50",
        );
        let started = |tgid, start_boottime_ns| {
            let one = task(tgid);
            Task { identity: Identity { start_boottime_ns, ..one.identity }, ..one }
        };
        let parent = task(2).identity;
        let zombies: Vec<Identity> = [20, 21].map(|tgid| task(tgid).identity).to_vec();
        assert!(zombies.iter().all(|zombie| engine.parents[&parent].zombies.contains(zombie)));
        let later = |tgid| started(tgid, 1_000_000_000);
        let found = |writers: &[Task], descendants| {
            let read =
                PipeRead { writers: writers.to_vec(), descendants, is_polled: true, ..PipeRead::default() };
            let evidence = Evidence { blocked: Blocked::PipeRead(read), ..Evidence::default() };
            let found = engine.left_behind(parent, &evidence)?;
            assert!(found.is_polled);
            Some((found.writer.identity.tgid, found.zombie.tgid, found.grade))
        };
        use Grade::{Certain, Probable};
        for (writers, descendants, expected) in [
            (vec![], 0, None),
            (vec![task(30)], 0, Some((30, 20, Certain))),
            // The youngest that it can come from.
            (vec![later(40)], 0, Some((40, 21, Probable))),
            (vec![later(40), task(30)], 0, Some((30, 20, Certain))),
            // A living child of the parent writes too.
            (vec![task(30), later(40)], 0b10, Some((30, 20, Probable))),
            (vec![task(30), task(50)], 0, Some((30, 20, Probable))),
            (vec![task(30), task(50)], 0b01, Some((30, 20, Probable))),
            (vec![task(30)], 0b01, Some((30, 20, Certain))),
            // Its living child, or a child of that: by /proc, or as events told.
            (vec![later(40)], 1, None),
            (vec![later(40), later(41)], 0b01, Some((41, 21, Probable))),
            (vec![task(50), task(51)], 0, None),
            // A pipe that the parent can write to itself does not end.
            (vec![task(2), later(40)], 0, None),
            (vec![task(2), task(30)], 0, None),
        ] {
            assert_eq!(found(&writers, descendants), expected, "{writers:?} {descendants:b}");
        }
        // Whose child it is was seen, up to one that is older than the zombies.
        let mut engine = engine;
        let upstream = |engine: &mut Engine, forked_by: u32| {
            let fork = Stage::Fork { parent: task(forked_by), creator: task(forked_by) };
            let event = LifecycleEvent { time_ns: 40, process: later(60), stage: fork };
            engine.apply(Input::Lifecycle(event), &mut Vec::new());
        };
        upstream(&mut engine, 3);
        let is_known = |engine: &Engine| {
            let zombies = &engine.parents[&parent].zombies;
            engine.is_known_to_be_of_others(&later(60), zombies)
        };
        assert!(is_known(&engine), "3 is older than 20 and 21");
        engine.processes.get_mut(&later(60).identity).expect("it is kept").parent = task(1).identity;
        assert!(!is_known(&engine), "it came to another");
        // Neither zombie was born when this one was.
        let zombies = &mut engine.parents.get_mut(&parent).expect("it is kept").zombies;
        zombies.clear();
        zombies.insert(Identity { tgid: 20, start_boottime_ns: 1_000_000_000 });
        let read = |start_ns| {
            let writers = vec![started(40, start_ns)];
            let blocked = Blocked::PipeRead(PipeRead { writers, ..PipeRead::default() });
            engine.left_behind(parent, &Evidence { blocked, ..Evidence::default() }).is_some()
        };
        assert!(!read(1_000_000_000 - TICK_NS - 1), "born before");
        assert!(read(1_000_000_000 - TICK_NS), "the start of a writer is known to the tick");
    }
}
