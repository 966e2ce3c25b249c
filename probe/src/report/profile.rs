//! A profile of forks: the stacks, and what became of the children of each.
//!
//! Owns its values and labels. Must not know any file format.

use super::SiteFrame;

/// The values of a stack: name and unit, in the order of [`Stack::values`].
pub const VALUES: [(&str, &str); 4] = [
    ("unreaped", "count"),
    ("zombie_time", "nanoseconds"),
    ("reap_latency", "nanoseconds"),
    ("forks", "count"),
];

/// All stacks of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// When the window began, in ns since 1970.
    pub time_ns: i64,
    /// How long it was, in ns.
    pub duration_ns: u64,
    /// Forks whose stack was asked for and did not arrive.
    pub missed: u64,
    /// The stacks.
    pub stacks: Vec<Stack>,
}

impl Profile {
    /// The value that is shown where nobody names one, by its place in [`VALUES`]: children that were left, or forks where
    /// none was.
    pub fn usual(&self) -> usize {
        if self.stacks.iter().any(|stack| stack.values[0] > 0) { 0 } else { VALUES.len() - 1 }
    }
}

/// A stack of one parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// The parent's name and pid.
    pub parent: String,
    /// Its pid.
    pub pid: u32,
    /// The unit that holds it; empty if there is none.
    pub unit: String,
    /// The container that holds it; empty if there is none.
    pub container: String,
    /// The functions, the innermost first.
    pub frames: Vec<SiteFrame>,
    /// [`VALUES`].
    pub values: [u64; VALUES.len()],
}
