//! Which parents are judged: those that live and have zombies or reaped late, so many of each workload.
//!
//! Owns the choice. However many of them a user has, those of the others are judged too. Must not judge.

use std::cmp::Reverse;

use foldhash::{HashMap, HashMapExt, HashSet};

use super::workloads::Workloads;
use crate::{
    engine::View,
    model::{Group, Identity},
};

/// Most parents of one workload, or of those that one user can make up.
const OF_ONE_GROUP_MAX: usize = 64;

/// Those with most zombies of each group, and all of which `is_open` says that there is an alert.
pub fn chosen(
    view: &View<'_>,
    workloads: &Workloads,
    grace_ns: u64,
    is_open: impl Fn(Identity) -> bool,
) -> HashSet<Identity> {
    let mut of_group: HashMap<Option<Group>, Vec<_>> = HashMap::new();
    let mut chosen = HashSet::default();
    for parent in view.parents().filter(|parent| parent.died_ns.is_none()) {
        let identity = parent.task.identity;
        if is_open(identity) {
            chosen.insert(identity);
        } else if !parent.zombies.is_empty() || parent.reap_latency.max_ns() > grace_ns {
            let group = workloads.of(identity).map(Group::of);
            of_group.entry(group).or_default().push((Reverse(parent.zombies.len()), identity));
        }
    }
    for mut parents in of_group.into_values() {
        if parents.len() > OF_ONE_GROUP_MAX {
            parents.select_nth_unstable(OF_ONE_GROUP_MAX);
            parents.truncate(OF_ONE_GROUP_MAX);
        }
        chosen.extend(parents.into_iter().map(|(_, identity)| identity));
    }
    chosen
}
