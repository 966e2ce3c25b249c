//! `init_does_not_reap_orphans`, `subreaper_does_not_reap_orphans`: children of others came to it when those died, and it
//! waits for none but its own.
//!
//! Confusable with `children_inherited_through_exec`, and with a reaper that does wait for any child but is stopped, or
//! waits too seldom. Must not know the other rules, nor verdicts.

use super::{Case, Explains, Finding, Fix, Rule, words::of_its};
use crate::report::CauseKind;

pub const INIT: Rule = Rule {
    kind: CauseKind::InitDoesNotReapOrphans,
    explains: Explains::Some,
    check: |case| if case.parent.is_namespace_init() { check(case) } else { Finding::No },
    fix: |case| {
        if case.parent.task.identity.is_init() {
            return Fix::new(
                "",
                "the init of the host has to reap every child: report it to its makers (systemctl daemon-reexec starts systemd \
                 anew without a reboot)",
            );
        }
        Fix::new(
            case.free_now(),
            format!(
                "give the container an init that reaps: docker run --init, tini or dumb-init as its entry point; in \
                 Kubernetes tini in the image, or shareProcessNamespace: true (then the pause container reaps, and every \
                 container of the pod sees the processes of the others). Without one, PID 1 itself has to: {}",
                case.runtime.reap_any()
            ),
        )
    },
};

pub const SUBREAPER: Rule = Rule {
    kind: CauseKind::SubreaperDoesNotReapOrphans,
    explains: Explains::Some,
    check: |case| if case.parent.is_namespace_init() { Finding::No } else { check(case) },
    fix: |case| {
        Fix::new(
            case.free_now(),
            format!(
                "a subreaper (PR_SET_CHILD_SUBREAPER) must reap any child, not only those that it started: {}; or do not be \
                 one",
                case.runtime.reap_any()
            ),
        )
    },
};

fn check(case: &Case) -> Finding {
    let adopted = case.adopted_left();
    if adopted == 0 {
        return Finding::No;
    }
    if !case.is_any_known_to_be_adopted() {
        return Finding::CannotTell(
            "its program of now did not start them: whether it did before its exec, or they came from others, is not known",
        );
    }
    let Some(waits) = case.waits else {
        return Finding::CannotTell("its wait calls were not counted");
    };
    // It does ask for any child: that these are left has another reason.
    if case.asks_for_any() {
        return Finding::No;
    }
    // Who has reaped more than it forked reaps those of others, by pid.
    if case.are_forks_known && case.reaped() > case.parent.ledger.counts.forked {
        return Finding::CannotTell("it reaped some that it did not fork");
    }
    // A parent that reaps without wait calls (io_uring) may reap any child.
    if waits.specific == 0 && case.parent.has_reaped() {
        return Finding::CannotTell("it reaps without wait calls that can be seen");
    }
    let at_least = if adopted < case.left { "at least " } else { "" };
    let mut evidence = vec![format!(
        "{at_least}{} to it from processes that died before",
        of_its(adopted, case.left, "came", "came")
    )];
    let foreign = adopted.min(case.unreaped.from.foreign);
    if foreign == adopted {
        evidence[0] = format!(
            "{at_least}{} not started by the program that it runs now",
            of_its(adopted, case.left, "was", "were")
        );
    }
    if (1..adopted).contains(&foreign) {
        evidence[0] = format!(
            "{at_least}{} to it from processes that died before, or not started by the program that it runs now",
            of_its(adopted, case.left, "came", "came")
        );
    }
    if let Some(first) = case.unreaped.first_parents.first() {
        evidence.push(format!(
            "their first parent: {} (pid {}){}",
            first.comm.text(),
            first.identity.tgid,
            match case.unreaped.first_parents.len() {
                1 => String::new(),
                2 => " and another".into(),
                more => format!(" and {} others", more - 1),
            }
        ));
    }
    if case.parent.is_namespace_init() {
        evidence.push("it is PID 1 of a PID namespace, which gets every orphan in it".into());
    }
    evidence.extend(case.waits_counted());
    Finding::Yes(evidence)
}
