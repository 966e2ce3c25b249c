//! What reapwatch promises, beside what was measured. Must not know how.

use super::table::{section, table};

/// One promise: what, at most how much, and what it came to.
pub struct Target {
    pub what: String,
    pub most: f64,
    pub unit: &'static str,
    pub measured: f64,
}

pub fn text(targets: &[Target]) -> String {
    let rows: Vec<Vec<String>> = targets
        .iter()
        .map(|one| {
            vec![
                one.what.clone(),
                format!("{} {}", one.most, one.unit),
                format!("{:.3} {}", one.measured, one.unit),
                if one.measured <= one.most { "met".to_owned() } else { "**missed**".to_owned() },
            ]
        })
        .collect();
    section("Targets", "") + &table(&["what", "at most", "measured", ""], &rows)
}
