//! `sigchld_blocked`, `sigchld_ignored_too_late`: what it does with SIGCHLD keeps it from reaping.
//!
//! Confusable with `never_waits`: in both cases no wait call is begun. Must not know the other rules, nor verdicts.

use super::{Case, Explains, Finding, Fix, Rule, words::dead_children};
use crate::{model::Evidence, report::CauseKind};

/// SIGCHLD, 17, in a mask.
pub const SIGCHLD: u64 = 1 << 16;

pub const BLOCKED: Rule = Rule {
    kind: CauseKind::SigchldBlocked,
    explains: Explains::All,
    check: blocked,
    fix: |case| {
        Fix::new(
            case.free_now(),
            "where it blocks SIGCHLD for good, unblock it (sigprocmask, pthread_sigmask): the mask is inherited through fork and exec, so \
             whoever starts the program has to restore it, or the program at its start. Where it is blocked only while a handler \
             runs, outside of ppoll and its like, or so that a thread takes it by sigwait or signalfd, see what holds that up. And see that the handler reaps",
        )
    },
};

pub const IGNORED_TOO_LATE: Rule = Rule {
    kind: CauseKind::SigchldIgnoredTooLate,
    explains: Explains::Own,
    check: ignored_too_late,
    fix: |case| {
        Fix::new(
            case.free_now(),
            "ignore SIGCHLD before the first child is started, or call waitpid(-1, …, WNOHANG) in a loop once after it is \
             ignored: the kernel does not reap those that are dead already",
        )
    },
};

/// Whether the parent has a handler for it.
pub fn is_handled(evidence: &Evidence) -> bool {
    evidence.signals.caught & SIGCHLD != 0
}

/// Whether every thread is known to block it.
pub fn is_blocked(evidence: &Evidence) -> bool {
    evidence.blocked_by_all.is_some_and(|blocked| blocked & SIGCHLD != 0)
}

fn blocked(case: &Case) -> Finding {
    let Some(evidence) = case.evidence else { return Finding::No };
    // Without a handler nothing would run if it were unblocked.
    if !is_blocked(evidence) || !is_handled(evidence) {
        return Finding::No;
    }
    // A parent that takes the signal otherwise (signalfd, sigwait) leaves none pending.
    if evidence.pending.unwrap_or(0) & SIGCHLD == 0 {
        return Finding::No;
    }
    // The handler of a parent that waits or reaps runs now and then, or it has another way to wait.
    let has_never_waited = case.are_waits_known()
        && case.waits.is_some_and(|waits| waits.any + waits.specific == 0)
        && !case.parent.has_reaped();
    if !has_never_waited {
        return Finding::CannotTell("it blocks SIGCHLD, and may have waited at other times");
    }
    let threads = if evidence.threads == 1 { "it blocks" } else { "every thread of it blocks" };
    Finding::Yes(vec![
        format!("{threads} SIGCHLD, and one is pending: its SIGCHLD handler cannot run meanwhile"),
        "a signal is blocked also while its own handler runs; that the handler would reap has not been seen"
            .into(),
    ])
}

fn ignored_too_late(case: &Case) -> Finding {
    if case.own_left() <= case.unreaped.clone_children || case.asks_for_any() {
        return Finding::No;
    }
    // The kernel leaves to a parent the children that it traces itself, whatever it ignores.
    if case.unreaped.though_ignored > 0 {
        return Finding::No;
    }
    let autoreaped = case.parent.ledger.counts.autoreaped;
    let since = match autoreaped {
        0 => String::new(),
        _ => format!("; since then the kernel reaped {} at once", dead_children(autoreaped)),
    };
    if case.evidence.is_some_and(|evidence| evidence.signals.ignored & SIGCHLD != 0) {
        // No hook saw these die: its parent may have traced each.
        if case.own_left() <= case.unreaped.older {
            return Finding::CannotTell(
                "it ignores SIGCHLD, and its dead children are older than the watch: it may have traced them",
            );
        }
        // It may ignore SIGCHLD only as long as it waits for another child.
        if case.is_in_wait() || case.may_wait_in_turn() {
            return Finding::CannotTell(
                "it ignores SIGCHLD while it may wait for another child, and may come to those left after that",
            );
        }
        return Finding::Yes(vec![format!(
            "it ignores SIGCHLD, but did not yet when those left died{since}"
        )]);
    }
    // Nobody looked at it while it lived: the order of the deaths says the same.
    let is_later =
        case.unreaped.youngest_death_ns.is_some_and(|died_ns| case.parent.last_autoreap_ns > died_ns);
    if case.evidence.is_none() && autoreaped > 0 && is_later {
        return Finding::Yes(vec![format!(
            "it ignored SIGCHLD (or had SA_NOCLDWAIT set), but not yet when those left died{since}"
        )]);
    }
    Finding::No
}
