//! Which parents are listed, worst first, and the sum of the others. This bounds the size of a report.
//!
//! Must not judge: that is `verdict`'s.

use crate::report::{Ledger, Other, Parent, Verdict, VerdictCounts};

/// Most parents listed.
pub const PARENTS_MAX: usize = 4_096;

/// Sorts the worst first, and adds the parents beyond `most` to the others.
pub fn worst(parents: &mut Vec<Parent>, other: &mut Other, most: usize) {
    parents.sort_by_cached_key(badness);
    for parent in parents.drain(most.min(parents.len())..) {
        add(other, 1, parent.ledger, parent.verdict);
    }
    parents.shrink_to_fit();
}

/// Adds parents with the same verdict.
pub fn add(other: &mut Other, parents: u64, ledger: Ledger, verdict: Verdict) {
    other.parents = other.parents.saturating_add(parents);
    other.ledger += ledger;
    let VerdictCounts { never_reaps, leaking, slow, held, undecided, healthy } = &mut other.verdicts;
    let count = match verdict {
        Verdict::NeverReaps => never_reaps,
        Verdict::Leaking => leaking,
        Verdict::Slow => slow,
        Verdict::Held => held,
        Verdict::Undecided => undecided,
        Verdict::Healthy => healthy,
    };
    *count = count.saturating_add(parents);
}

/// Sort key: the worst first, and the same order in every run.
fn badness(parent: &Parent) -> impl Ord + use<> {
    use std::cmp::Reverse;
    (
        Reverse(parent.verdict),
        Reverse(parent.ledger.left()),
        Reverse(parent.oldest_unreaped_ns),
        Reverse(parent.reap_latency.max_ns),
        Reverse(parent.ledger.exited),
        parent.pid,
        parent.start_time,
    )
}
