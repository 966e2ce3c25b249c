//! What stays when parents go, in which workload it is, and what is told when: on an engine that is fed by hand.

use proptest::prelude::*;

use super::*;
use crate::{
    engine::EnrichedEvent,
    model::{
        Begin, CgroupWorkload, ChildCounts, Comm, Counters, Coverage, Distribution, Evidence,
        FinishedInCgroup, FinishedParents, Identity, Input, LifecycleEvent, Losses, Precision, ProcessInfo,
        Readiness, ReapHow, Scope, Snapshot, Stage, Task, TaskEntry, TaskState, TaskTraits, Workload,
    },
    report::{
        CauseKind, CommandLines, Verdict, WorkloadKind,
        alert::{AlertKind, AlertState},
        metrics::{WorkloadCounts, WorkloadMetrics},
    },
};

const SECOND_NS: u64 = 1_000_000_000;
const GRACE_NS: u64 = 5 * SECOND_NS;
const LIMITS: Limits = Limits { workloads: 16, parents: 8, pid_limits: 4, idle_ns: 100 * SECOND_NS };

fn rules() -> Rules {
    let pids = PidRules { used_over_percent: 90, exhausted_within_ns: 3_600 * SECOND_NS };
    let command_lines = CommandLines::Redacted;
    Rules {
        least_unreaped: 1,
        least_late: 1,
        over_after_ns: 60 * SECOND_NS,
        pids,
        command_lines,
        silences: Vec::new(),
    }
}

fn session() -> Session {
    Session { grace_ns: GRACE_NS, ..Session::default() }
}

fn task(tgid: u32) -> Task {
    let identity = Identity { tgid, start_boottime_ns: u64::from(tgid) };
    Task { identity, ns_pid: tgid, comm: Comm::from(format!("p{tgid}").as_bytes()) }
}

/// One born since the agent began.
fn child(tgid: u32) -> Task {
    let start_boottime_ns = 2 * SECOND_NS + u64::from(tgid);
    Task { identity: Identity { tgid, start_boottime_ns }, ..task(tgid) }
}

fn unit(name: &str) -> Workload {
    Workload::Unit(name.into())
}

/// An engine of `watch` and an agent, told the same.
struct Host {
    engine: Engine,
    agent: Agent,
    now_ns: u64,
    finished: FinishedParents,
    in_cgroups: Vec<FinishedInCgroup>,
    losses: Losses,
}

impl Host {
    fn new(limits: Limits, rules: Rules) -> Self {
        let mut host = Self {
            engine: Engine::default(),
            agent: Agent::new(limits, rules),
            now_ns: SECOND_NS,
            finished: FinishedParents::default(),
            in_cgroups: Vec::new(),
            losses: Losses::default(),
        };
        let coverage = Coverage::Exceptions { slow_ns: GRACE_NS };
        host.tell(Input::Begin(Begin { time_ns: SECOND_NS, scope: Scope::Host, coverage }));
        host.walk(&[], &[4]);
        host
    }

    fn tell(&mut self, input: Input) {
        let mut enriched: Vec<EnrichedEvent> = Vec::new();
        self.engine.apply(input, &mut enriched);
    }

    fn describe(&mut self, tgid: u32, workload: Workload) {
        let info = ProcessInfo {
            executable: b"/x".to_vec(),
            command_line: vec![b"/x".to_vec(), b"--worker".to_vec()],
            ..ProcessInfo::default()
        };
        let workload = Some(workload);
        self.tell(Input::ProcessInfo { identity: task(tgid).identity, info, workload });
    }

    /// A second later the kernel tells of these parents, so many children each, all of them reaped; what it had of others it
    /// has added up.
    fn reading(&mut self, parents: &[(u32, u64)]) {
        let counters: Vec<_> =
            parents.iter().map(|(tgid, reaped)| self.counters(*tgid, *reaped, *reaped)).collect();
        self.reading_of(counters);
    }

    fn counters(&self, tgid: u32, exited: u64, reaped: u64) -> Counters {
        let counts = ChildCounts { forked: exited, exited, reaped, ..ChildCounts::default() };
        Counters {
            time_ns: self.now_ns + SECOND_NS,
            parent: task(tgid),
            counts,
            reap_latency: Distribution {
                count: reaped,
                sum_ns: reaped * 2_000,
                min_ns: 2_000,
                max_ns: 2_000,
                buckets: vec![(1, reaped)],
            },
            ..Counters::default()
        }
    }

    fn reading_of(&mut self, counters: Vec<Counters>) {
        self.now_ns += SECOND_NS;
        for counters in counters {
            self.tell(Input::Counters(Box::new(counters)));
        }
        let (time_ns, losses) = (self.now_ns, self.losses);
        self.tell(Input::Losses { time_ns, losses });
        self.tell(Input::FinishedInCgroups(self.in_cgroups.clone().into()));
        self.tell(Input::FinishedParents(self.finished));
        self.tell(Input::End { time_ns });
        self.agent.read(&self.engine);
        self.engine.retire(&Agent::done_with(&self.engine));
    }

    /// The kernel adds up what a parent had.
    fn finish(&mut self, reaped: u64) {
        self.finished.parents += 1;
        self.finished.counts +=
            ChildCounts { forked: reaped, exited: reaped, reaped, ..ChildCounts::default() };
    }

    /// The same of one that was in a cgroup.
    fn finish_in(&mut self, cgroup_id: u64, reaped: u64) {
        self.finish(reaped);
        if !self.in_cgroups.iter().any(|sum| sum.cgroup_id == cgroup_id) {
            self.in_cgroups.push(FinishedInCgroup { cgroup_id, ..FinishedInCgroup::default() });
        }
        let reap_latency = self.counters(1, reaped, reaped).reap_latency;
        for sum in self.in_cgroups.iter_mut().filter(|sum| sum.cgroup_id == cgroup_id) {
            sum.finished.parents += 1;
            sum.finished.counts +=
                ChildCounts { forked: reaped, exited: reaped, reaped, ..ChildCounts::default() };
            let before = sum.reap_latency.count;
            sum.reap_latency = Distribution {
                count: before + reaped,
                sum_ns: sum.reap_latency.sum_ns + reap_latency.sum_ns,
                buckets: vec![(0, before + reaped)],
                ..Distribution::default()
            };
        }
    }

    /// The cgroup was looked up.
    fn look_up(&mut self, cgroup_id: u64, workload: CgroupWorkload) {
        for sum in self.in_cgroups.iter_mut().filter(|sum| sum.cgroup_id == cgroup_id) {
            sum.workload = workload.clone();
        }
    }

    /// The counters of a parent in a cgroup.
    fn counters_in(&self, cgroup_id: u64, tgid: u32, reaped: u64) -> Counters {
        Counters { cgroup_id, ..self.counters(tgid, reaped, reaped) }
    }

    /// The task list: zombies with their parents, and who lives.
    fn walk(&mut self, zombies: &[(u32, u32)], alive: &[u32]) {
        let seen = |process, parent, state| TaskEntry {
            time_ns: self.now_ns,
            process,
            parent: task(parent),
            state,
            tracer: None,
            since_ns: 0,
            traits: TaskTraits::default(),
        };
        let tasks = (zombies.iter().map(|(dead, parent)| seen(child(*dead), *parent, TaskState::Zombie)))
            .chain(alive.iter().map(|tgid| seen(task(*tgid), 1, TaskState::Running)))
            .collect();
        let (began_ns, ended_ns) = (self.now_ns, self.now_ns);
        self.tell(Input::Snapshot(Snapshot { began_ns, ended_ns, settle_after_ns: 0, tasks }));
    }

    fn observe(&mut self) -> Observed {
        self.agent.observe(&self.engine, &session(), (0, 0))
    }

    fn workloads(&mut self) -> Vec<WorkloadMetrics> {
        self.observe().metrics.workloads
    }

    /// Name and reaped children of each workload that had any.
    fn reaped(&mut self) -> Vec<(String, u64)> {
        let all = self.workloads().into_iter().filter(|one| one.counts.reaped > 0);
        all.map(|one| (one.workload.name.into_owned(), one.counts.reaped)).collect()
    }
}

fn named(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    all.iter().map(|(name, reaped)| ((*name).to_owned(), *reaped)).collect()
}

#[test]
fn what_a_parent_had_stays_in_its_workload_and_the_rest_of_its_life_is_short_lived() {
    let mut host = Host::new(LIMITS, rules());
    host.reading(&[(4, 10), (5, 7)]);
    host.describe(4, unit("a.service"));
    host.describe(5, unit("a.service"));
    host.reading(&[(4, 12), (5, 7)]);
    assert_eq!(host.reaped(), named(&[("a.service", 19)]));
    // 4 reaps three more and has gone before the next reading.
    host.finish(15);
    host.reading(&[(5, 8)]);
    assert_eq!(
        host.reaped(),
        named(&[("a.service", 20)]),
        "the kernel's sum is taken over one reading later"
    );
    host.reading(&[(5, 8)]);
    assert_eq!(host.reaped(), named(&[("a.service", 20), ("short_lived", 3)]));
    // Another one of the unit goes on from there.
    host.reading(&[(5, 8), (6, 100)]);
    host.describe(6, unit("a.service"));
    host.reading(&[(5, 8), (6, 100)]);
    assert_eq!(host.reaped(), named(&[("a.service", 120), ("short_lived", 3)]));
    let latencies: Vec<u64> = host.workloads().iter().map(|one| one.reap_latency.count()).collect();
    assert_eq!(latencies, [120, 0]);
}

#[test]
fn who_leaves_children_behind_and_ends_is_in_its_workload_and_takes_no_more_room() {
    let mut host = Host::new(LIMITS, rules());
    host.reading(&[(4, 1)]);
    let at_rest = host.engine.size();
    for tgid in 1_000..2_000 {
        host.reading_of(vec![host.counters(tgid, 3, 1)]);
        host.describe(tgid, unit("a.service"));
        let died_ns = host.now_ns + SECOND_NS / 2;
        host.reading_of(vec![Counters { died_ns, retired: true, ..host.counters(tgid, 5, 2) }]);
        host.walk(&[], &[4]);
    }
    host.reading(&[(4, 1)]);
    assert_eq!(host.engine.size(), at_rest);
    let workloads = host.workloads();
    let of_unit = workloads.iter().find(|one| one.workload.name == "a.service").expect("a workload");
    assert_eq!(
        (of_unit.counts.exited, of_unit.counts.reaped, of_unit.counts.abandoned),
        (5_000, 2_000, 3_000)
    );
    let all = total(&workloads);
    assert_eq!((all.exited, all.reaped, all.abandoned), (5_000, 2_000, 3_000), "{workloads:?}");
}

#[test]
fn who_is_not_known_yet_is_in_no_workload_and_is_short_lived_only_once_it_has_gone() {
    let mut host = Host::new(LIMITS, rules());
    host.reading(&[(4, 10)]);
    assert_eq!(host.reaped(), named(&[]));
    host.describe(4, unit("a.service"));
    host.reading(&[(4, 10)]);
    assert_eq!(host.reaped(), named(&[("a.service", 10)]));
    host.reading(&[(4, 10), (5, 6)]);
    host.finish(6);
    host.reading(&[(4, 10)]);
    host.reading(&[(4, 10)]);
    assert_eq!(host.reaped(), named(&[("a.service", 10), ("short_lived", 6)]));
}

#[test]
fn what_short_parents_of_a_cgroup_had_is_its_workloads_once_it_was_looked_up() {
    let mut host = Host::new(LIMITS, rules());
    host.finish_in(70, 5);
    host.finish(1);
    host.reading(&[]);
    host.reading(&[]);
    assert_eq!(host.reaped(), named(&[("short_lived", 1)]), "the others are waited for");
    host.look_up(70, CgroupWorkload::Is(unit("a.service")));
    host.reading(&[]);
    host.finish_in(70, 2);
    host.finish_in(71, 3);
    host.look_up(71, CgroupWorkload::None);
    host.reading(&[]);
    assert_eq!(host.reaped(), named(&[("a.service", 5), ("short_lived", 1)]));
    host.reading(&[]);
    assert_eq!(host.reaped(), named(&[("a.service", 7), ("short_lived", 4)]));
    let latencies: Vec<u64> = host.workloads().iter().map(|one| one.reap_latency.count()).collect();
    assert_eq!(latencies, [7, 0]);
}

#[test]
fn of_a_parent_that_was_counted_one_by_one_only_the_rest_comes_from_its_cgroup() {
    let mut host = Host::new(LIMITS, rules());
    let counters = host.counters_in(70, 4, 10);
    host.reading_of(vec![counters]);
    host.describe(4, unit("a.service"));
    let counters = host.counters_in(70, 4, 12);
    host.reading_of(vec![counters]);
    host.finish_in(70, 15);
    host.look_up(70, CgroupWorkload::Is(unit("a.service")));
    for reaped in [12, 15, 15] {
        host.reading(&[]);
        assert_eq!(host.reaped(), named(&[("a.service", reaped)]));
    }
    assert_eq!(host.workloads()[0].reap_latency.count(), 15);
    // The cgroup goes, and another one of the same id comes.
    host.in_cgroups[0].is_last = true;
    host.reading(&[]);
    host.in_cgroups.clear();
    host.reading(&[]);
    host.reading(&[]);
    assert_eq!(host.agent.workloads.cgroups_remembered(), 0);
    host.finish_in(70, 3);
    host.look_up(70, CgroupWorkload::Is(unit("b.service")));
    host.reading(&[]);
    host.reading(&[]);
    assert_eq!(host.reaped(), named(&[("a.service", 15), ("b.service", 3)]));
}

#[test]
fn an_exec_takes_no_parent_out_of_its_workload() {
    let mut host = Host::new(LIMITS, rules());
    host.reading(&[(4, 10)]);
    host.describe(4, unit("a.service"));
    host.reading(&[(4, 10)]);
    host.reaped();
    let exec = Counters { exec_ns: host.now_ns, ..host.counters(4, 15, 15) };
    host.reading_of(vec![exec]);
    assert_eq!(host.reaped(), named(&[("a.service", 15)]));
    // It was moved: what it has from now on is the other's.
    host.describe(4, unit("b.service"));
    host.reading(&[(4, 17)]);
    assert_eq!(host.reaped(), named(&[("a.service", 15), ("b.service", 2)]));
}

#[test]
fn a_user_with_any_number_of_programs_displaces_nobody() {
    let mut host = Host::new(LIMITS, rules());
    let program = |number: u32| Workload::Program { user: 1000, executable: format!("/{number}").into() };
    let hostile: Vec<(u32, u64)> = (100..200).map(|tgid| (tgid, 1)).collect();
    host.reading(&hostile);
    for (tgid, _) in &hostile {
        host.describe(*tgid, program(*tgid));
    }
    host.reading(&hostile);
    let mut all = hostile.clone();
    all.extend((10..20).map(|tgid| (tgid, 3)));
    host.reading(&all);
    for tgid in 10..20 {
        host.describe(tgid, unit(&format!("{tgid}.service")));
    }
    host.reading(&all);
    let metrics = host.workloads();
    let of_kind = |kind| metrics.iter().filter(move |one| one.workload.kind == kind);
    assert_eq!(of_kind(WorkloadKind::Unit).count(), 10);
    assert_eq!(of_kind(WorkloadKind::Program).count(), 2, "an eighth of the room");
    let other = of_kind(WorkloadKind::Other).map(|one| one.counts.reaped).sum::<u64>();
    assert_eq!(other, 98);
}

#[test]
fn a_workload_that_is_idle_for_long_makes_room_and_no_count_is_lost() {
    let mut host = Host::new(Limits { workloads: 2, ..LIMITS }, rules());
    host.reading(&[(4, 10), (5, 20)]);
    host.describe(4, unit("a.service"));
    host.describe(5, unit("b.service"));
    host.reading(&[(4, 10), (5, 20)]);
    assert_eq!(host.reaped(), named(&[("a.service", 10), ("b.service", 20)]));
    host.finish(10);
    host.reading(&[(5, 20), (6, 1)]);
    host.describe(6, unit("c.service"));
    host.reading(&[(5, 20), (6, 1)]);
    assert_eq!(host.reaped(), named(&[("beyond_limit", 1), ("a.service", 10), ("b.service", 20)]).sorted());
    host.now_ns += 200 * SECOND_NS;
    host.reading(&[(5, 20), (6, 4)]);
    assert_eq!(host.reaped(), named(&[("beyond_limit", 11), ("b.service", 20), ("c.service", 3)]).sorted());
    // Its counts began at the reading before, those of the others with the agent.
    let all = host.workloads();
    let since = |name: &str| all.iter().find(|one| one.workload.name == name).map(|one| one.since);
    let at = |seconds: u64| Some(rfc3339(&session(), seconds * SECOND_NS));
    assert_eq!((since("b.service"), since("beyond_limit"), since("c.service")), (at(1), at(1), at(5)));
    // It comes back, and begins anew.
    host.reading(&[(5, 20), (6, 4), (7, 5)]);
    host.describe(7, unit("a.service"));
    host.reading(&[(5, 20), (6, 4), (7, 5)]);
    assert_eq!(host.reaped(), named(&[("beyond_limit", 16), ("b.service", 20), ("c.service", 3)]).sorted());
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for Vec<(String, u64)> {
    /// As metrics come: units before others.
    fn sorted(mut self) -> Self {
        self.sort_by_key(|(name, _)| (!name.ends_with(".service"), name.clone()));
        self
    }
}

/// Zombies from before the agent: nobody counted their deaths, so nothing is left of them once they are gone.
#[test]
fn what_a_parent_no_longer_has_is_taken_from_no_other() {
    let mut host = Host::new(LIMITS, rules());
    host.walk(&[(20, 4), (21, 4)], &[4]);
    host.describe(4, unit("a.service"));
    host.reading(&[]);
    let exited = |host: &mut Host| -> Vec<(String, u64)> {
        let all = host.workloads().into_iter();
        all.map(|one| (one.workload.name.into_owned(), one.counts.exited)).collect()
    };
    assert_eq!(exited(&mut host), named(&[("a.service", 2), ("short_lived", 0)]));
    host.walk(&[], &[4]);
    host.reading(&[(4, 0)]);
    host.finish(5);
    host.reading(&[(4, 0)]);
    host.reading(&[(4, 0)]);
    assert_eq!(exited(&mut host), named(&[("a.service", 2), ("short_lived", 5)]));
    // Nor once it is forgotten.
    host.reading(&[]);
    host.finish(7);
    host.reading(&[]);
    host.reading(&[]);
    assert_eq!(exited(&mut host), named(&[("a.service", 2), ("short_lived", 12)]));
}

/// A step in the life of a host with eight parents at most.
#[derive(Clone, Debug)]
enum Step {
    /// A parent reaps so many, or is born.
    Reap {
        place: usize,
        more: u64,
    },
    /// It is asked what it is part of.
    Describe {
        place: usize,
        workload: u8,
    },
    /// It ends; the kernel adds it up, after a reading of the counters if `late`.
    End {
        place: usize,
        late: bool,
    },
    /// Its cgroup is looked up.
    LookUp {
        place: usize,
        workload: Option<u8>,
    },
    Read,
    Observe,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..8usize, 1..50u64).prop_map(|(place, more)| Step::Reap { place, more }),
        2 => (0..8usize, 0..6u8).prop_map(|(place, workload)| Step::Describe { place, workload }),
        1 => (0..8usize, any::<bool>()).prop_map(|(place, late)| Step::End { place, late }),
        1 => (0..8usize, proptest::option::of(0..6u8)).prop_map(|(place, workload)| Step::LookUp { place, workload }),
        3 => Just(Step::Read),
        2 => Just(Step::Observe),
    ]
}

fn total(workloads: &[WorkloadMetrics]) -> WorkloadCounts {
    let mut total = WorkloadCounts::default();
    workloads.iter().for_each(|one| total += one.counts);
    total
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_no_count_goes_down_and_in_the_end_all_are_there(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut host = Host::new(Limits { workloads: 3, idle_ns: 20 * SECOND_NS, ..LIMITS }, rules());
        let mut alive: [Option<(u32, u64)>; 8] = [None; 8];
        let mut next = 10;
        let mut truth = 0;
        let mut before = WorkloadCounts::default();
        // Of the eight, two are in each cgroup, and the last two in none that is known.
        let cgroup_of = |place: usize| if place < 6 { 70 + place as u64 / 2 } else { 0 };
        let (mut looked_up, mut found_at) = (std::collections::HashSet::new(), Vec::new());
        let read = |host: &Host, alive: &[Option<(u32, u64)>; 8]| -> Vec<Counters> {
            let there = alive.iter().enumerate().filter_map(|(place, one)| Some((place, (*one)?)));
            there.map(|(place, (tgid, reaped))| host.counters_in(cgroup_of(place), tgid, reaped)).collect()
        };
        let end = |host: &mut Host, place: usize, reaped: u64| match cgroup_of(place) {
            0 => host.finish(reaped),
            id => host.finish_in(id, reaped),
        };
        let mut observe = |host: &mut Host, truth: u64| {
            let now = total(&host.workloads());
            assert!(now.reaped >= before.reaped && now.exited >= before.exited, "{now:?} after {before:?}");
            assert!(now.reaped <= truth, "{now:?}, and in truth {truth}");
            before = now;
        };
        for step in steps {
            match step {
                Step::Reap { place, more } => {
                    let (_, reaped) = alive[place].get_or_insert_with(|| { next += 1; (next, 0) });
                    *reaped += more;
                    truth += more;
                }
                Step::Describe { place, workload } => {
                    if let Some((tgid, _)) = alive[place] {
                        host.describe(tgid, unit(&format!("{workload}.service")));
                    }
                }
                Step::End { place, late } => {
                    if let Some((tgid, reaped)) = alive[place].take() {
                        // The counters were read, and then it ended before the sums were.
                        let mut counters = read(&host, &alive);
                        counters.push(host.counters_in(cgroup_of(place), tgid, reaped));
                        end(&mut host, place, reaped);
                        if late {
                            host.reading_of(counters);
                        }
                    }
                }
                Step::LookUp { place, workload } => {
                    let found = workload.map_or(CgroupWorkload::None, |number| {
                        CgroupWorkload::Is(unit(&format!("{number}.service")))
                    });
                    if looked_up.insert(cgroup_of(place)) {
                        found_at.push((cgroup_of(place), found));
                    }
                    found_at.iter().for_each(|(id, found)| host.look_up(*id, found.clone()));
                }
                Step::Read => {
                    let counters = read(&host, &alive);
                    host.reading_of(counters);
                }
                Step::Observe => observe(&mut host, truth),
            }
        }
        for (place, one) in alive.iter_mut().enumerate() {
            if let Some((_, reaped)) = one.take() {
                end(&mut host, place, reaped);
            }
        }
        for place in 0..8 {
            if looked_up.insert(cgroup_of(place)) {
                host.look_up(cgroup_of(place), CgroupWorkload::None);
            }
        }
        found_at.iter().for_each(|(id, found)| host.look_up(*id, found.clone()));
        host.reading(&[]);
        host.reading(&[]);
        observe(&mut host, truth);
        prop_assert_eq!(before.reaped, truth);
        prop_assert_eq!(before.exited, truth);
    }
}

/// A host on which 4, of a unit, has left these dead children since the last reading.
fn leaking(rules: Rules, zombies: &[(u32, u32)]) -> Host {
    let mut host = Host::new(LIMITS, rules);
    leak(&mut host, zombies);
    host.describe(4, unit("a.service"));
    host
}

fn leak(host: &mut Host, zombies: &[(u32, u32)]) {
    host.reading_of(vec![host.counters(4, zombies.len() as u64, 0)]);
    host.walk(zombies, &[4]);
}

fn states(alerts: &[Alert]) -> Vec<(AlertKind, AlertState)> {
    alerts.iter().map(|alert| (alert.alert, alert.state)).collect()
}

fn later(host: &mut Host, seconds: u64) {
    host.now_ns += seconds * SECOND_NS;
}

#[test]
fn a_leak_is_told_once_when_found_once_when_its_cause_is_known_and_once_when_it_is_over() {
    let zombies = [(20, 4), (21, 4)];
    let mut host = leaking(rules(), &zombies);
    assert!(host.observe().alerts.is_empty(), "within the grace");
    later(&mut host, 10);
    leak(&mut host, &zombies);
    let found = host.observe().alerts;
    assert_eq!(states(&found), [(AlertKind::Leak, AlertState::Found)]);
    assert!(
        found[0].text.starts_with("p4 (pid 4, unit a.service) leaves 2 dead children unreaped"),
        "{found:?}"
    );
    leak(&mut host, &zombies);
    assert!(host.observe().alerts.is_empty());
    // It is looked at, and sleeps.
    let (time_ns, identity) = (host.now_ns, task(4).identity);
    let evidence =
        Evidence { state: b'S', threads: 1, threads_read: 1, is_of_main: true, ..Evidence::default() };
    host.tell(Input::Evidence { time_ns, identity, evidence: Box::new(evidence) });
    leak(&mut host, &zombies);
    let known = host.observe();
    assert_eq!(
        states(&known.alerts),
        [(AlertKind::Leak, AlertState::CauseKnown)],
        "{:?}",
        known.metrics.parents
    );
    let cause = known.alerts[0].parent.as_ref().and_then(|parent| parent.cause.as_ref());
    assert_eq!(cause.map(|cause| cause.kind), Some(CauseKind::NeverWaits));
    assert!(known.alerts[0].text.contains("Why: never waits: ") && known.alerts[0].text.contains("Fix: "));
    // Others die, and no walk tells what became of them: metrics go on as the alert says.
    for exited in 3..7 {
        host.reading_of(vec![host.counters(4, exited, 0)]);
        let Observed { metrics, alerts } = host.observe();
        assert!(alerts.is_empty(), "{alerts:?}");
        let cause = metrics.parents.first().map(|parent| (parent.verdict, parent.cause));
        assert_eq!(cause, Some((Verdict::NeverReaps, Some(CauseKind::NeverWaits))), "{exited} have died");
    }
    leak(&mut host, &zombies);
    assert!(host.observe().alerts.is_empty());
    // All are reaped.
    later(&mut host, 5);
    host.reading(&[(4, 2)]);
    host.walk(&[], &[4]);
    assert!(host.observe().alerts.is_empty(), "not at once: it may begin again");
    later(&mut host, 60);
    host.reading(&[(4, 2)]);
    let over = host.observe().alerts;
    assert_eq!(states(&over), [(AlertKind::Leak, AlertState::Over)]);
    assert_eq!(over[0].id, found[0].id);
    assert!(over[0].lasted_ns.is_some_and(|ns| ns > 0 && ns < 60 * SECOND_NS), "{over:?}");
    host.reading(&[(4, 2)]);
    assert!(host.observe().alerts.is_empty());
}

#[test]
fn nobody_is_accused_of_a_zombie_that_may_have_been_reaped_since_the_task_list_was_walked() {
    let zombies = [(20, 4), (21, 4)];
    let mut host = leaking(rules(), &zombies);
    later(&mut host, 3);
    leak(&mut host, &zombies);
    // Reaped at once, in time. Until the next walk, nothing tells.
    for _ in 0..4 {
        host.reading(&[(4, 2)]);
        let observed = host.observe();
        assert!(observed.alerts.is_empty(), "{:?}", observed.alerts);
        assert!(observed.metrics.parents.is_empty(), "{:?}", observed.metrics.parents);
        assert!(observed.metrics.workloads.iter().all(|one| one.oldest_unreaped_ns < GRACE_NS));
    }
    host.walk(&[], &[4]);
    host.reading(&[(4, 2)]);
    let unreaped: u64 = host.workloads().iter().map(|one| one.unreaped).sum();
    assert_eq!(unreaped, 0);
}

#[test]
fn a_leak_below_the_threshold_or_silenced_is_not_told_and_one_silenced_is_counted_once() {
    let zombies = [(20, 4), (21, 4)];
    let tell = |rules: Rules| {
        let mut host = leaking(rules, &zombies);
        for _ in 0..3 {
            later(&mut host, 10);
            leak(&mut host, &zombies);
            let observed = host.observe();
            if !observed.alerts.is_empty() {
                return (observed.alerts.len(), observed.metrics.alerts.silenced);
            }
        }
        (0, host.observe().metrics.alerts.silenced)
    };
    let pattern = |text| Some(Pattern::new(text).expect("valid"));
    let silenced = |silence| Rules { silences: vec![silence], ..rules() };
    assert_eq!(tell(rules()), (1, 0));
    assert_eq!(tell(Rules { least_unreaped: 3, ..rules() }), (0, 0));
    assert_eq!(tell(silenced(Silence { command: pattern("p*"), ..Silence::default() })), (0, 1));
    assert_eq!(tell(silenced(Silence { command: pattern("q*"), ..Silence::default() })), (1, 0));
    assert_eq!(tell(silenced(Silence { command: pattern("*--worker*"), ..Silence::default() })), (0, 1));
    assert_eq!(tell(silenced(Silence { workload: pattern("*.service"), ..Silence::default() })), (0, 1));
    let ended = Silence { command: pattern("*"), until_ns: Some(1), ..Silence::default() };
    assert_eq!(tell(silenced(ended)), (1, 0));
    let other_cause = Silence { cause: Some(CauseKind::ParentStopped), ..Silence::default() };
    assert_eq!(tell(silenced(other_cause)), (1, 0));
}

#[test]
fn a_leak_of_a_parent_that_dies_is_over_at_once() {
    let zombies = [(20, 4)];
    let mut host = leaking(rules(), &zombies);
    later(&mut host, 10);
    leak(&mut host, &zombies);
    assert_eq!(host.observe().alerts.len(), 1);
    let dead = Counters { died_ns: host.now_ns, ..host.counters(4, 1, 0) };
    host.reading_of(vec![dead]);
    let over = host.observe().alerts;
    assert_eq!(states(&over), [(AlertKind::Leak, AlertState::Over)]);
    assert_eq!(over[0].text, "p4 (pid 4, unit a.service) has ended");
    assert!(over[0].parent.as_ref().is_some_and(|parent| !parent.alive));
}

#[test]
fn late_reaps_are_told_when_there_are_new_ones_and_once_as_long_as_there_are() {
    let mut host = Host::new(LIMITS, rules());
    let mut late = 0;
    let mut tell = |host: &mut Host, more: u64| {
        for _ in 0..more {
            late += 1;
            let stage = Stage::Reap {
                parent: task(4),
                reaper: task(4),
                how: ReapHow::Wait,
                precision: Precision::Exact,
                exit_ns: host.now_ns - 8 * SECOND_NS,
                zombie_ns: host.now_ns - 7 * SECOND_NS,
                readiness: Readiness::Unknown,
            };
            let process = child(100 + late as u32);
            host.tell(Input::Lifecycle(LifecycleEvent { time_ns: host.now_ns, process, stage }));
        }
        let slow_ns = 7 * SECOND_NS;
        let bucket = probe_common::bucket::index(slow_ns) as u16;
        let reap_latency = Distribution {
            count: late,
            sum_ns: late * slow_ns,
            min_ns: slow_ns,
            max_ns: slow_ns,
            buckets: vec![(bucket, late)],
        };
        let counters = Counters { reap_latency, ..host.counters(4, late, late) };
        host.reading_of(vec![counters]);
        states(&host.observe().alerts)
    };
    later(&mut host, 20);
    assert_eq!(tell(&mut host, 2), [(AlertKind::Slow, AlertState::Found)]);
    assert_eq!(tell(&mut host, 3), []);
    later(&mut host, 50);
    assert_eq!(tell(&mut host, 1), [], "it goes on");
    later(&mut host, 50);
    assert_eq!(tell(&mut host, 0), []);
    later(&mut host, 20);
    assert_eq!(tell(&mut host, 0), [(AlertKind::Slow, AlertState::Over)]);
    assert_eq!(tell(&mut host, 0), [], "what is old is no news");
    assert_eq!(tell(&mut host, 1), [(AlertKind::Slow, AlertState::Found)]);
}

#[test]
fn thousands_of_leaks_of_one_user_hide_no_other() {
    let mut host = Host::new(LIMITS, rules());
    // More than a report lists, and each leaves more than the other does.
    let hostile: Vec<u32> = (1_000..6_000).collect();
    let all: Vec<u32> = hostile.iter().copied().chain([4]).collect();
    let mut zombies: Vec<(u32, u32)> = all.iter().map(|tgid| (10_000 + tgid, *tgid)).collect();
    zombies.extend(hostile.iter().map(|tgid| (20_000 + tgid, *tgid)));
    let look = |host: &mut Host| {
        later(host, 10);
        let counters = all.iter().map(|tgid| host.counters(*tgid, 2 - u64::from(*tgid == 4), 0)).collect();
        host.reading_of(counters);
        host.walk(&zombies, &all);
        host.observe()
    };
    look(&mut host);
    for tgid in &hostile {
        host.describe(*tgid, Workload::Program { user: 7, executable: format!("/{tgid}").into() });
    }
    host.describe(4, unit("a.service"));
    let mut told = Vec::new();
    let mut named = Vec::new();
    for _ in 0..3 {
        let observed = look(&mut host);
        told.extend(observed.alerts.into_iter().filter_map(|alert| alert.parent).map(|parent| parent.comm));
        named = observed.metrics.parents.into_iter().map(|parent| parent.comm).collect();
        assert!(named.len() <= LIMITS.parents, "{named:?}");
    }
    assert!(named.contains(&"p4".to_owned()), "{named:?}");
    assert_eq!(told.iter().filter(|comm| *comm == "p4").count(), 1, "{told:?}");
    let counts = host.agent.alerts.counts();
    assert!(counts.sent < 20 && counts.beyond_limit > 100, "{counts:?}");
}

#[test]
fn a_hundred_thousand_parents_that_came_and_went_leave_no_more_behind_than_a_few() {
    let mut host = Host::new(LIMITS, rules());
    let mut truth = 0;
    for round in 0..200 {
        let first = 10_000 + round * 500;
        let parents: Vec<(u32, u64)> = (first..first + 500).map(|tgid| (tgid, 2)).collect();
        host.reading(&parents);
        for (tgid, _) in &parents {
            // Units with any name, and instances and programs with any.
            let workload = match tgid % 3 {
                0 => unit(&format!("{tgid}.service")),
                1 => unit(&format!("sshd@{tgid}.service")),
                _ => Workload::Program { user: 7, executable: format!("/{tgid}").into() },
            };
            host.describe(*tgid, workload);
        }
        host.reading(&parents);
        for (_, reaped) in parents {
            host.finish(reaped);
            truth += reaped;
        }
    }
    host.reading(&[]);
    host.reading(&[]);
    let metrics = host.observe().metrics;
    assert!(metrics.workloads.len() <= LIMITS.workloads + 2, "{}", metrics.workloads.len());
    assert_eq!(total(&metrics.workloads).reaped, truth);
    assert_eq!(host.agent.workloads.parents_remembered(), (0, 0));
}

#[test]
fn losses_are_told_when_they_begin_and_when_they_are_over() {
    let mut host = Host::new(LIMITS, rules());
    host.reading(&[]);
    assert!(host.observe().alerts.is_empty());
    for lost in 1..4 {
        host.losses = Losses { events: 10 * lost, ..Losses::default() };
        host.reading(&[]);
        let alerts = host.observe().alerts;
        assert_eq!(alerts.len(), usize::from(lost == 1), "{alerts:?}");
    }
    later(&mut host, 61);
    host.reading(&[]);
    assert_eq!(states(&host.observe().alerts), [(AlertKind::Loss, AlertState::Over)]);
    host.losses = Losses { map_full: 1, ..host.losses };
    host.reading(&[]);
    let again = host.observe().alerts;
    assert_eq!(again[0].lost.map(|lost| (lost.events, lost.map_full)), Some((0, 1)), "what is new");
}

#[test]
fn other_limits_and_rules_take_nothing_back() {
    let mut host = Host::new(LIMITS, rules());
    let parents: Vec<(u32, u64)> = (4..12).map(|tgid| (tgid, 2)).collect();
    host.reading(&parents);
    for (tgid, _) in &parents {
        host.describe(*tgid, unit(&format!("{tgid}.service")));
    }
    host.reading(&parents);
    assert_eq!(total(&host.workloads()).reaped, 16);
    host.agent.reconfigure(Limits { workloads: 3, ..LIMITS }, rules());
    host.reading(&parents);
    let after = host.workloads();
    assert_eq!((total(&after).reaped, after.len()), (16, 5));
}
