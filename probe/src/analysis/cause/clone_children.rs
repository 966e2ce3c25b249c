//! `wait_flags_exclude_children`: the parent waits, but with flags that do not let the call see these children.
//!
//! Confusable with `never_waits`: its calls are there, and fail.

use super::{Case, Explains, Finding, Fix, Rule, words::of_its};
use crate::report::CauseKind;

pub const RULE: Rule = Rule {
    kind: CauseKind::WaitFlagsExcludeChildren,
    explains: Explains::Own,
    check,
    fix: |case| {
        Fix::new(
            case.free_now(),
            "wait with __WALL (waitpid(-1, &status, __WALL | WNOHANG)), or clone with SIGCHLD as the exit signal",
        )
    },
};

fn check(case: &Case) -> Finding {
    let hidden = case.unreaped.clone_children;
    let waits = case.parent.waits.map_or(0, |waits| waits.any + waits.specific);
    if hidden == 0 || waits == 0 {
        return Finding::No;
    }
    let mut evidence = vec![format!(
        "{} cloned with another exit signal than SIGCHLD: a wait call without __WALL or __WCLONE does not see {}",
        of_its(hidden, case.left, "was", "were"),
        if hidden == 1 { "it" } else { "them" }
    )];
    evidence.extend(case.waits_counted());
    Finding::Yes(evidence)
}
