//! The recording gives back what was written, and survives whatever happens to the file.

mod inputs;

use proptest::{collection::vec, prelude::*};

use probe_common::bucket;

use super::{
    decode::{COUNT_MAX, PID_LIMIT, TIME_MAX_NS},
    encode, evidence, kind, *,
};
use crate::model::*;
use inputs::input;

fn session() -> Session {
    Session {
        anchor: TimeAnchor { realtime_minus_boottime_ns: -5 },
        hooks: Hooks { exit: "e".into(), zombie: "z".into(), reap: "r".into(), exact: true },
        grace_ns: 7,
    }
}

/// All inputs that are read, and the damage.
fn read(bytes: &[u8]) -> (Vec<Input>, Damage) {
    let mut reader = Reader::open(bytes).expect("the head is whole");
    let read = reader.by_ref().collect();
    (read, reader.damage())
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
        let written = write(&inputs);
        let mut reader = Reader::open(written.as_slice()).expect("readable");
        prop_assert_eq!(reader.session(), &session());
        let read: Vec<Input> = reader.by_ref().collect();
        prop_assert_eq!(reader.damage(), Damage { no_end: reader.damage().no_end, ..Damage::default() });
        prop_assert_eq!(read, inputs);
    }

    #[test]
    fn a_flipped_byte_loses_only_the_frame_it_hits(inputs in vec(input(), 3..8), place in any::<prop::sample::Index>()) {
        let whole = write(&inputs);
        let first = write(&[]).len();
        let place = first + place.index(whole.len() - first);
        let mut damaged = whole.clone();
        damaged[place] ^= 0x55;
        let (read, damage) = read(&damaged);
        prop_assert_eq!(damage.places + u64::from(damage.torn_tail) + damage.unknown_frames, 1);
        let told = usize::from(damage.places > 0);
        prop_assert_eq!(read.len(), inputs.len() - 1 + told);
        let says_so = |input: &Input| matches!(input, Input::Losses { losses, .. } if losses.damaged == 1);
        prop_assert_eq!(read.iter().any(says_so), told == 1);
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

/// A frame with a good checksum.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let head = [&[kind][..], &(payload.len() as u32).to_le_bytes(), payload].concat();
    [&MARKER[..], &head, &crc32fast::hash(&head).to_le_bytes()].concat()
}

fn end(time_ns: u64) -> Input {
    Input::End { time_ns }
}

#[test]
fn false_markers_cost_one_look_each_and_what_is_behind_them_is_read() {
    // Each frame claims the megabyte after it. Hashing them one by one would read a hundred gigabytes.
    let count = 100_000;
    let false_frame = [&MARKER[..], &[2], &1_000_000_u32.to_le_bytes()].concat();
    let damaged =
        [write(&[]), false_frame.repeat(count), frame(8, &7_u64.to_le_bytes()), vec![0; 1 << 20]].concat();
    let (read, damage) = read(&damaged);
    assert!(read.contains(&end(7)), "{read:?}");
    assert_eq!((damage.places, damage.bytes_lost), (2, (9 * count + (1 << 20)) as u64));
    assert!(!damage.torn_tail && !damage.no_end, "{damage}");
}

#[test]
fn a_good_frame_inside_a_false_one_is_read_wherever_the_window_stands() {
    for junk in [0, 1, 255, 256, 257, 65_000, 200_000] {
        let false_head = [&MARKER[..], &[2], &(PAYLOAD_MAX as u32).to_le_bytes()].concat();
        let junk: Vec<u8> = (0..junk).map(|place: usize| (place * 7) as u8).collect();
        let good = frame(8, &5_u64.to_le_bytes());
        let damaged = [&write(&[])[..], &false_head, &junk, &good, &junk, &good].concat();
        let (read, damage) = read(&damaged);
        assert_eq!(read.iter().filter(|input| **input == end(5)).count(), 2, "{} bytes", junk.len());
        assert_eq!(damage.bytes_lost, (false_head.len() + 2 * junk.len()) as u64);
    }
}

#[test]
fn what_cannot_be_is_left_out_and_said() {
    let lifecycle = |time_ns, process: Task, parent: Task, exit_ns| {
        let stage = Stage::Zombie { parent, held_by: None, exit_ns, again: false };
        Input::Lifecycle(LifecycleEvent { time_ns, process, stage })
    };
    let one =
        |tgid, start_boottime_ns| Task { identity: Identity { tgid, start_boottime_ns }, ..Task::default() };
    let info = |command_line: Vec<Vec<u8>>| Input::ProcessInfo {
        identity: Identity::default(),
        info: ProcessInfo { command_line, ..ProcessInfo::default() },
        workload: None,
    };
    let counters = |counters: Counters| Input::Counters(Box::new(counters));
    let counted = |buckets: &[(u16, u64)]| {
        counters(Counters {
            reap_latency: Distribution { buckets: buckets.to_vec(), ..Distribution::default() },
            ..Counters::default()
        })
    };
    let tracer_stats = |maps| Input::TracerStats(Box::new(TracerStats { maps, ..TracerStats::default() }));
    let possible = [
        lifecycle(TIME_MAX_NS, one(PID_LIMIT - 1, 1), one(2, 1), 0),
        info(vec![vec![b'a'; COMMAND_LINE_MAX]]),
        info(vec![Vec::new(); COMMAND_LINE_MAX]),
        counted(&[(0, 1), (bucket::LAST as u16, COUNT_MAX)]),
        // A histogram that was read while two CPUs wrote it.
        counters(Counters {
            reap_latency: Distribution { count: 2, min_ns: 9, max_ns: 3, ..Distribution::default() },
            ..Counters::default()
        }),
        tracer_stats(vec![MapStats::default(); 1024]),
    ];
    let (read_back, damage) = read(&write(&possible));
    assert_eq!(read_back, possible);
    assert_eq!(damage.impossible, 0);
    let impossible = [
        lifecycle(TIME_MAX_NS + 1, one(3, 1), one(2, 1), 0),
        lifecycle(1, one(3, TIME_MAX_NS + 1), one(2, 1), 0),
        lifecycle(1, one(3, 1), one(2, 1), TIME_MAX_NS + 1),
        lifecycle(1, one(PID_LIMIT, 1), one(2, 1), 0),
        // A process that is its own parent.
        lifecycle(1, one(3, 1), one(3, 1), 0),
        info(vec![vec![b'a'; COMMAND_LINE_MAX + 1]]),
        info(vec![Vec::new(); COMMAND_LINE_MAX + 2]),
        counted(&[(bucket::LAST as u16 + 1, 1)]),
        counted(&[(3, 1), (3, 1)]),
        counted(&[(3, 0)]),
        counted(&[(3, COUNT_MAX + 1)]),
        counters(Counters {
            counts: ChildCounts { exited: COUNT_MAX + 1, ..ChildCounts::default() },
            ..Counters::default()
        }),
        Input::Unfreed(vec![DeadChild::default()]),
        Input::FinishedParents(FinishedParents {
            parents: 1,
            counts: ChildCounts { reaped: u64::MAX, ..ChildCounts::default() },
        }),
        Input::Losses { time_ns: 1, losses: Losses { events: u64::MAX, ..Losses::default() } },
        tracer_stats(vec![MapStats::default(); 1025]),
        end(u64::MAX),
    ];
    for (number, input) in impossible.into_iter().enumerate() {
        let (read_back, damage) = read(&write(&[end(1), input.clone()]));
        assert_eq!((damage.impossible, damage.bytes_lost), (1, 0), "{number}: {input:?}");
        assert!(damage.to_string().contains("impossible: 1"), "{damage}");
        let losses = Losses { damaged: 1, ..Losses::default() };
        assert_eq!(read_back, [end(1), Input::Losses { time_ns: 1, losses }], "{number}");
    }
    // A second session.
    let twice = [write(&[]), write(&[])[MAGIC.len() + 4..].to_vec()].concat();
    assert_eq!(read(&twice).1.impossible, 1);
}

#[test]
fn frames_of_a_later_minor_version_are_no_damage() {
    let (read, damage) = read(&[write(&[]), frame(200, b"anything"), frame(8, &[0; 11])].concat());
    assert_eq!(read, [end(0)]);
    assert_eq!(damage, Damage { unknown_frames: 1, ..Damage::default() });
}

#[test]
fn counters_of_3_1_say_nothing_of_arguments_nor_of_merged_signals() {
    let waits = WaitCalls { any: 3, specific: 4, read: 7, peeking: 2, ..WaitCalls::default() };
    let counters = Counters { time_ns: 5, waits, coalesced: Some(6), ..Counters::default() };
    let written = write(&[Input::Counters(Box::new(counters.clone()))]);
    let payload = &written[write(&[]).len() + HEAD_LEN..written.len() - size_of::<u32>()];
    let appended = size_of::<[u64; 9]>() + 1;
    let (read, damage) = read(&[write(&[]), frame(5, &payload[..payload.len() - appended])].concat());
    let waits = WaitCalls { any: 3, specific: 4, ..WaitCalls::default() };
    assert_eq!(read, [Input::Counters(Box::new(Counters { waits, coalesced: None, ..counters }))]);
    assert_eq!((damage.impossible, damage.bytes_lost), (0, 0));
}

#[test]
fn only_the_head_of_what_is_no_recording_is_read() {
    struct Endless(u64);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += buffer.len() as u64;
            assert!(self.0 < 1 << 20, "it is read on and on");
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    assert!(matches!(Reader::open(Endless(0)), Err(RecordingError::NotARecording)));
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_gives_what_it_has_and_says_so() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::TimedOut.into())
        }
    }
    let written = write(&[end(3), end(4)]);
    let mut reader = Reader::open(std::io::Read::chain(&written[..], Broken)).expect("the head is whole");
    assert_eq!(reader.by_ref().collect::<Vec<_>>(), [end(3), end(4)]);
    assert!(reader.damage().to_string().contains("its rest cannot be read"), "{}", reader.damage());
}

/// A recording of format 2, of `trace --pid 4 --pid 5` or of a tree.
fn format_2(pids: &[u32], root: Option<Identity>) -> Vec<u8> {
    let mut session = Vec::new();
    encode::encode_session(&self::session(), &mut session);
    session.push(u8::from(root.is_some()));
    session.extend((pids.len() as u32).to_le_bytes());
    session.extend(pids.iter().flat_map(|pid| pid.to_le_bytes()));
    let mut begin = 3u64.to_le_bytes().to_vec();
    begin.push(u8::from(root.is_some()));
    let root = root.unwrap_or_default();
    begin.extend(root.tgid.to_le_bytes());
    begin.extend(root.start_boottime_ns.to_le_bytes());
    let head = [MAGIC.as_slice(), &2u16.to_le_bytes(), &0u16.to_le_bytes()].concat();
    [head, frame(kind::SESSION, &session), frame(kind::BEGIN, &begin)].concat()
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

#[test]
fn signal_masks_of_older_recordings_are_evidence_of_which_all_else_is_unknown() {
    let identity = Identity { tgid: 7, start_boottime_ns: 9 };
    let payload = [5u64.to_le_bytes().to_vec(), 7u32.to_le_bytes().to_vec()].concat();
    let payload = [payload, [9u64, 1, 2, 3].map(u64::to_le_bytes).concat()].concat();
    let (read, damage) = read(&[write(&[]), frame(kind::SIGNAL_MASKS, &payload)].concat());
    let signals = SignalMasks { blocked: 1, ignored: 2, caught: 3 };
    let evidence = Box::new(Evidence { signals, ..Evidence::default() });
    assert_eq!(read, [Input::Evidence { time_ns: 5, identity, evidence }]);
    assert_eq!(damage.impossible, 0);
}

#[test]
fn evidence_that_cannot_be_is_left_out() {
    let identity = Identity { tgid: 7, start_boottime_ns: 9 };
    let own = Task { identity, ..Task::default() };
    let pipe = |writers| Blocked::PipeRead(PipeRead { writers, ..PipeRead::default() });
    let good = Evidence { blocked: pipe(vec![own; WRITERS_MAX]), ..Evidence::default() };
    let with = |change: fn(&mut Evidence)| {
        let mut evidence = good.clone();
        change(&mut evidence);
        evidence
    };
    let impossible = [
        Evidence { blocked: pipe(vec![own; WRITERS_MAX + 1]), ..good.clone() },
        Evidence {
            blocked: Blocked::PipeRead(PipeRead {
                writers: vec![own],
                descendants: 2,
                ..PipeRead::default()
            }),
            ..good.clone()
        },
        Evidence { tracer: Tracer::By(own), ..good.clone() },
        with(|evidence| evidence.state = b'7'),
        with(|evidence| evidence.threads = decode::PID_LIMIT),
        with(|evidence| evidence.threads_read = THREADS_READ_MAX as u32 + 1),
        with(|evidence| evidence.threads_in_wait = THREADS_READ_MAX as u32 + 1),
        with(|evidence| evidence.wait_channel = vec![b'a'; WAIT_CHANNEL_MAX + 1]),
    ];
    let left_out = |evidence: &Evidence| {
        let evidence = Box::new(evidence.clone());
        let (_, damage) = read(&write(&[Input::Evidence { time_ns: 5, identity, evidence }]));
        damage.impossible
    };
    assert_eq!(left_out(&good), 0);
    for evidence in impossible {
        assert_eq!(left_out(&evidence), 1, "{evidence:?}");
    }
}

#[test]
fn of_a_pipe_in_older_recordings_it_is_known_that_it_was_read_and_not_who_descends() {
    let identity = Identity { tgid: 7, start_boottime_ns: 9 };
    let writers = vec![Task { identity: Identity { tgid: 8, ..identity }, ..Task::default() }];
    let of = |is_polled, descendants| {
        let writers = writers.clone();
        let blocked = Blocked::PipeRead(PipeRead { is_polled, writers, descendants, ..PipeRead::default() });
        Input::Evidence {
            time_ns: 5,
            identity,
            evidence: Box::new(Evidence { blocked, ..Evidence::default() }),
        }
    };
    let mut payload = Vec::new();
    let Input::Evidence { evidence, .. } = of(true, 1) else { unreachable!() };
    evidence::put_evidence(&mut payload, 5, &identity, &evidence);
    // Without the number of switches, which is of 3.10, and without what is of 3.9.
    let of_3_9 = payload.len() - 8;
    for (length, expected) in
        [(payload.len(), of(true, 1)), (of_3_9, of(true, 1)), (of_3_9 - 3, of(false, 0))]
    {
        let payload = &payload[..length];
        let (read, damage) = read(&[write(&[]), frame(kind::EVIDENCE, payload)].concat());
        assert_eq!((read, damage.impossible), (vec![expected], 0));
    }
}

#[test]
fn a_kill_that_cannot_be_is_left_out() {
    let process = Task { identity: Identity { tgid: 7, start_boottime_ns: 9 }, ..Task::default() };
    let left_out = |signal, by| {
        let stage = Stage::Killed { kill: Kill { signal, by } };
        let (_, damage) = read(&write(&[Input::Lifecycle(LifecycleEvent { time_ns: 5, process, stage })]));
        damage.impossible
    };
    assert_eq!(left_out(SIGNAL_MAX, Killer::Process(process)), 0, "it can kill itself");
    assert_eq!(left_out(0, Killer::Kernel), 1);
    assert_eq!(left_out(SIGNAL_MAX + 1, Killer::Kernel), 1);
    assert_eq!(left_out(9, Killer::NamespaceEnd(process)), 1);
}
