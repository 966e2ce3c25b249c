//! Random inputs, as they can be recorded. Must not hold tests.

use probe_common::bucket;
use proptest::{
    array::{uniform2, uniform3, uniform6, uniform9, uniform13},
    collection::{btree_map, vec},
    option,
    prelude::*,
};

use crate::{
    model::*,
    recording::decode::{COUNT_MAX, PID_LIMIT, TIME_MAX_NS},
};

fn pid() -> impl Strategy<Value = u32> {
    0..PID_LIMIT
}

fn time() -> impl Strategy<Value = u64> {
    0..=TIME_MAX_NS
}

fn tally() -> impl Strategy<Value = u64> {
    0..=COUNT_MAX
}

fn task() -> impl Strategy<Value = Task> {
    (pid(), time(), pid(), any::<[u8; 16]>()).prop_map(|(tgid, start_boottime_ns, ns_pid, comm)| Task {
        identity: Identity { tgid, start_boottime_ns },
        ns_pid,
        comm: Comm(comm),
    })
}

fn site() -> impl Strategy<Value = Site> {
    let text = || vec(any::<u8>(), 0..9);
    let frame = (0..3usize, text(), text(), any::<u32>(), text(), any::<u64>()).prop_map(
        |(kind, function, file, line, module, address)| Frame {
            kind: [FrameKind::Native, FrameKind::Jit, FrameKind::Python][kind],
            function,
            file,
            line,
            module,
            address,
        },
    );
    (vec(frame, 0..4), 0..Depth::ALL.len())
        .prop_map(|(frames, depth)| Site { frames, depth: Depth::ALL[depth] })
}

fn info() -> impl Strategy<Value = ProcessInfo> {
    (vec(vec(any::<u8>(), 0..9), 0..4), vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9)).prop_map(
        |(command_line, executable, unit)| ProcessInfo {
            command_line,
            executable,
            unit,
            ..ProcessInfo::default()
        },
    )
}

fn workload() -> impl Strategy<Value = Option<Workload>> {
    let name = || "[!-~]{1,40}";
    prop_oneof![
        Just(None),
        name().prop_map(|name| Some(Workload::Unit(name))),
        (0..Runtime::ALL.len(), name())
            .prop_map(|(runtime, id)| Some(Workload::Container { runtime: Runtime::ALL[runtime], id })),
        (name(), option::of(name())).prop_map(|(uid, container)| Some(Workload::Pod { uid, container })),
        any::<u32>().prop_map(|user| Some(Workload::Session { user })),
        (any::<u32>(), vec(any::<u8>(), 0..9))
            .prop_map(|(user, executable)| Some(Workload::Program { user, executable })),
    ]
}

fn counts([forked, exited, adopted, reaped, autoreaped, coarse]: [u64; 6]) -> ChildCounts {
    ChildCounts { forked, exited, adopted, reaped, autoreaped, coarse }
}

fn account() -> impl Strategy<Value = Account> {
    let tty = option::of("[!-~]{1,16}");
    let numbers = (option::of(1..=u64::MAX), option::of(time()), option::of(0..=1_u64 << 56));
    (option::of(any::<u32>()), option::of(1..PID_LIMIT), tty, numbers).prop_map(
        |(uid, session, tty, (cgroup_id, cpu_ns, peak_rss_bytes))| Account {
            uid,
            session,
            tty: tty.map(|tty| tty.into_bytes().into()),
            cgroup_id,
            cpu_ns,
            peak_rss_bytes,
        },
    )
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![
        (task(), task()).prop_map(|(parent, creator)| Stage::Fork { parent, creator }),
        info().prop_map(|info| Stage::Exec { info: info.into() }),
        (1..=SIGNAL_MAX, killer()).prop_map(|(signal, by)| Stage::Killed { kill: Kill { signal, by } }),
        (task(), any::<u32>(), any::<bool>(), any::<bool>(), option::of(account())).prop_map(
            |(parent, status, autoreap, is_clone_child, account)| Stage::Exit {
                account: account.map(Into::into),
                is_clone_child,
                parent,
                status: WaitStatus(status),
                autoreap
            }
        ),
        (task(), option::of(task()), time(), any::<bool>())
            .prop_map(|(parent, held_by, exit_ns, again)| Stage::Zombie { parent, held_by, exit_ns, again }),
        (task(), task(), time()).prop_map(|(parent, from, since_ns)| Stage::Reparent {
            parent,
            from,
            since_ns
        }),
        (task(), task(), any::<bool>(), any::<bool>(), time(), time(), readiness()).prop_map(
            |(parent, reaper, auto, coarse, exit_ns, zombie_ns, readiness)| Stage::Reap {
                readiness,
                parent,
                reaper,
                how: if auto { ReapHow::Auto } else { ReapHow::Wait },
                precision: if coarse { Precision::Coarse } else { Precision::Exact },
                exit_ns,
                zombie_ns,
            }
        ),
    ]
}

fn killer() -> impl Strategy<Value = Killer> {
    prop_oneof![
        task().prop_map(Killer::Process),
        task().prop_map(Killer::NamespaceEnd),
        Just(Killer::Fault),
        Just(Killer::OutOfMemory),
        Just(Killer::Kernel),
    ]
}

fn readiness() -> impl Strategy<Value = Readiness> {
    prop_oneof![
        Just(Readiness::Unknown),
        Just(Readiness::NotWaiting),
        Just(Readiness::Waiting),
        Just(Readiness::WaitingForIt),
        Just(Readiness::WaitingOtherwise),
    ]
}

fn distribution() -> impl Strategy<Value = Distribution> {
    let buckets = btree_map(0..=bucket::LAST as u16, 1..=COUNT_MAX, 0..5);
    (tally(), any::<u64>(), [time(), time()], buckets).prop_map(
        |(count, sum_ns, [min_ns, max_ns], buckets)| Distribution {
            count,
            sum_ns,
            min_ns,
            max_ns,
            buckets: buckets.into_iter().collect(),
        },
    )
}

fn seen() -> impl Strategy<Value = TaskEntry> {
    let state = prop_oneof![
        Just(TaskState::Running),
        Just(TaskState::Exiting),
        Just(TaskState::DeadLeader),
        Just(TaskState::Zombie)
    ];
    ([time(), time()], task(), task(), state, option::of(task()), 0..16u32).prop_map(
        |([time_ns, since_ns], process, parent, state, tracer, traits)| TaskEntry {
            time_ns,
            process,
            parent,
            state,
            tracer: tracer.map(Box::new),
            since_ns,
            traits: TaskTraits::from_bits_truncate(traits),
        },
    )
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Host),
        task().prop_map(|root| Scope::Tree(root.identity)),
        vec(any::<u32>(), 1..5).prop_map(Scope::Pids),
    ]
}

fn coverage() -> impl Strategy<Value = Coverage> {
    prop_oneof![
        Just(Coverage::EveryEvent),
        any::<u64>().prop_map(|slow_ns| Coverage::Exceptions { slow_ns }),
        any::<u64>().prop_map(|min_latency_ns| Coverage::LateReaps { min_latency_ns }),
        Just(Coverage::Unstated),
    ]
}

fn blocked() -> impl Strategy<Value = Blocked> {
    let target = prop_oneof![
        Just(WaitTarget::Any),
        pid().prop_map(WaitTarget::Child),
        pid().prop_map(WaitTarget::Group),
        Just(WaitTarget::Pidfd)
    ];
    prop_oneof![
        Just(Blocked::Unknown),
        (target, any::<u32>()).prop_map(|(target, flags)| Blocked::Wait(Wait { target, flags })),
        (any::<u32>(), any::<u64>(), vec(task(), 0..=WRITERS_MAX), uniform2(any::<bool>()), any::<u16>())
            .prop_map(|(fd, pipe, writers, [is_polled, is_cut], descendants)| {
                let descendants = descendants & ((1u32 << writers.len()) - 1) as u16;
                Blocked::PipeRead(PipeRead { fd, pipe, is_polled, writers, descendants, is_cut })
            }),
        Just(Blocked::Vfork),
        (0..Call::ALL.len()).prop_map(|place| Blocked::Call(Call::ALL[place])),
    ]
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let tracer = prop_oneof![Just(Tracer::Unknown), Just(Tracer::None), task().prop_map(Tracer::By)];
    let masks = (uniform3(any::<u64>()), option::of(any::<u64>()), option::of(any::<u64>()), any::<u64>());
    let some_threads = || 0..=THREADS_READ_MAX as u32;
    let threads = (pid(), some_threads(), some_threads(), some_threads());
    let letter = prop_oneof![Just(0), b'A'..=b'Z', b'a'..=b'z'];
    let channel = vec(any::<u8>(), 0..=WAIT_CHANNEL_MAX);
    (letter, masks, threads, tracer, option::of(any::<bool>()), any::<bool>(), blocked(), channel).prop_map(
        |(state, masks, threads, tracer, is_frozen, is_of_main, blocked, wait_channel)| {
            let ([blocked_now, ignored, caught], blocked_by_all, pending, switches) = masks;
            let (threads, threads_read, threads_in_wait, threads_in_signal_wait) = threads;
            Evidence {
                state,
                signals: SignalMasks { blocked: blocked_now, ignored, caught },
                blocked_by_all,
                switches,
                pending,
                threads,
                threads_read,
                tracer,
                is_frozen,
                blocked,
                is_of_main,
                threads_in_wait,
                threads_in_signal_wait,
                wait_channel,
            }
        },
    )
}

fn wait_calls() -> impl Strategy<Value = WaitCalls> {
    uniform9(tally()).prop_map(
        |[any, specific, read, unread, group, absent, peeking, own_thread, clone_only]| WaitCalls {
            any,
            specific,
            read,
            unread,
            group,
            absent,
            peeking,
            own_thread,
            clone_only,
        },
    )
}

fn finished_in_cgroup() -> impl Strategy<Value = FinishedInCgroup> {
    let cgroup = (1..u64::MAX, option::of(workload()), any::<bool>());
    (cgroup, tally(), uniform6(tally()), distribution(), distribution()).prop_map(
        |((cgroup_id, workload, is_last), parents, n, reap_latency, teardown)| FinishedInCgroup {
            cgroup_id,
            workload: match workload {
                None => CgroupWorkload::Pending,
                Some(None) => CgroupWorkload::None,
                Some(Some(workload)) => CgroupWorkload::Is(workload),
            },
            is_last,
            finished: FinishedParents { parents, counts: counts(n) },
            reap_latency,
            teardown,
        },
    )
}

fn pid_limits() -> impl Strategy<Value = PidLimits> {
    let scope = prop_oneof![
        Just(PidScope::PidMax),
        Just(PidScope::ThreadsMax),
        vec(any::<u8>(), 0..9).prop_map(PidScope::Cgroup),
        any::<u32>().prop_map(PidScope::User),
    ];
    let limit = (scope, tally(), tally(), option::of(tally()))
        .prop_map(|(scope, used, limit, refused)| PidLimit { scope, used, limit, refused });
    (time(), vec(limit, 1..4), vec((task(), vec(any::<u16>(), 0..2)), 0..4), tally()).prop_map(
        |(time_ns, limits, under, left_out)| {
            let places = |places: Vec<u16>| places.iter().map(|one| one % limits.len() as u16).collect();
            let under = under.into_iter().map(|(task, under)| (task.identity, places(under))).collect();
            PidLimits { time_ns, limits, under, left_out }
        },
    )
}

pub fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        (1..=u64::MAX, workload())
            .prop_map(|(id, workload)| Input::Cgroup { id, workload: workload.map(Into::into) }),
        pid_limits().prop_map(|limits| Input::PidLimits(Box::new(limits))),
        (time(), scope(), coverage()).prop_map(|(time_ns, scope, coverage)| Input::Begin(Begin {
            time_ns,
            scope,
            coverage
        })),
        (time(), task(), stage()).prop_map(|(time_ns, process, stage)| Input::Lifecycle(LifecycleEvent {
            time_ns,
            process,
            stage
        })),
        (task(), info(), workload(), "[ -~]{0,128}").prop_map(|(task, info, workload, label)| {
            Input::ProcessInfo {
                identity: task.identity,
                info: ProcessInfo { label: label.into(), ..info },
                workload,
            }
        }),
        (uniform3(time()), vec(seen(), 0..4)).prop_map(|([began_ns, ended_ns, settle_after_ns], tasks)| {
            Input::Snapshot(Snapshot { began_ns, ended_ns, settle_after_ns, tasks })
        }),
        (uniform13(tally()), wait_calls(), task(), distribution(), distribution()).prop_map(
            |(n, waits, parent, reap_latency, teardown)| {
                Input::Counters(Box::new(Counters {
                    time_ns: n[0],
                    parent,
                    counts: counts([n[1], n[2], n[3], n[4], n[5], n[9]]),
                    waits,
                    coalesced: (n[6] % 2 == 1).then_some(n[7]),
                    died_ns: n[8],
                    untracked: n[10],
                    exec_ns: n[11],
                    reaped_before_exec: n[12],
                    retired: n[12] % 2 == 1,
                    reap_latency,
                    teardown,
                    cgroup_id: n[11],
                }))
            }
        ),
        (time(), task(), evidence()).prop_map(|(time_ns, task, evidence)| {
            Input::Evidence { time_ns, identity: task.identity, evidence: Box::new(evidence) }
        }),
        (time(), task(), task(), 0..=SITES_MAX as u32)
            .prop_filter("no process forks itself", |(_, child, creator, _)| child.identity
                != creator.identity)
            .prop_map(|(time_ns, child, creator, site)| {
                Input::ForkSite { time_ns, child: child.identity, creator, site }
            }),
        (0..=SITES_MAX as u32, site())
            .prop_map(|(number, site)| Input::Site { number, site: Box::new(site) }),
        tally().prop_map(Input::ForkSitesMissed),
        vec((task(), task(), any::<bool>(), any::<bool>()), 0..4).prop_map(|deaths| {
            let deaths =
                deaths.into_iter().filter(|(process, parent, ..)| process.identity != parent.identity);
            let death = |(process, parent, autoreap, counted): (Task, Task, bool, bool)| DeadChild {
                process: process.identity,
                parent: parent.identity,
                autoreap,
                counted,
            };
            Input::Unfreed(deaths.map(death).collect())
        }),
        (tally(), uniform6(tally())).prop_map(|(parents, n)| {
            Input::FinishedParents(FinishedParents { parents, counts: counts(n) })
        }),
        vec(finished_in_cgroup(), 0..3).prop_map(|sums| Input::FinishedInCgroups(sums.into())),
        (time(), uniform3(tally())).prop_map(|(time_ns, [events, map_full, probe_missed])| Input::Losses {
            time_ns,
            losses: Losses { events, map_full, probe_missed, damaged: 0 }
        }),
        (time(), tally(), vec(("[a-z]{0,9}", uniform3(tally())), 0..3)).prop_map(
            |(cpu_ns, resident_bytes, named)| {
                let programs = named.iter().cloned().map(|(name, n)| ProgramStats {
                    name,
                    runs: n[0],
                    run_time_ns: n[1],
                    recursion_misses: n[2],
                });
                let maps = named.iter().cloned().map(|(name, n)| MapStats {
                    name,
                    entries: n[0],
                    max_entries: n[1],
                    refused: n[2],
                });
                let (programs, maps) = (programs.collect(), maps.collect());
                let kernel_bytes = resident_bytes / 2;
                Input::TracerStats(Box::new(TracerStats {
                    cpu_ns,
                    resident_bytes,
                    kernel_bytes,
                    programs,
                    maps,
                }))
            }
        ),
        time().prop_map(|time_ns| Input::End { time_ns }),
    ]
}
