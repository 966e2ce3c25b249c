//! A profile as folded stacks, a line each, and as a flame graph.
//!
//! Must not judge, nor know where the bytes go.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{file_name, frame_name, terminal::escape};
use crate::report::{
    SiteFrame, SiteFrameKind,
    profile::{Profile, VALUES},
};

/// Writes `parent;outermost;…;innermost value`, a line for each stack with that value. `value`: which of [`VALUES`].
pub fn folded(out: &mut impl Write, profile: &Profile, value: usize) -> io::Result<()> {
    for line in lines(profile, value) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes a flame graph.
pub fn svg(out: &mut impl Write, profile: &Profile, value: usize) -> io::Result<()> {
    let (name, unit) = VALUES[value];
    let mut options = inferno::flamegraph::Options::default();
    options.title = format!("reapwatch: {} by fork site", name.replace('_', " "));
    options.count_name = if unit == "count" { "children".into() } else { "ns".into() };
    options.min_width = 0.05;
    let lines = lines(profile, value);
    if lines.is_empty() {
        return Err(io::Error::other(format!("no fork was seen whose {} is not 0", name.replace('_', " "))));
    }
    inferno::flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), out)
        .map_err(|error| io::Error::other(error.to_string()))
}

/// Sorted; those of several places in one function are one.
fn lines(profile: &Profile, value: usize) -> Vec<String> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for stack in profile.stacks.iter().filter(|stack| stack.values[value] > 0) {
        let mut line = clean(&stack.parent);
        for frame in stack.frames.iter().rev() {
            line.push(';');
            line.push_str(&clean(&named(frame)));
        }
        let sum = sums.entry(line).or_default();
        *sum = sum.saturating_add(stack.values[value]);
    }
    sums.into_iter().map(|(line, sum)| format!("{line} {sum}")).collect()
}

/// A function, with the line for an interpreted one: there a function may be long and bear no other mark.
pub(super) fn named(frame: &SiteFrame) -> String {
    let name = frame_name(frame);
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) if frame.kind == SiteFrameKind::Python => {
            format!("{name} ({}:{line})", file_name(file))
        }
        _ => name,
    }
}

/// A name comes from outside: what separates frames is taken out, and what cannot be seen is escaped.
fn clean(name: &str) -> String {
    escape(name).replace(';', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::profile::Stack;

    #[test]
    fn a_line_has_parent_and_functions_from_the_outermost_and_no_name_adds_frames_or_lines() {
        let frame = |name: &str| SiteFrame { function: Some(name.into()), ..SiteFrame::default() };
        let stack = Stack {
            parent: "a;b\n (7)".into(),
            frames: vec![frame("start\nx 9"), frame("main")],
            values: [3, 0, 0, 5],
            ..Stack::default()
        };
        let profile = Profile { stacks: vec![stack], ..Profile::default() };
        let text = |value| {
            let mut out = Vec::new();
            folded(&mut out, &profile, value).expect("a Vec takes everything");
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(text(0), "a_b\\x0a (7);main;start\\x0ax 9 3\n");
        assert_eq!(text(1), "");
        let mut picture = Vec::new();
        svg(&mut picture, &profile, 3).expect("a flame graph");
        assert!(String::from_utf8_lossy(&picture).contains("<svg"));
        assert!(svg(&mut Vec::new(), &profile, 1).is_err());
    }
}
