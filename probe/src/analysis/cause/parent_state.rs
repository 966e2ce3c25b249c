//! `parent_stopped`, `parent_frozen`, `parent_blocked`: while that lasts the parent reaps nothing, whatever its program does.
//!
//! Confusable with `never_waits`: a stopped parent begins no wait call either. Must not know the other rules, nor
//! verdicts.

use super::{Case, Explains, Finding, Fix, Rule, held};
use crate::{
    model::{Blocked, Evidence, Task, Tracer, WaitTarget},
    report::CauseKind,
};

pub const STOPPED: Rule = Rule {
    kind: CauseKind::ParentStopped,
    explains: Explains::All,
    check: |case| if_it_would_reap(case, stopped(case)),
    fix: |case| {
        if case.doing().is_some_and(|evidence| evidence.state == b't') {
            return Fix::new(
                "have the tracer let it go on or detach, or end the tracer: SIGCONT does not",
                "do not leave a debugger attached to a process that has to reap",
            );
        }
        Fix::new(
            format!("let it go on: kill -CONT {}", case.parent.task.identity.tgid),
            "find out who stops it (SIGSTOP, ^Z, reading from the terminal in the background, a debugger)",
        )
    },
};

pub const FROZEN: Rule = Rule {
    kind: CauseKind::ParentFrozen,
    explains: Explains::All,
    check: |case| if_it_would_reap(case, frozen(case)),
    fix: |_| {
        Fix::new(
            "thaw the cgroup: write 0 to its cgroup.freeze, or THAWED to freezer.state under cgroup v1 (docker unpause, systemctl \
             thaw)",
            "find out who froze it (docker pause, systemctl freeze, a checkpoint that did not end)",
        )
    },
};

pub const BLOCKED: Rule = Rule {
    kind: CauseKind::ParentBlocked,
    explains: Explains::All,
    check: |case| if_it_would_reap(case, blocked(case)),
    fix: |case| match case.doing().map(|evidence| &evidence.blocked) {
        Some(Blocked::Wait(_)) if awaited_held(case).is_some() => {
            Fix::new("", format!("{}; wait for any child (waitpid(-1, …)), not for one alone", held::IN_CODE))
        }
        Some(Blocked::Wait(_)) => Fix::new(
            "",
            "wait for any child (waitpid(-1, …)), or for each one with a time-out, so that one that hangs does not keep the \
             others waiting",
        ),
        Some(Blocked::Vfork) => Fix::new(
            "see why the child that it vforked neither execs nor ends",
            "do nothing between vfork and exec that can block",
        ),
        _ => Fix::new(
            "see what it sleeps for (a network file system, a frozen file system, a device): only the end of that wakes it",
            "keep the thread that reaps apart from those that do such input and output",
        ),
    },
};

/// A moment may not last.
const SEEN_ONCE: &str = "it was looked at only once";

/// A tracer stops threads, not processes.
const OF_MAIN_ALONE: &str =
    "a tracer has stopped its main thread (state t), and another thread may be the one that reaps";

/// What keeps a living parent from going on, and what helps at once, whether or not it would reap.
pub fn found_now(case: &Case) -> Option<(Vec<String>, String)> {
    if case.parent.died_ns.is_some() || case.left == 0 {
        return None;
    }
    [(stopped as fn(&Case) -> Finding, &STOPPED), (frozen, &FROZEN), (blocked, &BLOCKED)]
        .into_iter()
        .find_map(|(find, rule)| match find(case) {
            Finding::Yes(evidence) => Some((evidence, (rule.fix)(case).now)),
            _ => None,
        })
}

/// What keeps a parent from going on keeps it from reaping only if it would reap.
fn if_it_would_reap(case: &Case, found: Finding) -> Finding {
    match (found, case.would_reap()) {
        (Finding::Yes(evidence), Ok(true)) => Finding::Yes(evidence),
        (Finding::Yes(_), Err(missing)) => Finding::CannotTell(missing),
        // It was free before, and did not reap: other rules say why.
        (Finding::Yes(_) | Finding::CannotTell(_), Ok(false)) => Finding::No,
        (found, _) => found,
    }
}

fn frozen(case: &Case) -> Finding {
    match case.doing().and_then(|evidence| evidence.is_frozen) {
        Some(true) if !case.may_be_stopped() => Finding::CannotTell(SEEN_ONCE),
        Some(true) => {
            Finding::Yes(vec!["its cgroup, or one above it, is frozen: none of its threads runs".into()])
        }
        _ => Finding::No,
    }
}

fn stopped(case: &Case) -> Finding {
    let Some(evidence) = case.doing() else { return Finding::No };
    match evidence.state {
        // Stopped and continued by turns, as limiters of CPU time do, it runs all the same.
        b'T' if !case.may_be_stopped() => Finding::CannotTell(SEEN_ONCE),
        b'T' => Finding::Yes(vec!["it is stopped (state T): it runs nothing until it gets SIGCONT".into()]),
        // A tracer stops it for a moment at each system call.
        b't' if !case.evidence_lasts() => Finding::CannotTell(SEEN_ONCE),
        b't' if evidence.threads != 1 => Finding::CannotTell(OF_MAIN_ALONE),
        b't' => Finding::Yes(vec![match &evidence.tracer {
            Tracer::By(tracer) if tracer.identity.tgid != 0 => {
                format!(
                    "{} (pid {}) traces it and has stopped it (state t)",
                    tracer.comm.text(),
                    tracer.identity.tgid
                )
            }
            _ => "a tracer has stopped it (state t)".into(),
        }]),
        _ => Finding::No,
    }
}

/// Who held the child that it was found waiting for.
fn awaited_held<'a>(case: &Case<'a>) -> Option<&'a Task> {
    let Blocked::Wait(wait) = &case.doing()?.blocked else { return None };
    let held = case.parent.late_reaps().awaited_held.as_ref()?;
    (wait.target == WaitTarget::Child(held.pid)).then_some(&held.tracer)
}

fn blocked(case: &Case) -> Finding {
    // Another thread may be the one that reaps.
    let is_alone = |evidence: &&Evidence| evidence.is_of_main && evidence.threads == 1;
    let Some(evidence) = case.doing().filter(is_alone) else { return Finding::No };
    let may_be_a_moment = !case.evidence_lasts();
    match &evidence.blocked {
        Blocked::Vfork if may_be_a_moment => Finding::CannotTell(SEEN_ONCE),
        Blocked::Vfork => Finding::Yes(vec![
            "its main thread is in vfork until the child runs another program or ends".into(),
        ]),
        // For the children that it leaves for good other rules speak; this is why it was late.
        Blocked::Wait(wait) if case.left == 0 => match wait.target {
            WaitTarget::Child(pid) => {
                let held = awaited_held(case).map_or_else(String::new, |tracer| {
                    format!(
                        ", which was dead, but held by its tracer {} (pid {})",
                        tracer.comm.text(),
                        tracer.identity.tgid
                    )
                });
                Finding::Yes(vec![format!("it was blocked in a wait call for its child {pid} alone{held}")])
            }
            WaitTarget::Pidfd => {
                Finding::Yes(vec!["it was blocked in a wait call for one child, by pidfd".into()])
            }
            _ => Finding::No,
        },
        _ if evidence.state == b'D' && may_be_a_moment => Finding::CannotTell(SEEN_ONCE),
        _ if evidence.state == b'D' => {
            let at = match evidence.wait_channel.as_slice() {
                [] => String::new(),
                channel => format!(", in {}", String::from_utf8_lossy(channel)),
            };
            Finding::Yes(vec![format!("its main thread sleeps and cannot be interrupted (state D{at})")])
        }
        _ => Finding::No,
    }
}
