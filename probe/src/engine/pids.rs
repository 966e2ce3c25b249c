//! How many processes there may be and are: what was read of each limit lately, who is under it, and of whom that should be asked.
//!
//! The question goes up as a query, and the answers come down as inputs, so that a replay has them and asks nothing. Must not read
//! /proc, and must not know what growth means.

use std::{cmp::Reverse, collections::VecDeque};

use foldhash::{HashMap, HashMapExt};

use super::{Engine, State, View};
use crate::model::{
    Group, Identity, PID_LIMITS_MAX, PID_LIMITS_OF_MAX, PidLimit, PidLimits, PidScope, Scope, Task,
};

/// Most readings of a limit that are kept: five minutes at one each five seconds.
pub const SAMPLES_MAX: usize = 64;
/// A limit that was not read for so long is forgotten.
const KEPT_NS: u64 = 30_000_000_000;
/// Of the processes that are asked for, one workload, or those that one user can make up, get no more than this part.
const SHARE_OF_GROUP: usize = 8;

/// One limit, and what was used of it lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidUse {
    /// As last read.
    pub limit: PidLimit,
    /// When, and what was used then, the oldest first.
    pub samples: VecDeque<(u64, u64)>,
}

impl PidUse {
    fn read_ns(&self) -> u64 {
        self.samples.back().map_or(0, |(time_ns, _)| *time_ns)
    }
}

/// The zombies that are among what is used of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidZombies {
    /// Of a cgroup or a user: those of the parents of which it is known that they are in it. `None`: not known, because only a
    /// tree is watched.
    pub count: Option<u64>,
    /// Who has most of them, and how many.
    pub most: Option<(Task, u64)>,
}

/// What was read of limits.
#[derive(Debug, Default)]
pub(super) struct Pids {
    uses: HashMap<PidScope, PidUse>,
    under: HashMap<Identity, Vec<PidScope>>,
    left_out: u64,
}

impl Pids {
    pub(super) fn read(&mut self, read: PidLimits) {
        let PidLimits { time_ns, limits, under, left_out } = read;
        self.left_out = left_out;
        let mut before = std::mem::take(&mut self.under);
        for (identity, places) in under {
            let named = places.iter().filter_map(|place| limits.get(usize::from(*place)));
            let mut scopes: Vec<PidScope> = named.map(|limit| limit.scope.clone()).collect();
            let is_user = |scope: &PidScope| matches!(scope, PidScope::User(_));
            if !scopes.iter().any(is_user) {
                // Users are not counted at each reading.
                scopes.extend(before.remove(&identity).into_iter().flatten().filter(is_user));
            }
            self.under.insert(identity, scopes);
        }
        for limit in limits {
            let sample = (time_ns, limit.used);
            let known = self.uses.entry(limit.scope.clone());
            let known = known.or_insert_with(|| PidUse { limit: limit.clone(), samples: VecDeque::new() });
            if known.samples.len() >= SAMPLES_MAX {
                known.samples.pop_front();
            }
            known.limit = limit;
            known.samples.push_back(sample);
        }
        self.uses.retain(|_, known| time_ns.saturating_sub(known.read_ns()) <= KEPT_NS);
        while self.uses.len() > PID_LIMITS_MAX {
            let oldest = self.uses.iter().min_by_key(|(scope, known)| (known.read_ns(), *scope));
            let Some(oldest) = oldest.map(|(scope, _)| scope.clone()) else { return };
            self.uses.remove(&oldest);
        }
        self.under.values_mut().for_each(|scopes| scopes.retain(|scope| self.uses.contains_key(scope)));
    }
}

impl Engine {
    /// The processes of which it should be asked how many of them there may be: those that were asked for by pid, then the living
    /// parents with most zombies, then those with most dead children.
    pub fn under_pid_limits(&self) -> Vec<Task> {
        let mut chosen: Vec<Task> = match &self.begin.scope {
            Scope::Pids(pids) => pids.iter().filter_map(|pid| self.running(*pid)).collect(),
            Scope::Host | Scope::Tree(_) => Vec::new(),
        };
        chosen.truncate(PID_LIMITS_OF_MAX);
        let living =
            self.parents.values().filter(|parent| parent.died_ns.is_none() && self.is_asked_for(parent));
        let mut parents: Vec<_> = living
            .map(|parent| (Reverse((parent.zombies.len(), parent.deaths())), parent.task.identity, parent))
            .collect();
        parents.sort_unstable_by_key(|(order, identity, _)| (*order, *identity));
        let mut of_group: HashMap<Option<Group>, usize> = HashMap::new();
        for (_, _, parent) in parents {
            if chosen.len() >= PID_LIMITS_OF_MAX {
                break;
            }
            // Nothing is shared by those of whom nothing is known.
            if let Some(workload) = &parent.workload {
                let of_group = of_group.entry(Some(Group::of(workload))).or_default();
                *of_group += 1;
                if *of_group > PID_LIMITS_OF_MAX / SHARE_OF_GROUP {
                    continue;
                }
            }
            if !chosen.iter().any(|task| task.identity == parent.task.identity) {
                chosen.push(parent.task);
            }
        }
        chosen
    }

    fn running(&self, pid: u32) -> Option<Task> {
        let process = self.processes.get(self.by_tgid.get(&pid)?)?;
        matches!(process.state, State::Running).then_some(process.task)
    }
}

impl View<'_> {
    /// Every limit that was read lately, with the zombies among what is used of it; in no order.
    pub fn pid_uses(&self) -> Vec<(&PidUse, PidZombies)> {
        let pids = &self.engine.pids;
        let is_whole = self.engine.root().is_none();
        let mut of_all = PidZombies { count: is_whole.then_some(0), most: None };
        let mut of: HashMap<&PidScope, PidZombies> = HashMap::new();
        for parent in self.parents().filter(|parent| !parent.zombies.is_empty()) {
            let zombies = parent.zombies.len() as u64;
            if is_whole {
                add(&mut of_all, parent.task, zombies);
            }
            for scope in pids.under.get(&parent.task.identity).into_iter().flatten() {
                add(of.entry(scope).or_default(), parent.task, zombies);
            }
        }
        let zombies = |scope: &PidScope| match scope {
            PidScope::PidMax | PidScope::ThreadsMax => of_all,
            _ => of.get(scope).copied().unwrap_or(PidZombies { count: Some(0), most: None }),
        };
        pids.uses.values().map(|known| (known, zombies(&known.limit.scope))).collect()
    }

    /// The limits that a process is under beside those of the host, as far as that is known.
    pub fn pid_scopes_of(&self, identity: Identity) -> &[PidScope] {
        self.engine.pids.under.get(&identity).map_or(&[], Vec::as_slice)
    }

    /// How many of the processes and cgroups that were asked for could not be read the last time.
    pub fn pids_left_out(&self) -> u64 {
        self.engine.pids.left_out
    }
}

fn add(sum: &mut PidZombies, parent: Task, zombies: u64) {
    sum.count = Some(sum.count.unwrap_or(0).saturating_add(zombies));
    let is_more = |(most, held): (Task, u64)| (zombies, most.identity) > (held, parent.identity);
    if sum.most.is_none_or(is_more) {
        sum.most = Some((parent, zombies));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Begin, ChildCounts, Counters, Coverage, Input, Workload};

    const SECOND_NS: u64 = 1_000_000_000;

    fn task(tgid: u32) -> Task {
        Task { identity: Identity { tgid, start_boottime_ns: 1 }, ns_pid: tgid, ..Task::default() }
    }

    fn limit(scope: PidScope, used: u64) -> PidLimit {
        PidLimit { scope, used, limit: 100, refused: None }
    }

    fn engine(parents: u32, workload: impl Fn(u32) -> Option<Workload>) -> Engine {
        let mut engine = Engine::default();
        let coverage = Coverage::Exceptions { slow_ns: SECOND_NS };
        let mut inputs = vec![Input::Begin(Begin { time_ns: 1, scope: Scope::Host, coverage })];
        for tgid in 10..10 + parents {
            let counts = ChildCounts { exited: u64::from(tgid), ..ChildCounts::default() };
            let counters = Counters { parent: task(tgid), counts, ..Counters::default() };
            inputs.push(Input::Counters(Box::new(counters)));
            let identity = task(tgid).identity;
            let info = Default::default();
            inputs.push(Input::ProcessInfo { identity, info, workload: workload(tgid) });
        }
        inputs.into_iter().for_each(|input| engine.apply(input, &mut Vec::new()));
        engine
    }

    #[test]
    fn a_user_with_hundreds_of_programs_leaves_room_for_the_others() {
        let engine = engine(300, |tgid| {
            Some(match tgid {
                10 => Workload::Unit("quiet.service".into()),
                _ => Workload::Program { user: 1_000, executable: tgid.to_string().into_bytes() },
            })
        });
        let asked = engine.under_pid_limits();
        assert_eq!(asked.len(), 9, "{asked:?}");
        assert!(asked.contains(&task(10)) && asked.contains(&task(309)));
        assert_eq!(self::engine(300, |_| None).under_pid_limits().len(), PID_LIMITS_OF_MAX);
    }

    #[test]
    fn readings_are_kept_in_bounded_number_and_what_is_read_no_more_is_forgotten() {
        let mut engine = engine(1, |_| None);
        let cgroup = PidScope::Cgroup(b"/a".to_vec());
        for second in 0..100 {
            let mut limits = vec![limit(cgroup.clone(), second), limit(PidScope::PidMax, second)];
            let mut under = vec![(task(10).identity, vec![0])];
            if second < 60 && second % 10 == 0 {
                limits.push(limit(PidScope::User(1), second));
                under[0].1.push(2);
            }
            let read = PidLimits { time_ns: second * SECOND_NS, limits, under, left_out: 3 };
            engine.apply(Input::PidLimits(Box::new(read)), &mut Vec::new());
            let view = engine.view();
            let is_kept = second <= 80;
            let scopes = if is_kept { vec![cgroup.clone(), PidScope::User(1)] } else { vec![cgroup.clone()] };
            assert_eq!(view.pid_scopes_of(task(10).identity), scopes, "{second}");
            assert_eq!(view.pid_uses().len(), 2 + usize::from(is_kept));
        }
        let view = engine.view();
        assert_eq!(view.pids_left_out(), 3);
        for (known, zombies) in view.pid_uses() {
            assert_eq!(known.samples.len(), SAMPLES_MAX);
            assert_eq!(known.samples.back(), Some(&(99 * SECOND_NS, 99)));
            assert_eq!(zombies, PidZombies { count: Some(0), most: None });
        }
        for tgid in 0..300 {
            let limits = vec![limit(PidScope::User(tgid), 1)];
            let read = PidLimits { time_ns: 100 * SECOND_NS, limits, ..PidLimits::default() };
            engine.apply(Input::PidLimits(Box::new(read)), &mut Vec::new());
        }
        assert_eq!(engine.view().pid_uses().len(), PID_LIMITS_MAX);
    }
}
