//! The pipeline over a host that never was, and over the recording of that: the same ledgers.

use std::{
    io::{Read, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use super::*;
use crate::{
    model::{Begin, ChildCounts, Counters, Coverage, Scope, Snapshot, TaskState},
    recording::Reader,
    source::{
        live::{
            Live, Pace,
            fake::{FakeHost, death, exit, free, seen, task},
        },
        replay::Replay,
    },
};

const NOW_NS: u64 = 1_000_000_000;
const LATER_NS: u64 = 50_000_000_000;
const WATCH: Coverage = Coverage::Exceptions { slow_ns: 1_000_000 };

/// A file in memory.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Counting {
    events: usize,
    batches: usize,
    fails: bool,
}

impl Subscriber for Counting {
    fn event(&mut self, _observation: &EnrichedEvent) -> io::Result<()> {
        self.events += 1;
        if self.fails { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
    fn batch(&mut self) -> io::Result<()> {
        self.batches += 1;
        Ok(())
    }
}

/// What a test compares of an engine: of the parent 10, and the losses.
#[derive(Debug, PartialEq)]
struct Told {
    exited: u64,
    reaped: u64,
    abandoned: u64,
    probe_missed: u64,
    window: (u64, u64),
}

fn told(engine: &Engine) -> Told {
    let view = engine.view();
    let parent = view.parent(task(10).identity).expect("it is a parent");
    Told {
        exited: parent.ledger.counts.exited,
        reaped: parent.ledger.counts.reaped,
        abandoned: parent.ledger.abandoned,
        probe_missed: view.losses().probe_missed,
        window: view.window(),
    }
}

fn first() -> Snapshot {
    Snapshot {
        began_ns: NOW_NS,
        ended_ns: NOW_NS,
        settle_after_ns: 0,
        tasks: vec![seen(10, 1, TaskState::Running)],
    }
}

/// A window over this host, and the recording of it.
async fn watched(host: FakeHost, coverage: Coverage, subscriber: &mut Counting) -> (Engine, Vec<u8>) {
    let file = Shared::default();
    let session = Session { grace_ns: 5_000_000_000, ..Session::default() };
    let recording = RecordingFile::begin(Box::new(file.clone()), Path::new("test.rec"), &session);
    let mut pipeline = Pipeline::new(&session, Some(recording.expect("memory")), Details::OfLeakers);
    let begin = Begin { time_ns: NOW_NS, scope: Scope::Host, coverage };
    let mut live = Live::open(host, begin, first(), Pace::Prompt);
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        ("stopped", None)
    };
    let ended = pipeline.run_until(&mut live, stop, &mut [subscriber]).await.expect("a kernel");
    assert_eq!((ended, pipeline.recording_failure()), ("stopped", None));
    let bytes = file.0.lock().expect("no panic").clone();
    (pipeline.into_engine(), bytes)
}

async fn replayed(recording: impl Read, subscriber: &mut Counting) -> Engine {
    let mut replay = Replay::new(Reader::open(recording).expect("a recording"));
    let mut pipeline = Pipeline::new(&Session::default(), None, Details::None);
    pipeline.run_to_end(&mut replay, &mut [subscriber]).await.expect("nothing fails");
    assert!(!replay.is_empty());
    pipeline.into_engine()
}

fn counted(exited: u64, reaped: u64) -> Vec<Counters> {
    let counts = ChildCounts { exited, reaped, ..ChildCounts::default() };
    vec![Counters { parent: task(10), counts, ..Counters::default() }]
}

#[tokio::test]
async fn late_and_missing_frees_are_reaps_of_a_parent_that_lives_live_and_replayed() {
    let mut late = FakeHost {
        tasks: vec![seen(10, 1, TaskState::Running)],
        followed: vec![(death(20, 10), 3)],
        ..FakeHost::at(NOW_NS)
    };
    late.events.extend([(1, exit(NOW_NS + 10, 20, 10)), (5, free(LATER_NS, 20, 10))]);
    let missing = FakeHost {
        tasks: vec![seen(10, 1, TaskState::Running)],
        followed: vec![(death(20, 10), u32::MAX)],
        counters: counted(1, 0),
        ..FakeHost::at(NOW_NS)
    };
    for (host, coverage) in [(late, Coverage::EveryEvent), (missing, WATCH)] {
        let mut live = Counting::default();
        let (engine, recording) = watched(host, coverage, &mut live).await;
        let Told { exited, reaped, abandoned, probe_missed, .. } = told(&engine);
        assert_eq!((exited, reaped, abandoned, probe_missed), (1, 1, 0, 0), "{coverage:?}");
        let mut again = Counting::default();
        assert_eq!(told(&replayed(&recording[..], &mut again).await), told(&engine));
        assert_eq!(again.events, live.events);
    }
}

#[tokio::test]
async fn a_recording_that_was_cut_off_ends_with_what_there_is() {
    let mut host = FakeHost { is_exact: true, ..FakeHost::at(NOW_NS) };
    host.tasks = vec![seen(10, 1, TaskState::Running), seen(20, 10, TaskState::Zombie)];
    host.events.push_back((1, exit(NOW_NS + 10, 20, 10)));
    let (engine, recording) = watched(host, Coverage::EveryEvent, &mut Counting::default()).await;
    assert_eq!(told(&engine).exited, 1);
    // Without the last frame, its end.
    let cut = &recording[..recording.len() - 1];
    let again = replayed(cut, &mut Counting::default()).await;
    assert_eq!(told(&again), told(&engine));
}

#[tokio::test]
async fn a_subscriber_that_fails_ends_the_pipeline() {
    let mut host = FakeHost { is_exact: true, ..FakeHost::at(NOW_NS) };
    host.events.push_back((1, exit(NOW_NS + 10, 20, 10)));
    let mut pipeline = Pipeline::new(&Session::default(), None, Details::None);
    let begin = Begin { time_ns: NOW_NS, ..Begin::default() };
    let mut live = Live::open(host, begin, first(), Pace::Relaxed);
    let stop = async { ((), None) };
    let mut broken = Counting { fails: true, ..Counting::default() };
    let error = pipeline.run_until(&mut live, stop, &mut [&mut broken]).await;
    assert!(
        matches!(error, Err(PipelineError::Subscriber(error)) if error.kind() == io::ErrorKind::BrokenPipe)
    );
}

#[tokio::test]
async fn a_window_too_short_for_a_reading_has_evidence_of_the_suspects_that_live_without_any_recording() {
    let tasks = vec![seen(10, 1, TaskState::Running), seen(20, 10, TaskState::Zombie)];
    let host = FakeHost { is_exact: true, tasks: tasks.clone(), ..FakeHost::at(LATER_NS) };
    let session = Session { grace_ns: 5_000_000_000, ..Session::default() };
    let mut pipeline = Pipeline::new(&session, None, Details::None);
    let begin = Begin { time_ns: NOW_NS, ..Begin::default() };
    let mut live = Live::open(host, begin, Snapshot { tasks, ..first() }, Pace::Relaxed);
    pipeline.run_until(&mut live, async { ((), None) }, &mut []).await.expect("a kernel");
    let engine = pipeline.into_engine();
    let view = engine.view();
    let parent = view.parent(task(10).identity).expect("it is a parent");
    assert!(parent.current_evidence().is_some_and(|_| parent.evidence_ns > LATER_NS));
}

/// One reading of the counters, and the end; remembers who was asked for at the reading.
struct OneReading {
    inputs: Vec<(u64, Input)>,
    is_read: bool,
    asked: Vec<u32>,
    /// Who was asked for when limits were to be read, each time.
    limits_of: Vec<Vec<u32>>,
}

impl Source for OneReading {
    async fn next(&mut self, batch: &mut Batch) -> Result<(), SetupError> {
        batch.complete_to_ns = LATER_NS;
        batch.moment = if std::mem::replace(&mut self.is_read, true) { Moment::End } else { Moment::Reading };
        batch.inputs.append(&mut self.inputs);
        Ok(())
    }

    fn describe(&mut self, parents: &[Task]) {
        self.asked.extend(parents.iter().map(|parent| parent.identity.tgid));
    }

    fn read_pid_limits(&mut self, of: &[Task]) {
        self.limits_of.push(of.iter().map(|task| task.identity.tgid).collect());
    }
}

#[tokio::test]
async fn the_healthy_are_asked_for_while_they_live_only_where_all_are_to_be_known() {
    for (details, expected) in
        [(Details::None, vec![]), (Details::OfLeakers, vec![11]), (Details::OfAll, vec![10, 11])]
    {
        let begin = Begin { time_ns: NOW_NS, scope: Scope::Host, coverage: WATCH };
        let of = |parent: u32, reaped: u64| {
            let counts = ChildCounts { exited: 5, reaped, ..ChildCounts::default() };
            let counters = Counters { time_ns: NOW_NS, parent: task(parent), counts, ..Counters::default() };
            (NOW_NS, Input::Counters(Box::new(counters)))
        };
        let inputs = vec![(NOW_NS, Input::Begin(begin)), of(10, 5), of(11, 3)];
        let mut source = OneReading { inputs, is_read: false, asked: Vec::new(), limits_of: Vec::new() };
        let mut pipeline = Pipeline::new(&Session::default(), None, details);
        pipeline.run_to_end(&mut source, &mut []).await.expect("nothing fails");
        assert_eq!(source.asked, expected, "{details:?}");
        // Limits are read where anybody wants to know more than events, of those first that leave children.
        let limits_of: &[Vec<u32>] = if details == Details::None { &[] } else { &[vec![10, 11]] };
        assert_eq!(source.limits_of, limits_of, "{details:?}");
    }
}
