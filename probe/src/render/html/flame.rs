//! The flame graph of a page: elements within elements, each as wide as its share, so that it fits every screen and is searched
//! and printed as text.
//!
//! Must not know how a stack was found.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{super::folded::named, text};
use crate::report::{
    profile::{Profile, VALUES},
    words::{count, duration},
};

/// What is narrower than this share of the whole is left out: it could not be read.
const SHARE_MIN: f64 = 0.004;
/// The deepest stack that is drawn.
const DEPTH_MAX: usize = 40;

/// A function and what it called, by name.
#[derive(Default)]
struct Frame {
    value: u64,
    callees: BTreeMap<String, Frame>,
}

/// Writes the graph, of the children that were left, or of all forks where none was.
pub fn flame(out: &mut impl Write, profile: &Profile) -> io::Result<()> {
    writeln!(out, "<h2>Where children were forked</h2>")?;
    let value = profile.usual();
    let mut root = Frame::default();
    for stack in profile.stacks.iter().filter(|stack| stack.values[value] > 0) {
        let names = std::iter::once(stack.parent.clone()).chain(stack.frames.iter().rev().map(named));
        let mut at = &mut root;
        at.value = at.value.saturating_add(stack.values[value]);
        for name in names.take(DEPTH_MAX) {
            at = at.callees.entry(name).or_default();
            at.value = at.value.saturating_add(stack.values[value]);
        }
    }
    let (name, unit) = VALUES[value];
    if root.callees.is_empty() {
        return writeln!(
            out,
            "<p class=\"dim\">No fork site is known. Sites are looked for of parents that leave children, and of all with \
             <code>run --stacks</code>.</p>"
        );
    }
    let number = |value: u64| if unit == "count" { count(value) } else { duration(value) };
    writeln!(
        out,
        "<p class=\"dim\">{}: {}, the outermost function first; as wide as its share.</p><div class=\"flame\">",
        if name == "unreaped" { "Children that were left" } else { "Forks" },
        number(root.value)
    )?;
    callees(out, &root, root.value, &number)?;
    writeln!(out, "</div>")
}

fn callees(
    out: &mut impl Write,
    frame: &Frame,
    whole: u64,
    number: &impl Fn(u64) -> String,
) -> io::Result<()> {
    let is_wide = |callee: &&Frame| callee.value as f64 >= SHARE_MIN * whole as f64;
    if !frame.callees.values().any(|callee| is_wide(&callee)) {
        return Ok(());
    }
    write!(out, "<div class=\"r\">")?;
    for (name, callee) in frame.callees.iter().filter(|(_, callee)| is_wide(callee)) {
        let share = 100.0 * callee.value as f64 / frame.value.max(1) as f64;
        let label = text(name);
        write!(
            out,
            "<div class=\"f\" style=\"width:{share:.2}%\"><span title=\"{label}: {}\">{label}</span>",
            number(callee.value)
        )?;
        callees(out, callee, whole, number)?;
        write!(out, "</div>")?;
    }
    writeln!(out, "</div>")
}
