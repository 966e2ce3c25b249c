//! Causes: each with its evidence, and every pair of causes that is easily confused.

use super::{EARLY, GRACE_NS, dead, entry, judge, judge_unlooked, kinds};
use crate::{
    analysis::report,
    engine::{Engine, tests::task},
    model::{Begin, Counters, Input, LifecycleEvent, Session, Stage, Task, WaitStatus},
    report::{
        Cause,
        CauseKind::{self, *},
        Report,
    },
};

/// A child of 3 that 2 adopts when 3 dies, and that dies as a child of 2.
fn orphan(child: u32) -> String {
    format!("{child} fork {child} 3\n 60 exit 3 2\n 70 exit {child} 2\n 71 zombie {child} 2\n")
}

fn waits(any: u32, specific: u32) -> String {
    format!("90 waits 2 {any} {specific}\n")
}

fn reaped(child: u32) -> String {
    dead(child, u64::from(child) + 1) + &format!("{} reap {child} 2\n", child + 3)
}

/// A parent, the kinds of its causes, and what the evidence of the first says.
struct Row {
    script: String,
    kinds: &'static [CauseKind],
    evidence: &'static str,
}

fn row(script: String, kinds: &'static [CauseKind], evidence: &'static str) -> Row {
    Row { script, kinds, evidence }
}

/// Parents whose causes are easily confused, next to each other.
fn table() -> Vec<Row> {
    let left = || dead(20, 30) + &dead(21, 31);
    let auto = "15 fork 15 2\n 16 ignored 15 2\n 17 auto 15 2\n";
    let held = |child: u32, tracer: u32| {
        format!("{child} fork {child} 2\n 50 exit {child} 2\n 51 held {child} 2 {tracer}\n")
    };
    vec![
        // It never waits; waits only for others; waits for any child but does not reap these; waits in a way that no
        // hook sees.
        row(left() + &waits(0, 0), &[NeverWaits], "it began no wait call since it was started, and 2 dead"),
        row(left() + &waits(0, 1), &[WaitsOnlyForSpecificChildren], "it began 1 wait call, each for one"),
        row(left() + &waits(3, 0), &[Unknown], "it began 3 wait calls for any child, and 2 dead"),
        row(left() + &waits(1, 4), &[Unknown], "it began 1 wait call for any child and 4 for certain ones"),
        row(reaped(15) + &left() + &waits(0, 0), &[Unknown], "other means (such as io_uring)"),
        row(left(), &[Unknown], "nothing that was seen tells why"),
        // It ignored SIGCHLD too late, or no longer does.
        row(
            auto.to_owned() + &left() + &waits(0, 0),
            &[NeverWaits],
            "the kernel reaped 1 dead child at once",
        ),
        row(auto.to_owned() + &left() + &waits(2, 0), &[Unknown], "it began 2 wait calls for any child"),
        // It called exec after these children were born; before; in between.
        row(
            left() + "40 exec 2 0\n" + &waits(0, 0),
            &[ChildrenInheritedThroughExec],
            "its 2 dead children were born before its last exec: the program it runs now did not start them",
        ),
        row(
            dead(20, 30) + "40 exec 2 0\n" + &waits(0, 0),
            &[ChildrenInheritedThroughExec],
            "its 1 dead child was born before its last exec: the program it runs now did not start it",
        ),
        row(
            reaped(15) + "19 exec 2 0\n" + &left() + &waits(0, 0),
            &[NeverWaits],
            "no wait call since its last exec",
        ),
        row(
            left() + "60 exec 2 0\n" + &dead(70, 80) + &waits(0, 3),
            &[ChildrenInheritedThroughExec, WaitsOnlyForSpecificChildren],
            "2 of its 3 dead children were born before",
        ),
        // Born before its last exec, but to another parent: adopted, not inherited.
        row(
            orphan(20) + "80 exec 2 0\n" + &waits(0, 0),
            &[SubreaperDoesNotReapOrphans],
            "its 1 dead child came to it from processes that died before",
        ),
        // It reaps none of the children that it adopted; it reaps some.
        row(
            dead(15, 30) + &orphan(20) + &waits(0, 1),
            &[SubreaperDoesNotReapOrphans, WaitsOnlyForSpecificChildren],
            "at least 1 of its 2 dead children came to it",
        ),
        row(
            reaped(15) + &orphan(20) + "80 reap 20 2\n" + &orphan(21) + &waits(5, 0),
            &[Unknown],
            "it began 5 wait calls for any child",
        ),
        // A tracer holds a child; held and released it; the parent is to blame for another child.
        row(held(20, 7), &[HeldByTracer], "the tracer p7 (pid 7) holds 1 dead child of it"),
        row(held(20, 7) + "60 again 20 2\n" + &waits(0, 0), &[NeverWaits], "it began no wait call"),
        row(held(20, 7) + &dead(21, 31) + &waits(0, 0), &[NeverWaits, HeldByTracer], "no wait call"),
        // It reaps all children, but late.
        row(
            dead(20, 30) + "900000 reap 20 2\n" + &waits(1, 0),
            &[Unknown],
            "it reaped 1 dead child, at least one later than the grace",
        ),
    ]
}

/// The causes of 2.
fn causes(script: &str) -> Vec<Cause> {
    let report: Report = judge(EARLY, script);
    entry(&report, 2).causes.clone()
}

#[test]
fn causes_that_are_easily_confused_are_told_apart() {
    for Row { script, kinds: expected, evidence } in table() {
        let report = judge(EARLY, &script);
        let parent = entry(&report, 2);
        assert_eq!(kinds(parent), expected, "{script}{:#?}", parent.causes);
        let said = parent.causes[0].evidence.join("; ");
        assert!(said.contains(evidence), "{said:?} does not say {evidence:?}\n{script}");
        for cause in &parent.causes {
            assert!(
                !cause.fix.is_empty() && cause.evidence.iter().all(|line| !line.is_empty()),
                "{cause:#?}"
            );
        }
    }
}

#[test]
fn every_kind_of_cause_is_in_the_table() {
    // The compiler asks for a new kind here.
    let after = |kind: &CauseKind| match kind {
        ChildrenInheritedThroughExec => Some(InitDoesNotReapOrphans),
        InitDoesNotReapOrphans => Some(SubreaperDoesNotReapOrphans),
        SubreaperDoesNotReapOrphans => Some(WaitFlagsExcludeChildren),
        WaitFlagsExcludeChildren => Some(LooksWithoutReaping),
        LooksWithoutReaping => Some(OneWaitPerSigchld),
        OneWaitPerSigchld => Some(WaitsOnlyForItsProcessGroup),
        WaitsOnlyForItsProcessGroup => Some(ParentStopped),
        ParentStopped => Some(ParentFrozen),
        ParentFrozen => Some(ParentBlocked),
        ParentBlocked => Some(WaitsAfterEndOfPipe),
        WaitsAfterEndOfPipe => Some(SigchldBlocked),
        SigchldBlocked => Some(SigchldIgnoredTooLate),
        SigchldIgnoredTooLate => Some(ReapsOnlyWhenItSpawns),
        ReapsOnlyWhenItSpawns => Some(HeldByTracer),
        HeldByTracer => Some(NeverWaits),
        NeverWaits => Some(WaitsOnlyForSpecificChildren),
        WaitsOnlyForSpecificChildren => Some(Unknown),
        Unknown => None,
    };
    // Those that rest on what a suspect was doing, or on what no script says, are tested in `evidence`.
    let in_evidence = super::evidence::kinds();
    for kind in std::iter::successors(Some(ChildrenInheritedThroughExec), after) {
        assert!(
            in_evidence.contains(&kind) || table().iter().any(|row| row.kinds.contains(&kind)),
            "no row has {kind:?}"
        );
    }
}

#[test]
fn the_parents_death_brings_no_other_cause() {
    for Row { script, kinds: expected, .. } in table() {
        let dies = script.clone() + "950000 exit 2 1\n";
        let report = judge(EARLY, &dies);
        let parent = entry(&report, 2);
        let found = kinds(parent);
        // Only the birth of the youngest child left is known, so one of several causes may be lost.
        let is_whole = expected.len() > 1 || found == expected;
        assert!(is_whole && !found.is_empty(), "{dies}{parent:#?}");
        assert!(found.iter().all(|kind| expected.contains(kind)), "{dies}{parent:#?}");
    }
}

/// With a child that lives it may wait for all in turn; not if it started one of those left after another had died.
#[test]
fn who_may_wait_for_all_in_turn_is_not_accused() {
    let left = dead(20, 30) + &dead(21, 31);
    for (script, kind, is_said) in [
        (left.clone() + "40 fork 22 2\n" + &waits(0, 0), Unknown, true),
        (left.clone() + "40 fork 22 2\n" + &waits(0, 1), Unknown, true),
        (left.clone() + &dead(40, 41) + "42 fork 22 2\n" + &waits(0, 0), NeverWaits, false),
        (left + "40 fork 22 2\n" + &waits(0, 0) + "950000 exit 2 1\n", NeverWaits, false),
    ] {
        let report = judge(EARLY, &script);
        let parent = entry(&report, 2);
        assert_eq!(kinds(parent), [kind], "{script}{parent:#?}");
        let said = parent.causes[0].evidence.join("; ").contains("it may wait for all in turn");
        assert_eq!(said, is_said, "{script}{parent:#?}");
        assert!(!is_said || !parent.causes[0].now.contains("reapwatch reap"), "{parent:#?}");
    }
}

#[test]
fn the_waits_of_the_window_explain_no_zombie_that_is_older() {
    let walked = "101 walk 2 20:2 21:2\n 200 waits 2 0 3\n";
    let with_one_since = walked.to_owned() + "210 fork 220 2\n 230 exit 220 2\n 231 zombie 220 2\n";
    for (script, expected) in [(walked, Unknown), (&with_one_since, WaitsOnlyForSpecificChildren)] {
        let report = judge(100, script);
        assert_eq!(kinds(entry(&report, 2)), [expected], "{script}{:#?}", entry(&report, 2));
    }
}

#[test]
fn who_was_not_looked_at_is_not_said_never_to_wait() {
    let begin = Begin { time_ns: EARLY, ..Begin::default() };
    let script = dead(20, 30) + &waits(0, 0);
    let report = judge_unlooked(begin, &script);
    let parent = entry(&report, 2);
    assert_eq!(kinds(parent), [Unknown]);
    let said = parent.causes[0].evidence.join("; ");
    assert!(said.contains("it began no wait call since it was started, and 1 dead child stayed"), "{said}");
    assert!(said.contains("it may wait by io_uring, or be stopped"), "{said}");
    assert_eq!(causes(&script)[0].kind, NeverWaits);
}

#[test]
fn the_fix_goes_with_what_was_seen() {
    let auto = "15 fork 15 2\n 16 ignored 15 2\n 17 auto 15 2\n".to_owned();
    let fix = |script: &str| causes(&(script.to_owned() + &dead(20, 30) + &waits(0, 0)))[0].fix.clone();
    assert!(fix(&auto).contains("ignore SIGCHLD before the first child is started"));
    assert!(fix("").contains("where no exit status matters, not to libraries either, ignore SIGCHLD"));
}

#[test]
fn what_a_tracer_holds_explains_no_other_child_and_a_moment_is_no_cause() {
    let kinds = |script: &str| causes(script).iter().map(|cause| cause.kind).collect::<Vec<_>>();
    let held =
        |fork: u64, died: u64| format!("{fork} fork 20 2\n {died} exit 20 2\n {} held 20 2 7\n", died + 1);
    // 22 lives: 2 may wait in turn.
    let rest_unknown = held(20, 50) + &dead(21, 31) + "22 fork 22 2\n" + &waits(0, 0);
    assert_eq!(kinds(&rest_unknown), [Unknown, HeldByTracer]);
    assert_eq!(kinds(&(dead(21, 31) + &held(40, 990_000) + &waits(0, 0))), [NeverWaits]);
}

#[test]
fn three_tracers_are_named_and_more_are_counted() {
    let held = |child: u32, tracer: u32| {
        format!("{child} fork {child} 2\n 50 exit {child} 2\n 51 held {child} 2 {tracer}\n")
    };
    let script: String = (0..5).map(|number| held(20 + number, 5 + number)).collect();
    let evidence = &causes(&script)[0].evidence;
    assert_eq!(evidence.len(), 4, "{evidence:?}");
    assert_eq!(evidence[3], "so do 2 more tracers");
}

#[test]
fn the_init_of_a_pid_namespace_is_told_that_it_gets_every_orphan() {
    let evidence = |ns_pid: u32| {
        let reaper = Task { ns_pid, ..task(2) };
        let mut engine = Engine::default();
        engine.apply(Input::Begin(Begin { time_ns: EARLY, ..Begin::default() }), &mut Vec::new());
        let status = WaitStatus(0);
        for (time_ns, process, stage) in [
            (2, reaper, Stage::Fork { parent: task(1), creator: task(1) }),
            (3, task(3), Stage::Fork { parent: reaper, creator: reaper }),
            (20, task(20), Stage::Fork { parent: task(3), creator: task(3) }),
            (
                60,
                task(3),
                Stage::Exit { parent: reaper, status, autoreap: true, is_clone_child: false, account: None },
            ),
            (65, task(20), Stage::Reparent { parent: reaper, from: task(3), since_ns: 0 }),
            (
                70,
                task(20),
                Stage::Exit { parent: reaper, status, autoreap: false, is_clone_child: false, account: None },
            ),
            (71, task(20), Stage::Zombie { parent: reaper, held_by: None, exit_ns: 70, again: false }),
        ] {
            engine.apply(Input::Lifecycle(LifecycleEvent { time_ns, process, stage }), &mut Vec::new());
        }
        let counters = Counters { time_ns: 90, parent: reaper, ..Counters::default() };
        engine.apply(Input::Counters(Box::new(counters)), &mut Vec::new());
        engine.apply(Input::End { time_ns: 1_000_000 }, &mut Vec::new());
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        let report = report(&engine.view(), &session);
        let kind = if ns_pid == 1 { InitDoesNotReapOrphans } else { SubreaperDoesNotReapOrphans };
        assert_eq!(kinds(entry(&report, 2)), [kind]);
        entry(&report, 2).causes[0].evidence.join("; ")
    };
    assert!(evidence(1).contains("it is PID 1 of a PID namespace"), "{}", evidence(1));
    assert!(!evidence(2).contains("PID 1"), "{}", evidence(2));
}
