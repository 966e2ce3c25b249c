//! What each workload has had: counts that stay when the parents have gone, and never go down.
//!
//! Of each parent that is kept one by one it is remembered how much of its counts is in a workload already; only what is more
//! goes in. What parents had that were gone too soon comes by cgroup. What is counted and not in any workload belongs to parents
//! of which not even that is known: it is the difference to the sum of everything, so that all workloads together always have
//! the sum of everything.
//!
//! Must not judge.

use std::sync::Arc;

use foldhash::HashMap;

use super::{Finished, Limits, buckets::buckets, cgroups::Cgroups, tallied::Tallied};
use crate::{
    analysis::{self, time::rfc3339},
    engine::{Engine, State, Tally, View},
    model::{CgroupWorkload, ChildCounts, Group, Identity, Session, Workload},
    report::{
        self, Parent, Rfc3339,
        metrics::{WorkloadCounts, WorkloadMetrics},
    },
};

/// Workloads that can be made up at will get no more than this part of the room.
const SHARE_OF_GROUP: usize = 8;

/// Room for so many parents is not worth giving back.
const ROOM_KEPT: usize = 1_024;

/// All workloads since the agent began.
#[derive(Debug, Default)]
pub struct Workloads {
    named: HashMap<Workload, Named>,
    /// The sum over workloads for which there is no room, and over those that made room.
    beyond_limit: Tallied,
    has_beyond_limit: bool,
    short_lived: WorkloadCounts,
    /// What workloads have of parents that are forgotten and that had less in the end.
    taken_back: WorkloadCounts,
    /// When the counters were last read.
    read_ns: Option<u64>,
    /// The reading before the one at which a workload last made room. Who is counted apart from then on begins at 0, and has what
    /// has come since this reading.
    began_anew_ns: Option<u64>,
    parents: HashMap<Identity, Folded>,
    cgroups: Cgroups,
}

/// One with a name.
#[derive(Debug, Default)]
struct Named {
    tallied: Tallied,
    /// When it began to be counted; `None`: with the agent.
    since_ns: Option<u64>,
    /// When it last had a living parent, or anything more.
    active_ns: u64,
}

/// What is remembered of a parent.
#[derive(Debug, Default)]
struct Folded {
    workload: Option<Arc<Workload>>,
    /// How much of it is in its workload; `None`: nothing yet.
    tallied: Option<Box<Tallied>>,
    /// Everything that it has had.
    counts: WorkloadCounts,
    cgroup_id: u64,
    is_final: bool,
    is_there: bool,
}

impl Folded {
    /// What its workload has of it, and it no longer has: zombies from before the agent, whose deaths nobody counted and that
    /// are gone. No count of a workload goes down, so it stays there.
    fn taken_back(&self) -> WorkloadCounts {
        self.tallied.as_deref().map_or_else(WorkloadCounts::default, |had| had.counts.more_than(&self.counts))
    }
}

impl Workloads {
    /// Takes over what was counted. `finished`: what the kernel had summed up over finished parents before these counters were
    /// read.
    pub fn fold(&mut self, engine: &Engine, finished: &Finished, limits: Limits) {
        let now_ns = engine.ended_ns();
        self.keep_to(limits, now_ns);
        let (given_up, abandoned) = engine.given_up();
        let mut everything = counts(finished.in_all.counts, 0);
        everything += counts(given_up, abandoned);
        // What is in a workload, or may still come into one.
        let mut told = WorkloadCounts::default();
        for tally in engine.tallies() {
            let folded = self.parents.remove(&tally.identity).unwrap_or_default();
            let folded = self.fold_parent(folded, &tally, limits, now_ns);
            everything += folded.counts;
            everything += folded.taken_back();
            if folded.workload.is_none() && tally.is_alive() {
                told += folded.counts;
            }
            self.parents.insert(tally.identity, folded);
        }
        self.forget_parents();
        everything += self.taken_back;
        told += self.fold_cgroups(finished, limits, now_ns);
        self.cgroups.keep(&finished.in_cgroups, engine.finished_in_cgroups());
        for tallied in self.named.values().map(|named| &named.tallied).chain([&self.beyond_limit]) {
            told += tallied.counts;
        }
        let more = everything.more_than(&told).more_than(&self.short_lived);
        self.short_lived += more;
        self.read_ns = Some(now_ns);
    }

    /// Those that were not there this time are forgotten; the kernel has summed up those that were not final.
    fn forget_parents(&mut self) {
        let (cgroups, taken_back) = (&mut self.cgroups, &mut self.taken_back);
        self.parents.retain(|_, folded| {
            let is_there = std::mem::take(&mut folded.is_there);
            if !is_there {
                *taken_back += folded.taken_back();
            }
            if let Some(tallied) = folded.tallied.as_deref()
                && !is_there
                && !folded.is_final
            {
                cgroups.forgotten(folded.cgroup_id, tallied);
            }
            is_there
        });
        if self.parents.capacity() > ROOM_KEPT && self.parents.len() < self.parents.capacity() / 8 {
            self.parents.shrink_to(2 * self.parents.len());
        }
    }

    /// Takes over what was summed up by cgroup. Returns what may still come into a workload.
    fn fold_cgroups(&mut self, finished: &Finished, limits: Limits, now_ns: u64) -> WorkloadCounts {
        let mut pending = WorkloadCounts::default();
        for sum in finished.in_cgroups.iter() {
            let news = self.cgroups.news(sum);
            match &sum.workload {
                CgroupWorkload::Pending => pending += news.counts,
                CgroupWorkload::None => {}
                CgroupWorkload::Is(workload) => {
                    if news != Tallied::default() {
                        self.add(workload, &news, limits, now_ns);
                    }
                    self.cgroups.told(sum, &news);
                }
            }
        }
        pending
    }

    /// A workload has had so much more.
    fn add(&mut self, workload: &Workload, more: &Tallied, limits: Limits, now_ns: u64) {
        match self.named(workload, limits, now_ns) {
            Some(named) => {
                named.tallied.add(more);
                named.active_ns = now_ns;
            }
            None => {
                self.beyond_limit.add(more);
                self.has_beyond_limit = true;
            }
        }
    }

    fn fold_parent(&mut self, mut folded: Folded, tally: &Tally<'_>, limits: Limits, now_ns: u64) -> Folded {
        folded.is_there = true;
        if folded.is_final {
            return folded;
        }
        folded.is_final = tally.is_final();
        folded.cgroup_id = tally.cgroup_id();
        folded.counts = counts(tally.counts(), tally.abandoned());
        if let Some(known) = tally.workload()
            && folded.workload.as_ref() != Some(known)
        {
            folded.workload = Some(Arc::clone(known));
        }
        let Some(workload) = &folded.workload else { return folded };
        let (reap_latency, teardown) = tally.latencies().unwrap_or_default();
        let now = Tallied {
            counts: folded.counts,
            reap_latency: buckets(&reap_latency),
            teardown: buckets(&teardown),
        };
        let before = folded.tallied.get_or_insert_default();
        let more = now.more_than(before);
        before.add(&more);
        // A dead one alone makes no workload active.
        if tally.is_alive() || more.counts != WorkloadCounts::default() {
            self.add(workload, &more, limits, now_ns);
        }
        folded
    }

    /// Where the counts of a workload go, if there is room for it.
    fn named(&mut self, workload: &Workload, limits: Limits, now_ns: u64) -> Option<&mut Named> {
        if !self.named.contains_key(workload) {
            let group = Group::of(workload);
            let of_group = || self.named.keys().filter(|other| Group::of(other) == group).count();
            if !group.is_one() && of_group() >= (limits.workloads / SHARE_OF_GROUP).max(1) {
                return None;
            }
            if self.named.len() >= limits.workloads && !self.make_room(limits, now_ns) {
                return None;
            }
            let since_ns = self.began_anew_ns;
            let named = Named { since_ns, active_ns: now_ns, ..Named::default() };
            self.named.insert(workload.clone(), named);
        }
        self.named.get_mut(workload)
    }

    /// The workload that has been idle for longest makes room, if it was for long enough.
    fn make_room(&mut self, limits: Limits, now_ns: u64) -> bool {
        let idlest = self.named.iter().min_by_key(|(workload, named)| (named.active_ns, *workload));
        match idlest.map(|(workload, named)| (workload.clone(), named.active_ns)) {
            Some((workload, active_ns)) if now_ns.saturating_sub(active_ns) >= limits.idle_ns => {
                self.give_up(&workload);
                true
            }
            _ => false,
        }
    }

    /// Its counts go into the sum over those without room.
    fn give_up(&mut self, workload: &Workload) {
        if let Some(named) = self.named.remove(workload) {
            self.began_anew_ns = self.read_ns;
            self.beyond_limit.add(&named.tallied);
            self.has_beyond_limit = true;
        }
    }

    /// The limit may be lower than it was.
    fn keep_to(&mut self, limits: Limits, now_ns: u64) {
        while self.named.len() > limits.workloads {
            self.make_room(Limits { idle_ns: 0, ..limits }, now_ns);
        }
    }

    /// How many cgroups are remembered.
    #[cfg(test)]
    pub fn cgroups_remembered(&self) -> usize {
        self.cgroups.len()
    }

    /// How many parents are remembered, and how many more there is room for beyond what is not worth giving back.
    #[cfg(test)]
    pub fn parents_remembered(&self) -> (usize, usize) {
        (self.parents.len(), self.parents.capacity().saturating_sub(2 * ROOM_KEPT))
    }

    /// What a parent is part of, if that is known.
    pub fn of(&self, parent: Identity) -> Option<&Workload> {
        self.parents.get(&parent)?.workload.as_deref()
    }

    /// The workload that has the counts of a parent, in its published form.
    pub fn published(&self, parent: Identity) -> report::Workload {
        match self.of(parent) {
            Some(workload) if self.named.contains_key(workload) => analysis::workload(workload),
            Some(_) => report::Workload::BEYOND_LIMIT,
            None => report::Workload::SHORT_LIVED,
        }
    }

    /// All of it, in order of names; with what was unreaped when the task list was last walked.
    pub fn metrics(&self, view: &View<'_>, session: &Session, walked_ns: u64) -> Vec<WorkloadMetrics> {
        let (began_ns, _) = view.window();
        let metrics = |workload, tallied: &Tallied, since_ns: Option<u64>| {
            metrics(workload, tallied, rfc3339(session, since_ns.unwrap_or(began_ns)))
        };
        let short_lived = Tallied { counts: self.short_lived, ..Tallied::default() };
        let others = [
            (report::Workload::SHORT_LIVED, Some(&short_lived)),
            (report::Workload::BEYOND_LIMIT, Some(&self.beyond_limit).filter(|_| self.has_beyond_limit)),
        ];
        let mut all: Vec<_> = (self.named.iter())
            .map(|(workload, named)| metrics(analysis::workload(workload), &named.tallied, named.since_ns))
            .chain(
                others.into_iter().filter_map(|(workload, tallied)| Some(metrics(workload, tallied?, None))),
            )
            .collect();
        all.sort_unstable_by(|one, other| one.workload.cmp(&other.workload));
        // Names that are cut may be the same.
        all.dedup_by(|one, kept| one.workload == kept.workload && merge(kept, one));
        for parent in view.parents().filter(|parent| parent.died_ns.is_none() && !parent.zombies.is_empty()) {
            let workload = self.published(parent.task.identity);
            if let Ok(place) = all.binary_search_by(|one| one.workload.cmp(&workload)) {
                let found = &mut all[place];
                found.unreaped = found.unreaped.saturating_add(parent.zombies.len() as u64);
                let oldest_ns =
                    parent.zombies.iter().filter_map(|zombie| waited_ns(view, *zombie, walked_ns)).max();
                found.oldest_unreaped_ns = found.oldest_unreaped_ns.max(oldest_ns.unwrap_or(0));
            }
        }
        all
    }
}

/// How long a zombie had waited when the task list was walked.
fn waited_ns(view: &View<'_>, zombie: Identity, walked_ns: u64) -> Option<u64> {
    match view.process(zombie)?.state {
        State::Zombie { since_ns, .. } => Some(walked_ns.saturating_sub(since_ns)),
        _ => None,
    }
}

/// The identity of a parent in a report.
pub fn identity(parent: &Parent) -> Identity {
    Identity { tgid: parent.pid, start_boottime_ns: parent.start_boottime_ns }
}

pub(super) fn counts(counted: ChildCounts, abandoned: u64) -> WorkloadCounts {
    let ChildCounts { forked, exited, adopted, reaped, autoreaped, coarse: _ } = counted;
    WorkloadCounts { forked, exited, reaped, autoreaped, adopted, abandoned }
}

fn metrics(workload: report::Workload, tallied: &Tallied, since: Rfc3339) -> WorkloadMetrics {
    WorkloadMetrics {
        workload,
        since,
        counts: tallied.counts,
        reap_latency: tallied.reap_latency,
        teardown: tallied.teardown,
        unreaped: 0,
        oldest_unreaped_ns: 0,
    }
}

fn merge(kept: &mut WorkloadMetrics, other: &WorkloadMetrics) -> bool {
    kept.counts += other.counts;
    kept.reap_latency += other.reap_latency;
    kept.teardown += other.teardown;
    kept.since = kept.since.min(other.since);
    true
}
