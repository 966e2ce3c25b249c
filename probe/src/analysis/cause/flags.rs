//! `wait_flags_exclude_children`, `looks_without_reaping`: the parent waits, but with flags that do not let the call see these
//! children, or take them away.
//!
//! Confusable with `never_waits`: its calls are there, and find nothing. Must not know the other rules, nor verdicts.

use super::{Case, Explains, Finding, Fix, Rule, case::Excluded, words::of_its};
use crate::report::CauseKind;

pub const EXCLUDE: Rule = Rule {
    kind: CauseKind::WaitFlagsExcludeChildren,
    explains: Explains::Own,
    check: exclude,
    fix: |case| {
        Fix::new(
            case.free_now(),
            match case.excluded() {
                Some(Excluded::CloneChildren) => WITH_ALL_KINDS,
                _ => {
                    "wait without __WNOTHREAD and __WCLONE: a plain waitpid sees the children of every thread"
                }
            },
        )
    },
};

pub const PEEK: Rule = Rule {
    kind: CauseKind::LooksWithoutReaping,
    explains: Explains::Own,
    check: peek,
    fix: |case| {
        Fix::new(
            case.free_now(),
            "after waitid with WNOWAIT wait once more without it: WNOWAIT leaves the child where it is; and give waitid WEXITED, without \
             which it takes no dead child",
        )
    },
};

/// How to wait for those whose end sends no SIGCHLD.
pub const WITH_ALL_KINDS: &str =
    "wait with __WALL (waitpid(-1, &status, __WALL | WNOHANG)), or clone with SIGCHLD as the exit signal";

const OWN_THREAD: &str =
    "its wait calls have __WNOTHREAD, and it has children that live: each thread may wait for its own";

fn exclude(case: &Case) -> Finding {
    let Some(waits) = case.waits else { return Finding::No };
    if case.left == 0 {
        return Finding::No;
    }
    // Calls with the right flags would have taken a child; those from before its death say nothing.
    let is_in_vain = case.asks_for_any()
        && case.reaped() == 0
        && waits.any + waits.specific > 1
        && (case.while_left().any > 1 || case.is_in_wait_for_any());
    // Calls that only look take none of those that they see.
    if !is_in_vain || case.only_looks() {
        return Finding::No;
    }
    let Some(excluded) = case.excluded() else { return Finding::No };
    if matches!(excluded, Excluded::OfOtherThreads) && case.has_living_children() {
        return Finding::CannotTell(OWN_THREAD);
    }
    let hidden = case.unreaped.clone_children;
    let why = match excluded {
        Excluded::OfOtherThreads => {
            format!(
                "{} have __WNOTHREAD: they see only the children of the thread that calls",
                case.calls_read()
            )
        }
        Excluded::CloneChildren => format!(
            "{} cloned with another exit signal than SIGCHLD: a wait call without __WALL or __WCLONE does not see {}",
            of_its(hidden, case.left, "was", "were"),
            if hidden == 1 { "it" } else { "them" }
        ),
        Excluded::UsualChildren => {
            format!("{} have __WCLONE: they see only children that do not send SIGCHLD", case.calls_read())
        }
    };
    Finding::Yes([why].into_iter().chain(case.waits_counted()).collect())
}

fn peek(case: &Case) -> Finding {
    let Some(waits) = case.waits else { return Finding::No };
    // A look at one child says nothing of the others.
    let looks_at_any = case.asks_for_any() && waits.specific == 0 && case.reaped() == 0;
    // Who has looked at it once may reap it when it has dealt with its end.
    if case.while_left().any <= 1 {
        return Finding::No;
    }
    if case.own_left() == 0 || !case.only_looks() || !looks_at_any {
        return Finding::No;
    }
    let mut evidence =
        vec![format!("{} take no dead child away (WNOWAIT, or no WEXITED)", case.calls_read())];
    evidence.extend(case.waits_counted());
    Finding::Yes(evidence)
}
