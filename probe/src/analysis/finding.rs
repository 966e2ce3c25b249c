//! What a whole report comes to: the headline, its colour and the exit code of `run --error-exitcode` all follow it.

use crate::report::{Finding, Parent, Verdict};

/// The worst verdict of all parents.
pub fn finding(parents: &[Parent]) -> Finding {
    let worst = parents.iter().map(|parent| parent.verdict).max();
    match worst.unwrap_or(Verdict::Healthy) {
        Verdict::NeverReaps | Verdict::Leaking => Finding::Leak,
        Verdict::Slow => Finding::Slow,
        Verdict::Held => Finding::Held,
        Verdict::Undecided => Finding::Undecided,
        Verdict::Healthy => Finding::None,
    }
}
