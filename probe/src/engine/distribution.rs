//! A tally of durations: exact count, sum and extremes, bucketed in between.

use probe_common::bucket;

use crate::model::Distribution;

/// Durations so far. Most parents have none or one of a kind: those take no memory of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Tally {
    #[default]
    Empty,
    One(u64),
    Many(Box<Durations>),
}

/// Two durations or more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    count: u64,
    sum_ns: u64,
    min_ns: u64,
    max_ns: u64,
    /// (bucket index, count), ascending, sparse.
    buckets: Vec<(u16, u64)>,
}

impl Durations {
    fn record(&mut self, duration_ns: u64) {
        self.min_ns = if self.count == 0 { duration_ns } else { self.min_ns.min(duration_ns) };
        self.max_ns = self.max_ns.max(duration_ns);
        self.count = self.count.saturating_add(1);
        self.sum_ns = self.sum_ns.saturating_add(duration_ns);
        self.count_in(bucket::index(duration_ns) as u16, 1);
    }

    fn count_in(&mut self, bucket: u16, more: u64) {
        match self.buckets.binary_search_by_key(&bucket, |(index, _)| *index) {
            Ok(place) => self.buckets[place].1 = self.buckets[place].1.saturating_add(more),
            Err(place) => self.buckets.insert(place, (bucket, more)),
        }
    }

    fn remove(&mut self, duration_ns: u64) {
        self.count = self.count.saturating_sub(1);
        self.sum_ns = self.sum_ns.saturating_sub(duration_ns);
        let bucket = bucket::index(duration_ns) as u16;
        if let Ok(place) = self.buckets.binary_search_by_key(&bucket, |(index, _)| *index) {
            self.buckets[place].1 = self.buckets[place].1.saturating_sub(1);
            if self.buckets[place].1 == 0 {
                self.buckets.remove(place);
            }
        }
    }

    fn count_over(&self, limit_ns: u64) -> u64 {
        if self.max_ns <= limit_ns {
            return 0;
        }
        if self.min_ns > limit_ns {
            return self.count;
        }
        let limit = bucket::index(limit_ns) as u16;
        let over = self.buckets.iter().filter(|(index, _)| *index > limit);
        over.fold(0u64, |sum, (_, count)| sum.saturating_add(*count)).max(1)
    }

    fn quantile_ns(&self, share: f64) -> u64 {
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut passed = 0u64;
        for (index, count) in &self.buckets {
            passed = passed.saturating_add(*count);
            if passed >= rank {
                let low = bucket::lower_bound_ns(usize::from(*index));
                let high = bucket::lower_bound_ns(usize::from(*index) + 1);
                // Two CPUs may race for the smallest and the largest: they are no order to rely on.
                return (low + (high - low) / 2).max(self.min_ns).min(self.max_ns);
            }
        }
        self.max_ns
    }
}

impl Tally {
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
        match self {
            Self::Many(many) => {
                many.remove(duration_ns);
                if many.count == 0 {
                    *self = Self::Empty;
                }
            }
            Self::One(_) | Self::Empty => *self = Self::Empty,
        }
    }

    /// Takes several.
    pub fn extend(&mut self, durations: impl IntoIterator<Item = u64>) {
        for duration_ns in durations {
            self.record(duration_ns);
        }
    }

    pub fn count(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(many) => many.count,
        }
    }
    pub fn min_ns(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::One(only_ns) => *only_ns,
            Self::Many(many) => many.min_ns,
        }
    }
    pub fn max_ns(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::One(only_ns) => *only_ns,
            Self::Many(many) => many.max_ns,
        }
    }
    pub fn mean_ns(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::One(only_ns) => *only_ns,
            Self::Many(many) => many.sum_ns.checked_div(many.count).unwrap_or(0),
        }
    }

    /// How many lasted longer: exact where all or none did, else to the bucket.
    pub fn count_over(&self, limit_ns: u64) -> u64 {
        match self {
            Self::Empty => 0,
            Self::One(only_ns) => u64::from(*only_ns > limit_ns),
            Self::Many(many) => many.count_over(limit_ns),
        }
    }

    /// The duration below which a share of all lie: the middle of its bucket, within the extremes.
    pub fn quantile_ns(&self, share: f64) -> u64 {
        match self {
            Self::Empty => 0,
            Self::One(only_ns) => *only_ns,
            Self::Many(many) => many.quantile_ns(share),
        }
    }
}

impl From<Distribution> for Tally {
    fn from(distribution: Distribution) -> Self {
        let Distribution { count, sum_ns, min_ns, max_ns, buckets } = distribution;
        if count == 0 {
            return Self::Empty;
        }
        if count == 1 && min_ns == max_ns {
            return Self::One(max_ns);
        }
        let mut many =
            Durations { count, sum_ns, min_ns, max_ns, buckets: Vec::with_capacity(buckets.len()) };
        for (index, count) in buckets {
            many.count_in(index.min(bucket::LAST as u16), count);
        }
        Self::Many(Box::new(many))
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
