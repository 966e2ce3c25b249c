//! What the kernel has summed up by cgroup, without what workloads have already.
//!
//! A parent that lived long enough was counted for its workload one by one. When it ends, the kernel adds all that it had to the
//! sum of its cgroup: only the rest of it is news. Must not know workloads by name.

use foldhash::{HashMap, HashSet};

use super::{buckets::buckets, tallied::Tallied, workloads::counts};
use crate::model::FinishedInCgroup;

/// By the id of the cgroup.
#[derive(Debug, Default)]
pub struct Cgroups(HashMap<u64, Known>);

#[derive(Debug, Default)]
struct Known {
    /// What parents that are in the sum, or will be, had in workloads before they ended.
    one_by_one: Tallied,
    /// What else of the sum is in a workload.
    summed: Tallied,
}

impl Cgroups {
    /// The kernel has forgotten a parent of which a workload has this.
    pub fn forgotten(&mut self, cgroup_id: u64, tallied: &Tallied) {
        if cgroup_id != 0 {
            self.0.entry(cgroup_id).or_default().one_by_one.add(tallied);
        }
    }

    /// What is in a sum and in no workload.
    pub fn news(&self, sum: &FinishedInCgroup) -> Tallied {
        let all = Tallied {
            counts: counts(sum.finished.counts, 0),
            reap_latency: buckets(&sum.reap_latency),
            teardown: buckets(&sum.teardown),
        };
        match self.0.get(&sum.cgroup_id) {
            Some(known) => all.more_than(&known.one_by_one).more_than(&known.summed),
            None => all,
        }
    }

    /// That is in a workload now.
    pub fn told(&mut self, sum: &FinishedInCgroup, news: &Tallied) {
        if sum.is_last {
            self.0.remove(&sum.cgroup_id);
        } else {
            self.0.entry(sum.cgroup_id).or_default().summed.add(news);
        }
    }

    /// Forgets cgroups that have neither a sum now nor had one at the reading before.
    pub fn keep(&mut self, before: &[FinishedInCgroup], now: &[FinishedInCgroup]) {
        let there: HashSet<u64> = before.iter().chain(now).map(|sum| sum.cgroup_id).collect();
        self.0.retain(|id, _| there.contains(id));
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
