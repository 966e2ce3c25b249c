//! How fast a number grows, by some readings of it: as an interval, and only where growth can be told from chance.
//!
//! The rate is the median of the slopes between all pairs of readings (Theil and Sen), which single outliers do not move. The
//! interval is Sen's, from the number of pairs that rise and fall (Kendall), and is then widened by the chance of a count: so many
//! as came in this time would not come again exactly. Must not know what is counted.

/// Fewest readings that say anything.
pub const READINGS_MIN: usize = 5;
/// 95 % of a normal distribution are within so many standard deviations.
const CONFIDENCE: f64 = 1.96;

/// How much is added per second: at least and at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub least: f64,
    pub most: f64,
}

/// The growth by these readings, (time in ns, number), the oldest first. `None` where there is none, or it may be chance.
///
/// What holds is what the last third of them says, if there are enough. Where all of them say something else, the interval has both:
/// nobody knows which of the two will go on. Where the last third is too short to say anything of slow growth, and does not
/// contradict it, all of them count.
pub fn growth(readings: &[(u64, u64)]) -> Option<Rate> {
    let whole = trend(readings)?;
    let recent = &readings[readings.len() - readings.len() / 3..];
    match trend(recent) {
        Some(now) if now.least > 0.0 => {
            Some(Rate { least: now.least.min(whole.least.max(0.0)), most: now.most.max(whole.most) })
        }
        _ => (whole.least > 0.0 && !contradicts(recent, whole.least)).then_some(whole),
    }
}

/// Whether fewer came in this time than could come by chance at this rate.
fn contradicts(readings: &[(u64, u64)], rate: f64) -> bool {
    let (Some((from_ns, _)), Some((to_ns, _))) = (readings.first(), readings.last()) else { return false };
    let expected = rate * to_ns.saturating_sub(*from_ns) as f64 / 1e9;
    expected - CONFIDENCE * expected.sqrt() > added(readings) as f64
}

fn trend(readings: &[(u64, u64)]) -> Option<Rate> {
    let count = readings.len();
    if count < READINGS_MIN {
        return None;
    }
    let mut slopes = Vec::with_capacity(count * (count - 1) / 2);
    for (place, (earlier_ns, earlier)) in readings.iter().enumerate() {
        for (later_ns, later) in &readings[place + 1..] {
            let seconds = later_ns.saturating_sub(*earlier_ns) as f64 / 1e9;
            if seconds > 0.0 {
                slopes.push((*later as f64 - *earlier as f64) / seconds);
            }
        }
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let pairs = slopes.len();
    let n = count as f64;
    // The standard deviation of rising minus falling pairs where there is no trend.
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let margin = (CONFIDENCE * deviation / 2.0).ceil() as usize;
    let middle = pairs / 2;
    let (lowest, highest) = (middle.checked_sub(margin)?, middle + margin);
    let (least, most) = (*slopes.get(lowest)?, *slopes.get(highest).or(slopes.last())?);
    let added = added(readings);
    if added == 0 {
        return Some(Rate { least: least.min(0.0), most: most.max(0.0) });
    }
    let chance = CONFIDENCE / (added as f64).sqrt();
    Some(Rate { least: least * (1.0 - chance).max(0.0), most: most * (1.0 + chance) })
}

/// How much more there was at the end than at the beginning.
fn added(readings: &[(u64, u64)]) -> u64 {
    match (readings.first(), readings.last()) {
        (Some((_, first)), Some((_, last))) => last.saturating_sub(*first),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One reading each second.
    fn each_second(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
        numbers
            .into_iter()
            .enumerate()
            .map(|(second, number)| (second as u64 * 1_000_000_000, number))
            .collect()
    }

    #[test]
    fn a_steady_leak_has_its_rate_within_the_interval() {
        let rate = growth(&each_second((0..60).map(|second| 100 + 10 * second))).expect("it grows");
        assert!(rate.least <= 10.0 && rate.most >= 10.0 && rate.least > 7.0 && rate.most < 13.0, "{rate:?}");
        let slow = growth(&each_second((0..60).map(|second| 100 + second / 6))).expect("it grows");
        assert!(slow.least <= 1.0 / 6.0 && slow.most >= 1.0 / 6.0, "{slow:?}");
        assert!(slow.most / slow.least > rate.most / rate.least, "fewer events say less");
    }

    #[test]
    fn what_may_be_chance_is_no_growth() {
        for (numbers, why) in [
            (vec![100; 60], "nothing changes"),
            (vec![1, 2, 3, 4], "too few readings"),
            (vec![5, 5, 5, 6, 7, 7, 7, 8], "three more in all"),
            ((0..60).map(|second| 100 + second % 7).collect(), "up and down"),
            ((0..60).map(|second| 200 - second).collect(), "it falls"),
            ((0..60).map(|second| 100 + 10 * u64::from(second > 30)).collect(), "one step, and it stays"),
            ((0..60).map(|second| if second == 40 { 4_000 } else { 100 }).collect(), "one outlier"),
        ] {
            assert_eq!(growth(&each_second(numbers)), None, "{why}");
        }
    }

    #[test]
    fn a_leak_that_began_lately_or_became_faster_has_a_wider_interval_and_one_that_stopped_is_none() {
        let began = growth(&each_second((0..60).map(|second: u64| 100 + 10 * second.saturating_sub(38))));
        let began = began.expect("it grows");
        assert!(began.least == 0.0 && began.most >= 10.0, "{began:?}");
        let faster = (0..60u64).map(|second| 100 + second + 20 * second.saturating_sub(40));
        let faster = growth(&each_second(faster)).expect("it grows");
        assert!(faster.least < 5.0 && faster.most > 20.0, "{faster:?}");
        assert_eq!(growth(&each_second((0..60u64).map(|second| 100 + 10 * second.min(30)))), None);
    }

    proptest! {
        #[test]
        fn whatever_is_read_the_interval_is_one(numbers in prop::collection::vec((0..1u64 << 62, 0..1u64 << 44), 0..64)) {
            let mut readings = numbers;
            readings.sort_unstable();
            if let Some(rate) = growth(&readings) {
                prop_assert!(rate.least >= 0.0 && rate.most >= rate.least && rate.most.is_finite(), "{rate:?}");
            }
        }

        /// Arrivals by chance, at a rate that is known: nearly always it is in the interval.
        #[test]
        fn a_random_leak_is_seldom_outside_of_its_interval(seed in prop::collection::vec(0.0f64..1.0, 1_200)) {
            let mut number = 1_000;
            let readings = each_second(seed.chunks(20).map(|second| {
                number += second.iter().filter(|chance| **chance < 0.25).count() as u64;
                number
            }));
            // Five a second. Three times the interval is out of reach of chance.
            let rate = growth(&readings);
            prop_assert!(rate.is_some_and(|rate| rate.least < 6.0 && rate.most > 4.0), "{rate:?}");
        }
    }
}
