//! What finished parents had, by cgroup: which workload each cgroup is, and when its sum is done with.
//!
//! Owns how often the cgroups are walked. Must not know how a cgroup is found.

use std::time::{Duration, Instant};

use foldhash::{HashMap, HashSet};

use super::Host;
use crate::model::{CgroupWorkload, FinishedInCgroup, FinishedParents};

/// Between two walks passes so many times what a walk takes, and at least the time between two readings.
pub(super) const REST_PER_WALK: u32 = 20;
/// The cgroups are walked at least so often, to see which have gone.
const WALK_EVERY: Duration = Duration::from_secs(60);
/// A cgroup that so many walks did not come to is not looked for any more.
const WALKS_MAX: u32 = 3;

/// What is known of cgroups with a sum.
#[derive(Default)]
pub(super) struct Cgroups {
    known: HashMap<u64, Known>,
    walked_at: Option<Instant>,
    next_walk: Option<Instant>,
}

#[derive(Default)]
struct Known {
    workload: CgroupWorkload,
    /// How many walks have not found it.
    walks: u32,
    /// What it had at the last walk that was whole and had it no more.
    gone_with: Option<FinishedParents>,
}

impl Cgroups {
    /// Reads all sums. Those of cgroups that have gone, and had nothing more since that was first seen, are taken out.
    pub(super) fn read(&mut self, host: &mut impl Host, now: Instant) -> Option<Vec<FinishedInCgroup>> {
        let mut sums = host.finished_in_cgroups()?;
        let mut before = std::mem::take(&mut self.known);
        let mut known = |id| (id, before.remove(&id).unwrap_or_default());
        self.known = sums.iter().map(|sum| known(sum.cgroup_id)).collect();
        let mut gone = HashSet::default();
        if self.is_due(now) {
            gone = self.walk(host, &sums, now);
        }
        for sum in &mut sums {
            sum.workload = self.known[&sum.cgroup_id].workload.clone();
            sum.is_last = gone.contains(&sum.cgroup_id);
        }
        gone.into_iter().for_each(|id| host.forget_cgroup(id));
        Some(sums)
    }

    fn is_due(&self, now: Instant) -> bool {
        let is_pending = self.known.values().any(|known| known.workload == CgroupWorkload::Pending);
        let is_long_ago = self.walked_at.is_none_or(|at| now >= at + WALK_EVERY);
        is_long_ago || is_pending && self.next_walk.is_none_or(|next| now >= next)
    }

    /// Looks all up. Returns those that have gone.
    fn walk(&mut self, host: &mut impl Host, sums: &[FinishedInCgroup], now: Instant) -> HashSet<u64> {
        let began = Instant::now();
        let found = host.cgroups();
        self.walked_at = Some(now);
        self.next_walk = Some(now + REST_PER_WALK * began.elapsed());
        let mut gone = HashSet::default();
        for sum in sums {
            let known = self.known.entry(sum.cgroup_id).or_default();
            if let Some(workload) = found.workloads.get(&sum.cgroup_id) {
                known.workload = workload.clone().map_or(CgroupWorkload::None, CgroupWorkload::Is);
                known.gone_with = None;
                continue;
            }
            known.walks += 1;
            if known.workload == CgroupWorkload::Pending && (found.is_whole || known.walks >= WALKS_MAX) {
                known.workload = CgroupWorkload::None;
            }
            if found.is_whole && known.gone_with.replace(sum.finished) == Some(sum.finished) {
                gone.insert(sum.cgroup_id);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Workload,
        source::{host::cgroup_tree, live::fake::FakeHost},
    };

    fn sum(cgroup_id: u64, parents: u64) -> FinishedInCgroup {
        let finished = FinishedParents { parents, ..FinishedParents::default() };
        FinishedInCgroup { cgroup_id, finished, ..FinishedInCgroup::default() }
    }

    fn tree(ids: &[u64], is_whole: bool) -> cgroup_tree::Cgroups {
        let workloads = ids.iter().map(|id| (*id, Some(Workload::Unit(format!("{id}.service")))));
        cgroup_tree::Cgroups { workloads: workloads.collect(), is_whole, ..Default::default() }
    }

    fn is(id: u64) -> CgroupWorkload {
        CgroupWorkload::Is(Workload::Unit(format!("{id}.service")))
    }

    /// What is read at this second: the workload of each cgroup, and whether it is the last time.
    fn read(
        cgroups: &mut Cgroups,
        host: &mut FakeHost,
        began: Instant,
        s: u64,
    ) -> Vec<(CgroupWorkload, bool)> {
        let sums = cgroups.read(host, began + Duration::from_secs(s)).expect("sums");
        sums.into_iter().map(|sum| (sum.workload, sum.is_last)).collect()
    }

    #[test]
    fn a_new_cgroup_is_looked_up_at_once_and_one_that_has_gone_is_nobodys() {
        let (mut cgroups, mut host, began) = (Cgroups::default(), FakeHost::at(1), Instant::now());
        host.tree = tree(&[10], true);
        host.sums = Some(vec![sum(10, 1)]);
        assert_eq!(read(&mut cgroups, &mut host, began, 0), [(is(10), false)]);
        host.sums = Some(vec![sum(10, 2), sum(11, 1)]);
        assert_eq!(read(&mut cgroups, &mut host, began, 1), [(is(10), false), (CgroupWorkload::None, false)]);
        assert_eq!(host.tree_walks, 2);
        read(&mut cgroups, &mut host, began, 2);
        assert_eq!(host.tree_walks, 2, "all are known");
    }

    #[test]
    fn a_cgroup_that_cut_walks_do_not_come_to_is_waited_for_and_then_no_more() {
        let (mut cgroups, mut host, began) = (Cgroups::default(), FakeHost::at(1), Instant::now());
        host.tree = tree(&[], false);
        host.sums = Some(vec![sum(10, 1)]);
        for s in 0..2 {
            assert_eq!(read(&mut cgroups, &mut host, began, s), [(CgroupWorkload::Pending, false)]);
        }
        assert_eq!(read(&mut cgroups, &mut host, began, 2), [(CgroupWorkload::None, false)]);
    }

    #[test]
    fn the_sum_of_a_cgroup_that_has_gone_is_taken_out_once_nothing_more_comes() {
        let (mut cgroups, mut host, began) = (Cgroups::default(), FakeHost::at(1), Instant::now());
        host.tree = tree(&[10], true);
        host.sums = Some(vec![sum(10, 1)]);
        read(&mut cgroups, &mut host, began, 0);
        host.tree = tree(&[], true);
        assert_eq!(read(&mut cgroups, &mut host, began, 60), [(is(10), false)]);
        host.sums = Some(vec![sum(10, 2)]);
        assert_eq!(read(&mut cgroups, &mut host, began, 120), [(is(10), false)], "a zombie was reaped");
        assert_eq!(read(&mut cgroups, &mut host, began, 180), [(is(10), true)]);
        assert_eq!(host.forgotten, [10]);
        host.sums = Some(vec![]);
        assert_eq!(read(&mut cgroups, &mut host, began, 181), []);
        assert!(cgroups.known.is_empty());
    }
}
