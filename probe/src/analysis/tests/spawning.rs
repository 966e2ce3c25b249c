//! Late reaps that come with births, and others.

use super::{EARLY, GRACE_NS, entry, kinds as kinds_of};
use crate::{
    analysis::report,
    engine::tests::{play_in, task},
    model::{Begin, ChildCounts, Counters, Evidence, Input, Session, SignalMasks, WaitCalls},
    report::CauseKind::*,
};

const SIGCHLD: u64 = 1 << 16;

#[test]
fn late_reaps_that_each_come_with_a_birth_are_a_cause_and_others_are_not() {
    // Late for the engine is over 5 s; a birth comes with a reap that is at most 50 ms apart.
    let at_ms = |event: &str, time_ms: u64| format!("{}000000 {event} 2\n", time_ms);
    let causes_of = |[first, second]: [u64; 2], prompt: u64, caught: u64, left: &[u64]| {
        let mut events = vec![
            (1, "fork 30"),
            (2, "exit 30"),
            (3, "zombie 30"),
            (first, "reap 30"),
            (6_500, "fork 31"),
            (6_501, "exit 31"),
            (6_502, "zombie 31"),
            (second, "reap 31"),
            (13_000, "fork 32"),
        ];
        let names: Vec<[String; 3]> = (50..)
            .take(left.len())
            .map(|pid| ["fork", "exit", "zombie"].map(|what| format!("{what} {pid}")))
            .collect();
        for (died_ms, [fork, exit, zombie]) in left.iter().zip(&names) {
            // All born before the second of the late reaps and the birth that goes with it.
            events.extend([(6_600, fork.as_str()), (*died_ms, exit), (*died_ms, zombie)]);
        }
        events.sort_by_key(|(time_ms, _)| *time_ms);
        let mut script: String = events.into_iter().map(|(time_ms, event)| at_ms(event, time_ms)).collect();
        for (pid, at) in (40..).zip(13_100..13_100 + prompt) {
            for what in ["fork", "exit", "zombie", "reap"] {
                script += &at_ms(&format!("{what} {pid}"), at);
            }
        }
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &script);
        let signals = SignalMasks { caught, ..SignalMasks::default() };
        let evidence = Evidence { state: b'S', threads: 1, threads_read: 1, signals, ..Evidence::default() };
        let (time_ns, identity) = (6_000_000_000, task(2).identity);
        engine.apply(Input::Evidence { time_ns, identity, evidence: Box::new(evidence) }, &mut Vec::new());
        engine.apply(Input::End { time_ns: 14_000_000_000 }, &mut Vec::new());
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        kinds_of(entry(&report(&engine.view(), &session), 2))
    };
    let causes_beside = |reaps, prompt| causes_of(reaps, prompt, 0, &[]);
    let causes = |reaps| causes_beside(reaps, 0);
    // Just before the births of 31 and 32; the second one long before; just after.
    assert_eq!(causes([6_499, 12_990]), [ReapsOnlyWhenItSpawns]);
    assert_eq!(causes([6_499, 12_500]), [Unknown]);
    assert_eq!(causes([6_505, 13_004]), [ReapsOnlyWhenItSpawns]);
    // Whose reaps are prompt for the most part is told of deaths.
    assert_eq!(causes_beside([6_499, 12_990], 2), [ReapsOnlyWhenItSpawns]);
    assert_eq!(causes_beside([6_499, 12_990], 3), [Unknown]);
    // All that died after the last birth go with the next one; of those that died before it one may.
    assert_eq!(causes_of([6_499, 12_990], 0, 0, &[13_100, 13_101, 13_102]), [ReapsOnlyWhenItSpawns]);
    assert_eq!(causes_of([6_499, 12_990], 0, 0, &[12_000]), [ReapsOnlyWhenItSpawns]);
    assert_eq!(causes_of([6_499, 12_990], 0, 0, &[12_000, 12_001]), [Unknown]);
    // One with a handler may have been busy, as a loop that calls back is.
    assert_eq!(causes_of([6_499, 12_990], 0, SIGCHLD, &[]), [Unknown]);
}

#[test]
fn who_also_waits_between_births_reaps_by_another_clock() {
    const SECOND: u64 = 1_000_000_000;
    // It reaps one at 7 and at 14 s, just before a birth. Readings of the counters: when, wait calls, births.
    let causes_of = |readings: &[(u64, u64, u64)]| {
        let script = "1000000 fork 30 2\n 2000000 exit 30 2\n 3000000 zombie 30 2\n 7000000000 reap 30 2\n 7001000000 fork 31 2\n
            7002000000 exit 31 2\n 7003000000 zombie 31 2\n 14000000000 reap 31 2\n 14001000000 fork 32 2\n";
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, script);
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        for (second, calls, forked) in readings {
            let waits = WaitCalls { specific: *calls, read: *calls, ..WaitCalls::default() };
            let counts = ChildCounts { forked: *forked, exited: 2, reaped: 2, ..ChildCounts::default() };
            let counters =
                Counters { time_ns: second * SECOND, parent: task(2), waits, counts, ..Counters::default() };
            apply(Input::Counters(Box::new(counters)));
        }
        let evidence = Box::new(Evidence { state: b'S', threads: 1, threads_read: 1, ..Evidence::default() });
        apply(Input::Evidence { time_ns: 15 * SECOND, identity: task(2).identity, evidence });
        apply(Input::End { time_ns: 20 * SECOND });
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        kinds_of(entry(&report(&engine.view(), &session), 2))
    };
    assert_eq!(causes_of(&[(15, 3, 3), (16, 3, 3), (17, 3, 3)]), [ReapsOnlyWhenItSpawns]);
    assert_eq!(causes_of(&[(15, 2, 3), (16, 2, 3), (17, 2, 3)]), [Unknown], "each call took a child");
    assert_eq!(causes_of(&[(15, 3, 3), (16, 6, 4), (17, 9, 5)]), [ReapsOnlyWhenItSpawns], "with births");
    assert_eq!(causes_of(&[(15, 3, 3), (16, 4, 3), (17, 4, 4)]), [ReapsOnlyWhenItSpawns], "read in between");
    assert_eq!(causes_of(&[(15, 3, 3), (16, 4, 3), (17, 5, 3)]), [Unknown]);
}

#[test]
fn who_starts_children_while_dead_ones_lie_there_does_not_reap_for_the_sake_of_that() {
    // Two late reaps, each with a birth; before the second one so many births more, each with a child that lives on.
    let kinds = |births: u64| {
        let mut script = String::from(
            "1 fork 30 2\n 2 exit 30 2\n 3 zombie 30 2\n 6499000000 reap 30 2\n 6500000000 fork 31 2\n",
        );
        script += "6501000000 exit 31 2\n 6502000000 zombie 31 2\n";
        for birth in 0..births {
            script += &format!("{} fork {} 2\n", 7_000_000_000 + birth * 300_000_000, 40 + birth);
        }
        script += "12990000000 reap 31 2\n 13000000000 fork 32 2\n 13500000000 waits 2 6 0\n";
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &script);
        engine.apply(Input::End { time_ns: 14_000_000_000 }, &mut Vec::new());
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        kinds_of(entry(&report(&engine.view(), &session), 2))
    };
    assert_eq!(kinds(0), [ReapsOnlyWhenItSpawns]);
    assert_eq!(kinds(3), [ReapsOnlyWhenItSpawns]);
    assert_eq!(kinds(4), [Unknown]);
}
