//! What a whole report comes to: the headline, its colour and the exit code of `run --error-exitcode` all follow it.

use crate::report::{Finding, Other, Parent, Verdict};

/// The worst verdict of all parents, listed or not.
pub fn finding(parents: &[Parent], other: &Other) -> Finding {
    let listed = parents.iter().map(|parent| parent.verdict).max();
    let worst = listed.max(other.verdicts.worst().map(|(verdict, _)| verdict));
    match worst.unwrap_or(Verdict::Healthy) {
        Verdict::NeverReaps | Verdict::Leaking => Finding::Leak,
        Verdict::Slow => Finding::Slow,
        Verdict::Held => Finding::Held,
        Verdict::Undecided => Finding::Undecided,
        Verdict::Healthy => Finding::None,
    }
}
