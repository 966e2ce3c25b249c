//! How a window is closed, read by read, on a host that never was.

use std::time::{Duration, Instant};

use super::fake::{FakeHost, Read, death, exit, free, seen};
use super::*;
use crate::{
    model::{Scope, Stage, TaskState},
    source::input::Arrival,
};

const NOW_NS: u64 = 1_000_000_000;
/// A time after everything that the fake clock reaches.
const LATER_NS: u64 = 50_000_000_000;

/// Runs a window of two drains; its batches' inputs, in order of hand-over, and the host.
async fn window(
    host: FakeHost,
    coverage: Coverage,
    is_counted: bool,
    by: Option<Instant>,
) -> Result<(Vec<Input>, FakeHost), SetupError> {
    let begin = Begin { time_ns: NOW_NS, scope: Scope::Host, coverage };
    let mut live = Live::open(host, begin, Snapshot::default(), Pace::Prompt);
    let (mut inputs, mut batches) = (Vec::new(), 0);
    loop {
        let mut batch = Batch { is_counted, ..Batch::default() };
        live.next(&mut batch).await?;
        assert!(batch.inputs.len() <= EVENTS_AT_ONCE + 8, "a batch is bounded: {}", batch.inputs.len());
        let moment = batch.moment;
        inputs.extend(batch.drain().map(|arrival| match arrival {
            Arrival::Input(_, input) => input,
            Arrival::Counters(counters) => Input::Counters(Box::new(counters.unpack())),
        }));
        batches += 1;
        assert!(batches < 10_000, "the window never ends");
        if batches == 2 {
            live.begin_closing(by);
        }
        if moment == Moment::End {
            return Ok((inputs, live.host));
        }
    }
}

async fn closed(host: FakeHost) -> (Vec<Input>, FakeHost) {
    window(host, Coverage::EveryEvent, false, None).await.expect("a kernel")
}

fn events(inputs: &[Input]) -> Vec<&LifecycleEvent> {
    inputs
        .iter()
        .filter_map(|input| if let Input::Lifecycle(event) = input { Some(event) } else { None })
        .collect()
}

fn unfreed(inputs: &[Input]) -> Vec<DeadChild> {
    let deaths = |input: &Input| if let Input::Unfreed(deaths) = input { deaths.clone() } else { Vec::new() };
    inputs.iter().flat_map(deaths).collect()
}

fn probe_missed(inputs: &[Input]) -> u64 {
    let missed =
        |input: &Input| if let Input::Losses { losses, .. } = input { losses.probe_missed } else { 0 };
    inputs.iter().map(missed).max().unwrap_or(0)
}

fn position(inputs: &[Input], is_it: impl Fn(&Input) -> bool) -> usize {
    inputs.iter().rposition(is_it).expect("it is there")
}

/// Parent 10 lives; its child 20 is dead, released, and not in the task list.
fn with_a_free_to_come(looks: u32) -> FakeHost {
    FakeHost {
        tasks: vec![seen(10, 1, TaskState::Running)],
        followed: vec![(death(20, 10), looks)],
        ..FakeHost::at(NOW_NS)
    }
}

#[tokio::test]
async fn an_exact_window_ends_with_a_snapshot_and_events_after_it_do_not_count() {
    let mut host = FakeHost { is_exact: true, ..FakeHost::at(NOW_NS) };
    host.events.extend([(1, exit(NOW_NS, 20, 10)), (4, exit(NOW_NS, 21, 10)), (4, exit(LATER_NS, 22, 10))]);
    let (inputs, host) = closed(host).await;
    let dead: Vec<u32> = events(&inputs).iter().map(|event| event.process.identity.tgid).collect();
    assert_eq!(dead, [20, 21], "a straggler counts, what came after the snapshot does not");
    assert_eq!(host.has_read(), [Read::Snapshot, Read::Counters, Read::Losses]);
    assert!(matches!(inputs[0], Input::Begin(_)) && matches!(inputs[1], Input::Snapshot(_)));
    let [.., Input::TracerStats(_), Input::Snapshot(last), Input::End { time_ns }] = &inputs[..] else {
        panic!("{inputs:?}");
    };
    assert_eq!(*time_ns, last.ended_ns);
}

#[tokio::test]
async fn where_the_ledgers_are_counted_the_last_snapshot_comes_after_the_last_counters() {
    let counted = [Read::Snapshot, Read::Counters, Read::Losses, Read::Snapshot];
    let exact = || FakeHost { is_exact: true, ..FakeHost::at(NOW_NS) };
    let (inputs, host) = window(exact(), Coverage::EveryEvent, true, None).await.expect("a kernel");
    assert_eq!(host.has_read(), counted);
    let losses = position(&inputs, |input| matches!(input, Input::Losses { .. }));
    let (Input::Losses { time_ns: read_ns, .. }, Input::Snapshot(last)) =
        (&inputs[losses], &inputs[inputs.len() - 2])
    else {
        panic!("{inputs:?}");
    };
    assert!(last.began_ns > *read_ns, "the snapshot that is handed over is the one after the reading");
    // The same where something was lost that nobody knew of before the last reading.
    let lossy = FakeHost { lost: Losses { events: 1, ..Losses::default() }, ..exact() };
    assert_eq!(closed(lossy).await.1.has_read(), counted);
}

#[tokio::test]
async fn a_free_that_comes_late_counts_as_a_release_before_the_snapshot() {
    let mut host = with_a_free_to_come(3);
    host.events.push_back((5, free(LATER_NS, 20, 10)));
    let (inputs, _) = closed(host).await;
    let [released] = events(&inputs)[..] else { panic!("{inputs:?}") };
    assert!(matches!(released.stage, Stage::Reap { .. }));
    let Input::Snapshot(last) = &inputs[inputs.len() - 2] else { panic!("{inputs:?}") };
    assert_eq!(released.time_ns, last.began_ns);
    assert_eq!((unfreed(&inputs), probe_missed(&inputs)), (vec![], 0));
}

#[tokio::test]
async fn the_free_of_a_process_that_the_snapshot_has_is_after_the_window() {
    let mut host = with_a_free_to_come(1);
    host.tasks.push(seen(20, 10, TaskState::Zombie));
    host.events.push_back((4, free(LATER_NS, 20, 10)));
    let (inputs, _) = closed(host).await;
    assert_eq!((events(&inputs), unfreed(&inputs)), (vec![], vec![]));
}

#[tokio::test]
async fn a_free_that_never_comes_is_told_before_the_counters_that_lack_it() {
    let began = Instant::now();
    let (inputs, _) = closed(with_a_free_to_come(u32::MAX)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "a parent that lives has reaped it: no long wait");
    assert_eq!((unfreed(&inputs), probe_missed(&inputs)), (vec![death(20, 10)], 0));
    let told = position(&inputs, |input| matches!(input, Input::Unfreed(_)));
    assert!(told < position(&inputs, |input| matches!(input, Input::Losses { .. })));
    // One that comes after the wait, and before the counters, is not told.
    let mut host = with_a_free_to_come(u32::MAX);
    host.followed.push((death(21, 10), 1));
    let by = Some(Instant::now());
    let (inputs, _) = window(host, Coverage::EveryEvent, false, by).await.expect("a kernel");
    assert_eq!(unfreed(&inputs), [death(20, 10)]);
}

#[tokio::test]
async fn a_free_that_had_to_say_who_reaped_is_waited_for_longer_and_then_missed() {
    let orphan = || FakeHost { followed: vec![(death(20, 10), u32::MAX)], ..FakeHost::at(NOW_NS) };
    let by = Instant::now() + Duration::from_millis(150);
    let (inputs, _) = window(orphan(), Coverage::EveryEvent, false, Some(by)).await.expect("a kernel");
    assert!(Instant::now() >= by, "longer than for one whose parent lives");
    assert_eq!((unfreed(&inputs), probe_missed(&inputs)), (vec![], 1));
    let late = FakeHost { followed: vec![(death(20, 10), 20)], ..FakeHost::at(NOW_NS) };
    assert_eq!(probe_missed(&closed(late).await.0), 0);
}

#[tokio::test]
async fn an_autoreaped_child_of_a_parent_that_has_died_is_waited_for_longer_too() {
    let autoreaped = || DeadChild { autoreap: true, ..death(20, 10) };
    let host = FakeHost { followed: vec![(autoreaped(), u32::MAX)], ..FakeHost::at(NOW_NS) };
    let by = Instant::now() + Duration::from_millis(150);
    let (inputs, _) = window(host, Coverage::EveryEvent, false, Some(by)).await.expect("a kernel");
    assert!(Instant::now() >= by, "its counters may have been summed up");
    assert_eq!((unfreed(&inputs), probe_missed(&inputs)), (vec![autoreaped()], 0));
}

#[tokio::test]
async fn a_window_that_ends_in_a_flood_ends() {
    for (is_exact, looks) in [(true, 0), (false, u32::MAX)] {
        let host = FakeHost { is_flooded: true, is_exact, ..with_a_free_to_come(looks) };
        let (inputs, _) = closed(host).await;
        let Input::Snapshot(last) = &inputs[inputs.len() - 2] else { panic!("no snapshot at the end") };
        assert!(events(&inputs).iter().all(|event| event.time_ns <= last.ended_ns));
        assert!(matches!(inputs.last(), Some(Input::End { .. })));
    }
}

#[tokio::test]
async fn where_the_kernel_counts_events_count_up_to_the_last_counters() {
    let mut host = FakeHost { is_exact: true, ..FakeHost::at(NOW_NS) };
    host.events.push_back((4, exit(LATER_NS, 20, 10)));
    let coverage = Coverage::Exceptions { slow_ns: 1 };
    let (inputs, _) = window(host, coverage, true, None).await.expect("a kernel");
    assert_eq!(events(&inputs).len(), 1);
    assert!(inputs.iter().any(|input| matches!(input, Input::FinishedParents(_))));
}

#[tokio::test]
async fn a_kernel_that_goes_away_ends_the_window_with_its_error() {
    for snapshots in [0, 1] {
        let host = FakeHost {
            lost: Losses { events: 1, ..Losses::default() },
            snapshots_max: Some(snapshots),
            is_exact: true,
            ..FakeHost::at(NOW_NS)
        };
        let error = window(host, Coverage::EveryEvent, false, None).await.err().expect("an error");
        assert_eq!(error.what, "the kernel has gone");
    }
}

#[tokio::test]
async fn an_onlooker_is_shown_what_has_just_been_read() {
    let begin = Begin {
        time_ns: NOW_NS,
        scope: Scope::Host,
        coverage: Coverage::Exceptions { slow_ns: 5_000_000_000 },
    };
    for (pace, is_walked) in [(Pace::OnLooked, true), (Pace::Prompt, false)] {
        let mut live = Live::open(FakeHost::at(NOW_NS), begin.clone(), Snapshot::default(), pace);
        let began = Instant::now();
        let (mut walks, mut latest_ns) = (0, 0);
        // The fake is ready at once; a reading comes after a second all the same.
        let complete_to_ns = loop {
            let mut batch = Batch::default();
            live.next(&mut batch).await.expect("a kernel");
            for (time_ns, input) in &batch.inputs {
                if matches!(input, Input::Snapshot(snapshot) if snapshot.ended_ns > 0) {
                    walks += 1;
                    latest_ns = latest_ns.max(*time_ns);
                }
            }
            if batch.moment == Moment::Reading {
                break batch.complete_to_ns;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "no reading");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(walks, usize::from(is_walked), "{pace:?}");
        assert!(!is_walked || latest_ns < complete_to_ns, "{latest_ns} {complete_to_ns}");
    }
}
