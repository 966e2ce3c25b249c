//! A tally of durations: exact count, sum and extremes, bucketed in between.

use std::collections::BTreeMap;

use probe_common::bucket;

use crate::model::Distribution;

/// Durations so far, sparse.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    count: u64,
    sum_ns: u64,
    min_ns: u64,
    max_ns: u64,
    buckets: BTreeMap<u16, u64>,
}

impl Tally {
    /// Takes one duration.
    pub fn record(&mut self, duration_ns: u64) {
        self.min_ns = if self.count == 0 { duration_ns } else { self.min_ns.min(duration_ns) };
        self.max_ns = self.max_ns.max(duration_ns);
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(duration_ns);
        *self.buckets.entry(bucket::index(duration_ns) as u16).or_default() += 1;
    }

    /// Takes back one that was recorded. The extremes stay: which they were without it is not known.
    pub fn remove(&mut self, duration_ns: u64) {
        self.count = self.count.saturating_sub(1);
        self.sum_ns = self.sum_ns.saturating_sub(duration_ns);
        let bucket = bucket::index(duration_ns) as u16;
        if let Some(count) = self.buckets.get_mut(&bucket) {
            *count -= 1;
            if *count == 0 {
                self.buckets.remove(&bucket);
            }
        }
        if self.count == 0 {
            *self = Self::default();
        }
    }

    /// Takes several.
    pub fn extend(&mut self, durations: impl IntoIterator<Item = u64>) {
        for duration_ns in durations {
            self.record(duration_ns);
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }
    pub fn min_ns(&self) -> u64 {
        self.min_ns
    }
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }
    pub fn mean_ns(&self) -> u64 {
        self.sum_ns.checked_div(self.count).unwrap_or(0)
    }

    /// How many lasted longer: exact where all or none did, else to the bucket.
    pub fn count_over(&self, limit_ns: u64) -> u64 {
        if self.count == 0 || self.max_ns <= limit_ns {
            return 0;
        }
        if self.min_ns > limit_ns {
            return self.count;
        }
        let limit = bucket::index(limit_ns) as u16;
        self.buckets.range(limit + 1..).map(|(_, count)| count).sum::<u64>().max(1)
    }

    /// The duration below which a share of all lie: the middle of its bucket, within the extremes.
    pub fn quantile_ns(&self, share: f64) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut passed = 0;
        for (index, count) in &self.buckets {
            passed += count;
            if passed >= rank {
                let low = bucket::lower_bound_ns(usize::from(*index));
                let high = bucket::lower_bound_ns(usize::from(*index) + 1);
                return (low + (high - low) / 2).clamp(self.min_ns, self.max_ns);
            }
        }
        self.max_ns
    }
}

impl From<Distribution> for Tally {
    fn from(distribution: Distribution) -> Self {
        Self {
            count: distribution.count,
            sum_ns: distribution.sum_ns,
            min_ns: distribution.min_ns,
            max_ns: distribution.max_ns,
            buckets: distribution.buckets.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_a_bucket_of_the_truth_and_within_the_extremes() {
        let mut tally = Tally::default();
        tally.extend((1..=1000).map(|n| n * 1_000_000));
        assert_eq!((tally.count(), tally.min_ns(), tally.max_ns()), (1000, 1_000_000, 1_000_000_000));
        for (share, truth) in [(0.5, 500e6), (0.9, 900e6), (0.99, 990e6)] {
            let found = tally.quantile_ns(share) as f64;
            assert!((found / truth - 1.0).abs() < 0.07, "{share}: {found} vs {truth}");
        }
        assert_eq!(tally.mean_ns(), 500_500_000);
    }

    #[test]
    fn an_empty_tally_is_all_zero_and_one_value_is_every_quantile() {
        let mut tally = Tally::default();
        assert_eq!((tally.quantile_ns(0.5), tally.mean_ns()), (0, 0));
        tally.record(123_456_789);
        assert_eq!(tally.quantile_ns(0.01), 123_456_789);
        assert_eq!(tally.count_over(100_000_000), 1);
        assert_eq!(tally.count_over(200_000_000), 0);
    }
}
