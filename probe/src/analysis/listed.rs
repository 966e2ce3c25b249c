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

/// Sort key: the worst first, and the same order in every run. Of those that leak, one that lives comes before one that has
/// died, whose zombies have gone to another; then whoever left more is worse, whether or not it reaped others: that is what takes
/// the PIDs of a host.
fn badness(parent: &Parent) -> impl Ord + use<> {
    use std::cmp::Reverse;
    (
        Reverse(parent.verdict.min(Verdict::Leaking)),
        Reverse(parent.alive && parent.verdict >= Verdict::Leaking),
        Reverse(parent.ledger.left()),
        Reverse(parent.verdict),
        Reverse(parent.oldest_unreaped_ns),
        Reverse(parent.reap_latency.max_ns),
        Reverse(parent.ledger.exited),
        parent.pid,
        parent.start_time,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn of_those_that_leak_and_live_the_worst_left_most_then_come_the_dead_and_the_others_by_verdict() {
        let of = |pid: u32, verdict: Verdict, unreaped: u64| {
            let ledger = Ledger { exited: unreaped, unreaped, ..Ledger::default() };
            Parent { pid, ledger, ..sample::parent("parent", verdict) }
        };
        let mut parents = vec![
            Parent { alive: false, ..of(7, Verdict::NeverReaps, 1_000) },
            of(1, Verdict::Undecided, 900),
            of(2, Verdict::Leaking, 2),
            of(3, Verdict::NeverReaps, 2),
            of(4, Verdict::Slow, 800),
            of(5, Verdict::Leaking, 300),
            of(6, Verdict::NeverReaps, 40),
        ];
        let mut other = Other::default();
        worst(&mut parents, &mut other, 6);
        let pids: Vec<u32> = parents.iter().map(|parent| parent.pid).collect();
        assert_eq!(pids, [5, 6, 3, 2, 7, 4]);
        assert_eq!((other.parents, other.verdicts.undecided), (1, 1));
    }
}
