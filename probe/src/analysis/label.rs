//! What children were left, by the label that they were started under.
//!
//! Owns whose label counts: a child's own, else its parent's. Must not know where labels are read.

use std::collections::BTreeMap;

use super::text;
use crate::{
    engine::{Parent as Known, State, View},
    report::Labelled,
};

/// Most labels that are listed: those that left the most.
const LABELS_MAX: usize = 1_024;

/// The labels of parents and of what was left, the worst first; what has none is left out.
pub fn labelled(view: &View<'_>) -> Vec<Labelled> {
    let mut groups = Groups::default();
    for known in view.parents_asked_for() {
        let own = label(known);
        groups.of(own).parents += 1;
        for zombie in &known.zombies {
            let of_child = view.process(*zombie).map_or(&[][..], |process| process.label());
            groups.of(if of_child.is_empty() { own } else { of_child }).unreaped += 1;
        }
        for of_child in known.abandoned().labels.values() {
            groups.of(of_child).abandoned += 1;
        }
        let without = known.ledger.abandoned.saturating_sub(known.abandoned().labels.len() as u64);
        groups.of(own).abandoned += without;
    }
    if view.root().is_some() {
        for process in view.processes().filter(|one| one.in_tree && one.state == State::Running) {
            groups.of(process.label()).left_running += 1;
        }
    }
    groups.listed()
}

fn label(known: &Known) -> &[u8] {
    known.info.as_deref().map_or(&[], |info| &info.label)
}

#[derive(Default)]
struct Groups(BTreeMap<Vec<u8>, Labelled>);

impl Groups {
    fn of(&mut self, label: &[u8]) -> &mut Labelled {
        let new = || Labelled { label: text(label).into_owned(), ..Labelled::default() };
        self.0.entry(label.to_vec()).or_insert_with(new)
    }

    fn listed(self) -> Vec<Labelled> {
        let mut all: Vec<Labelled> = self.0.into_values().filter(|group| !group.label.is_empty()).collect();
        all.sort_by_key(|group| {
            let left = group.unreaped.saturating_add(group.abandoned).saturating_add(group.left_running);
            (std::cmp::Reverse(left), group.label.clone())
        });
        all.truncate(LABELS_MAX);
        all
    }
}
