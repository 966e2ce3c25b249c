//! The finding of a whole report: the headline, its colour and the exit code of `run --error-exitcode` all follow it.
//!
//! Must not judge a parent: that is `verdict`'s.

use crate::report::{Finding, Lost, Other, Parent, Verdict};

/// The worst verdict of all parents, listed or not, that no suppression names. If whole parents may be missing, the finding
/// is at least undecided, because nothing else shows what found no room in a map or was damaged in a recording. The counters
/// make up for lost events.
pub fn finding(parents: &[Parent], other: &Other, lost: &Lost) -> Finding {
    let listed = parents.iter().filter(|parent| parent.suppressed_by.is_none());
    let listed = listed.map(|parent| parent.verdict).max();
    let worst = listed.max(other.verdicts.worst().map(|(verdict, _)| verdict));
    match worst.unwrap_or(Verdict::Healthy) {
        Verdict::NeverReaps | Verdict::Leaking => Finding::Leak,
        Verdict::Slow => Finding::Slow,
        Verdict::Held => Finding::Held,
        Verdict::Undecided => Finding::Undecided,
        Verdict::Healthy if lost.map_full > 0 || lost.damaged > 0 => Finding::Undecided,
        Verdict::Healthy => Finding::None,
    }
}
