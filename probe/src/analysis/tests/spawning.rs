//! Late reaps that come with births, and others.

use super::{EARLY, GRACE_NS, entry, kinds as kinds_of};
use crate::{
    analysis::report,
    engine::tests::{play_in, task},
    model::{Begin, Evidence, Input, Session, SignalMasks},
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
