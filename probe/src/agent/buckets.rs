//! From the kernel's fine buckets to those of the metrics.
//!
//! Must not know what is measured.

use probe_common::bucket;

use crate::{
    model::Distribution,
    report::metrics::{BOUNDS_NS, Buckets},
};

/// Every bound is one of the kernel's too, so nothing is guessed. What was counted and is in none of the kernel's buckets, which
/// have 32 bits, is said to be longer than all bounds: the count stays true.
pub fn buckets(distribution: &Distribution) -> Buckets {
    let mut buckets = Buckets { sum_ns: distribution.sum_ns, ..Buckets::default() };
    for (index, count) in &distribution.buckets {
        let from_ns = bucket::lower_bound_ns(usize::from(*index));
        let place = BOUNDS_NS.partition_point(|bound_ns| *bound_ns <= from_ns);
        buckets.counts[place] = buckets.counts[place].saturating_add(*count);
    }
    let missing = distribution.count.saturating_sub(buckets.count());
    // While it is read others are counted; one or two are missing from either.
    if missing > 1 << 20 {
        let last = BOUNDS_NS.len();
        buckets.counts[last] = buckets.counts[last].saturating_add(missing);
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_where_a_bucket_of_the_kernel_begins() {
        for bound_ns in BOUNDS_NS {
            let index = bucket::index(bound_ns);
            assert_eq!(bucket::lower_bound_ns(index), bound_ns);
        }
    }

    #[test]
    fn each_duration_is_below_its_bound_and_not_below_the_one_before() {
        for ns in [0, 1, 65_535, 65_536, 1_000_000, 1_048_576, 5_000_000_000, 3_600_000_000_000, u64::MAX] {
            let index = bucket::index(ns) as u16;
            let found = buckets(&Distribution {
                count: 1,
                sum_ns: ns,
                buckets: vec![(index, 1)],
                ..Default::default()
            });
            let place = found.counts.iter().position(|count| *count == 1).expect("it is somewhere");
            assert!(place == BOUNDS_NS.len() || ns < BOUNDS_NS[place], "{ns}");
            assert!(place == 0 || ns >= BOUNDS_NS[place - 1], "{ns}");
            assert_eq!(found.sum_ns, ns);
        }
    }
}
