//! Verdicts and causes of the engine's scenarios, which are written as text.

mod cause;
mod evidence;
mod spawning;
mod verdict;

use super::report;
use crate::{
    engine::tests::{play_in, task},
    model::{Begin, Coverage, Scope, Session},
    report::{
        CauseKind::{self, *},
        Finding, Parent, Precision, Report, Verdict,
    },
};

/// A child that dies in the first half of the window is past the grace at the window's end.
const GRACE_NS: u64 = 500_000;
/// Most scenarios begin their window before any process that matters is born.
const EARLY: u64 = 1;

/// Judges a script; 2 was looked at as a suspect, and slept.
fn judge_in(begin: Begin, script: &str) -> Report {
    judge_unlooked(begin, &format!("{script}\n 800000 looked 2 1"))
}

/// The same, of a parent that nobody looked at.
fn judge_unlooked(begin: Begin, script: &str) -> Report {
    let session = Session { grace_ns: GRACE_NS, ..Session::default() };
    let report = report(&play_in(begin, script).view(), &session);
    for ledger in report.parents.iter().map(|parent| parent.ledger).chain([report.totals]) {
        assert!(ledger.balances(), "{ledger:?}\n{script}");
    }
    report
}

/// Before what is to be done now, where the parent may still come to them by itself.
const HEDGE: &str = "should they stay";

/// The page of each cause, which `help` prints and the book shows, has the advice that the report gives.
fn says_what_its_pages_say(report: &Report) {
    let plain = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").replace(['`', '*'], "").replace("(sigaction SIG_IGN) ", "").to_lowercase()
    };
    for cause in report.parents.iter().flat_map(|parent| &parent.causes) {
        let page = plain(cause.kind.page());
        // What is to be done now about an unknown cause may be what another page says.
        let now = if cause.kind == Unknown { "" } else { &cause.now };
        for advice in [now, &cause.fix] {
            // A page may have its sentences in another order, and says PID where the report has a number.
            for part in plain(advice).split(['.', ';', ':']) {
                let words: Vec<&str> = part
                    .split(' ')
                    .map(|word| if word.parse::<u32>().is_ok_and(|pid| pid > 1) { "pid" } else { word })
                    .collect();
                let part = words.join(" ");
                if part == HEDGE {
                    continue;
                }
                assert!(
                    page.contains(part.trim().trim_start_matches("or ")),
                    "docs/causes/{}.md does not say {part:?}",
                    cause.kind.name()
                );
            }
        }
    }
}

fn judge(began_ns: u64, script: &str) -> Report {
    judge_in(Begin { time_ns: began_ns, ..Begin::default() }, script)
}

fn entry(report: &Report, pid: u32) -> &Parent {
    says_what_its_pages_say(report);
    report.parents.iter().find(|parent| parent.pid == pid).unwrap_or_else(|| panic!("no {pid}: {report:#?}"))
}

/// The events of a child of 2, from its fork to its zombie.
fn dead(child: u32, at: u64) -> String {
    format!("{} fork {child} 2\n {at} exit {child} 2\n {} zombie {child} 2\n", child, at + 1)
}

fn kinds(parent: &Parent) -> Vec<CauseKind> {
    parent.causes.iter().map(|cause| cause.kind).collect()
}

/// The verdict on 2, and the finding of the report.
fn verdict(began_ns: u64, script: &str) -> (Verdict, Finding) {
    let report = judge(began_ns, script);
    (entry(&report, 2).verdict, report.finding)
}

#[test]
fn a_verdict_goes_by_how_long_and_the_finding_by_the_worst_verdict() {
    let (old, young) = (dead(20, 30), dead(21, 900_000));
    let reaped = dead(22, 40) + "60 reap 22 2\n";
    let late = dead(23, 40) + "900000 reap 23 2\n";
    let dies = "950000 exit 2 1\n";
    for (script, expected, finding) in [
        (reaped.clone(), Verdict::Healthy, Finding::None),
        (young.clone(), Verdict::Undecided, Finding::Undecided),
        (reaped.clone() + &young, Verdict::Healthy, Finding::None),
        (late.clone(), Verdict::Slow, Finding::Slow),
        (old.clone(), Verdict::NeverReaps, Finding::Leak),
        (reaped.clone() + &old, Verdict::Leaking, Finding::Leak),
        // One young zombie abandoned is no more of a leak than one unreaped.
        (young.clone() + dies, Verdict::Undecided, Finding::Undecided),
        (old.clone() + dies, Verdict::NeverReaps, Finding::Leak),
        // Children reaped before an exec do not count in favour of the program after it.
        (reaped.clone() + "70 exec 2 0\n" + &old, Verdict::NeverReaps, Finding::Leak),
    ] {
        assert_eq!(verdict(EARLY, &script), (expected, finding), "{script}");
    }
}

#[test]
fn zombies_older_than_the_watch_are_a_leak_of_a_parent_of_which_nothing_else_is_known() {
    let report = judge(100, "101 walk 2 20:2 21:2\n");
    let parent = entry(&report, 2);
    assert_eq!((parent.verdict, parent.older, parent.oldest_at_least), (Verdict::Leaking, 2, true));
    assert_eq!(kinds(parent), [Unknown]);
    assert!(parent.causes[0].evidence[0].contains("older than the watch"), "{:?}", parent.causes);
    // The verdict is the same if the parent dies.
    assert_eq!(verdict(100, "101 walk 2 20:2\n 900000 exit 2 1\n").0, Verdict::Leaking);
    // One more child dies and stays past the grace, unreaped as well.
    let one_more = "101 walk 2 20:2\n 110 fork 120 2\n 130 exit 120 2\n 131 zombie 120 2\n";
    assert_eq!(verdict(100, one_more).0, Verdict::NeverReaps);
    // A zombie that only a later snapshot shows died in the window.
    assert_eq!(verdict(100, "101 walk 2\n 200 walk 2 20:2\n").0, Verdict::NeverReaps);
}

#[test]
fn what_a_tracer_holds_is_held_and_the_tracer_is_named() {
    let held = |child: u32, at: u64, tracer: u32| {
        format!("{child} fork {child} 2\n {at} exit {child} 2\n {} held {child} 2 {tracer}\n", at + 1)
    };
    let report = judge(EARLY, &(held(20, 30, 7) + &held(21, 30, 8) + &held(22, 30, 8)));
    let parent = entry(&report, 2);
    assert_eq!((parent.verdict, report.finding), (Verdict::Held, Finding::Held));
    assert_eq!(parent.held, 3);
    assert_eq!(parent.held_by.as_ref().map(|tracer| (tracer.pid, &*tracer.comm)), Some((8, "p8")));
    assert_eq!(parent.oldest_unreaped_ns, 1_000_000 - 31);
    assert_eq!(kinds(parent), [HeldByTracer]);
    assert_eq!(
        parent.causes[0].evidence,
        [
            "the tracer p8 (pid 8) holds 2 dead children of it",
            "the tracer p7 (pid 7) holds 1 dead child of it"
        ]
    );
    // The tracer holds the child only since just now, or the parent also has a leak of its own.
    assert_eq!(verdict(EARLY, &held(20, 900_000, 7)).0, Verdict::Healthy);
    let both = judge(EARLY, &(held(20, 30, 7) + &dead(21, 40)));
    assert_eq!(entry(&both, 2).verdict, Verdict::NeverReaps);
    assert!(kinds(entry(&both, 2)).contains(&HeldByTracer));
    // A held child as the snapshot shows it, and one whose parent died first.
    assert_eq!(verdict(100, "101 walk 2 20:2:7\n").0, Verdict::Held);
    let report = judge(EARLY, &(held(20, 30, 7) + "900000 exit 2 1\n"));
    assert_eq!((entry(&report, 2).verdict, report.finding), (Verdict::Held, Finding::Held));
    assert_eq!(entry(&report, 2).held_by.as_ref().map(|tracer| tracer.pid), Some(7));
}

#[test]
#[should_panic(expected = "docs/causes/never_waits.md does not say")]
fn advice_that_is_not_on_the_page_of_its_cause_is_found() {
    let mut report = judge(EARLY, &(dead(20, 30) + "90 waits 2 0 0\n"));
    for cause in report.parents.iter_mut().flat_map(|parent| &mut parent.causes) {
        cause.fix.push_str("; paint it green");
    }
    says_what_its_pages_say(&report);
}

/// The kinds of causes of 2, which was started at time 2.
#[track_caller]
fn expect_causes(began_ns: u64, script: &str, expected: &[CauseKind]) {
    let report = judge(began_ns, script);
    let parent = entry(&report, 2);
    assert_eq!(kinds(parent), expected, "{script}{:#?}", parent.causes);
}

#[test]
fn causes_rest_on_what_was_seen() {
    let left = dead(20, 30) + &dead(21, 31);
    let reaped = dead(15, 16) + "17 reap 15 2\n";
    for (script, expected) in [
        (left.clone() + "90 waits 2 0 0\n", NeverWaits),
        (left.clone() + "90 waits 2 0 4\n", WaitsOnlyForSpecificChildren),
        // It waits for any child, but does not reap these: it is stopped, waits without __WALL, or waits once per
        // signal.
        (left.clone() + "90 waits 2 30 0\n", Unknown),
        // Its wait calls were not counted.
        (left.clone(), Unknown),
        // It reaps without a wait call, by io_uring.
        (reaped.clone() + &left + "90 waits 2 0 0\n", Unknown),
        (reaped.clone() + &left + "90 waits 2 0 1\n", WaitsOnlyForSpecificChildren),
        // Only children that were born before the exec are inherited through it,
        (left.clone() + "40 exec 2 0\n 90 waits 2 0 0\n", ChildrenInheritedThroughExec),
        (left.clone() + "40 exec 2 0\n 90 waits 2 0 0\n 900000 exit 2 1\n", ChildrenInheritedThroughExec),
        // not those that it adopted later: here a PID 1 ran the commands of its entry point and reaped them.
        (
            reaped.clone()
                + "18 exec 2 0\n 19 fork 30 3\n 31 exit 3 1\n 32 zombie 3 1\n 33 reparent 30 2\n 34 exit 30 2\n 35 zombie 30 2\n 90 waits 2 0 0\n",
            SubreaperDoesNotReapOrphans,
        ),
        // The parent is slow and nothing else.
        (dead(23, 40) + "900000 reap 23 2\n", Unknown),
    ] {
        expect_causes(EARLY, &script, &[expected]);
    }
    // Some children were born before the exec, some after it.
    let both = left + "60 exec 2 0\n 70 fork 80 2\n 90 exit 80 2\n 91 zombie 80 2\n 95 waits 2 0 0\n";
    expect_causes(EARLY, &both, &[ChildrenInheritedThroughExec, NeverWaits]);
}

#[test]
fn what_a_parent_did_before_the_watch_is_not_made_up() {
    // The parent may have been waiting for another child since before the watch: nothing can be said of a child that
    // was born before the watch,
    let born_before = "101 walk 2 20\n 110 exit 20 2\n 111 zombie 20 2\n 200 waits 2 0 0\n";
    expect_causes(100, born_before, &[Unknown]);
    // but something can be said of a child that was born during it.
    let born_since = "101 walk 2\n 110 fork 120 2\n 130 exit 120 2\n 131 zombie 120 2\n 200 waits 2 0 0\n";
    expect_causes(100, born_since, &[NeverWaits]);
    // How many children the parent had before the watch is unknown too: more died than were forked, and still none may
    // be adopted.
    let script = "101 walk 2 20\n 110 exit 20 2\n 111 zombie 20 2\n 200 waits 2 0 3\n";
    expect_causes(100, script, &[WaitsOnlyForSpecificChildren]);
}

#[test]
fn adopted_children_are_told_from_its_own() {
    let orphan = |child: u32| {
        format!(
            "{child} fork {child} 3\n {} exit 3 2\n {} exit {child} 2\n {} zombie {child} 2\n",
            60, 70, 71
        )
    };
    expect_causes(EARLY, &(orphan(20) + "90 waits 2 0 0\n"), &[SubreaperDoesNotReapOrphans]);
    // Its own child is reaped, the orphan is not.
    let own = dead(15, 30) + "40 reap 15 2\n";
    expect_causes(EARLY, &(own.clone() + &orphan(20) + "90 waits 2 0 1\n"), &[SubreaperDoesNotReapOrphans]);
    // It reaps more children than it started, so it does reap adopted ones.
    let reaps_orphans = own + &orphan(20) + "80 reap 20 2\n" + &orphan(21) + "90 waits 2 5 0\n";
    expect_causes(EARLY, &reaps_orphans, &[Unknown]);
    // Also where it does so by pid, as from a siginfo.
    expect_causes(EARLY, &reaps_orphans.replace("waits 2 5 0", "waits 2 0 5"), &[Unknown]);
    // Children of its own are left as well as the orphan.
    let both = dead(25, 30) + &orphan(20) + "90 waits 2 0 0\n";
    expect_causes(EARLY, &both, &[SubreaperDoesNotReapOrphans, NeverWaits]);
}

#[test]
fn where_births_are_not_told_it_is_not_known_whose_child_it_was() {
    let begin = Begin { time_ns: 1, coverage: Coverage::Exceptions { slow_ns: 1 }, ..Begin::default() };
    let script = |exited, forked, walk: &str| {
        format!(
            "2 walk 2\n 40 exec 2 0\n 80 walk 2 {walk}\n 90 count 2 {exited} {forked} 1\n 95 walk 2 {walk}\n"
        )
    };
    let expect = |script: &str, expected: CauseKind| {
        let report = judge_in(begin.clone(), script);
        assert_eq!(kinds(entry(&report, 2)), [expected], "{report:#?}");
    };
    // It forked two children and three died: one was an orphan, and the child that is left may be the orphan.
    expect(&script(3, 2, "60:2"), Unknown);
    // A child that was born before the exec may have been adopted after it.
    expect(&script(3, 2, "30:2"), Unknown);
    // It adopted no child.
    expect(&script(2, 2, "30:2"), ChildrenInheritedThroughExec);
    expect(&script(2, 2, "60:2"), WaitsOnlyForSpecificChildren);
}

#[test]
fn only_the_reaps_of_the_tree_make_its_report_coarse() {
    // 3 has a zombie from before the window, which is reaped without a wait call; the tree of 2 reaps by wait calls.
    let script =
        |walk: &str| "5 walk 3 4:3\n 6 fork 2 1\n".to_owned() + &dead(20, 30) + "40 reap 20 2\n" + walk;
    let tree = Begin { time_ns: 4, scope: Scope::Tree(task(2).identity), coverage: Coverage::EveryEvent };
    assert_eq!(judge_in(tree.clone(), &script("50 walk 2 3\n")).hooks.precision, Precision::Exact);
    assert_eq!(
        judge_in(Begin { scope: Scope::Host, ..tree }, &script("50 walk 2 3\n")).hooks.precision,
        Precision::Coarse
    );
}

#[test]
fn while_the_watch_goes_on_nobody_is_accused_of_more_than_the_last_walk_showed() {
    let begin =
        || Begin { time_ns: EARLY, coverage: Coverage::Exceptions { slow_ns: GRACE_NS }, ..Begin::default() };
    let session = Session { grace_ns: GRACE_NS, ..Session::default() };
    let script = "2 walk 2 20:2\n 1200000 exec 30 1\n";
    let engine = play_in(begin(), script);
    assert_eq!(report(&engine.view(), &session).finding, Finding::Leak);
    // Its child may have been reaped since the walk: in time, so that nobody is told.
    let so_far = super::report_so_far(&engine, &session);
    assert_eq!((entry(&so_far, 2).verdict, so_far.finding), (Verdict::Undecided, Finding::Undecided));
    assert!(so_far.headline.contains("p2"), "{}", so_far.headline);
    assert!(entry(&so_far, 2).oldest_unreaped_ns < GRACE_NS);
    let engine = play_in(begin(), &format!("{script} 1200001 walk 2 20:2\n"));
    let so_far = super::report_so_far(&engine, &session);
    assert!(entry(&so_far, 2).verdict >= Verdict::Leaking, "{so_far:#?}");
    assert_eq!(so_far, report(&engine.view(), &session), "after a walk nothing is taken back");
}
