//! What the page adds to a report: how it went over time, how long children waited, who started whom, and where they were forked.
//!
//! Owns its bounds, so that a page stays one that can be sent. Must not know how it is drawn.

use super::{Ledger, Report, Verdict, profile::Profile};

/// Most steps of the timeline.
pub const STEPS_MAX: usize = 240;
/// Most lanes of parents in the timeline, and most waits of children in one.
pub const LANES_MAX: usize = 16;
/// See [`LANES_MAX`].
pub const WAITS_MAX: usize = 100;
/// Most processes of the tree that are shown.
pub const NODES_MAX: usize = 400;

/// A page about one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The report itself.
    pub report: Report,
    /// What was run or replayed, and the recording that holds the events, if there is one.
    pub subject: String,
    /// See `subject`.
    pub recording: Option<String>,
    /// What happened when.
    pub timeline: Timeline,
    /// From zombie to reap, of all parents together.
    pub reap_latency: Vec<Bar>,
    /// From exit to zombie, of all parents together.
    pub teardown: Vec<Bar>,
    /// Who started whom, parents before their children.
    pub tree: Vec<Node>,
    /// Processes that are not in the tree, because they left nothing to tell or there were too many.
    pub not_in_tree: u64,
    /// The stacks at forks.
    pub profile: Profile,
}

/// What happened in the window, in steps of equal length, and how long the children of the worst parents waited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// How long a step is, in ns.
    pub step_ns: u64,
    /// The steps, from the beginning of the window on; empty where not every event was asked for.
    pub steps: Vec<Step>,
    /// The parents that have something to tell, the worst first.
    pub lanes: Vec<Lane>,
}

/// What happened in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Processes born.
    pub forked: u64,
    /// Processes that became zombies.
    pub died: u64,
    /// Zombies taken away.
    pub reaped: u64,
    /// Zombies that there were when it ended, of those that died in the window.
    pub zombies: u64,
}

/// One parent in the timeline. Times are ns from the beginning of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its name and pid.
    pub name: String,
    /// The verdict on it.
    pub verdict: Verdict,
    /// When it was born; 0 where that was before.
    pub from_ns: u64,
    /// When it died, or the window ended.
    pub to_ns: u64,
    /// When children were zombies of it: from and to.
    pub waits: Vec<(u64, u64)>,
    /// Waits that are not shown.
    pub more: u64,
}

/// How many durations were from this long up to twice as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The shortest, in ns.
    pub from_ns: u64,
    /// How many.
    pub count: u64,
}

/// One process of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// How deep in the tree it is; 0 for those whose parent is not in it.
    pub depth: usize,
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its short name.
    pub comm: String,
    /// Its arguments; empty where they are not known.
    pub command_line: Vec<String>,
    /// What became of it.
    pub fate: Fate,
    /// The verdict on it, where it had children, and what became of them.
    pub judged: Option<(Verdict, Ledger)>,
    /// Its children that are not shown, because they left nothing to tell or were too many.
    pub more: u64,
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ran when the window ended.
    Running,
    /// It was a zombie then.
    Zombie,
    /// It died, and its parent died without having reaped it.
    Abandoned,
    /// It died and was reaped.
    Reaped,
    /// It died; more is not known.
    Dead,
}

impl Fate {
    /// In text.
    pub fn words(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Zombie => "zombie",
            Self::Abandoned => "abandoned",
            Self::Reaped => "reaped",
            Self::Dead => "dead",
        }
    }

    /// Whether nobody need look at it.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Reaped | Self::Dead)
    }
}
