//! The recording gives back what was written, and survives whatever happens to the file.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::model::*;

fn task() -> impl Strategy<Value = Task> {
    (any::<u32>(), any::<u64>(), any::<u32>(), any::<[u8; 16]>()).prop_map(
        |(tgid, start_boottime_ns, ns_pid, comm)| Task {
            identity: Identity { tgid, start_boottime_ns },
            ns_pid,
            comm: Comm(comm),
        },
    )
}

fn detail() -> impl Strategy<Value = Detail> {
    (vec(vec(any::<u8>(), 0..9), 0..4), vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9))
        .prop_map(|(command_line, executable, unit)| Detail { command_line, executable, unit })
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![
        (task(), task()).prop_map(|(parent, creator)| Stage::Fork { parent, creator }),
        detail().prop_map(|detail| Stage::Exec { detail: detail.into() }),
        (task(), any::<u32>(), any::<bool>()).prop_map(|(parent, status, autoreap)| Stage::Exit {
            parent,
            status: WaitStatus(status),
            autoreap
        }),
        (task(), option::of(task()), any::<u64>(), any::<bool>())
            .prop_map(|(parent, held_by, exit_ns, again)| Stage::Zombie { parent, held_by, exit_ns, again }),
        (task(), task(), any::<u64>()).prop_map(|(parent, from, since_ns)| Stage::Reparent {
            parent,
            from: from.identity,
            since_ns
        }),
        (task(), task(), any::<bool>(), any::<bool>(), any::<u64>(), any::<u64>()).prop_map(
            |(parent, reaper, auto, coarse, exit_ns, zombie_ns)| Stage::Reap {
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

fn distribution() -> impl Strategy<Value = Distribution> {
    (any::<[u64; 4]>(), vec((any::<u16>(), any::<u64>()), 0..5)).prop_map(
        |([count, sum_ns, min_ns, max_ns], buckets)| Distribution { count, sum_ns, min_ns, max_ns, buckets },
    )
}

fn seen() -> impl Strategy<Value = SeenTask> {
    let state = prop_oneof![
        Just(TaskState::Running),
        Just(TaskState::Exiting),
        Just(TaskState::DeadLeader),
        Just(TaskState::Zombie)
    ];
    (any::<[u64; 2]>(), task(), task(), state, option::of(task())).prop_map(
        |([time_ns, since_ns], process, parent, state, tracer)| SeenTask {
            time_ns,
            process,
            parent,
            state,
            tracer,
            since_ns,
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

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        (any::<u64>(), scope(), coverage()).prop_map(|(time_ns, scope, coverage)| Input::Begin(Begin {
            time_ns,
            scope,
            coverage
        })),
        (any::<u64>(), task(), stage()).prop_map(|(time_ns, process, stage)| Input::Lifecycle(Lifecycle {
            time_ns,
            process,
            stage
        })),
        (task(), detail()).prop_map(|(task, detail)| Input::Detail { identity: task.identity, detail }),
        (any::<[u64; 3]>(), vec(seen(), 0..4)).prop_map(|([began_ns, ended_ns, settle_after_ns], tasks)| {
            Input::Snapshot(Snapshot { began_ns, ended_ns, settle_after_ns, tasks })
        }),
        (any::<[u64; 13]>(), task(), distribution(), distribution()).prop_map(
            |(n, parent, reap_latency, teardown)| {
                Input::Counters(Box::new(Counters {
                    time_ns: n[0],
                    parent,
                    forked: n[1],
                    exited: n[2],
                    adopted: n[3],
                    reaped: n[4],
                    autoreaped: n[5],
                    waits_any: n[6],
                    waits_specific: n[7],
                    died_ns: n[8],
                    coarse: n[9],
                    untracked: n[10],
                    exec_ns: n[11],
                    reaped_before_exec: n[12],
                    retired: n[12] % 2 == 1,
                    reap_latency,
                    teardown,
                }))
            }
        ),
        any::<[u64; 7]>().prop_map(|[parents, forked, exited, adopted, reaped, autoreaped, coarse]| {
            Input::Settled(Settled { parents, forked, exited, adopted, reaped, autoreaped, coarse })
        }),
        any::<[u64; 4]>().prop_map(|[time_ns, events, map_full, probe_missed]| Input::Losses {
            time_ns,
            losses: Losses { events, map_full, probe_missed }
        }),
        (any::<[u64; 2]>(), vec(("[a-z]{0,9}", any::<[u64; 3]>()), 0..3)).prop_map(
            |([cpu_ns, resident_bytes], named)| {
                let programs = named.iter().cloned().map(|(name, n)| ProgramUpkeep {
                    name,
                    runs: n[0],
                    run_time_ns: n[1],
                    recursion_misses: n[2],
                });
                let maps = named.iter().cloned().map(|(name, n)| MapUpkeep {
                    name,
                    entries: n[0],
                    max_entries: n[1],
                    refused: n[2],
                });
                let (programs, maps) = (programs.collect(), maps.collect());
                Input::Upkeep(Box::new(Upkeep { cpu_ns, resident_bytes, programs, maps }))
            }
        ),
        any::<u64>().prop_map(|time_ns| Input::End { time_ns }),
    ]
}

fn session() -> Session {
    Session {
        anchor: TimeAnchor { realtime_minus_boottime_ns: -5 },
        hooks: Hooks { exit: "e".into(), zombie: "z".into(), reap: "r".into(), exact: true },
        grace_ns: 7,
    }
}

fn write(inputs: &[Input]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &session()).expect("a Vec takes everything");
    for input in inputs {
        writer.write(input).expect("a Vec takes everything");
    }
    writer.finish().expect("a Vec takes everything")
}

proptest! {
    #[test]
    fn what_was_written_is_read(inputs in vec(input(), 0..12)) {
        let mut reader = Reader::open(write(&inputs).as_slice()).expect("readable");
        prop_assert_eq!(reader.session(), &session());
        let read: Vec<Input> = reader.by_ref().collect();
        prop_assert_eq!(read, inputs);
        prop_assert_eq!(reader.damage().bytes_lost, 0);
    }

    #[test]
    fn a_flipped_byte_loses_only_the_frame_it_hits(inputs in vec(input(), 3..8), place in any::<prop::sample::Index>()) {
        let whole = write(&inputs);
        let first = write(&[]).len();
        let place = first + place.index(whole.len() - first);
        let mut damaged = whole.clone();
        damaged[place] ^= 0x55;
        let read: Vec<Input> = Reader::open(damaged.as_slice()).expect("the head is whole").collect();
        prop_assert!(read.len() >= inputs.len() - 1, "{} of {}", read.len(), inputs.len());
    }

    #[test]
    fn foreign_bytes_are_refused_or_read_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Reader::open(bytes.as_slice()).map(Iterator::count);
        let mut disguised = write(&[]);
        disguised.extend(bytes);
        let _ = Reader::open(disguised.as_slice()).map(Iterator::count);
    }
}

#[test]
fn a_file_cut_anywhere_gives_a_prefix_and_says_so() {
    let inputs: Vec<Input> = (0..5)
        .map(|time_ns| Input::Losses { time_ns, losses: Losses::default() })
        .chain([Input::End { time_ns: 9 }])
        .collect();
    let whole = write(&inputs);
    let first = write(&[]).len();
    for cut in first..whole.len() {
        let mut reader = Reader::open(&whole[..cut]).expect("the head is whole");
        let read: Vec<Input> = reader.by_ref().collect();
        assert_eq!(read, inputs[..read.len()]);
        assert!(reader.damage().no_end);
    }
    for cut in 0..first {
        assert!(Reader::open(&whole[..cut]).is_err());
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let mut bytes = write(&[]);
    bytes[8] = 9;
    let error = Reader::open(bytes.as_slice()).expect_err("newer");
    assert!(error.to_string().contains("format 9"), "{error}");
}

/// A recording of format 2, of `trace --pid 4 --pid 5` or of a tree.
fn format_2(pids: &[u32], root: Option<Identity>) -> Vec<u8> {
    let frame = |kind: u8, payload: &[u8]| {
        let mut body = vec![kind];
        body.extend((payload.len() as u32).to_le_bytes());
        body.extend(payload);
        let sum = crc32fast::hash(&body);
        [MARKER.as_slice(), &body, &sum.to_le_bytes()].concat()
    };
    let mut session = Vec::new();
    codec::encode_session(&self::session(), &mut session);
    session.push(u8::from(root.is_some()));
    session.extend((pids.len() as u32).to_le_bytes());
    session.extend(pids.iter().flat_map(|pid| pid.to_le_bytes()));
    let mut begin = 3u64.to_le_bytes().to_vec();
    begin.push(u8::from(root.is_some()));
    let root = root.unwrap_or_default();
    begin.extend(root.tgid.to_le_bytes());
    begin.extend(root.start_boottime_ns.to_le_bytes());
    let head = [MAGIC.as_slice(), &2u16.to_le_bytes(), &0u16.to_le_bytes()].concat();
    [head, frame(codec::kind::SESSION, &session), frame(codec::kind::BEGIN, &begin)].concat()
}

#[test]
fn format_2_is_read_and_what_it_left_out_is_unstated() {
    let root = Identity { tgid: 9, start_boottime_ns: 8 };
    for (bytes, scope) in [
        (format_2(&[], None), Scope::Host),
        (format_2(&[4, 5], None), Scope::Pids(vec![4, 5])),
        (format_2(&[], Some(root)), Scope::Tree(root)),
    ] {
        let mut reader = Reader::open(bytes.as_slice()).expect("readable");
        assert_eq!(reader.session(), &session());
        let begin = Begin { time_ns: 3, scope, coverage: Coverage::Unstated };
        assert_eq!(reader.next(), Some(Input::Begin(begin)));
    }
}
