//! A figure beside the one that is committed of it. Must not know what is counted.

/// What is wrong where `now` has grown by more than so many per cent, or nothing is committed; `what` is what it is a count of,
/// `freeze` the command that commits it.
pub fn fault(what: &str, before: Option<f64>, now: f64, most_percent: f64, freeze: &str) -> Option<String> {
    (now > before.unwrap_or(0.0) * (1.0 + most_percent / 100.0)).then(|| {
        let before = before.map_or("none".to_owned(), |before| format!("{before:.0}"));
        format!("{what}: {now:.0} instructions, committed are {before}: `{freeze}` if that is right")
    })
}
