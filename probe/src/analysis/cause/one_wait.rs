//! `one_wait_per_sigchld`: the program waits once for each SIGCHLD; but the kernel merges a SIGCHLD into one that is pending, so
//! that several deaths are one signal.
//!
//! Confusable with a loop that waits until nothing is left: that one makes at least one call more than it reaps. Must not
//! know the other rules, nor verdicts.

use super::{
    Case, Explains, Finding, Fix, Rule,
    sigchld::{SIGCHLD, is_blocked, is_handled},
    words::{dead_children, wait_calls},
};
use crate::report::CauseKind;

pub const RULE: Rule = Rule {
    kind: CauseKind::OneWaitPerSigchld,
    explains: Explains::Own,
    check,
    fix: |case| {
        Fix::new(
            case.free_now(),
            format!("one SIGCHLD may stand for several children. {}", case.runtime.reap_any()),
        )
    },
};

/// So many signals have come, at least: whoever asks until nothing is left has done so after the first one.
const SIGNALS_MIN: u64 = 2;

fn check(case: &Case) -> Finding {
    let (Some(waits), Some(merged)) = (case.waits, case.parent.coalesced) else {
        return Finding::No;
    };
    let calls = waits.any + waits.specific;
    if case.own_left() == 0 || merged == 0 || !case.asks_for_any() || calls != case.reaped() {
        return Finding::No;
    }
    // As many calls as signals: the deaths less those that were merged into others. What died before the last exec is not
    // told apart.
    let autoreaped = case.parent.ledger.counts.autoreaped;
    let signals = case.parent.died_in_all().saturating_sub(autoreaped).saturating_sub(merged);
    // A handler that is kept from running begins no calls: those come from elsewhere. Who blocks the signal and takes it
    // (signalfd, sigwait) leaves none pending.
    let gets_signals = case.evidence.is_some_and(|evidence| {
        let is_taken = evidence.pending.is_some_and(|pending| pending & SIGCHLD == 0);
        if is_blocked(evidence) { is_taken && !is_handled(evidence) } else { is_handled(evidence) }
    });
    // A loop that is still at the children of its first signal has made no call in vain yet either.
    if signals < SIGNALS_MIN
        || calls != signals
        || case.parent.reaped_before_exec > 0
        || case.inherited_left() > 0
        || !gets_signals
    {
        return Finding::No;
    }
    Finding::Yes(vec![
        format!("{} of its children sent a SIGCHLD that the kernel merged into one that was pending", merged),
        format!(
            "{} it began {}, and each took a child: it never asked again until nothing was left, and {} stayed",
            case.since(),
            wait_calls(calls),
            dead_children(case.left)
        ),
    ])
}
