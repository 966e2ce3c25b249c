//! Steps of the wall clock: what is measured and its order go by a clock that nobody can set.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::time::{Duration, Instant};

use nix::{
    sys::time::TimeSpec,
    time::{ClockId, clock_gettime, clock_settime},
};
use serde_json::Value;

use super::{
    alone, child_of, complaint, ended, expect, leaker, storm_alone,
    support::{
        GRACE, Watching, check_invariants, check_latency, parent_in, reapwatch, signal, until, validate,
        workload,
    },
    trace_into,
};

const HOUR_NS: i64 = 3_600_000_000_000;

fn now_ns(clock: ClockId) -> i64 {
    let time = clock_gettime(clock).expect("a clock");
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

fn wall_minus_monotonic_ns() -> i64 {
    let before = now_ns(ClockId::CLOCK_MONOTONIC);
    let wall = now_ns(ClockId::CLOCK_REALTIME);
    let after = now_ns(ClockId::CLOCK_MONOTONIC);
    wall - (before + (after - before) / 2)
}

fn set_wall(minus_monotonic_ns: i64) -> nix::Result<()> {
    let wall = now_ns(ClockId::CLOCK_MONOTONIC) + minus_monotonic_ns;
    clock_settime(
        ClockId::CLOCK_REALTIME,
        TimeSpec::from_duration(Duration::from_nanos(wall.try_into().expect("after 1970"))),
    )
}

/// The wall clock is wrong as long as this lives. It is put right by the clock that went on meanwhile, also in a panic.
struct Stepped {
    right_ns: i64,
}

impl Stepped {
    fn by(step_ns: i64) -> Self {
        let right_ns = wall_minus_monotonic_ns();
        set_wall(right_ns + step_ns).unwrap_or_else(|error| {
            panic!("THIS TEST CANNOT RUN: it steps the wall clock, and setting it is refused: {error}")
        });
        Self { right_ns }
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        let right = set_wall(self.right_ns);
        // A panic in a panic would hide the first.
        assert!(right.is_ok() || std::thread::panicking(), "THE WALL CLOCK STAYS WRONG: {right:?}");
    }
}

/// ns since 1970 of a time in a report.
fn ns(time: &Value) -> i64 {
    let time = humantime::parse_rfc3339(time.as_str().expect("a time")).expect("RFC 3339");
    time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos() as i64
}

fn lines(text: &[u8]) -> Vec<Value> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    text[..whole]
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect()
}

/// The window is as long as it was by a clock that was not stepped, and says so twice.
fn check_window(report: &Value, least: Duration, most: Duration) {
    let window = &report["window"];
    let length_ns = window["duration_ns"].as_u64().expect("a length");
    assert!(
        (least.as_nanos()..=most.as_nanos()).contains(&u128::from(length_ns)),
        "{window} {least:?} {most:?}"
    );
    assert_eq!(ns(&window["end"]) - ns(&window["start"]), length_ns as i64, "{window}");
}

#[test]
fn steps_of_the_wall_clock_change_no_duration_no_order_and_no_verdict() {
    let _alone = alone();
    let (wall_before_ns, began) = (now_ns(ClockId::CLOCK_REALTIME), Instant::now());
    let (_leaker, leak) = leaker(10);
    let watch_spawned = Instant::now();
    let watching = Watching::start(&[]);
    let watches = Instant::now();
    let directory = tempfile::tempdir().expect("a directory");
    let (events, path) = (directory.path().join("events"), directory.path().join("r.json"));
    let mut trace = trace_into(std::fs::File::create(&events).expect("a file"));
    let run_spawned = Instant::now();
    let run = reapwatch()
        .args(["run", "--grace", GRACE, "--format", "json", "--output"])
        .arg(&path)
        .arg("--")
        .arg(workload())
        .args(["reap-delayed", "--count", "4", "--delay-ms", "400"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("reapwatch");
    let late = child_of(&run);
    // One child is reaped late before the first step; another is a zombie over both, or close to.
    until("a late reap is told", || {
        lines(&std::fs::read(&events).expect("events"))
            .iter()
            .any(|line| line["event"] == "reap" && line["parent"]["pid"] == late)
            .then_some(())
    });
    // As short as can be: others live by this clock.
    let right_ns = wall_minus_monotonic_ns();
    let stepped = Stepped::by(HOUR_NS);
    let is_wrong = wall_minus_monotonic_ns() - right_ns;
    let storm = storm_alone(20);
    drop(stepped);
    assert!((is_wrong - HOUR_NS).abs() < 1_000_000, "the step did nothing: {is_wrong}");
    assert!((wall_minus_monotonic_ns() - right_ns).abs() < 1_000_000, "the wall clock is not what it was");

    let output = run.wait_with_output().expect("our own child");
    let ran_for = run_spawned.elapsed();
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    check_invariants(&report);
    check_window(&report, Duration::from_millis(4 * 400), ran_for);
    signal(&trace, libc::SIGINT);
    let code = ended(&mut trace).code();
    assert_eq!(code, Some(0), "{}", complaint(&mut trace));
    let watched_at_least = watches.elapsed();
    let whole = watching.end();
    check_window(&whole, watched_at_least, watch_spawned.elapsed());

    for report in [&report, &whole] {
        expect(
            report,
            &truth,
            &[("forked", 4), ("exited", 4), ("reaped", 4), ("unreaped", 0), ("abandoned", 0)],
        );
        check_latency(parent_in(report, &truth["pid"]), &truth);
        assert_eq!(parent_in(report, &truth["pid"])["verdict"], "slow", "{report:#}");
        assert_eq!(report["complete"], true, "{:#}", report["lost"]);
    }
    expect(&whole, &leak, &[("exited", 10), ("reaped", 0), ("unreaped", 10)]);
    let leaking = parent_in(&whole, &leak["pid"]);
    // All of its zombies are older than the watch.
    assert_eq!(leaking["verdict"], "leaking");
    let age_ns = u128::from(leaking["oldest_unreaped_ns"].as_u64().expect("an age"));
    // The zombies are older than the watch and younger than this test.
    assert!(age_ns >= watched_at_least.as_nanos(), "{leaking:#}");
    assert!(age_ns <= began.elapsed().as_nanos(), "{leaking:#}");

    let all = lines(&std::fs::read(&events).expect("events"));
    let times: Vec<i64> = all.iter().map(|line| ns(&line["time"])).collect();
    assert!(times.is_sorted(), "the lines are not in order of time");
    let wall_after_ns = now_ns(ClockId::CLOCK_REALTIME);
    assert!(times.iter().all(|time| (wall_before_ns..=wall_after_ns).contains(time)), "a line an hour off");
    all.iter().for_each(|line| validate("event", line));
    let of_storm = |event: &str| {
        all.iter().filter(|line| line["event"] == event && line["parent"]["pid"] == storm["pid"]).count()
    };
    // Those who lived and died while the clock was wrong.
    assert_eq!((of_storm("fork"), of_storm("exit"), of_storm("reap")), (20, 20, 20));
}
