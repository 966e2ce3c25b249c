//! Medians and how far they spread. Must not know what is measured.

use std::fmt;

/// Of one figure, measured several times.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub low: f64,
    pub lower_quartile: f64,
    pub median: f64,
    pub upper_quartile: f64,
    pub high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then(|| Self {
            low: quantile(&values, 0.0),
            lower_quartile: quantile(&values, 0.25),
            median: quantile(&values, 0.5),
            upper_quartile: quantile(&values, 0.75),
            high: quantile(&values, 1.0),
        })
    }

    /// In another unit.
    pub fn times(self, factor: f64) -> Self {
        Self {
            low: self.low * factor,
            lower_quartile: self.lower_quartile * factor,
            median: self.median * factor,
            upper_quartile: self.upper_quartile * factor,
            high: self.high * factor,
        }
    }
}

/// Median (quartiles; lowest to highest), to the precision asked for.
impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = out.precision().unwrap_or(2);
        write!(
            out,
            "{:.digits$} ({:.digits$}–{:.digits$}; {:.digits$}–{:.digits$})",
            self.median, self.lower_quartile, self.upper_quartile, self.low, self.high
        )
    }
}

/// Of sorted values, between its neighbours where it falls between two; 0 of nothing.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = part * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_their_neighbours() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).expect("some");
        assert_eq!((spread.low, spread.median, spread.high), (1.0, 2.5, 4.0));
        assert_eq!((spread.lower_quartile, spread.upper_quartile), (1.75, 3.25));
        assert!(Spread::of([]).is_none());
    }
}
