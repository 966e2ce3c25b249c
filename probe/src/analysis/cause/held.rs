//! `held_by_tracer`: a tracer was notified of the deaths, and until it waits or detaches the parent cannot reap.
//!
//! Must not know the other rules, nor verdicts.

use super::{Case, Explains, Finding, Fix, Rule, words::dead_children};
use crate::report::CauseKind;

/// The most tracers that are named.
const TRACERS_NAMED: usize = 3;

/// Also where the parent waits for such a child alone.
pub const IN_CODE: &str =
    "the tracer has to wait for every child that it attached to, and to detach when it is done";

pub const RULE: Rule = Rule {
    kind: CauseKind::HeldByTracer,
    explains: Explains::Some,
    check,
    fix: |_| {
        Fix::new(
            "let the tracer wait for these children, or detach, or end it: their parent cannot reap them before",
            IN_CODE,
        )
    },
};

fn check(case: &Case) -> Finding {
    // A tracer too has the grace to collect an end.
    if case.parent.died_ns.is_none() && case.unreaped.held_past_grace == 0 {
        return Finding::No;
    }
    let tracers = &case.unreaped.tracers;
    let named = tracers.iter().take(TRACERS_NAMED).map(|(tracer, count)| {
        format!(
            "the tracer {} (pid {}) holds {} of it",
            tracer.comm.text(),
            tracer.identity.tgid,
            dead_children(*count)
        )
    });
    let mut evidence: Vec<String> = named.collect();
    if let more @ 1.. = tracers.len().saturating_sub(TRACERS_NAMED) {
        evidence.push(format!("so do {more} more tracers"));
    }
    if evidence.is_empty() { Finding::No } else { Finding::Yes(evidence) }
}
