//! A level over time: how many unreaped children there were at each of the last readings. A rate and a trend follow from it.
//!
//! Must not know whose level it is.

use std::collections::VecDeque;

/// Most readings kept.
const POINTS_MAX: usize = 32;
/// A rate is over so long.
const RATE_OVER_NS: u64 = 10_000_000_000;
/// Blocks of rising height.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last readings of a level, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    points: VecDeque<(u64, u64)>,
}

impl History {
    /// Of one that had this level before its first reading, about a second ago.
    pub fn beginning(now_ns: u64, level: u64) -> Self {
        Self { points: VecDeque::from([(now_ns.saturating_sub(1_000_000_000), level)]) }
    }

    /// The level at a time.
    pub fn push(&mut self, at_ns: u64, level: u64) {
        // A time is read once; a replay may go back.
        self.points.retain(|(before_ns, _)| *before_ns < at_ns);
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back((at_ns, level));
    }

    /// Whether there was nothing all the time.
    pub fn is_quiet(&self) -> bool {
        self.points.iter().all(|(_, level)| *level == 0)
    }

    /// By how much the level grows per second; `None` where that is not known yet.
    pub fn per_second(&self) -> Option<f64> {
        let (last_ns, last) = *self.points.back()?;
        let since = last_ns.saturating_sub(RATE_OVER_NS);
        let (first_ns, first) = *self.points.iter().find(|(at_ns, _)| *at_ns >= since)?;
        (last_ns > first_ns).then(|| (last as f64 - first as f64) * 1e9 / (last_ns - first_ns) as f64)
    }

    /// The level at the last readings as blocks, the newest last.
    pub fn trend(&self, columns: usize) -> String {
        let shown = self.points.iter().skip(self.points.len().saturating_sub(columns));
        let most = shown.clone().map(|(_, level)| *level).max().unwrap_or(0).max(1);
        shown
            .map(|(_, level)| match *level {
                0 => ' ',
                level => BLOCKS[((level as u128 * 8).div_ceil(most.into()) as usize).clamp(1, 8) - 1],
            })
            .collect()
    }
}

/// `+3.9/s`, `-12/s`, `+2.0/min`, `0`.
pub fn rate(per_second: f64) -> String {
    let text = |value: f64, unit: &str| {
        if value.abs() < 9.95 { format!("{value:+.1}/{unit}") } else { format!("{value:+.0}/{unit}") }
    };
    match per_second.abs() {
        ..0.000_01 => "0".into(),
        ..0.0995 => text(per_second * 60.0, "min"),
        _ => text(per_second, "s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn a_rate_is_over_the_last_ten_seconds() {
        let mut history = History::default();
        assert_eq!(history.per_second(), None);
        history.push(SECOND_NS, 5);
        assert_eq!(history.per_second(), None, "one reading tells no rate");
        for second in 2..=30 {
            history.push(second * SECOND_NS, if second <= 20 { 5 } else { 5 + 3 * (second - 20) });
        }
        assert_eq!(history.per_second(), Some(3.0));
        assert_eq!(History::beginning(SECOND_NS, 0).trend(8), " ");
    }

    #[test]
    fn a_trend_has_the_newest_last_and_nothing_where_nothing_was() {
        let mut history = History::default();
        for (second, level) in [0, 1, 4, 8, 0, 1_000_000].into_iter().enumerate() {
            history.push(second as u64, level);
        }
        assert_eq!(history.trend(6), " ▁▁▁ █");
        assert_eq!(history.trend(2), " █");
        history.push(2, 7);
        assert_eq!(history.trend(9), " ▂█", "a replay went back");
    }

    #[test]
    fn rates_read_well() {
        for (per_second, text) in
            [(0.0, "0"), (3.9, "+3.9/s"), (-12.2, "-12/s"), (1.0 / 60.0, "+1.0/min"), (500.0, "+500/s")]
        {
            assert_eq!(rate(per_second), text);
        }
    }
}
