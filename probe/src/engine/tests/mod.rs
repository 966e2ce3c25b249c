//! What tests of the engine share: inputs in a few words, and scenarios written as text.
//!
//! Must not hold tests.

mod random;
mod scenarios;
mod waiting;

use super::*;
use crate::model::{
    Account, Begin, ChildCounts, Comm, Counters, Evidence, Kill, Killer, Precision, Readiness, ReapHow,
    Snapshot, Task, TaskEntry, TaskState, WaitCalls, WaitStatus,
};
pub(super) use random::{Table, counters, happenings, simulate, walk};

pub(crate) fn task(tgid: u32) -> Task {
    Task {
        identity: Identity { tgid, start_boottime_ns: u64::from(tgid) },
        ns_pid: tgid,
        comm: Comm::from(format!("p{tgid}").as_bytes()),
    }
}

pub(super) fn life(time_ns: u64, tgid: u32, stage: Stage) -> Input {
    Input::Lifecycle(LifecycleEvent { time_ns, process: task(tgid), stage })
}

pub(super) fn fork(child: u32, parent: u32) -> Stage {
    let _ = child;
    Stage::Fork { parent: task(parent), creator: task(parent) }
}

pub(super) fn exit(parent: u32, autoreap: bool) -> Stage {
    Stage::Exit {
        parent: task(parent),
        status: WaitStatus(0),
        autoreap,
        is_clone_child: false,
        account: None,
    }
}

/// An exit with an account.
pub(super) fn exit_of(parent: u32, account: Option<Arc<Account>>) -> Stage {
    let parent = task(parent);
    Stage::Exit { parent, status: WaitStatus(0), autoreap: false, is_clone_child: false, account }
}

pub(super) fn zombie(parent: u32, exit_ns: u64) -> Stage {
    Stage::Zombie { parent: task(parent), held_by: None, exit_ns, again: false }
}

pub(super) fn reap(by: u32, how: ReapHow) -> Stage {
    Stage::Reap {
        parent: task(by),
        reaper: task(by),
        how,
        precision: Precision::Exact,
        exit_ns: 0,
        zombie_ns: 0,
        readiness: Readiness::Unknown,
    }
}

/// Lines of `time verb pid [pid]`: fork C P, exit C P, ignored C P (exit under a parent that ignores SIGCHLD),
/// zombie C P, held C P T, again C P, reparent C P, reap C P, auto C P, free C P (nobody knows who reaped), walk (a task list: `C:P` a zombie, `P` a running child of 1;
/// walk@T: begun at T, when all were seen; `C:P:T` one held by T), exec P 0, killed C BY SIGNAL (BY 0: the kernel), waits P ANY SPECIFIC (as the kernel counted
/// them), count P EXITED FORKED SPECIFIC (the same of deaths, all but the walked ones reaped), looked P THREADS (P was looked at
/// as a suspect, and slept). A process is born at the time that is its pid; the window ends at 1,000,000.
fn play(script: &str) -> Engine {
    play_in(Begin { time_ns: 1, ..Begin::default() }, script)
}

pub(crate) fn play_in(begin: Begin, script: &str) -> Engine {
    let mut engine = Engine::default();
    engine.apply(Input::Begin(begin), &mut Vec::new());
    play_on(&mut engine, script);
    engine.apply(Input::End { time_ns: 1_000_000 }, &mut Vec::new());
    engine
}

/// What comes after.
pub(crate) fn play_on(engine: &mut Engine, script: &str) {
    let mut enriched = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let time: u64 = words.next().and_then(|word| word.parse().ok()).expect("a time");
        let verb = words.next().expect("a verb");
        if let Some(began) = verb.strip_prefix("walk") {
            let began_ns = began.strip_prefix('@').map_or(time, |began| began.parse().expect("a time"));
            let tasks = words
                .map(|word| {
                    let (child, parent) = word.split_once(':').unwrap_or((word, "1"));
                    let (parent, tracer) = match parent.split_once(':') {
                        Some((parent, tracer)) => {
                            (parent, Some(Box::new(task(tracer.parse().expect("a pid")))))
                        }
                        None => (parent, None),
                    };
                    let state = if word.contains(':') { TaskState::Zombie } else { TaskState::Running };
                    TaskEntry {
                        time_ns: began_ns,
                        process: task(child.parse().expect("a pid")),
                        parent: task(parent.parse().expect("a pid")),
                        state,
                        tracer,
                        since_ns: 0,
                        traits: crate::model::TaskTraits::default(),
                    }
                })
                .collect();
            let snapshot = Snapshot { began_ns, ended_ns: time, settle_after_ns: 0, tasks };
            engine.apply(Input::Snapshot(snapshot), &mut enriched);
            continue;
        }
        let pids: Vec<u32> = words.map(|word| word.parse().expect("a pid")).collect();
        let (child, parent) = (pids[0], pids[1]);
        if verb == "waits" {
            let counters = Counters {
                time_ns: time,
                parent: task(child),
                waits: WaitCalls {
                    any: u64::from(parent),
                    specific: u64::from(pids[2]),
                    ..WaitCalls::default()
                },
                ..Counters::default()
            };
            engine.apply(Input::Counters(Box::new(counters)), &mut enriched);
            continue;
        }
        if verb == "looked" {
            let evidence = Evidence {
                state: b'S',
                threads: parent,
                threads_read: parent,
                is_of_main: true,
                ..Evidence::default()
            };
            let identity = task(child).identity;
            let answer = Input::Evidence { time_ns: time, identity, evidence: Box::new(evidence) };
            engine.apply(answer, &mut enriched);
            continue;
        }
        if verb == "count" {
            let counters = Counters {
                time_ns: time,
                parent: task(child),
                counts: ChildCounts {
                    exited: u64::from(parent),
                    forked: u64::from(pids[2]),
                    ..ChildCounts::default()
                },
                waits: WaitCalls { specific: u64::from(pids[3]), ..WaitCalls::default() },
                exec_ns: 40,
                ..Counters::default()
            };
            engine.apply(Input::Counters(Box::new(counters)), &mut enriched);
            continue;
        }
        let stage = match verb {
            "killed" => Stage::Killed {
                kill: Kill {
                    signal: pids[2],
                    by: if parent == 0 { Killer::Kernel } else { Killer::Process(task(parent)) },
                },
            },
            "exec" => Stage::Exec { info: Arc::default() },
            "fork" => fork(child, parent),
            "exit" => exit(parent, false),
            "ignored" => exit(parent, true),
            "zombie" => zombie(parent, time - 1),
            "held" => Stage::Zombie {
                parent: task(parent),
                held_by: Some(task(pids[2])),
                exit_ns: time - 1,
                again: false,
            },
            "again" => Stage::Zombie { parent: task(parent), held_by: None, exit_ns: time - 1, again: true },
            "reparent" => Stage::Reparent { parent: task(parent), from: task(1), since_ns: 0 },
            "reap" => reap(parent, ReapHow::Wait),
            "auto" => reap(parent, ReapHow::Auto),
            "free" => Stage::Reap {
                parent: task(parent),
                reaper: Task::default(),
                how: ReapHow::Wait,
                precision: Precision::Coarse,
                exit_ns: 0,
                zombie_ns: 0,
                readiness: Readiness::Unknown,
            },
            other => panic!("no verb {other}"),
        };
        engine.apply(life(time, child, stage), &mut enriched);
    }
}

/// forked, exited, adopted, reaped, autoreaped, unreaped, abandoned of one parent.
pub(super) fn books(engine: &Engine, tgid: u32) -> [u64; 7] {
    let view = engine.view();
    let parent = view.parent(task(tgid).identity).expect("a parent");
    let ledger = &parent.ledger;
    let unreaped = parent.zombies.len() as u64;
    assert_eq!(
        ledger.counts.exited + ledger.counts.adopted,
        ledger.counts.reaped + ledger.counts.autoreaped + unreaped + ledger.abandoned,
        "the ledger of {tgid} does not balance: {ledger:?} and {unreaped}"
    );
    [
        ledger.counts.forked,
        ledger.counts.exited,
        ledger.counts.adopted,
        ledger.counts.reaped,
        ledger.counts.autoreaped,
        unreaped,
        ledger.abandoned,
    ]
}
