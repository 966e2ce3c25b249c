//! `waits_only_for_specific_children`: it waits for children by pid or pidfd, and for these it did not.
//!
//! Confusable with `never_waits`, with `init_does_not_reap_orphans` and with waits for a process group. Must not know the
//! other rules, nor verdicts.

use super::{
    Case, Explains, Finding, Fix, Rule,
    runtime::Runtime,
    words::{AFTER_READING, FLAGS, IN_TURN, IN_WAIT, LIBUV},
};
use crate::report::CauseKind;

pub const RULE: Rule = Rule {
    kind: CauseKind::WaitsOnlyForSpecificChildren,
    explains: Explains::Own,
    check,
    fix: |case| Fix::new(case.free_now(), case.runtime.wait_for_each()),
};

fn check(case: &Case) -> Finding {
    let own = case.own_left();
    let Some(waits) = case.waits else {
        return Finding::CannotTell("its wait calls were not counted");
    };
    if own == 0 || case.asks_for_any() || waits.specific == 0 {
        return Finding::No;
    }
    // What it did before the watch is not known: the calls of the window explain only children of the window.
    if own <= case.unreaped.older {
        return Finding::CannotTell("its dead children are older than the watch");
    }
    // Who waits for its children in turn comes to those left when the others have ended.
    if case.is_in_wait() {
        return Finding::CannotTell(IN_WAIT);
    }
    // libuv waits by pid for every child that it started, whenever its loop runs.
    if case.runtime == Runtime::Node {
        return Finding::CannotTell(LIBUV);
    }
    // What the arguments say goes before what the hook says.
    if waits.read > 0 && waits.group == waits.read {
        return Finding::CannotTell(
            "its calls name a process group, and whether those left are in it is not known",
        );
    }
    // A call by pid fails for a child that its flags do not let it see, and leaves one that it only looks at.
    // Go looks at each child once before it waits for it.
    if 2 * waits.peeking > waits.read
        || case.unreaped.clone_children > 0
        || (waits.own_thread > 0 && case.has_threads())
    {
        return Finding::CannotTell(FLAGS);
    }
    if case.may_wait_in_turn() {
        return Finding::CannotTell(IN_TURN);
    }
    if case.may_wait_after_reading() {
        return Finding::CannotTell(AFTER_READING);
    }
    Finding::Yes(case.waits_counted().into_iter().collect())
}
