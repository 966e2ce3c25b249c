//! Promises beside what was measured. Must not know what is promised, nor how it is measured.

use super::table::table;

/// One promise: what, at most how much, and what it came to.
#[derive(Debug, PartialEq)]
pub struct Target {
    pub what: String,
    pub most: f64,
    pub unit: &'static str,
    pub measured: f64,
}

impl Target {
    pub fn new(what: impl Into<String>, most: f64, unit: &'static str, measured: f64) -> Self {
        Self { what: what.into(), most, unit, measured }
    }
}

/// The table of them; empty where there are none.
pub fn text(targets: &[Target]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = targets
        .iter()
        .map(|one| {
            vec![
                one.what.clone(),
                format!("{} {}", (one.most * 1e3).round() / 1e3, one.unit),
                format!("{:.3} {}", one.measured, one.unit),
                if one.measured <= one.most { "met".to_owned() } else { "**missed**".to_owned() },
            ]
        })
        .collect();
    table(&["what", "at most", "measured", ""], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_much_as_promised_is_met() {
        let text = text(&[Target::new("a", 1.0, "×", 1.0), Target::new("b", 1.0 / 3.0, "ms", 0.4)]);
        assert!(text.contains("| a | 1 × | 1.000 × | met |"), "{text}");
        assert!(text.contains("| b | 0.333 ms | 0.400 ms | **missed** |"), "{text}");
        assert_eq!(super::text(&[]), "");
    }
}
