//! What is shown of one parent beside its entry in a report.
//!
//! Must not judge.

use super::explain;
use crate::{
    engine::{Histogram, View},
    model::{Identity, Session, Task, WaitStatus},
    report::{
        detail::ParentDetail,
        metrics::{BOUNDS_NS, Buckets},
    },
};

/// Most children listed.
const CHILDREN_MAX: usize = 32;

/// Of the parent with this identity; `None` where it is not kept. `status_of` says how a dead process ended, where that is
/// known.
pub fn detail(
    view: &View<'_>,
    session: &Session,
    identity: Identity,
    status_of: &dyn Fn(&Task) -> Option<WaitStatus>,
) -> Option<ParentDetail> {
    let known = view.parent(identity)?;
    let (children, more_children) = explain::unreaped(view, session, known, CHILDREN_MAX, status_of);
    Some(ParentDetail { children, more_children, reap_latency: buckets(&known.reap_latency) })
}

/// Each bound is one of the histogram's own too, so nothing is guessed.
fn buckets(histogram: &Histogram) -> Buckets {
    let mut buckets = Buckets {
        sum_ns: histogram.mean_ns().saturating_mul(histogram.count()),
        counts: [0; BOUNDS_NS.len() + 1],
    };
    let mut before = histogram.count();
    for (place, bound_ns) in BOUNDS_NS.iter().enumerate() {
        let beyond = histogram.count_over(bound_ns - 1);
        buckets.counts[place] = before.saturating_sub(beyond);
        before = beyond;
    }
    buckets.counts[BOUNDS_NS.len()] = before;
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_below_its_bound_and_not_below_the_one_before() {
        for ns in [0, 1, 65_535, 65_536, 1_000_000, 1_048_576, 5_000_000_000, 3_600_000_000_000] {
            let mut histogram = Histogram::default();
            histogram.extend([ns, ns]);
            let found = buckets(&histogram);
            let place = found.counts.iter().position(|count| *count == 2).expect("both are there");
            assert!(place == BOUNDS_NS.len() || ns < BOUNDS_NS[place], "{ns}");
            assert!(place == 0 || ns >= BOUNDS_NS[place - 1], "{ns}");
            assert_eq!(found.count(), 2);
        }
    }

    #[test]
    fn different_durations_are_told_apart() {
        let mut histogram = Histogram::default();
        histogram.extend([1_000, 1_000, 2_000_000_000, 2_000_000_000, 2_000_000_000]);
        let found = buckets(&histogram);
        assert_eq!((found.counts[0], found.counts[8], found.count()), (2, 3, 5));
    }
}
