//! Which children were forked where, and what became of those of each site.
//!
//! Owns how many children and sites are remembered. Must not know how a site is found, nor which one matters.

use std::{collections::VecDeque, sync::Arc};

use foldhash::HashMap;

use super::{Engine, Parent, State, View};
use crate::model::{Identity, SITES_MAX, Site, Task};

/// Most children whose site is remembered while they live or are unreaped.
const CHILDREN_MAX: usize = 65_536;
/// Most sites of a parent that are told apart.
const SITES_OF_PARENT_MAX: usize = 256;
/// All other sites.
const OTHER: u32 = 0;

/// The sites, and the children that are not reaped yet.
#[derive(Debug, Default)]
pub(super) struct ForkSites {
    sites: HashMap<u32, Arc<Site>>,
    children: HashMap<Identity, u32>,
    /// In the order in which they were born; some are reaped already.
    eldest: VecDeque<Identity>,
    pub(super) missed: u64,
}

/// What became of the children of one parent that were forked at one site, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Past {
    forks: u64,
    abandoned: u64,
    /// How long those that were reaped had been zombies, and those that were abandoned.
    reap_latency_ns: u64,
    abandoned_ns: u64,
}

/// The same of all sites of a parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SitesOfParent(Option<Box<HashMap<u32, Past>>>);

impl SitesOfParent {
    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|sites| sites.is_empty())
    }

    fn at(&mut self, site: u32) -> &mut Past {
        let sites = self.0.get_or_insert_default();
        let is_known = sites.len() < SITES_OF_PARENT_MAX || sites.contains_key(&site);
        sites.entry(if is_known { site } else { OTHER }).or_default()
    }

    fn all(&self) -> impl Iterator<Item = (&u32, &Past)> {
        self.0.iter().flat_map(|sites| sites.iter())
    }
}

/// The children of a parent that were forked at one site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtSite {
    /// `None`: all sites that are not told apart.
    pub site: Option<Arc<Site>>,
    pub forks: u64,
    pub unreaped: u64,
    pub abandoned: u64,
    /// The sum over the children that are zombies, or were.
    pub zombie_time_ns: u64,
    /// The sum over those of them that were reaped.
    pub reap_latency_ns: u64,
}

impl ForkSites {
    fn remember(&mut self, child: Identity, site: u32) {
        if self.eldest.len() >= CHILDREN_MAX
            && let Some(eldest) = self.eldest.pop_front()
        {
            self.children.remove(&eldest);
        }
        self.eldest.push_back(child);
        self.children.insert(child, site);
    }

    /// A walk of the task list has begun at this time: those that it did not find, nor are known otherwise, have gone unseen.
    pub(super) fn keep(&mut self, is_there: impl Fn(&Identity) -> bool, began_ns: u64) {
        self.children.retain(|child, _| child.start_boottime_ns >= began_ns || is_there(child));
        self.eldest.retain(|child| self.children.contains_key(child));
        if self.children.capacity() / 4 > self.children.len() {
            self.children.shrink_to(2 * self.children.len());
            self.eldest.shrink_to(2 * self.children.len());
        }
    }
}

impl Engine {
    /// A child was forked at a site. Of most parents no other word of a birth comes.
    pub(super) fn forked_at(&mut self, child: Identity, creator: Task, site: u32, now: u64) {
        self.fork_sites.remember(child, site);
        if let Some(parent) = self.parent_entry(creator) {
            parent.sites.at(site).forks += 1;
            parent.forks(now);
        }
    }

    /// A site has got its names.
    pub(super) fn named_site(&mut self, number: u32, site: Box<Site>) {
        let sites = &mut self.fork_sites.sites;
        if sites.len() < SITES_MAX || sites.contains_key(&number) {
            sites.insert(number, Arc::from(site));
        }
    }

    /// A child was reaped by this parent, after so long.
    pub(super) fn reaped_of_site(&mut self, child: Identity, parent: Identity, latency_ns: Option<u64>) {
        if let Some(site) = self.fork_sites.children.remove(&child)
            && let Some(parent) = self.parents.get_mut(&parent)
            && let Some(latency_ns) = latency_ns
        {
            let past = parent.sites.at(site);
            past.reap_latency_ns = past.reap_latency_ns.saturating_add(latency_ns);
        }
    }

    /// A zombie has outlived this parent, for which it had waited so long.
    pub(super) fn abandoned_of_site(&mut self, child: Identity, parent: Identity, waited_ns: u64) {
        if let Some(site) = self.fork_sites.children.get(&child)
            && let Some(parent) = self.parents.get_mut(&parent)
        {
            let past = parent.sites.at(*site);
            past.abandoned += 1;
            past.abandoned_ns = past.abandoned_ns.saturating_add(waited_ns);
        }
    }
}

impl View<'_> {
    /// Where the children of this parent were forked, as far as that is known: those sites first that left the most.
    pub fn fork_sites(&self, parent: &Parent) -> Vec<AtSite> {
        let ForkSites { sites, children, .. } = &self.engine.fork_sites;
        let mut found: HashMap<u32, AtSite> = HashMap::default();
        for (number, past) in parent.sites.all() {
            let at = found.entry(*number).or_default();
            at.forks = past.forks;
            at.abandoned = past.abandoned;
            at.reap_latency_ns = past.reap_latency_ns;
            at.zombie_time_ns = past.reap_latency_ns.saturating_add(past.abandoned_ns);
        }
        let is_full = found.len() >= SITES_OF_PARENT_MAX;
        for zombie in &parent.zombies {
            let Some(number) = children.get(zombie) else { continue };
            let Some(State::Zombie { since_ns, .. }) = self.process(*zombie).map(|process| &process.state)
            else {
                continue;
            };
            let is_known = !is_full || found.contains_key(number);
            let at = found.entry(if is_known { *number } else { OTHER }).or_default();
            at.unreaped += 1;
            at.zombie_time_ns =
                at.zombie_time_ns.saturating_add(self.engine.ended_ns.saturating_sub(*since_ns));
        }
        let mut found: Vec<(u32, AtSite)> = found.into_iter().collect();
        found.sort_by_key(|(number, at)| {
            std::cmp::Reverse((at.unreaped + at.abandoned, at.forks, std::cmp::Reverse(*number)))
        });
        let with_site = |(number, at): (u32, AtSite)| AtSite { site: sites.get(&number).cloned(), ..at };
        found.into_iter().map(with_site).collect()
    }

    /// Forks whose site was asked for and did not arrive.
    pub fn fork_sites_missed(&self) -> u64 {
        self.engine.fork_sites.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Bounds,
        model::{
            Begin, Coverage, DEFAULT_GRACE_NS, Frame, Input, LifecycleEvent, Precision, Readiness, ReapHow,
            Snapshot, Stage, TaskEntry, TaskState, TaskTraits,
        },
    };

    fn task(tgid: u32) -> Task {
        Task {
            identity: Identity { tgid, start_boottime_ns: u64::from(tgid) },
            ns_pid: tgid,
            ..Task::default()
        }
    }

    fn lifecycle(time_ns: u64, tgid: u32, stage: Stage) -> Input {
        Input::Lifecycle(LifecycleEvent { time_ns, process: task(tgid), stage })
    }

    #[test]
    fn a_site_tells_of_a_birth() {
        let mut engine = Engine::new(Bounds::new(DEFAULT_GRACE_NS));
        let (child, creator) = (task(20).identity, task(9));
        engine.apply(Input::ForkSite { time_ns: 100, child, creator, site: 1 }, &mut Vec::new());
        assert_eq!(engine.parents[&creator.identity].last_fork_ns, 100);
    }

    #[test]
    fn what_becomes_of_a_child_is_booked_at_the_site_where_it_was_forked() {
        let mut engine = Engine::new(Bounds::new(DEFAULT_GRACE_NS));
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        apply(Input::Begin(Begin { time_ns: 1, ..Begin::default() }));
        for (tgid, site) in [(20, 1), (21, 1), (22, 2), (23, 2), (24, 2)] {
            apply(lifecycle(100, tgid, Stage::Fork { parent: task(9), creator: task(9) }));
            let child = task(tgid).identity;
            apply(Input::ForkSite { time_ns: 100, child, creator: task(9), site });
        }
        for tgid in [20, 22, 23] {
            let zombie = Stage::Zombie { parent: task(9), held_by: None, exit_ns: 190, again: false };
            apply(lifecycle(200, tgid, zombie));
        }
        let frame = |name: &str| Frame { function: name.into(), ..Frame::default() };
        for (number, name) in [(1, "careless"), (2, "careful")] {
            let site = Box::new(Site { frames: vec![frame(name)], ..Site::default() });
            apply(Input::Site { number, site });
        }
        for tgid in [22, 23] {
            let (parent, reaper) = (task(9), task(9));
            let (how, precision) = (ReapHow::Wait, Precision::Exact);
            let reap = Stage::Reap {
                parent,
                reaper,
                how,
                precision,
                exit_ns: 190,
                zombie_ns: 200,
                readiness: Readiness::Unknown,
            };
            apply(lifecycle(230, tgid, reap));
        }
        apply(Input::ForkSitesMissed(3));
        apply(Input::End { time_ns: 1_000 });
        let view = engine.view();
        let parent = view.parent(task(9).identity).expect("it has children");
        let sites = view.fork_sites(parent);
        let name = |at: &AtSite| at.site.as_ref().map(|site| site.frames[0].function.clone());
        assert_eq!(
            sites.iter().map(name).collect::<Vec<_>>(),
            [Some(b"careless".into()), Some(b"careful".into())]
        );
        let AtSite { forks, unreaped, zombie_time_ns, reap_latency_ns, .. } = sites[0];
        assert_eq!((forks, unreaped, zombie_time_ns, reap_latency_ns), (2, 1, 800, 0));
        let AtSite { forks, unreaped, zombie_time_ns, reap_latency_ns, .. } = sites[1];
        assert_eq!((forks, unreaped, zombie_time_ns, reap_latency_ns), (3, 0, 60, 60));
        assert_eq!(view.fork_sites_missed(), 3);
    }

    #[test]
    fn children_that_a_walk_does_not_find_are_forgotten() {
        let mut engine = Engine::new(Bounds::new(DEFAULT_GRACE_NS));
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        let coverage = Coverage::Exceptions { slow_ns: 1_000 };
        apply(Input::Begin(Begin { time_ns: 1, coverage, ..Begin::default() }));
        for tgid in 100..5_100 {
            let child = task(tgid).identity;
            apply(Input::ForkSite { time_ns: u64::from(tgid), child, creator: task(9), site: 1 });
        }
        let seen = |tgid: u32, parent, state| TaskEntry {
            time_ns: 5_000,
            process: task(tgid),
            parent: task(parent),
            state,
            tracer: None,
            since_ns: 0,
            traits: TaskTraits::default(),
        };
        let tasks = vec![seen(9, 1, TaskState::Running), seen(200, 9, TaskState::Zombie)];
        apply(Input::Snapshot(Snapshot { began_ns: 5_000, ended_ns: 5_010, settle_after_ns: 0, tasks }));
        let view = engine.view();
        let parent = view.parent(task(9).identity).expect("it has children");
        let AtSite { forks, unreaped, .. } = view.fork_sites(parent)[0];
        assert_eq!((forks, unreaped), (5_000, 1));
        // The zombie, and those born since.
        let ForkSites { children, eldest, .. } = &engine.fork_sites;
        assert_eq!((children.len(), eldest.len()), (101, 101));
        assert!(children.capacity() < 1_000 && eldest.capacity() < 1_000);
    }

    #[test]
    fn children_and_sites_of_a_parent_are_bounded() {
        let mut engine = Engine::new(Bounds::new(DEFAULT_GRACE_NS));
        for number in 0..CHILDREN_MAX as u32 + 10 {
            let child = Identity { tgid: 10 + number, start_boottime_ns: 1 };
            let site = 1 + number % (2 * SITES_OF_PARENT_MAX as u32);
            engine.apply(Input::ForkSite { time_ns: 1, child, creator: task(9), site }, &mut Vec::new());
        }
        assert_eq!(engine.fork_sites.children.len(), CHILDREN_MAX);
        let parent = &engine.parents[&task(9).identity];
        assert_eq!(parent.sites.all().count(), SITES_OF_PARENT_MAX + 1);
        let forks: u64 = parent.sites.all().map(|(_, past)| past.forks).sum();
        assert_eq!(forks, CHILDREN_MAX as u64 + 10);
    }
}
