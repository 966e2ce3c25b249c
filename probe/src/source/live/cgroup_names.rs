//! Which workloads the cgroups are in which processes die.
//!
//! Owns how often the cgroups are walked for that. Must not know how a cgroup is found, nor who asks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Host, cgroups::REST_PER_WALK};
use crate::model::Input;

/// Between two walks passes at least this, however many cgroups come and go.
const REST: Duration = Duration::from_millis(50);

/// When the cgroups may be walked again.
#[derive(Default)]
pub(super) struct CgroupNames {
    next_walk: Option<Instant>,
}

impl CgroupNames {
    /// Looks up these cgroups. One that a whole walk does not find has gone: it has no name. One that a cut walk does not come
    /// to, and all while the walks rest, stay unanswered.
    pub(super) fn look_up(&mut self, host: &mut impl Host, ids: &[u64], now: Instant) -> Vec<Input> {
        if ids.is_empty() || self.next_walk.is_some_and(|next| now < next) {
            return Vec::new();
        }
        let began = Instant::now();
        let found = host.all_cgroups();
        self.next_walk = Some(now + (REST_PER_WALK * began.elapsed()).max(REST));
        let answers = ids.iter().filter_map(|id| match found.workloads.get(id) {
            Some(workload) => Some(Input::Cgroup { id: *id, workload: workload.clone().map(Arc::new) }),
            None => found.is_whole.then_some(Input::Cgroup { id: *id, workload: None }),
        });
        answers.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Workload,
        source::{host::cgroup_tree::Cgroups, live::fake::FakeHost},
    };

    fn tree(is_whole: bool) -> Cgroups {
        let workloads = [(10, Some(Workload::Unit("10.service".into())))];
        Cgroups { workloads: workloads.into_iter().collect(), is_whole, ..Cgroups::default() }
    }

    fn is(id: u64, name: Option<&str>) -> Input {
        Input::Cgroup { id, workload: name.map(|name| Arc::new(Workload::Unit(name.into()))) }
    }

    #[test]
    fn a_cgroup_is_named_at_once_and_one_that_has_gone_has_no_name() {
        let (mut names, mut host, now) = (CgroupNames::default(), FakeHost::at(1), Instant::now());
        host.tree = tree(true);
        assert_eq!(names.look_up(&mut host, &[], now), []);
        assert_eq!(host.tree_walks, 0, "nobody asks");
        assert_eq!(names.look_up(&mut host, &[10, 11], now), [is(10, Some("10.service")), is(11, None)]);
    }

    #[test]
    fn walks_rest_and_what_a_cut_one_does_not_come_to_is_asked_again() {
        let (mut names, mut host, now) = (CgroupNames::default(), FakeHost::at(1), Instant::now());
        host.tree = tree(false);
        assert_eq!(names.look_up(&mut host, &[11], now), []);
        host.tree = tree(true);
        assert_eq!(names.look_up(&mut host, &[11], now), [], "it rests");
        assert_eq!(host.tree_walks, 1);
        assert_eq!(names.look_up(&mut host, &[11], now + Duration::from_secs(60)), [is(11, None)]);
    }
}
