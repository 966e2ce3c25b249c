//! Which parents are named in metrics: those that live and are not healthy, the worst first.
//!
//! Must not judge.

use foldhash::{HashMap, HashMapExt};

use super::workloads::{Workloads, identity};
use crate::{
    model::Group,
    report::{CauseKind, Parent, Verdict, metrics::FlaggedParent},
};

/// One workload, or those that one user can make up, get no more than this part of the room: hundreds of theirs do not hide those of
/// the others.
const SHARE_OF_GROUP: usize = 8;

/// Those named, and how many more there are of these. `parents`: those that live, the worst first.
pub fn flagged(parents: &[Parent], workloads: &Workloads, most: usize) -> (Vec<FlaggedParent>, u64) {
    let mut of_group: HashMap<Option<Group>, usize> = HashMap::new();
    let (mut named, mut more) = (Vec::new(), 0);
    for parent in parents.iter().filter(|parent| parent.verdict >= Verdict::Held) {
        let group = workloads.of(identity(parent)).map(Group::of);
        let of_group = of_group.entry(group).or_default();
        if named.len() >= most || *of_group >= (most / SHARE_OF_GROUP).max(1) {
            more += 1;
            continue;
        }
        *of_group += 1;
        named.push(FlaggedParent {
            workload: workloads.published(identity(parent)),
            pid: parent.pid,
            comm: parent.comm.clone(),
            verdict: parent.verdict,
            cause: parent
                .causes
                .first()
                .map(|cause| cause.kind)
                .or_else(|| (parent.verdict >= Verdict::Leaking).then_some(CauseKind::Unknown)),
        });
    }
    (named, more)
}
