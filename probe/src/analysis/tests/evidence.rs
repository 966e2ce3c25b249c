//! Causes that rest on what a suspect was doing: each beside the one that it is easily taken for.

use super::{EARLY, GRACE_NS, dead, entry, kinds as kinds_of};
use crate::{
    analysis::report,
    engine::tests::{play_in, task},
    model::{
        Begin, Blocked, Call, ChildCounts, Counters, Evidence, Input, Kill, Killer, LifecycleEvent, PipeRead,
        ProcessInfo, Readiness, Session, SignalMasks, Stage, Task, Tracer, Wait, WaitCalls, WaitStatus,
        WaitTarget,
    },
    report::{
        CauseKind::{self, *},
        Parent,
    },
};

const SIGCHLD: u64 = 1 << 16;
/// So long after the look that a second one must have found the same; and too soon for that.
const LONG_AFTER: u64 = 2_000_000_000;
const SOON_AFTER: u64 = 1_000_000;

/// What is said of 2, of whom this was seen when it was looked at, and after which these events came.
fn judge(script: &str, evidence: Evidence, then: &[(u64, Task, Stage)], ended_ns: u64) -> Parent {
    let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, script);
    let mut apply = |input| engine.apply(input, &mut Vec::new());
    for (time_ns, process, stage) in then.iter().cloned() {
        apply(Input::Lifecycle(LifecycleEvent { time_ns, process, stage }));
    }
    let identity = task(2).identity;
    apply(Input::Evidence { time_ns: 800_000, identity, evidence: Box::new(evidence) });
    apply(Input::End { time_ns: ended_ns });
    let session = Session { grace_ns: GRACE_NS, ..Session::default() };
    entry(&report(&engine.view(), &session), 2).clone()
}

fn main_thread() -> Evidence {
    let blocked = Blocked::Call(Call::Sleep);
    Evidence { state: b'S', threads: 1, threads_read: 1, is_of_main: true, blocked, ..Evidence::default() }
}

fn masks(caught: u64, ignored: u64) -> SignalMasks {
    SignalMasks { blocked: 0, ignored, caught }
}

fn blocked_in(blocked: Blocked) -> Evidence {
    Evidence { blocked, ..main_thread() }
}

/// In a read of a pipe that `writer` holds open; 31 is a child of 2.
fn pipe_read(writer: u32) -> PipeRead {
    let writers = vec![task(writer)];
    PipeRead { fd: 3, pipe: 9, writers, descendants: u16::from(writer == 31), ..PipeRead::default() }
}

fn reads_pipe(writer: u32) -> Evidence {
    blocked_in(Blocked::PipeRead(pipe_read(writer)))
}

/// In poll for it.
fn polls_pipe(writer: u32) -> Evidence {
    blocked_in(Blocked::PipeRead(PipeRead { is_polled: true, ..pipe_read(writer) }))
}

fn waits_for(target: WaitTarget) -> Evidence {
    blocked_in(Blocked::Wait(Wait { target, flags: Wait::EXITED }))
}

/// A row: the script, what was seen, the cause, and what its first evidence says.
type Row = (String, Evidence, CauseKind, &'static str);

fn table() -> Vec<Row> {
    let left = || dead(20, 30) + &dead(21, 31) + "90 waits 2 0 0\n";
    let waiting = || dead(20, 30) + &dead(21, 31) + "90 waits 2 5 0\n";
    let specific = || dead(20, 30) + &dead(21, 31) + "90 waits 2 0 2\n";
    let auto = || "15 fork 15 2\n 16 ignored 15 2\n 17 auto 15 2\n".to_owned() + &left();
    let late = || dead(20, 30) + "900000 reap 20 2\n 910000 waits 2 0 1\n";
    // 30 is a child of 20, a zombie; 31 a child of 2.
    let pipe = || "19 fork 20 2\n 25 fork 30 20\n 26 fork 31 2\n".to_owned() + &left();
    let stopped = |state| Evidence { state, ..main_thread() };
    let handler = |blocked, pending| Evidence {
        signals: masks(SIGCHLD, 0),
        blocked_by_all: Some(blocked),
        pending: Some(pending),
        ..main_thread()
    };
    vec![
        (left(), stopped(b'S'), NeverWaits, "it began no wait call since it was started"),
        (specific(), blocked_in(Blocked::Unknown), WaitsOnlyForSpecificChildren, "it began 2 wait calls"),
        // Those left may be next.
        (specific(), waits_for(WaitTarget::Child(32)), Unknown, "it began 2 wait calls"),
        (waiting(), stopped(b'T'), ParentStopped, "it is stopped (state T)"),
        // That it would wait if it went on is not known.
        (left(), stopped(b'T'), Unknown, "it began no wait call"),
        (left(), Evidence { is_frozen: Some(true), ..main_thread() }, Unknown, "it began no wait call"),
        (left(), blocked_in(Blocked::Vfork), Unknown, "it began no wait call"),
        (left(), stopped(b'D'), Unknown, "it began no wait call"),
        (
            waiting(),
            Evidence { tracer: Tracer::By(task(7)), ..stopped(b't') },
            ParentStopped,
            "p7 (pid 7) traces it and has stopped it",
        ),
        (
            waiting(),
            Evidence { is_frozen: Some(true), ..main_thread() },
            ParentFrozen,
            "its cgroup, or one above it, is frozen",
        ),
        (left(), Evidence { is_frozen: Some(false), ..main_thread() }, NeverWaits, "it began no wait call"),
        (left(), blocked_in(Blocked::Call(Call::Sleep)), NeverWaits, "it began no wait call"),
        (left(), blocked_in(Blocked::Call(Call::IoUring)), Unknown, "it began no wait call"),
        // The system call of another user's process cannot be read; what cannot be read at all is no look.
        (
            left(),
            Evidence { wait_channel: b"io_cqring_wait".to_vec(), ..main_thread() },
            Unknown,
            "it began no wait call",
        ),
        (left(), Evidence { threads: 1, ..Evidence::default() }, Unknown, "it began no wait call"),
        (waiting(), blocked_in(Blocked::Vfork), ParentBlocked, "its main thread is in vfork"),
        (
            waiting(),
            Evidence { wait_channel: b"rpc_wait".to_vec(), ..stopped(b'D') },
            ParentBlocked,
            "cannot be interrupted (state D, in rpc_wait)",
        ),
        (late(), waits_for(WaitTarget::Any), Unknown, "it reaped 1 dead child"),
        // A signal that is blocked and has no handler changes nothing; nor one that somebody takes otherwise.
        (left(), handler(SIGCHLD, SIGCHLD), SigchldBlocked, "it blocks SIGCHLD, and one is pending"),
        (left(), handler(SIGCHLD, 0), NeverWaits, "it began no wait call"),
        (left(), handler(0, SIGCHLD), NeverWaits, "it began no wait call"),
        (
            left(),
            Evidence { signals: masks(0, 0), ..handler(SIGCHLD, SIGCHLD) },
            NeverWaits,
            "it began no wait call",
        ),
        (
            auto(),
            Evidence { signals: masks(0, SIGCHLD), ..main_thread() },
            SigchldIgnoredTooLate,
            "it ignores SIGCHLD, but did not yet when those left died; since then the kernel reaped 1",
        ),
        // It ignored it when this one died: its parent traced it.
        (
            "20 fork 20 2\n 30 ignored 20 2\n 31 zombie 20 2\n 90 waits 2 0 0\n".to_owned(),
            Evidence { signals: masks(0, SIGCHLD), ..main_thread() },
            NeverWaits,
            "it began no wait call",
        ),
        // Whether it was ignored when those died that are older than the watch is not known.
        (
            "20 fork 20 2\n 40 walk 2 20:2\n 90 waits 2 0 0\n".to_owned(),
            Evidence { signals: masks(0, SIGCHLD), ..main_thread() },
            Unknown,
            "its dead child is older than the watch",
        ),
        // It ignored SIGCHLD before these died, and no longer does.
        (auto(), main_thread(), NeverWaits, "it began no wait call"),
        // Whether it waits at the end of the pipe is known once it has.
        (pipe(), reads_pipe(30), Unknown, "it began no wait call"),
        // One that forked twice was started after the zombie, and comes from nobody that lives; and the same of pipes that are
        // polled.
        (left(), reads_pipe(40), Unknown, "it began no wait call"),
        (pipe(), polls_pipe(30), Unknown, "it began no wait call"),
        (left(), polls_pipe(40), Unknown, "it began no wait call"),
        (specific(), polls_pipe(40), Unknown, "it began 2 wait calls"),
        (
            left(),
            Evidence { threads: 4, threads_read: 4, ..polls_pipe(40) },
            Unknown,
            "it began no wait call",
        ),
        // Who writes was not looked for, or could not be.
        (
            left(),
            blocked_in(Blocked::PipeRead(PipeRead { is_polled: true, is_cut: true, ..PipeRead::default() })),
            Unknown,
            "it began no wait call",
        ),
        // It can write to the pipe itself; or a child of it that lives can, and a loop that polls goes on.
        (left(), reads_pipe(2), NeverWaits, "it began no wait call"),
        (pipe() + &dead(40, 41), polls_pipe(31), NeverWaits, "it began no wait call"),
        // Another thread waits by pid: which one would reap those of the pipe is not known.
        (
            "19 fork 20 2\n 25 fork 30 20\n".to_owned() + &specific(),
            Evidence { threads: 2, threads_read: 2, ..reads_pipe(30) },
            Unknown,
            "it began 2 wait calls",
        ),
        // It reads from one that lives, and may wait for all of them afterwards, also for one that it started before it read; not
        // one that goes on starting others.
        (pipe(), reads_pipe(31), Unknown, "it began no wait call"),
        (pipe() + &dead(40, 41), reads_pipe(31), Unknown, "it began no wait call"),
        (pipe() + &dead(810_000, 811_000), reads_pipe(31), NeverWaits, "it began no wait call"),
        // Only it itself can write to that pipe; another thread may start and reap children.
        (pipe() + &dead(40, 41), reads_pipe(2), NeverWaits, "it began no wait call"),
        (
            pipe() + &dead(40, 41),
            Evidence { threads: 2, threads_read: 2, ..reads_pipe(31) },
            NeverWaits,
            "it began no wait call",
        ),
        // A call that began before the watch is not counted.
        (
            left(),
            Evidence { threads_in_wait: 1, threads: 2, ..main_thread() },
            Unknown,
            "it began no wait call",
        ),
        // It waits for another child, and may ignore SIGCHLD for as long.
        (
            specific(),
            Evidence { signals: masks(0, SIGCHLD), ..waits_for(WaitTarget::Child(32)) },
            Unknown,
            "it began 2 wait calls",
        ),
    ]
}

/// The kinds of causes that this file tests.
pub fn kinds() -> Vec<CauseKind> {
    let apart = [
        InitDoesNotReapOrphans,
        WaitFlagsExcludeChildren,
        LooksWithoutReaping,
        OneWaitPerSigchld,
        WaitsOnlyForItsProcessGroup,
        ReapsOnlyWhenItSpawns,
        WaitsAfterEndOfPipe,
    ];
    table().into_iter().map(|row| row.2).chain(apart).collect()
}

#[test]
fn what_a_suspect_was_doing_tells_its_cause_from_the_one_that_it_is_taken_for() {
    for (script, evidence, kind, says) in table() {
        let parent = judge(&script, evidence.clone(), &[], LONG_AFTER);
        assert_eq!(kinds_of(&parent), [kind], "{script}{evidence:#?}{parent:#?}");
        if parent.causes[0].evidence.iter().any(|one| one.contains("that a dead child left open")) {
            assert_eq!(parent.causes[0].now, "", "it would take the status that the parent is about to read");
        }
        let said = &parent.causes[0].evidence[0];
        assert!(said.contains(says), "{said:?} does not say {says:?}");
    }
}

/// 2 reaps a child of its that died at 30.
fn reap() -> Stage {
    Stage::Reap {
        parent: task(2),
        reaper: task(2),
        how: crate::model::ReapHow::Wait,
        precision: crate::model::Precision::Exact,
        exit_ns: 30,
        zombie_ns: 31,
        readiness: Readiness::Unknown,
    }
}

#[test]
fn a_parent_that_read_to_the_end_of_a_pipe_and_then_waited_was_late_for_that() {
    let script = "19 fork 20 2\n 25 fork 30 20\n 26 fork 31 2\n 30 exit 20 2\n 31 zombie 20 2\n";
    const LOOKED_LAST_NS: u64 = 2 * crate::model::DEFAULT_GRACE_NS;
    let reaped = (LOOKED_LAST_NS + 900_000_000, task(20), reap());
    // The signal that the writer dies of, and who sent it.
    let writer_ends = |by: Option<(u32, Killer)>| {
        let at = |stage| (LOOKED_LAST_NS + 850_000_000, task(30), stage);
        let exit = Stage::Exit {
            parent: task(1),
            status: WaitStatus(by.as_ref().map_or(0, |(signal, _)| *signal)),
            autoreap: false,
            is_clone_child: false,
            account: None,
        };
        let killed = by.map(|(signal, by)| at(Stage::Killed { kill: Kill { signal, by } }));
        killed.into_iter().chain([at(exit)]).collect::<Vec<_>>()
    };
    let kinds_where = |threads, ends: &[(u64, Task, Stage)], reaps_again: bool| {
        let again = if reaps_again { dead(21, 31) } else { String::new() };
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &(script.to_owned() + &again));
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        let evidence = Box::new(Evidence { threads, ..reads_pipe(30) });
        for time_ns in [800_000, LOOKED_LAST_NS] {
            apply(Input::Evidence { time_ns, identity: task(2).identity, evidence: evidence.clone() });
        }
        for (time_ns, process, stage) in ends.iter().cloned() {
            apply(Input::Lifecycle(LifecycleEvent { time_ns, process, stage }));
        }
        let (time_ns, process, stage) = reaped.clone();
        apply(Input::Lifecycle(LifecycleEvent { time_ns, process, stage: stage.clone() }));
        if reaps_again {
            let time_ns = time_ns + 300_000_000;
            apply(Input::Lifecycle(LifecycleEvent { time_ns, process: task(21), stage }));
        }
        apply(Input::End { time_ns: 2 * LOOKED_LAST_NS });
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        kinds_of(entry(&report(&engine.view(), &session), 2))
    };
    let kinds = |threads, ends: bool, reaps_again| {
        let ends = if ends { writer_ends(None) } else { Vec::new() };
        kinds_where(threads, &ends, reaps_again)
    };
    assert_eq!(kinds(1, true, false), [WaitsAfterEndOfPipe]);
    let killed_by = |by| kinds_where(1, &writer_ends(Some((9, by))), false);
    assert_eq!(killed_by(Killer::Process(task(7))), [WaitsAfterEndOfPipe]);
    assert_eq!(
        killed_by(Killer::Process(task(2))),
        [Unknown],
        "it ended the pipe itself, after a time-out, say"
    );
    assert_eq!(killed_by(Killer::Process(task(31))), [Unknown], "a child of it did");
    assert_eq!(kinds(2, true, false), [Unknown], "another thread may be the one that reaps");
    assert_eq!(
        kinds(1, false, false),
        [WaitsAfterEndOfPipe],
        "the pipe may have ended just before its writer"
    );
    assert_eq!(kinds(1, false, true), [Unknown], "it reaps though the pipe has not ended");
}

#[test]
fn a_pipe_that_was_left_open_is_not_why_a_child_was_late_while_its_parent_read_another() {
    const GRACE: u64 = crate::model::DEFAULT_GRACE_NS;
    let script = "19 fork 20 2\n 25 fork 30 20\n 30 exit 20 2\n 31 zombie 20 2\n";
    // Its standard input, say.
    let upstream = PipeRead { fd: 0, pipe: 5, ..PipeRead::default() };
    for (late, is_why) in [(pipe_read(30), 1), (upstream, 0)] {
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, script);
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        for (time_ns, read) in [(800_000, pipe_read(30)), (900_000, late.clone()), (2 * GRACE, late)] {
            let evidence = Box::new(blocked_in(Blocked::PipeRead(read)));
            apply(Input::Evidence { time_ns, identity: task(2).identity, evidence });
        }
        apply(Input::Lifecycle(LifecycleEvent { time_ns: 2 * GRACE + 1, process: task(20), stage: reap() }));
        let view = engine.view();
        let parent = view.parent(task(2).identity).expect("a parent");
        assert_eq!((parent.late_reaps().count, parent.late_reaps().doing_one_thing), (1, is_why));
    }
}

#[test]
fn what_kept_a_parent_all_the_while_is_why_it_was_late_and_a_moment_is_not() {
    const GRACE: u64 = crate::model::DEFAULT_GRACE_NS;
    let stopped = || Evidence { state: b'T', ..main_thread() };
    let frozen = || Evidence { is_frozen: Some(true), ..main_thread() };
    let alone = || waits_for(WaitTarget::Child(9));
    // From so long after the death on looks see this, each second, and up to so long after it; the reap comes after twice the grace.
    let causes_up_to = |looked_ns: u64, looks: &[(u64, Evidence)]| {
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &dead(20, 30));
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        for (place, (from_ns, evidence)) in looks.iter().enumerate() {
            let to_ns = looks.get(place + 1).map_or(looked_ns, |(next_ns, _)| *next_ns);
            for after_ns in (*from_ns..to_ns).step_by(1_000_000_000) {
                let (identity, evidence) = (task(2).identity, Box::new(evidence.clone()));
                apply(Input::Evidence { time_ns: 31 + after_ns, identity, evidence });
            }
        }
        apply(Input::Lifecycle(LifecycleEvent { time_ns: 31 + 2 * GRACE, process: task(20), stage: reap() }));
        apply(Input::End { time_ns: 3 * GRACE });
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        entry(&report(&engine.view(), &session), 2).clone()
    };
    let causes = |looks: &[(u64, Evidence)]| causes_up_to(2 * GRACE, looks);
    for (evidence, kind) in [(stopped(), ParentStopped), (frozen(), ParentFrozen), (alone(), ParentBlocked)] {
        let stale = causes_up_to(GRACE, &[(GRACE / 10, evidence.clone())]);
        assert_eq!(kinds_of(&stale), [Unknown], "{kind:?}: nobody looked for the second half of the time");
        let late = causes(&[(GRACE / 10, evidence.clone())]);
        assert_eq!(kinds_of(&late), [kind]);
        assert_eq!(late.causes[0].now, "", "that is over");
        assert_eq!(kinds_of(&causes(&[(GRACE, evidence.clone())])), [Unknown], "{kind:?}: half of the time");
        let moment =
            [(GRACE / 10, main_thread()), (GRACE, evidence.clone()), (GRACE + GRACE / 4, main_thread())];
        assert_eq!(kinds_of(&causes(&moment)), [Unknown], "{kind:?}: a moment");
    }
    assert_eq!(kinds_of(&causes(&[(GRACE / 10, waits_for(WaitTarget::Any))])), [Unknown]);
}

#[test]
fn a_parent_that_waited_for_a_child_that_a_tracer_held_was_late_for_the_tracer() {
    const GRACE: u64 = crate::model::DEFAULT_GRACE_NS;
    let judged = |held: &str| {
        let script = dead(20, 30) + "40 fork 21 2\n 50 exit 21 2\n " + held;
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &script);
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        for time_ns in (GRACE / 10..2 * GRACE).step_by(1_000_000_000) {
            let evidence = Box::new(waits_for(WaitTarget::Child(21)));
            apply(Input::Evidence { time_ns, identity: task(2).identity, evidence });
        }
        apply(Input::Lifecycle(LifecycleEvent { time_ns: 2 * GRACE, process: task(20), stage: reap() }));
        apply(Input::End { time_ns: 2 * GRACE });
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        let mut parent = entry(&report(&engine.view(), &session), 2).clone();
        assert_eq!(kinds_of(&parent)[0], ParentBlocked);
        let cause = parent.causes.swap_remove(0);
        (cause.evidence[0].clone(), cause.fix)
    };
    let (evidence, fix) = judged("51 held 21 2 7\n");
    assert_eq!(
        evidence,
        "it was blocked in a wait call for its child 21 alone, which was dead, but held by its tracer p7 (pid 7)"
    );
    assert!(fix.starts_with("the tracer has to wait for every child"), "{fix}");
    let (evidence, fix) = judged("");
    assert_eq!(evidence, "it was blocked in a wait call for its child 21 alone");
    assert!(fix.starts_with("wait for any child"), "{fix}");
}

#[test]
fn what_may_have_been_a_moment_is_no_cause_and_leaves_none_certain() {
    let left = dead(20, 30) + "90 waits 2 0 0\n";
    let stopped = |state| Evidence { state, ..main_thread() };
    let blocked = Evidence {
        signals: masks(SIGCHLD, 0),
        blocked_by_all: Some(SIGCHLD),
        pending: Some(SIGCHLD),
        ..main_thread()
    };
    for (evidence, expected) in [
        (stopped(b't'), Unknown),
        (stopped(b'D'), Unknown),
        (blocked_in(Blocked::Vfork), Unknown),
        (blocked.clone(), SigchldBlocked),
    ] {
        let parent = judge(&left, evidence.clone(), &[], SOON_AFTER);
        assert_eq!(kinds_of(&parent), [expected], "{evidence:#?}");
    }
    let waiting = dead(20, 30) + "90 waits 2 5 0\n";
    for (evidence, expected) in [
        (stopped(b'T'), ParentStopped),
        (stopped(b't'), ParentStopped),
        (stopped(b'D'), ParentBlocked),
        (blocked_in(Blocked::Vfork), ParentBlocked),
        (Evidence { is_frozen: Some(true), ..main_thread() }, ParentFrozen),
    ] {
        let parent = judge(&waiting, evidence.clone(), &[], SOON_AFTER);
        // A process stays stopped or frozen; but something may let it go on by turns.
        let may_be_one = evidence.state == b'T' || evidence.is_frozen == Some(true);
        assert_eq!(kinds_of(&parent), [if may_be_one { expected } else { Unknown }], "{evidence:#?}");
        let said = parent.causes[0].evidence.join("; ");
        assert!(!may_be_one || said.contains("looked at only once; something may stop it"), "{said}");
        let parent = judge(&waiting, evidence.clone(), &[], LONG_AFTER);
        assert_eq!(kinds_of(&parent), [expected], "{evidence:#?}");
    }
    // It has waited before: its handler runs, only not at this moment.
    let waited = dead(20, 30) + "90 waits 2 3 0\n";
    assert_eq!(kinds_of(&judge(&waited, blocked.clone(), &[], SOON_AFTER)), [Unknown]);
    assert_eq!(kinds_of(&judge(&waited, blocked, &[], LONG_AFTER)), [Unknown]);
}

#[test]
fn a_stop_is_no_cause_of_what_was_left_before_it() {
    let script = |waits| dead(20, 30) + &format!("90 waits 2 {waits} 0\n");
    let causes = |waits, first: Evidence, first_ns| {
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &script(waits));
        let stopped = Evidence { state: b'T', ..main_thread() };
        for (time_ns, evidence) in [(first_ns, first), (2 * LONG_AFTER, stopped)] {
            let identity = task(2).identity;
            let answer = Input::Evidence { time_ns, identity, evidence: Box::new(evidence) };
            engine.apply(answer, &mut Vec::new());
        }
        engine.apply(Input::End { time_ns: 4 * LONG_AFTER }, &mut Vec::new());
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        let report = report(&engine.view(), &session);
        let parent = entry(&report, 2);
        // What helps now does not depend on whether it would reap: to have it reap may take from it what it waits for.
        if parent.causes[0].kind == Unknown {
            assert!(parent.causes[0].now.contains("kill -CONT 2"), "{:?}", parent.causes);
            assert!(parent.causes[0].evidence.iter().any(|one| one.contains("now it is stopped (state T)")));
        }
        kinds_of(parent)
    };
    let free = || Evidence { is_frozen: Some(false), ..main_thread() };
    // It ran while its child was dead, and began no wait call; or it waits, but not for this one.
    assert_eq!(causes(0, free(), LONG_AFTER), [NeverWaits]);
    assert_eq!(causes(5, free(), LONG_AFTER), [Unknown]);
    // It had only a moment; whether it was frozen is not known; it was stopped all the time.
    for (first, first_ns) in [
        (free(), 1_000),
        (main_thread(), LONG_AFTER),
        (Evidence { state: b'T', ..main_thread() }, LONG_AFTER),
    ] {
        assert_eq!(causes(0, first.clone(), first_ns), [Unknown]);
        assert_eq!(causes(5, first, first_ns), [ParentStopped]);
    }
}

/// libuv waits by pid for each of its children, so that such calls accuse nobody; and it would never hear of one that another reaped.
#[test]
fn node_is_not_said_to_wait_for_some_children_only() {
    let judged = |executable: &[u8]| {
        let script = dead(20, 30) + &dead(21, 31) + "90 waits 2 0 5\n";
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &script);
        let identity = task(2).identity;
        let info = ProcessInfo { executable: executable.into(), ..ProcessInfo::default() };
        engine.apply(Input::ProcessInfo { identity, info, workload: None }, &mut Vec::new());
        let evidence = Box::new(main_thread());
        engine.apply(Input::Evidence { time_ns: 800_000, identity, evidence }, &mut Vec::new());
        engine.apply(Input::End { time_ns: LONG_AFTER }, &mut Vec::new());
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        entry(&report(&engine.view(), &session), 2).clone()
    };
    let node = judged(b"/usr/bin/node");
    assert_eq!(kinds_of(&node), [Unknown]);
    let cause = &node.causes[0];
    assert!(cause.evidence.iter().any(|one| one.contains("the loop may be blocked")), "{cause:#?}");
    assert!(cause.fix.contains("let the event loop run") && cause.now.is_empty(), "{cause:#?}");
    let other = judged(b"/usr/bin/other");
    assert_eq!(kinds_of(&other), [WaitsOnlyForSpecificChildren]);
    assert!(other.causes[0].now.contains("reapwatch reap 2"));
}

#[test]
fn what_was_seen_of_the_program_before_says_nothing_of_this_one() {
    let stopped = Evidence { state: b'T', ..main_thread() };
    let execs = [(850_000, task(2), Stage::Exec { info: Default::default() })];
    let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &dead(20, 30));
    let mut apply = |input| engine.apply(input, &mut Vec::new());
    let identity = task(2).identity;
    apply(Input::Evidence { time_ns: 800_000, identity, evidence: Box::new(stopped) });
    for (time_ns, process, stage) in execs {
        apply(Input::Lifecycle(LifecycleEvent { time_ns, process, stage }));
    }
    apply(Input::End { time_ns: 1_000_000 });
    let session = Session { grace_ns: GRACE_NS, ..Session::default() };
    let report = report(&engine.view(), &session);
    assert_eq!(kinds_of(entry(&report, 2)), [ChildrenInheritedThroughExec]);
}

#[test]
fn children_that_send_no_sigchld_are_not_seen_by_waits_without_flags() {
    let exits = |is_clone_child| {
        let stage = Stage::Exit {
            parent: task(2),
            status: WaitStatus(0),
            autoreap: false,
            is_clone_child,
            account: None,
        };
        let zombie = Stage::Zombie { parent: task(2), held_by: None, exit_ns: 30, again: false };
        [(30, task(20), stage), (31, task(20), zombie)]
    };
    let script = |waits: u32| format!("20 fork 20 2\n 90 waits 2 {waits} 0\n");
    let causes = |waits, is_clone_child| {
        kinds_of(&judge(&script(waits), main_thread(), &exits(is_clone_child), SOON_AFTER))
    };
    assert_eq!(causes(5, true), [WaitFlagsExcludeChildren]);
    assert_eq!(causes(5, false), [Unknown]);
    assert_eq!(causes(0, true), [NeverWaits]);
    // The same when the parent has died over it.
    let mut dies = exits(true).to_vec();
    let status = WaitStatus(0);
    dies.push((
        900_000,
        task(2),
        Stage::Exit { parent: task(1), status, autoreap: false, is_clone_child: false, account: None },
    ));
    assert_eq!(kinds_of(&judge(&script(5), main_thread(), &dies, SOON_AFTER)), [WaitFlagsExcludeChildren]);
}

/// The causes of 2, which reaped `reaped` and left two, with these wait calls and so many merged signals.
fn causes_of_waits(reaped: u32, waits: WaitCalls, coalesced: Option<u64>, seen: Evidence) -> Vec<CauseKind> {
    let parent = parent_with_waits(reaped, &[waits], coalesced, seen);
    kinds_of(&parent)
}

/// The same, with what each reading of the counters found after those left had died.
fn parent_with_waits(reaped: u32, readings: &[WaitCalls], coalesced: Option<u64>, seen: Evidence) -> Parent {
    let script: String = (0..reaped)
        .map(|child| dead(10 + child, 20) + &format!("25 reap {} 2\n", 10 + child))
        .chain([dead(20, 30), dead(21, 31)])
        .collect();
    let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &script);
    for (number, waits) in (0..).zip(readings) {
        let counters = Counters {
            time_ns: 90 + number,
            parent: task(2),
            waits: *waits,
            coalesced,
            ..Counters::default()
        };
        engine.apply(Input::Counters(Box::new(counters)), &mut Vec::new());
    }
    let identity = task(2).identity;
    engine.apply(Input::Evidence { time_ns: 95, identity, evidence: Box::new(seen) }, &mut Vec::new());
    engine.apply(Input::End { time_ns: LONG_AFTER }, &mut Vec::new());
    let session = Session { grace_ns: GRACE_NS, ..Session::default() };
    entry(&report(&engine.view(), &session), 2).clone()
}

#[test]
fn a_stopped_parent_would_reap_only_if_its_calls_would_take_those_left() {
    let any = |calls| WaitCalls { any: calls, read: calls, ..WaitCalls::default() };
    let stopped = || Evidence { state: b'T', ..main_thread() };
    let judged = |reaped, readings: &[WaitCalls]| parent_with_waits(reaped, readings, Some(0), stopped());
    let hedged = |parent: &Parent| {
        parent.causes[0].evidence.iter().any(|one| one.contains("whether it goes on to ask is not known"))
    };
    let asks_again = judged(3, &[any(5)]);
    assert_eq!((kinds_of(&asks_again), hedged(&asks_again)), (vec![ParentStopped], true));
    let only_took = judged(3, &[any(3)]);
    assert_eq!((kinds_of(&only_took), hedged(&only_took)), (vec![ParentStopped], true));
    for (reaped, readings) in [
        (3, [WaitCalls { absent: 3, ..any(3) }; 2]),
        (0, [WaitCalls { peeking: 5, ..any(5) }; 2]),
        (0, [WaitCalls { clone_only: 5, ..any(5) }; 2]),
        // It asked while they lay there, and took none.
        (0, [any(1), any(5)]),
    ] {
        let parent = judged(reaped, &readings);
        assert!(!kinds_of(&parent).contains(&ParentStopped), "{readings:?} {parent:#?}");
    }
}

#[test]
fn calls_of_before_a_death_prove_nothing_of_it() {
    let any = |calls| WaitCalls { any: calls, read: calls, ..WaitCalls::default() };
    let certain = |calls| WaitCalls { specific: calls, read: calls, ..WaitCalls::default() };
    let with = |waits: fn(WaitCalls) -> WaitCalls, before: WaitCalls, after: WaitCalls| {
        let seen = Evidence { threads: 2, threads_read: 2, ..main_thread() };
        kinds_of(&parent_with_waits(0, &[waits(before), waits(after)], Some(0), seen))
    };
    for (waits, calls, kind) in [
        (
            (|waits| WaitCalls { own_thread: waits.read, ..waits }) as fn(WaitCalls) -> WaitCalls,
            any as fn(u64) -> WaitCalls,
            WaitFlagsExcludeChildren,
        ),
        (|waits| WaitCalls { clone_only: waits.read, ..waits }, any, WaitFlagsExcludeChildren),
        (|waits| WaitCalls { peeking: waits.read, ..waits }, any, LooksWithoutReaping),
        (|waits| WaitCalls { group: waits.read, ..waits }, certain, WaitsOnlyForItsProcessGroup),
    ] {
        assert_eq!(with(waits, calls(9), calls(9)), [Unknown], "{kind:?}");
        assert_eq!(with(waits, calls(1), calls(9)), [kind], "{kind:?}");
    }
}

#[test]
fn who_has_not_waited_since_they_died_may_only_be_busy_and_that_is_said() {
    let certain = |calls| WaitCalls { specific: calls, read: calls, ..WaitCalls::default() };
    for (readings, kind, is_said) in [
        ([certain(0), certain(0)], NeverWaits, true),
        ([certain(3), certain(3)], WaitsOnlyForSpecificChildren, true),
        ([certain(3), certain(4)], WaitsOnlyForSpecificChildren, true),
    ] {
        let parent = parent_with_waits(0, &readings, Some(0), main_thread());
        assert_eq!(kinds_of(&parent), [kind]);
        let said = parent.causes[0].evidence.iter().any(|one| one.contains("it may still come to them"));
        assert_eq!(said, is_said, "{readings:?} {parent:#?}");
    }
}

#[test]
fn a_handler_may_have_missed_its_moment_unless_it_is_one_for_every_signal() {
    for (caught, is_nudged) in [(SIGCHLD | 3, true), (u64::MAX >> 1, false), (3, false)] {
        let seen = Evidence { signals: masks(caught, 0), blocked_by_all: Some(0), ..main_thread() };
        let parent = judge(&(dead(20, 30) + "90 waits 2 0 0\n"), seen, &[], SOON_AFTER);
        assert_eq!(kinds_of(&parent), [NeverWaits]);
        let cause = &parent.causes[0];
        assert_eq!(cause.now.starts_with("`reapwatch reap --nudge 2`"), is_nudged, "{cause:#?}");
        assert!(cause.now.contains("`reapwatch reap 2`"), "{cause:#?}");
        assert_eq!(cause.evidence.iter().any(|one| one.contains("handler for SIGCHLD")), is_nudged);
    }
}

#[test]
fn what_a_parent_hangs_in_is_said_beside_the_cause() {
    const SECOND: u64 = 1_000_000_000;
    let said = |evidence: &Evidence| {
        let mut engine =
            play_in(Begin { time_ns: EARLY, ..Begin::default() }, &(dead(20, 30) + "90 waits 2 0 0\n"));
        for second in 1..=5 {
            let (time_ns, identity) = (second * SECOND, task(2).identity);
            let evidence = Box::new(evidence.clone());
            engine.apply(Input::Evidence { time_ns, identity, evidence }, &mut Vec::new());
        }
        engine.apply(Input::End { time_ns: 6 * SECOND }, &mut Vec::new());
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        let parent = entry(&report(&engine.view(), &session), 2).clone();
        assert_eq!(kinds_of(&parent), [NeverWaits]);
        parent.causes[0].evidence.join("; ")
    };
    let in_call = |call| blocked_in(Blocked::Call(call));
    let in_flock = said(&in_call(Call::FileLock));
    assert!(in_flock.contains(
        "each look for 4 s found it in flock; should that be one call, it may come to those left after it"
    ));
    assert!(!said(&in_call(Call::Sleep)).contains("each look"), "a loop that sleeps goes on");
    let still = said(&Evidence { switches: 9, ..in_call(Call::Poll) });
    assert!(
        still.contains("each look for 4 s found that it had not run since the one before (poll)"),
        "{still}"
    );
    let threads = Evidence { threads: 2, ..in_call(Call::FileLock) };
    assert!(!said(&threads).contains("each look"), "another thread may reap");
    let hidden = Evidence { wait_channel: b"poll_schedule_timeout".to_vec(), ..blocked_in(Blocked::Unknown) };
    assert!(said(&hidden).contains("what it sleeps in (poll_schedule_timeout) may not be read"));
    let read = PipeRead { fd: 3, writers: vec![task(2)], ..PipeRead::default() };
    let own = said(&blocked_in(Blocked::PipeRead(read)));
    assert!(own.contains("a pipe (descriptor 3) of which it alone holds the writing end"), "{own}");
}

#[test]
fn of_another_users_process_a_read_of_a_pipe_is_known_by_where_the_kernel_has_it_sleep() {
    for (channel, expected) in [("anon_pipe_read", Unknown), ("futex_do_wait", NeverWaits)] {
        let hidden = Evidence { wait_channel: channel.into(), ..blocked_in(Blocked::Unknown) };
        let parent = judge(&(dead(20, 30) + "90 waits 2 0 0\n"), hidden, &[], LONG_AFTER);
        assert_eq!(kinds_of(&parent), [expected], "{channel}");
    }
}

#[test]
fn who_only_looks_may_yet_reap_and_that_is_said() {
    let looks = |calls| WaitCalls { any: calls, read: calls, peeking: calls, ..WaitCalls::default() };
    let parent = parent_with_waits(0, &[looks(1), looks(9)], Some(0), main_thread());
    assert_eq!(kinds_of(&parent), [LooksWithoutReaping]);
    let cause = &parent.causes[0];
    assert!(
        cause.evidence.iter().any(|one| one.contains("may still reap those that it has looked at")),
        "{cause:#?}"
    );
    assert!(cause.now.starts_with("should they stay: `reapwatch reap 2`"), "{cause:#?}");
}

#[test]
fn a_parent_that_was_killed_may_have_come_to_them_later_and_that_is_said() {
    for (status, is_said) in [(9, true), (0, false)] {
        let script = dead(20, 30) + "90 waits 2 0 0\n";
        let dies = Stage::Exit {
            parent: task(1),
            status: WaitStatus(status),
            autoreap: false,
            is_clone_child: false,
            account: None,
        };
        let mut engine = play_in(Begin { time_ns: EARLY, ..Begin::default() }, &script);
        let identity = task(2).identity;
        let seen = Input::Evidence { time_ns: 800_000, identity, evidence: Box::new(main_thread()) };
        engine.apply(seen, &mut Vec::new());
        let death = LifecycleEvent { time_ns: 900_000, process: task(2), stage: dies };
        engine.apply(Input::Lifecycle(death), &mut Vec::new());
        engine.apply(Input::End { time_ns: LONG_AFTER }, &mut Vec::new());
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        let report = report(&engine.view(), &session);
        let parent = entry(&report, 2);
        assert_eq!(kinds_of(parent), [NeverWaits]);
        let said = parent.causes[0].evidence.iter().any(|one| one.contains("signal 9 killed it"));
        assert_eq!(said, is_said, "{parent:#?}");
    }
}

#[test]
fn threads_that_each_wait_for_their_own_children_are_not_accused_of_it() {
    let calls = WaitCalls { any: 9, read: 9, own_thread: 9, ..WaitCalls::default() };
    for (lives, kind) in [("", WaitFlagsExcludeChildren), ("15 fork 15 2\n", Unknown)] {
        let mut engine =
            play_in(Begin { time_ns: EARLY, ..Begin::default() }, &(lives.to_owned() + &dead(20, 30)));
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        let counts =
            ChildCounts { exited: 1, forked: if lives.is_empty() { 1 } else { 2 }, ..Default::default() };
        let counters = Counters { time_ns: 90, parent: task(2), waits: calls, counts, ..Counters::default() };
        apply(Input::Counters(Box::new(counters)));
        let evidence = Box::new(Evidence { threads: 2, threads_read: 2, ..main_thread() });
        apply(Input::Evidence { time_ns: 95, identity: task(2).identity, evidence });
        apply(Input::End { time_ns: 1_000_000 });
        let session = Session { grace_ns: GRACE_NS, ..Session::default() };
        assert_eq!(kinds_of(entry(&report(&engine.view(), &session), 2)), [kind]);
    }
}

#[test]
fn what_wait_calls_ask_for_tells_causes_apart() {
    let any = |calls| WaitCalls { any: calls, read: calls, ..WaitCalls::default() };
    let certain = |calls| WaitCalls { specific: calls, read: calls, ..WaitCalls::default() };
    let threads = |threads| Evidence { threads, ..main_thread() };
    for (waits, kind, seen) in [
        // So many that came back without a child prove that those left are not in the group.
        (WaitCalls { group: 9, ..certain(9) }, WaitsOnlyForItsProcessGroup, threads(1)),
        // So few do not.
        (WaitCalls { group: 3, ..certain(3) }, Unknown, threads(1)),
        // One of them named a child; none of them was read; it asked for any child too.
        (WaitCalls { group: 8, ..certain(9) }, WaitsOnlyForSpecificChildren, threads(1)),
        (WaitCalls { read: 0, unread: 9, ..certain(9) }, WaitsOnlyForSpecificChildren, threads(1)),
        (WaitCalls { group: 9, any: 1, read: 10, ..certain(9) }, Unknown, threads(1)),
        (WaitCalls { own_thread: 4, ..any(4) }, WaitFlagsExcludeChildren, threads(2)),
        // A single thread sees all its children all the same.
        (WaitCalls { own_thread: 4, ..any(4) }, Unknown, threads(1)),
        (WaitCalls { own_thread: 3, ..any(4) }, Unknown, threads(2)),
        (WaitCalls { clone_only: 4, ..any(4) }, WaitFlagsExcludeChildren, threads(1)),
        (WaitCalls { peeking: 4, ..any(4) }, LooksWithoutReaping, threads(1)),
        (WaitCalls { peeking: 3, ..any(4) }, Unknown, threads(1)),
        // It looks at some, perhaps at those left.
        (WaitCalls { peeking: 4, ..certain(4) }, Unknown, threads(1)),
        (WaitCalls { peeking: 3, ..certain(4) }, Unknown, threads(1)),
        // A look before each wait, as Go has it.
        (WaitCalls { peeking: 2, ..certain(4) }, WaitsOnlyForSpecificChildren, threads(1)),
        // Those left may be of another thread.
        (WaitCalls { own_thread: 1, ..certain(4) }, Unknown, threads(2)),
        (WaitCalls { own_thread: 1, ..certain(4) }, WaitsOnlyForSpecificChildren, threads(1)),
        // Who only looks with __WALL sees them all the same.
        (WaitCalls { peeking: 4, own_thread: 4, ..any(4) }, LooksWithoutReaping, threads(2)),
    ] {
        assert_eq!(causes_of_waits(0, waits, Some(0), seen), [kind], "{waits:?}");
    }
}

#[test]
fn one_wait_a_signal_is_told_from_a_loop_by_the_call_that_finds_nothing() {
    let any = |calls| WaitCalls { any: calls, read: calls, ..WaitCalls::default() };
    let handler = || Evidence { signals: masks(SIGCHLD, 0), ..main_thread() };
    // Five deaths, of which two were merged: three signals, and as many calls.
    assert_eq!(causes_of_waits(3, any(3), Some(2), handler()), [OneWaitPerSigchld]);
    // Without a handler the calls come with something else; so do those that are not as many as the signals.
    assert_eq!(causes_of_waits(3, any(3), Some(2), main_thread()), [Unknown]);
    assert_eq!(causes_of_waits(3, any(3), Some(1), handler()), [Unknown]);
    // Who takes the signal by sigwait or signalfd has none pending.
    let takes = |pending| Evidence { blocked_by_all: Some(SIGCHLD), pending: Some(pending), ..main_thread() };
    assert_eq!(causes_of_waits(3, any(3), Some(2), takes(0)), [OneWaitPerSigchld]);
    assert_eq!(causes_of_waits(3, any(3), Some(2), takes(SIGCHLD)), [Unknown]);
    // While the signal is blocked the handler begins no call.
    let deaf = Evidence { blocked_by_all: Some(SIGCHLD), ..handler() };
    assert_eq!(causes_of_waits(3, any(3), Some(2), deaf), [Unknown]);
    // It may still be at the children of its first signal.
    assert_eq!(causes_of_waits(1, any(1), Some(2), handler()), [Unknown]);
    // A loop asks once more; no signal was merged; that is not known.
    assert_eq!(causes_of_waits(3, any(4), Some(2), handler()), [Unknown]);
    assert_eq!(causes_of_waits(3, any(3), Some(0), handler()), [Unknown]);
    assert_eq!(causes_of_waits(3, any(3), None, handler()), [Unknown]);
}
