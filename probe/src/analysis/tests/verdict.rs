//! Verdicts: every combination of grounds, and every pair of parents that look alike and are judged differently.

use super::{EARLY, GRACE_NS, dead, entry, judge};
use crate::{
    analysis::{report, verdict::verdict},
    engine::{Grounds, tests::play_in},
    model::{Begin, Input, Losses, Session},
    report::Verdict::{self, Healthy, Held, Leaking, NeverReaps, Slow, Undecided},
};

/// All grounds that are possible for a parent.
fn possible_grounds() -> impl Iterator<Item = Grounds> {
    (0..1 << 7_u32).filter_map(|bits| {
        let is_set = |bit: u32| bits >> bit & 1 == 1;
        let on = Grounds {
            late: is_set(0),
            late_in_window: is_set(1),
            reaped_late: is_set(2),
            held_late: is_set(3),
            left: is_set(4),
            left_unseen: is_set(5),
            has_reaped: is_set(6),
        };
        // A child that waits for long counts as left, and so does one that only the kernel's counters show.
        let is_possible = (on.left || !on.late && !on.left_unseen) && (on.late || !on.late_in_window);
        is_possible.then_some(on)
    })
}

#[test]
fn no_combination_of_grounds_accuses_without_a_child_that_waits_for_long() {
    for on in possible_grounds() {
        let judged = verdict(&on, true);
        assert_eq!(matches!(judged, Leaking | NeverReaps), on.late, "{on:?}");
        assert_eq!(judged == Slow, !on.late && on.reaped_late, "{on:?}");
        assert_eq!(judged == NeverReaps, on.late_in_window && !on.has_reaped, "{on:?}");
        if judged == Held {
            assert!(on.held_late && !on.left_unseen, "{on:?}");
        }
        if judged == Undecided {
            assert!(on.left, "there is nothing to be undecided about: {on:?}");
        }
    }
}

#[test]
fn a_loss_makes_no_verdict_worse_than_undecided() {
    for on in possible_grounds() {
        let (complete, lossy) = (verdict(&on, true), verdict(&on, false));
        let is_only_doubted = (complete, lossy) == (Healthy, Undecided);
        assert!(complete == lossy || is_only_doubted, "{on:?}: {complete:?}, {lossy:?}");
    }
}

#[track_caller]
fn expect(script: &str, expected: Verdict) {
    let report = judge(EARLY, script);
    let parent = entry(&report, 2);
    assert_eq!(parent.verdict, expected, "{script}{parent:#?}");
    // A parent needs no cause if neither it nor a tracer is to blame.
    assert_eq!(parent.causes.is_empty(), matches!(expected, Healthy | Undecided), "{script}{parent:#?}");
}

#[test]
fn parents_that_look_alike_are_told_apart() {
    let (old, young) = (dead(20, 30), dead(21, 900_000));
    let (prompt, late) = (dead(22, 40) + "60 reap 22 2\n", dead(23, 40) + "900000 reap 23 2\n");
    let held = "24 fork 24 2\n 50 exit 24 2\n 51 held 24 2 7\n".to_owned();
    let auto = "25 fork 25 2\n 50 ignored 25 2\n 55 auto 25 2\n".to_owned();
    for (script, expected) in [
        // It reaps late, and one child stays, one is young, or a tracer holds one.
        (late.clone(), Slow),
        (late.clone() + &old, Leaking),
        (late.clone() + &young, Slow),
        (late.clone() + &held, Slow),
        // A tracer holds one child, and another stays, or is young while the parent reaps or is not known to reap.
        (held.clone(), Held),
        (held.clone() + &old, NeverReaps),
        (held.clone() + &prompt + &old, Leaking),
        (held.clone() + &young, Held),
        // The tracer released the child, long ago or just now: from then on the parent is to blame.
        (held.clone() + "60 again 24 2\n", NeverReaps),
        (held.clone() + "900000 again 24 2\n", Undecided),
        (held + &prompt, Held),
        // The kernel reaped one at once, which counts neither for nor against the parent.
        (auto.clone(), Healthy),
        (auto.clone() + &young, Undecided),
        (auto + &old, NeverReaps),
        // The child is young, and the parent reaps others, or not.
        (prompt.clone() + &young, Healthy),
        (young, Undecided),
        (prompt + &old, Leaking),
        (old, NeverReaps),
    ] {
        expect(&script, expected);
    }
}

#[test]
fn exactly_the_grace_is_within_the_grace() {
    let at = |age_ns: u64| dead(20, 1_000_000 - age_ns - 1);
    expect(&at(GRACE_NS), Undecided);
    expect(&at(GRACE_NS + 1), NeverReaps);
    let reaped = |after_ns: u64| dead(20, 30) + &format!("{} reap 20 2\n", 31 + after_ns);
    expect(&reaped(GRACE_NS), Healthy);
    expect(&reaped(2 * GRACE_NS - 32), Slow);
}

#[test]
fn a_loss_leaves_a_parent_with_a_young_zombie_undecided() {
    let judged = |script: &str, events: u64| {
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, script);
        let losses = Losses { events, ..Losses::default() };
        engine.apply(Input::Losses { time_ns: 1_000_000, losses }, &mut Vec::new());
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        let report = report(&engine.view(), &session);
        (entry(&report, 2).verdict, report.complete)
    };
    let reaps = dead(22, 40) + "60 reap 22 2\n";
    let young = reaps.clone() + &dead(21, 900_000);
    assert_eq!(judged(&young, 0), (Healthy, true));
    assert_eq!(judged(&young, 1), (Undecided, false));
    // A child that was seen to wait for long did so, whatever else was lost.
    let old = reaps + &dead(20, 30);
    assert_eq!(judged(&old, 1), (Leaking, false));
}
