//! A histogram of durations: exact count, sum and extremes, bucketed in between.
//!
//! Must not know what is measured.

use std::collections::BTreeMap;

use probe_common::bucket;

use crate::model::Distribution;

/// Durations so far. Most parents have none, or one of a kind: those take no memory of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Histogram {
    #[default]
    Empty,
    One(u64),
    Many(Box<Durations>),
}

/// Two durations or more, sparse.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    count: u64,
    sum_ns: u128,
    min_ns: u64,
    max_ns: u64,
    buckets: BTreeMap<u16, u64>,
}

impl Histogram {
    /// Takes one duration.
    pub fn record(&mut self, duration_ns: u64) {
        match self {
            Self::Empty => *self = Self::One(duration_ns),
            Self::One(first_ns) => {
                let mut many = Durations::default();
                many.record(*first_ns);
                many.record(duration_ns);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => many.record(duration_ns),
        }
    }

    /// Takes back one that was recorded. The extremes stay: which they were without it is not known.
    pub fn remove(&mut self, duration_ns: u64) {
        if let Self::Many(many) = self
            && many.count > 1
        {
            many.remove(duration_ns);
        } else {
            *self = Self::Empty;
        }
    }

    /// Takes several.
    pub fn extend(&mut self, durations: impl IntoIterator<Item = u64>) {
        for duration_ns in durations {
            self.record(duration_ns);
        }
    }

    pub fn count(&self) -> u64 {
        self.of(0, |_| 1, |many| many.count)
    }
    pub fn min_ns(&self) -> u64 {
        self.of(0, |only_ns| only_ns, |many| many.min_ns)
    }
    pub fn max_ns(&self) -> u64 {
        self.of(0, |only_ns| only_ns, |many| many.max_ns)
    }
    pub fn mean_ns(&self) -> u64 {
        self.of(0, |only_ns| only_ns, Durations::mean_ns)
    }

    /// How many lasted longer: exact where all or none did, else to the bucket.
    pub fn count_over(&self, limit_ns: u64) -> u64 {
        self.of(0, |only_ns| u64::from(only_ns > limit_ns), |many| many.count_over(limit_ns))
    }

    /// How many durations there are of each power of two of ns, ascending: (exponent, count). As far as the buckets tell.
    pub fn by_power_of_two(&self) -> BTreeMap<u32, u64> {
        let power = |duration_ns: u64| duration_ns.max(1).ilog2();
        let many = |many: &Durations| {
            let mut powers = BTreeMap::new();
            for (index, count) in &many.buckets {
                *powers.entry(power(bucket::lower_bound_ns(usize::from(*index)))).or_default() += count;
            }
            powers
        };
        self.of(BTreeMap::new(), |only_ns| BTreeMap::from([(power(only_ns), 1)]), many)
    }

    /// The duration below which a share of all lie: the middle of its bucket, within the extremes. `None` where the
    /// buckets do not tell: they have not all that were counted, and those that are missing may lie anywhere.
    pub fn quantile_ns(&self, share: f64) -> Option<u64> {
        self.of(Some(0), Some, |many| many.quantile_ns(share))
    }

    fn of<T>(&self, none: T, of_one: impl FnOnce(u64) -> T, of_many: impl FnOnce(&Durations) -> T) -> T {
        match self {
            Self::Empty => none,
            Self::One(only_ns) => of_one(*only_ns),
            Self::Many(many) => of_many(many),
        }
    }
}

impl Durations {
    fn record(&mut self, duration_ns: u64) {
        self.min_ns = if self.count == 0 { duration_ns } else { self.min_ns.min(duration_ns) };
        self.max_ns = self.max_ns.max(duration_ns);
        self.count += 1;
        self.sum_ns += u128::from(duration_ns);
        *self.buckets.entry(bucket::index(duration_ns) as u16).or_default() += 1;
    }

    fn remove(&mut self, duration_ns: u64) {
        self.count = self.count.saturating_sub(1);
        self.sum_ns = self.sum_ns.saturating_sub(duration_ns.into());
        let bucket = bucket::index(duration_ns) as u16;
        if let Some(count) = self.buckets.get_mut(&bucket) {
            *count -= 1;
            if *count == 0 {
                self.buckets.remove(&bucket);
            }
        }
    }

    fn mean_ns(&self) -> u64 {
        let mean_ns = self.sum_ns.checked_div(self.count.into()).unwrap_or(0);
        u64::try_from(mean_ns).unwrap_or(u64::MAX).clamp(self.min_ns, self.max_ns)
    }

    fn count_over(&self, limit_ns: u64) -> u64 {
        if self.count == 0 || self.max_ns <= limit_ns {
            return 0;
        }
        if self.min_ns > limit_ns {
            return self.count;
        }
        let limit = bucket::index(limit_ns) as u16;
        self.buckets.range(limit + 1..).map(|(_, count)| count).sum::<u64>().max(1)
    }

    fn quantile_ns(&self, share: f64) -> Option<u64> {
        if self.count == 0 {
            return Some(0);
        }
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count);
        let known: u64 = self.buckets.values().sum();
        // At the lowest if all that are missing lie below, at the highest if all that are too many do.
        let lowest = rank.saturating_sub(self.count.saturating_sub(known));
        let highest = rank.saturating_add(known.saturating_sub(self.count));
        let low = if lowest == 0 { bucket::index(self.min_ns) } else { self.bucket_at(lowest) };
        let high = self.bucket_at(highest);
        if high > low + 1 {
            return None;
        }
        let (low, high) = (bucket::lower_bound_ns(low), bucket::lower_bound_ns(high + 1));
        Some((low + high.saturating_sub(low) / 2).clamp(self.min_ns, self.max_ns))
    }

    /// Of the one that so many are not longer than, itself among them.
    fn bucket_at(&self, rank: u64) -> usize {
        let mut passed = 0;
        for (index, count) in &self.buckets {
            passed += count;
            if passed >= rank {
                return usize::from(*index);
            }
        }
        bucket::index(self.max_ns)
    }
}

impl From<Distribution> for Histogram {
    /// What the kernel counted. Several CPUs write it at once, and it is read meanwhile; a bucket has 32 bits, and the sum
    /// wraps after 584 years of waiting. So nothing in it need agree with the rest; but each of the extremes was a
    /// duration, and so was each that is in a bucket.
    fn from(distribution: Distribution) -> Self {
        let Distribution { count, sum_ns, min_ns, max_ns, buckets } = distribution;
        if count == 0 {
            return Self::Empty;
        }
        if count == 1 && [min_ns, max_ns] == [sum_ns; 2] && buckets == [(bucket::index(sum_ns) as u16, 1)] {
            return Self::One(sum_ns);
        }
        let mut many = Durations {
            count,
            sum_ns: sum_ns.into(),
            min_ns: min_ns.min(max_ns),
            max_ns: min_ns.max(max_ns),
            buckets: buckets.into_iter().collect(),
        };
        let (Some((first, _)), Some((last, _))) =
            (many.buckets.first_key_value(), many.buckets.last_key_value())
        else {
            return Self::Many(Box::new(many));
        };
        let (first, last) = (usize::from(*first), usize::from(*last));
        many.min_ns = many.min_ns.min(longest_ns(first));
        many.max_ns = many.max_ns.max(bucket::lower_bound_ns(last));
        if many.buckets.values().sum::<u64>() == count {
            many.min_ns = many.min_ns.max(bucket::lower_bound_ns(first));
            many.max_ns = many.max_ns.min(longest_ns(last));
            many.sum_ns = many
                .sum_ns
                .clamp(many.sum_if_all_are(bucket::lower_bound_ns), many.sum_if_all_are(longest_ns));
        }
        Self::Many(Box::new(many))
    }
}

impl Durations {
    /// The sum, if every duration were as long as its bucket's index says.
    fn sum_if_all_are(&self, duration_ns: impl Fn(usize) -> u64) -> u128 {
        let each =
            |(index, count): (&u16, &u64)| u128::from(duration_ns(usize::from(*index))) * u128::from(*count);
        self.buckets.iter().map(each).sum()
    }
}

/// The longest duration that falls into a bucket.
fn longest_ns(index: usize) -> u64 {
    if index >= bucket::LAST { u64::MAX } else { bucket::lower_bound_ns(index + 1) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_a_bucket_of_the_truth_and_within_the_extremes() {
        let mut histogram = Histogram::default();
        histogram.extend((1..=1000).map(|n| n * 1_000_000));
        assert_eq!(
            (histogram.count(), histogram.min_ns(), histogram.max_ns()),
            (1000, 1_000_000, 1_000_000_000)
        );
        for (share, truth) in [(0.5, 500e6), (0.9, 900e6), (0.99, 990e6)] {
            let found = histogram.quantile_ns(share).expect("all are in buckets") as f64;
            assert!((found / truth - 1.0).abs() < 0.07, "{share}: {found} vs {truth}");
        }
        assert_eq!(histogram.mean_ns(), 500_500_000);
    }

    #[test]
    fn an_empty_tally_is_all_zero_and_one_value_is_every_quantile() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile_ns(0.5), histogram.mean_ns()), (Some(0), 0));
        histogram.record(123_456_789);
        assert_eq!(histogram.quantile_ns(0.01), Some(123_456_789));
        assert_eq!(histogram.count_over(100_000_000), 1);
        assert_eq!(histogram.count_over(200_000_000), 0);
    }

    fn counted(count: u64, sum_ns: u64, extremes: (u64, u64), buckets: &[(u16, u64)]) -> Histogram {
        let (min_ns, max_ns) = extremes;
        Histogram::from(Distribution { count, sum_ns, min_ns, max_ns, buckets: buckets.to_vec() })
    }

    #[test]
    fn extremes_that_two_cpus_wrote_at_once_are_brought_in_order_by_what_the_buckets_have() {
        // Bucket 3 holds 3,072 to 4,095 ns.
        let histogram = counted(2, 7_000, (3_900, 3_100), &[(3, 2)]);
        assert_eq!((histogram.min_ns(), histogram.max_ns(), histogram.mean_ns()), (3_100, 3_900, 3_500));
        assert_eq!(histogram.quantile_ns(0.5), Some(3_584));
        // The longest was not written; its bucket is.
        let histogram = counted(2, 9_000_003_500, (3_500, 3_500), &[(3, 1), (160, 1)]);
        assert_eq!(histogram.max_ns(), bucket::lower_bound_ns(160));
        assert_eq!(counted(0, 5, (7, 9), &[(3, 1)]), Histogram::default());
    }

    #[test]
    fn of_a_bucket_that_wrapped_the_quantiles_are_not_known_and_the_mean_is() {
        let wrapped = (1 << 32) + 10;
        let histogram = counted(wrapped, wrapped * 5_000, (1_000, 9_000_000_000), &[(4, 10), (200, 1)]);
        assert_eq!([0.5, 0.9, 0.99].map(|share| histogram.quantile_ns(share)), [None; 3]);
        assert_eq!((histogram.mean_ns(), histogram.count()), (5_000, wrapped));
    }

    #[test]
    fn one_that_is_read_between_its_count_and_its_bucket_leaves_the_quantiles_known() {
        for (count, in_bucket) in [(1_000, 999), (999, 1_000)] {
            let histogram = counted(count, count * 5_000, (4_100, 5_100), &[(4, in_bucket)]);
            assert_eq!(histogram.quantile_ns(0.99), Some(4_608));
        }
    }

    #[test]
    fn a_sum_that_wrapped_is_not_believed_against_the_buckets() {
        // A million that waited six hours each: 684 years.
        let hours_ns = 6 * 3_600_000_000_000;
        let index = bucket::index(hours_ns) as u16;
        let sum_ns = hours_ns.wrapping_mul(1_000_000);
        let histogram = counted(1_000_000, sum_ns, (hours_ns, hours_ns), &[(index, 1_000_000)]);
        assert_eq!(histogram.mean_ns(), hours_ns);
    }

    #[test]
    fn nothing_in_a_distribution_makes_it_fail() {
        let edges = [0, 1, 1 << 20, 1 << 44, u64::MAX];
        for (count, sum_ns) in edges.into_iter().flat_map(|one| edges.map(|other| (one, other))) {
            for extremes in edges.into_iter().flat_map(|one| edges.map(|other| (one, other))) {
                for buckets in [&[][..], &[(0, 1)], &[(3, 1 << 44), (239, 1 << 44)], &[(255, 1)]] {
                    let histogram = counted(count, sum_ns, extremes, buckets);
                    assert!(histogram.min_ns() <= histogram.max_ns());
                    assert!((histogram.min_ns()..=histogram.max_ns()).contains(&histogram.mean_ns()));
                    for known in
                        [0.0, 0.5, 0.99, 1.0].into_iter().filter_map(|share| histogram.quantile_ns(share))
                    {
                        assert!((histogram.min_ns()..=histogram.max_ns()).contains(&known));
                    }
                }
            }
        }
    }
}
