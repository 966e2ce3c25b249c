//! What is known of the zombies that outlived one parent.
//!
//! Most parents abandon none, so it takes no memory of theirs until they do. Must not count them: the ledger does.

use std::collections::BTreeMap;

use super::{histogram::Histogram, kill::KilledChildren, parent::Left, provenance::Provenances};
use crate::model::{Identity, Kill, Task};

/// Most abandoned children whose label is kept for one parent.
pub const LABELLED_MAX: usize = 4_096;

/// What is known of the zombies that outlived one parent.
#[derive(Clone, Debug, Default)]
pub struct Abandoned {
    /// How long each had waited, for those no tracer held, and for those one held.
    pub after: Histogram,
    pub held_after: Histogram,
    /// Dead before the window began.
    pub older: u64,
    /// Where the parent had those from that no tracer held.
    pub from: Provenances,
    /// Of how many of those the parent was notified by another signal than SIGCHLD, or by none.
    pub clone_children: u64,
    /// How many of those died while it ignored SIGCHLD, and stayed.
    pub though_ignored: u64,
    /// When the youngest of those was born, 0: there is none.
    pub youngest_ns: u64,
    /// Their labels, as far as they are known; at most [`LABELLED_MAX`].
    pub labels: BTreeMap<Identity, Box<[u8]>>,
    /// Who killed them, as far as that was seen.
    pub(super) killed: KilledChildren,
    /// The last tracer that held one of them.
    pub held_by: Option<Box<Task>>,
}

impl Abandoned {
    /// Of a parent that has abandoned none.
    pub(super) const NONE: &Self = &Self {
        after: Histogram::Empty,
        held_after: Histogram::Empty,
        older: 0,
        from: Provenances { own: 0, inherited: 0, adopted: 0, foreign: 0, unknown: 0 },
        clone_children: 0,
        though_ignored: 0,
        youngest_ns: 0,
        labels: BTreeMap::new(),
        killed: KilledChildren::NONE,
        held_by: None,
    };

    /// One more, of this parent.
    pub(super) fn add(&mut self, left: Left, parent: Identity, kill: Option<&Kill>) {
        if let Some(kill) = kill {
            self.killed.add(left.child, parent, kill);
        }
        if !left.label.is_empty() && self.labels.len() < LABELLED_MAX {
            self.labels.insert(left.child, left.label);
        }
        self.older += u64::from(left.older);
        if left.held_by.is_some() {
            self.held_by = left.held_by;
            self.held_after.record(left.waited_ns);
        } else {
            self.from.count(left.provenance);
            self.clone_children += u64::from(left.is_clone_child);
            self.though_ignored += u64::from(left.is_though_ignored);
            self.youngest_ns = self.youngest_ns.max(left.child.start_boottime_ns);
            self.after.record(left.waited_ns);
        }
    }

    /// One that was taken for abandoned had been reaped.
    pub(super) fn remove(
        &mut self,
        child: Identity,
        parent: Identity,
        waited_ns: u64,
        held: bool,
        kill: Option<&Kill>,
    ) {
        if let Some(kill) = kill {
            self.killed.remove(child, parent, kill);
        }
        self.labels.remove(&child);
        if held {
            self.held_after.remove(waited_ns);
        } else {
            self.after.remove(waited_ns);
        }
    }
}
