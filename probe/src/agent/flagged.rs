//! Which parents are named in metrics: those that live and are not healthy, the worst first.
//!
//! Must not judge.

use foldhash::{HashMap, HashMapExt};

use super::workloads::{Workloads, identity};
use crate::report::{CauseKind, Parent, Verdict, Workload, metrics::FlaggedParent};

/// Most of one workload: one that has hundreds does not hide those of the others.
const OF_ONE_WORKLOAD_MAX: usize = 8;

/// Those named, and how many more there are. `parents`: of a report, the worst first.
pub fn flagged(parents: &[Parent], workloads: &Workloads, most: usize) -> (Vec<FlaggedParent>, u64) {
    let mut of_workload: HashMap<Workload, usize> = HashMap::new();
    let (mut named, mut more) = (Vec::new(), 0);
    for parent in parents.iter().filter(|parent| parent.alive && parent.verdict >= Verdict::Held) {
        let workload = workloads.published(identity(parent));
        let of_workload = of_workload.entry(workload.clone()).or_default();
        if named.len() >= most || *of_workload >= OF_ONE_WORKLOAD_MAX {
            more += 1;
            continue;
        }
        *of_workload += 1;
        named.push(FlaggedParent {
            workload,
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
