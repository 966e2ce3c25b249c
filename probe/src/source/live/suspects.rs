//! Looking closer at suspects: how often, and for how long.
//!
//! Must not know why a process is a suspect.

use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::{Host, Input, Task};
use crate::{
    model::{Blocked, Evidence, Identity, PipeRead, SUSPECTS_MAX},
    source::host::evidence::Writers,
};

/// How often a suspect is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same for the last look, before the window closes: it confirms the one before, which may have come late.
const LAST_LOOK_AFTER: Duration = Duration::from_millis(300);
/// The same for one that has long done the same.
const LOOK_EVERY_WHEN_SAME: Duration = Duration::from_secs(8);
/// One that does the same is looked at again after this part of the time for which it has: what looks have confirmed is never much
/// less than what has passed.
const PART_OF_SAME: u32 = 8;
/// How long all looks of a time may take. Those who have no turn are the first of the next time.
const LOOKS_TAKE: Duration = Duration::from_millis(100);
/// How often the writers of pipes are looked for, at most: that goes through the descriptors of all processes.
const WRITERS_EVERY: Duration = Duration::from_secs(5);

/// What the suspects gave away so far.
#[derive(Default)]
pub(super) struct Suspects {
    last: HashMap<Identity, Look>,
    writers: HashMap<u64, Writers>,
    writers_at: Option<Instant>,
}

/// When a time of looking ends, and whether it is the last one.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub now: Instant,
    pub ends: Instant,
    pub is_last: bool,
}

impl Turn {
    /// The last one ends at the time `by`, if there is one.
    pub(super) fn begin(is_last: bool, by: Option<Instant>) -> Self {
        let now = Instant::now();
        let ends = now + LOOKS_TAKE;
        Self { now, ends: by.map_or(ends, |by| ends.min(by)), is_last }
    }
}

/// The last look at a suspect.
struct Look {
    at: Instant,
    /// The next one comes no sooner than so much later.
    every: Duration,
    /// Since when the answer is this one.
    since: Instant,
    evidence: Option<Evidence>,
}

impl Suspects {
    /// Looks at those whose turn it is; an answer that is as before is told too, for it says how long that lasts. Suspects that are
    /// not asked about any more are forgotten.
    pub(super) fn look(&mut self, host: &impl Host, suspects: &[Task], turn: Turn) -> Vec<(u64, Input)> {
        let mut due: Vec<(Option<Instant>, &Task)> = Vec::new();
        let mut before = std::mem::take(&mut self.last);
        for task in suspects.iter().take(SUSPECTS_MAX) {
            let Some(look) = before.remove(&task.identity) else {
                due.push((None, task));
                continue;
            };
            let every = if turn.is_last { LAST_LOOK_AFTER } else { look.every };
            if turn.now >= look.at + every {
                due.push((Some(look.at), task));
            }
            self.last.insert(task.identity, look);
        }
        due.sort_by_key(|(at, _)| *at);
        let mut seen = Vec::new();
        for (_, task) in due {
            if Instant::now() >= turn.ends {
                break;
            }
            seen.push((host.now_ns(), *task, host.evidence(task)));
        }
        self.name_writers(host, &mut seen, turn);
        let tell = |(time_ns, task, evidence): (u64, Task, Option<Evidence>)| {
            self.keep(task.identity, evidence.as_ref(), turn.now);
            let evidence = Box::new(evidence?);
            Some((time_ns, Input::Evidence { time_ns, identity: task.identity, evidence }))
        };
        seen.into_iter().filter_map(tell).collect()
    }

    /// Says of each pipe that somebody reads from who could write to it, as far as that is known.
    fn name_writers(&mut self, host: &impl Host, seen: &mut [(u64, Task, Option<Evidence>)], turn: Turn) {
        let mut pipes = Vec::new();
        let mut readers = Vec::new();
        for (_, task, evidence) in seen.iter() {
            if let Some(PipeRead { pipe, .. }) = evidence.as_ref().and_then(pipe_read) {
                pipes.push(*pipe);
                readers.push(*task);
            }
        }
        if pipes.is_empty() {
            return;
        }
        let is_due = self.writers_at.is_none_or(|at| turn.now >= at + WRITERS_EVERY);
        if is_due || (turn.is_last && pipes.iter().any(|pipe| !self.writers.contains_key(pipe))) {
            self.writers_at = Some(turn.now);
            // Of those who are not looked at now, too: this is all that is remembered.
            let others = self.last.values().filter_map(|look| look.evidence.as_ref().and_then(pipe_read));
            pipes.extend(others.map(|read| read.pipe));
            self.writers = host.pipe_writers(&pipes, &readers);
        }
        for (_, task, evidence) in seen {
            if let Some(Blocked::PipeRead(read)) = evidence.as_mut().map(|evidence| &mut evidence.blocked)
                && let Some(writers) = self.writers.get(&read.pipe)
            {
                read.writers.clone_from(&writers.tasks);
                read.is_cut = writers.is_cut;
                // Who descends may change from look to look, and costs little: a file for each generation.
                if !read.writers.is_empty() && Instant::now() < turn.ends {
                    read.descendants = host.descendants(task, &read.writers);
                }
            }
        }
    }

    /// Keeps an answer, and when the next one is due.
    fn keep(&mut self, identity: Identity, evidence: Option<&Evidence>, now: Instant) {
        let reads = evidence.and_then(pipe_read);
        let awaits_writers = reads.is_some_and(|read| !self.writers.contains_key(&read.pipe));
        let before = self.last.get(&identity).filter(|look| look.evidence.as_ref() == evidence);
        let since = before.map_or(now, |look| look.since);
        let every = match before {
            Some(_) if !awaits_writers => {
                (now.duration_since(since) / PART_OF_SAME).clamp(LOOK_EVERY, LOOK_EVERY_WHEN_SAME)
            }
            _ => LOOK_EVERY,
        };
        self.last.insert(identity, Look { at: now, every, since, evidence: evidence.cloned() });
    }
}

fn pipe_read(evidence: &Evidence) -> Option<&PipeRead> {
    if let Blocked::PipeRead(read) = &evidence.blocked { Some(read) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::WaitTarget,
        source::live::fake::{FakeHost, task},
    };

    fn at(began: Instant, ms: u64) -> Turn {
        let now = began + Duration::from_millis(ms);
        Turn { now, ends: Instant::now() + Duration::from_secs(60), is_last: false }
    }

    #[test]
    fn a_suspect_is_looked_at_once_a_second_and_less_often_while_it_does_the_same() {
        let mut host = FakeHost::at(1_000);
        let (mut suspects, began) = (Suspects::default(), Instant::now());
        let mut look = |host: &FakeHost, ms, is_last| {
            let turn = Turn { is_last, ..at(began, ms) };
            let answers = suspects.look(host, &[task(10), task(404)], turn);
            let mut looks_at = std::mem::take(&mut *host.looks_at.borrow_mut());
            looks_at.sort_unstable();
            (answers.len(), looks_at)
        };
        assert_eq!(look(&host, 0, false), (1, vec![10, 404]), "one that has gone gives no answer");
        assert_eq!(look(&host, 999, false), (0, vec![]));
        assert_eq!(look(&host, 1_000, false), (1, vec![10, 404]), "as before, which is told too");
        assert_eq!(look(&host, 16_000, false), (1, vec![10, 404]));
        assert_eq!(
            look(&host, 17_000, false),
            (0, vec![]),
            "an eighth of the time for which it did the same"
        );
        host.evidence.signals.blocked = 1 << 16;
        assert_eq!(
            look(&host, 17_500, true),
            (1, vec![10, 404]),
            "the last time, once a second all the same"
        );
        assert_eq!(look(&host, 18_500, false), (1, vec![10]), "it had something new");
        assert_eq!(look(&host, 900_000, false), (1, vec![10, 404]));
        assert_eq!(look(&host, 907_900, false), (0, vec![]));
        assert_eq!(look(&host, 908_000, false), (1, vec![10, 404]), "every 8 s for ever");
    }

    #[test]
    fn no_more_are_looked_at_than_are_allowed_and_only_those_are_remembered() {
        let host = FakeHost::at(1_000);
        let (mut suspects, began) = (Suspects::default(), Instant::now());
        let many: Vec<Task> = (1_000..1_200).map(task).collect();
        assert_eq!(suspects.look(&host, &many, at(began, 0)).len(), SUSPECTS_MAX);
        assert_eq!(suspects.last.len(), SUSPECTS_MAX);
        suspects.look(&host, &many[..1], at(began, 0));
        assert_eq!(suspects.last.len(), 1);
    }

    #[test]
    fn when_the_time_is_up_those_without_a_turn_come_first_the_next_time() {
        let host = FakeHost::at(1_000);
        let (mut suspects, began) = (Suspects::default(), Instant::now());
        suspects.look(&host, &[task(1)], at(began, 0));
        let is_over = Turn { ends: Instant::now(), ..at(began, 1_000) };
        assert_eq!(suspects.look(&host, &[task(1), task(2)], is_over), []);
        host.looks_at.borrow_mut().clear();
        suspects.look(&host, &[task(1), task(2)], at(began, 1_000));
        assert_eq!(*host.looks_at.borrow(), [2, 1]);
    }

    #[test]
    fn the_writers_of_a_pipe_are_looked_for_once_in_five_seconds_and_remembered_between() {
        let mut host = FakeHost::at(1_000);
        host.evidence.blocked = Blocked::PipeRead(PipeRead { pipe: 5, is_cut: true, ..PipeRead::default() });
        let (mut suspects, began) = (Suspects::default(), Instant::now());
        let mut look = |host: &FakeHost, ms, is_last, tgids: &[u32]| {
            let tasks: Vec<Task> = tgids.iter().copied().map(task).collect();
            let answers = suspects.look(host, &tasks, Turn { is_last, ..at(began, ms) });
            let named = answers.iter().map(|(_, input)| {
                let Input::Evidence { evidence, .. } = input else { panic!("{input:?}") };
                let read = pipe_read(evidence).expect("it reads");
                (read.writers.len(), read.is_cut)
            });
            (named.collect::<Vec<_>>(), host.walks.get())
        };
        assert_eq!(look(&host, 0, false, &[1]), (vec![(1, false)], 1));
        assert_eq!(look(&host, 1_000, false, &[1]), (vec![(1, false)], 1), "as remembered");
        let Blocked::PipeRead(read) = &mut host.evidence.blocked else { unreachable!() };
        read.pipe = 6;
        assert_eq!(look(&host, 3_000, false, &[1]), (vec![(0, true)], 1), "another pipe: not yet");
        assert_eq!(look(&host, 4_500, true, &[1]), (vec![(1, false)], 2), "unless it is the last time");
        assert_eq!(look(&host, 9_500, false, &[1]), (vec![(1, false)], 3));
        host.evidence.blocked = Blocked::Wait(crate::model::Wait { target: WaitTarget::Any, flags: 4 });
        assert_eq!(suspects.look(&host, &[task(1)], at(began, 20_000)).len(), 1);
        assert_eq!(host.walks.get(), 3);
    }

    #[test]
    fn who_polls_the_same_pipe_for_ever_is_looked_at_and_walked_for_ever_more_seldom() {
        let mut host = FakeHost::at(1_000);
        host.ancestor_of_writers = 2;
        host.evidence.blocked =
            Blocked::PipeRead(PipeRead { pipe: 5, is_polled: true, is_cut: true, ..PipeRead::default() });
        let (mut suspects, began) = (Suspects::default(), Instant::now());
        let mut descend = Vec::new();
        for second in 0..60 {
            for (_, input) in suspects.look(&host, &[task(1), task(2)], at(began, 1_000 * second)) {
                let Input::Evidence { identity, evidence, .. } = input else { panic!("{input:?}") };
                let read = pipe_read(&evidence).expect("it polls");
                descend.push((identity.tgid, read.is_polled, read.descends(0)));
            }
        }
        assert!(descend.chunks(2).all(|told| told == [(1, true, false), (2, true, true)]), "{descend:?}");
        let looks = host.looks_at.borrow().len();
        assert_eq!((looks, host.descents.get(), host.walks.get()), (46, 46, 10));
    }
}
