//! `children_inherited_through_exec`: the process forked them, then ran another program, which does not know them.
//!
//! Confusable with `init_does_not_reap_orphans`: an init's set-up commands are over before its exec, and what is left came
//! later from others. Must not know the other rules, nor verdicts.

use super::{
    Case, Explains, Finding, Fix, Rule,
    words::{IN_TURN, of_its},
};
use crate::report::CauseKind;

pub const RULE: Rule = Rule {
    kind: CauseKind::ChildrenInheritedThroughExec,
    explains: Explains::Some,
    check,
    fix: |case| {
        Fix::new(
            case.free_now(),
            "wait for the children before the exec; or do not exec, but start the next program as a child (in a shell: leave out exec)",
        )
    },
};

fn check(case: &Case) -> Finding {
    let inherited = case.inherited_left();
    // A program that asks for any child asks for these too.
    if inherited == 0 || case.asks_for_any() {
        return Finding::No;
    }
    // The program may have been given their pids, and come to them after a child of its own.
    if case.is_in_wait() || (case.may_wait_in_turn() && case.waits.is_some_and(|waits| waits.specific > 0)) {
        return Finding::CannotTell(IN_TURN);
    }
    Finding::Yes(vec![format!(
        "{} born before its last exec: the program it runs now did not start {}",
        of_its(inherited, case.left, "was", "were"),
        if inherited == 1 { "it" } else { "them" }
    )])
}
