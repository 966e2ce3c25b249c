//! What parents run: what is known of it, and of whom /proc should be asked.
//!
//! Questions go up as queries; the answers come down as inputs, so that a replay has them and asks nothing. Must not read
//! /proc.

use std::{cmp::Reverse, sync::Arc};

use super::{Engine, Parent, State, left_open::LeftOpen};
use crate::model::{ChildCounts, CountersHead, Identity, ProcessInfo, Task, Workload};

impl Engine {
    /// The living parents of which it is not known from /proc what they run, at most so many. Those that leave most
    /// children unreaped come first, then the slowest; none that leaves fewer than `least_unreaped`.
    pub fn undescribed(&self, least_unreaped: u64, most: usize) -> Vec<Task> {
        let mut found: Vec<_> = self
            .parents
            .iter()
            .filter(|(_, parent)| !parent.is_described && parent.died_ns.is_none())
            .filter(|(_, parent)| self.is_asked_for(parent))
            .map(|(identity, parent)| (Reverse(parent.leaves()), Reverse(parent.slowest_ns()), *identity))
            .filter(|(Reverse(unreaped), ..)| *unreaped >= least_unreaped)
            .collect();
        if found.len() > most {
            found.select_nth_unstable(most);
            found.truncate(most);
        }
        found.sort_unstable();
        found.iter().filter_map(|(.., identity)| Some(self.parents.get(identity)?.task)).collect()
    }

    /// The same of those that have lived longest, whatever they leave: however many come and go, each has its turn.
    pub fn eldest_undescribed(&self, most: usize) -> Vec<Task> {
        let mut found: Vec<_> = self
            .parents
            .values()
            .filter(|parent| !parent.is_described && parent.died_ns.is_none() && self.is_asked_for(parent))
            .map(|parent| parent.task)
            .collect();
        found.sort_unstable_by_key(|task| (task.identity.start_boottime_ns, task.identity.tgid));
        found.truncate(most);
        found
    }

    /// Those of the watched tree that run, the youngest last, at most so many: what they run now, and under which label, /proc
    /// knows.
    pub fn running_in_tree(&self, most: usize) -> Vec<Task> {
        let running =
            self.processes.values().filter(|process| process.in_tree && process.state == State::Running);
        let mut found: Vec<Task> = running.map(|process| process.task).collect();
        found.sort_unstable_by_key(|task| (task.identity.start_boottime_ns, task.identity.tgid));
        found.truncate(most);
        found
    }

    /// The label of a process that is still in the process table; empty where there is none.
    pub(super) fn label_of(&self, identity: Identity) -> Box<[u8]> {
        self.processes.get(&identity).map(|process| process.label().into()).unwrap_or_default()
    }

    /// Whether it is not known from /proc what this process, a parent or about to be one, runs.
    pub fn is_undescribed(&self, identity: Identity) -> bool {
        self.parents.get(&identity).is_none_or(|parent| !parent.is_described && parent.died_ns.is_none())
    }

    /// /proc was asked about it. An answer without anything says that it has gone: what is known stays.
    pub(super) fn describe(&mut self, identity: Identity, mut info: ProcessInfo, workload: Option<Workload>) {
        let parent = self.parents.get_mut(&identity);
        let process = self.processes.get_mut(&identity);
        let known = parent.as_ref().map(|one| &one.info).or(process.as_ref().map(|one| &one.info)).cloned();
        let is_known = info != ProcessInfo::default();
        if let Some(Some(known)) = known {
            // What /proc hides from us an exec may have told.
            if info.command_line.is_empty() {
                info.command_line.clone_from(&known.command_line);
            }
            if info.executable.is_empty() {
                info.executable.clone_from(&known.executable);
            }
        }
        let info = self.last_description.info(info);
        if let Some(process) = process
            && is_known
        {
            process.info = Some(info.clone());
        }
        if let Some(parent) = parent {
            parent.is_described = true;
            // It rarely moves: what it was part of stays when it runs another program.
            if let Some(workload) = workload {
                parent.workload = Some(self.last_description.workload(workload));
            }
            if is_known {
                parent.info = Some(info);
            }
        }
    }
}

/// What was said last. The many workers of one program are described one after the other, and share it.
#[derive(Debug, Default)]
pub(super) struct LastDescription {
    info: Arc<ProcessInfo>,
    workload: Option<Arc<Workload>>,
}

impl LastDescription {
    fn info(&mut self, info: ProcessInfo) -> Arc<ProcessInfo> {
        if *self.info != info {
            self.info = Arc::new(info);
        }
        Arc::clone(&self.info)
    }

    fn workload(&mut self, workload: Workload) -> Arc<Workload> {
        match &self.workload {
            Some(last) if **last == workload => Arc::clone(last),
            _ => Arc::clone(self.workload.insert(Arc::new(workload))),
        }
    }
}

impl Parent {
    /// It runs another program since `began_ns`, of which this is known.
    pub(super) fn runs(&mut self, began_ns: u64, info: Option<Arc<ProcessInfo>>) {
        self.info = info;
        self.program_ns = began_ns;
        self.is_described = false;
        // What the program before did says nothing of this one.
        if let Some(late) = self.late_reaps.as_deref_mut() {
            late.begin_anew();
        }
        (self.pipe, self.free_ns) = (LeftOpen::default(), None);
    }

    /// Takes over the name it has now. The name that the dead had is the last they are known by, if there is one.
    pub(super) fn name(&mut self, task: &Task) {
        if task.comm.0[0] == 0 || (self.died_ns.is_some() && self.task.comm.0[0] != 0) {
            return;
        }
        self.task.comm = task.comm;
        if task.ns_pid != 0 {
            self.task.ns_pid = task.ns_pid;
        }
    }

    /// Takes over a name of its that is known from elsewhere, where no event told any.
    pub(super) fn name_if_nameless(&mut self, task: &Task) {
        if self.task.comm.0[0] == 0 {
            self.name(task);
        }
    }

    /// Children it leaves unreaped, as far as is known: what the last walk saw, or what the kernel has counted since.
    pub(super) fn leaves(&self) -> u64 {
        let counted = self.counters.as_ref().map_or(0, |counted| {
            let CountersHead { untracked, counts, .. } = counted.head();
            let ChildCounts { exited, adopted, reaped, autoreaped, .. } = counts;
            let released = reaped.saturating_add(autoreaped).saturating_add(untracked);
            exited.saturating_add(adopted).saturating_sub(released)
        });
        counted.max(self.zombies.len() as u64)
    }

    fn slowest_ns(&self) -> u64 {
        self.counters
            .as_ref()
            .map_or(0, |counted| counted.unpack().reap_latency.max_ns)
            .max(self.reap_latency.max_ns())
    }
}

#[cfg(test)]
mod tests {
    use super::super::EnrichedEvent;
    use super::*;
    use crate::model::{
        Begin, Comm, Counters, Coverage, Input, LifecycleEvent, Readiness, Scope, Snapshot, Stage, TaskEntry,
        TaskState,
    };

    fn task(tgid: u32, comm: &str) -> Task {
        let identity = Identity { tgid, start_boottime_ns: u64::from(tgid) };
        Task { identity, ns_pid: tgid, comm: Comm::from(comm.as_bytes()) }
    }

    fn info(program: &str, executable: &str, unit: &str) -> ProcessInfo {
        ProcessInfo {
            command_line: program.split_whitespace().map(|arg| arg.as_bytes().to_vec()).collect(),
            executable: executable.into(),
            unit: unit.into(),
            ..ProcessInfo::default()
        }
    }

    fn answer(tgid: u32, info: ProcessInfo) -> Input {
        Input::ProcessInfo { identity: task(tgid, "").identity, info, workload: None }
    }

    fn exec(time_ns: u64, tgid: u32, program: &str) -> Input {
        let stage = Stage::Exec { info: Arc::new(info(program, "/event", "")) };
        Input::Lifecycle(LifecycleEvent { time_ns, process: task(tgid, program), stage })
    }

    fn counted(tgid: u32, exited: u64, reaped: u64) -> Counters {
        let counts = ChildCounts { exited, reaped, ..ChildCounts::default() };
        Counters { parent: task(tgid, "p"), counts, ..Counters::default() }
    }

    fn counters(tgid: u32, exited: u64, reaped: u64) -> Input {
        Input::Counters(Box::new(counted(tgid, exited, reaped)))
    }

    fn walk(time_ns: u64, zombies: &[(u32, u32)], alive: &[u32]) -> Input {
        let seen = |tgid, parent, state| TaskEntry {
            time_ns,
            process: task(tgid, "z"),
            parent: task(parent, "p"),
            state,
            tracer: None,
            since_ns: 0,
            traits: crate::model::TaskTraits::default(),
        };
        let tasks = (zombies.iter().map(|(child, parent)| seen(*child, *parent, TaskState::Zombie)))
            .chain(alive.iter().map(|tgid| seen(*tgid, 1, TaskState::Running)))
            .collect();
        Input::Snapshot(Snapshot { began_ns: time_ns, ended_ns: time_ns, settle_after_ns: 0, tasks })
    }

    /// An engine of `watch`, where the kernel counts.
    fn watching(inputs: impl IntoIterator<Item = Input>) -> Engine {
        let mut engine = Engine::default();
        let coverage = Coverage::Exceptions { slow_ns: 1_000_000 };
        let begin = Input::Begin(Begin { time_ns: 1_000, scope: Scope::Host, coverage });
        tell(&mut engine, [begin].into_iter().chain(inputs));
        engine
    }

    fn tell(engine: &mut Engine, inputs: impl IntoIterator<Item = Input>) {
        let mut enriched: Vec<EnrichedEvent> = Vec::new();
        for input in inputs {
            engine.apply(input, &mut enriched);
        }
    }

    fn asked(engine: &Engine, least: u64, most: usize) -> Vec<u32> {
        engine.undescribed(least, most).iter().map(|task| task.identity.tgid).collect()
    }

    fn known(engine: &Engine, tgid: u32) -> Option<ProcessInfo> {
        engine.parents[&task(tgid, "").identity].info.as_deref().cloned()
    }

    #[test]
    fn who_leaves_most_is_asked_for_first_whether_its_zombies_are_old_or_new() {
        let engine = watching([
            walk(1_010, &[(20, 2), (21, 2), (30, 3)], &[2, 3, 4, 5]),
            counters(4, 7, 1),
            counters(5, 9, 9),
        ]);
        assert_eq!(asked(&engine, 1, 10), [4, 2, 3]);
        assert_eq!(asked(&engine, 1, 2), [4, 2]);
        assert_eq!(asked(&engine, 0, 10), [4, 2, 3, 5], "at the end, the healthy too");
    }

    #[test]
    fn the_eldest_is_asked_for_however_many_younger_ones_leave_more() {
        let engine = watching([counters(4, 1, 1), counters(9, 8, 0), counters(7, 9, 0)]);
        let eldest = |most| -> Vec<u32> {
            engine.eldest_undescribed(most).iter().map(|task| task.identity.tgid).collect()
        };
        assert_eq!((eldest(1), eldest(5)), (vec![4], vec![4, 7, 9]));
        assert_eq!(asked(&engine, 1, 1), [7]);
    }

    #[test]
    fn whoever_is_described_or_dead_is_not_asked_for_until_it_runs_another_program() {
        let mut engine = watching([counters(4, 2, 0), counters(5, 2, 0)]);
        tell(&mut engine, [answer(4, info("four", "/four", "four.service"))]);
        assert_eq!(asked(&engine, 1, 10), [5]);
        tell(
            &mut engine,
            [
                exec(1_100, 4, "other"),
                Input::Counters(Box::new(Counters { died_ns: 1_200, ..counted(5, 2, 0) })),
            ],
        );
        assert_eq!(asked(&engine, 1, 10), [4]);
        assert_eq!(known(&engine, 4), Some(info("other", "/event", "")), "until it is asked");
        tell(&mut engine, [answer(4, info("other --long", "/proc", "four.service"))]);
        assert_eq!(known(&engine, 4), Some(info("other --long", "/proc", "four.service")));
        assert!(asked(&engine, 0, 10).is_empty());
    }

    #[test]
    fn who_has_gone_before_it_was_asked_keeps_what_its_exec_told_and_is_not_asked_again() {
        let mut engine = watching([counters(4, 2, 0), exec(1_100, 4, "four"), counters(5, 2, 0)]);
        tell(&mut engine, [answer(4, ProcessInfo::default()), answer(5, ProcessInfo::default())]);
        assert_eq!(known(&engine, 4), Some(info("four", "/event", "")));
        assert_eq!(known(&engine, 5), None);
        assert!(asked(&engine, 0, 10).is_empty());
    }

    #[test]
    fn what_proc_hides_is_what_the_exec_told() {
        let mut engine = watching([counters(4, 2, 0), exec(1_100, 4, "four")]);
        tell(&mut engine, [answer(4, info("four --long", "", "a.service"))]);
        assert_eq!(known(&engine, 4), Some(info("four --long", "/event", "a.service")));
    }

    #[test]
    fn an_exec_that_no_event_told_leaves_nothing_false() {
        let mut engine = watching([counters(4, 2, 0), answer(4, info("before", "/before", ""))]);
        let since = |exec_ns| Input::Counters(Box::new(Counters { exec_ns, ..counted(4, 2, 0) }));
        tell(&mut engine, [since(1_500)]);
        assert_eq!(known(&engine, 4), None);
        assert_eq!(asked(&engine, 1, 10), [4]);
        tell(&mut engine, [answer(4, info("after", "/after", "")), since(1_500)]);
        assert_eq!(known(&engine, 4), Some(info("after", "/after", "")));
        // One that was told of by its event is not told of again by the counters.
        tell(&mut engine, [exec(1_600, 4, "third"), since(1_600)]);
        assert_eq!(known(&engine, 4), Some(info("third", "/event", "")));
        // Nor where it ran the program before it was a parent.
        tell(
            &mut engine,
            [
                exec(1_700, 6, "six"),
                Input::Counters(Box::new(Counters { exec_ns: 1_700, ..counted(6, 2, 0) })),
            ],
        );
        assert_eq!(known(&engine, 6), Some(info("six", "/event", "")));
    }

    #[test]
    fn a_parent_first_known_without_a_name_gets_it_from_its_counters_though_it_has_died() {
        let nameless = Task { comm: Comm::default(), ns_pid: 0, ..task(4, "") };
        let stage = Stage::Reap {
            parent: nameless,
            reaper: Task::default(),
            how: crate::model::ReapHow::Wait,
            precision: crate::model::Precision::Coarse,
            exit_ns: 1_010,
            zombie_ns: 1_020,
            readiness: Readiness::Unknown,
        };
        let released = Input::Lifecycle(LifecycleEvent { time_ns: 1_030, process: task(40, "c"), stage });
        let dead = || Input::Counters(Box::new(Counters { died_ns: 1_040, ..counted(4, 1, 1) }));
        let engine = watching([released.clone(), walk(1_050, &[], &[1]), dead()]);
        assert_eq!(engine.parents[&task(4, "").identity].task, task(4, "p"));
        // While it lives, the walk knows.
        let engine = watching([released, walk(1_025, &[], &[4])]);
        assert_eq!(engine.parents[&task(4, "").identity].task.comm, Comm::from(&b"z"[..]));
    }
}
