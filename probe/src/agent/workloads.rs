//! What each workload has had: counts that stay when the parents have gone, and never go down.
//!
//! Of each parent that is kept one by one it is remembered how much of its counts is in a workload already; only what is more
//! goes in. What is counted and not in any workload belongs to parents that were gone before it was known what they are part of:
//! it is the difference to the sum of everything, so that all workloads together always have the sum of everything.
//!
//! Must not judge.

use foldhash::HashMap;

use super::{Limits, buckets::buckets, group::Group};
use crate::{
    analysis::{self, time::rfc3339},
    engine::{Engine, State, Tally, View},
    model::{ChildCounts, FinishedParents, Identity, Session, Workload},
    report::{
        self, Parent, Rfc3339,
        metrics::{Buckets, WorkloadCounts, WorkloadMetrics},
    },
};

/// Workloads that can be made up at will get no more than this part of the room.
const SHARE_OF_GROUP: usize = 8;

/// Room for so many parents is not worth giving back.
const ROOM_KEPT: usize = 1_024;

/// All workloads since the agent began.
#[derive(Debug, Default)]
pub struct Workloads {
    named: HashMap<Workload, Tallied>,
    /// The sum over workloads for which there is no room, and over those that made room.
    beyond_limit: Tallied,
    has_beyond_limit: bool,
    short_lived: WorkloadCounts,
    /// When the counters were last read.
    read_ns: Option<u64>,
    /// The reading before the one at which a workload last made room. Who is counted apart from then on begins at 0, and has what
    /// has come since this reading.
    began_anew_ns: Option<u64>,
    parents: HashMap<Identity, Folded>,
}

/// What one workload has had.
#[derive(Clone, Copy, Debug, Default)]
struct Tallied {
    counts: WorkloadCounts,
    reap_latency: Buckets,
    teardown: Buckets,
    /// When it began to be counted; `None`: with the agent.
    since_ns: Option<u64>,
    /// When it last had a living parent, or anything more.
    active_ns: u64,
}

impl Tallied {
    fn add(&mut self, more: &Self) {
        self.counts += more.counts;
        self.reap_latency += more.reap_latency;
        self.teardown += more.teardown;
    }
}

/// What is remembered of a parent.
#[derive(Debug, Default)]
struct Folded {
    workload: Option<Workload>,
    /// How much of it is in its workload; `None`: nothing yet.
    tallied: Option<Box<Tallied>>,
    /// Everything that it has had.
    counts: WorkloadCounts,
    is_final: bool,
    is_there: bool,
}

impl Workloads {
    /// Takes over what was counted. `finished`: the kernel's sum over finished parents, as it was before these counters were
    /// read.
    pub fn fold(&mut self, engine: &Engine, finished: &FinishedParents, limits: Limits) {
        let now_ns = engine.ended_ns();
        self.keep_to(limits, now_ns);
        let (given_up, abandoned) = engine.given_up();
        let mut everything = counts(finished.counts, 0);
        everything += counts(given_up, abandoned);
        // What is in a workload, or may still come into one.
        let mut told = WorkloadCounts::default();
        for tally in engine.tallies() {
            let folded = self.parents.remove(&tally.identity).unwrap_or_default();
            let folded = self.fold_parent(folded, &tally, limits, now_ns);
            everything += folded.counts;
            if folded.workload.is_none() && tally.is_alive() {
                told += folded.counts;
            }
            self.parents.insert(tally.identity, folded);
        }
        self.parents.retain(|_, folded| std::mem::take(&mut folded.is_there));
        if self.parents.capacity() > ROOM_KEPT && self.parents.len() < self.parents.capacity() / 8 {
            self.parents.shrink_to(2 * self.parents.len());
        }
        for tallied in self.named.values().chain([&self.beyond_limit]) {
            told += tallied.counts;
        }
        let more = everything.more_than(&told).more_than(&self.short_lived);
        self.short_lived += more;
        self.read_ns = Some(now_ns);
    }

    fn fold_parent(&mut self, mut folded: Folded, tally: &Tally<'_>, limits: Limits, now_ns: u64) -> Folded {
        folded.is_there = true;
        if folded.is_final {
            return folded;
        }
        folded.is_final = tally.is_final();
        folded.counts = counts(tally.counts(), tally.abandoned());
        if let Some(known) = tally.workload()
            && folded.workload.as_ref() != Some(known)
        {
            folded.workload = Some(known.clone());
        }
        let Some(workload) = &folded.workload else { return folded };
        let before = folded.tallied.get_or_insert_default();
        let more = Tallied {
            counts: folded.counts.more_than(&before.counts),
            reap_latency: tally
                .reap_latency()
                .map(buckets)
                .unwrap_or_default()
                .more_than(&before.reap_latency),
            teardown: tally.teardown().map(buckets).unwrap_or_default().more_than(&before.teardown),
            active_ns: now_ns,
            ..Tallied::default()
        };
        before.add(&more);
        // A dead one alone makes no workload active.
        if tally.is_alive() || more.counts != WorkloadCounts::default() {
            match self.tallied(workload, limits, now_ns) {
                Some(tallied) => {
                    tallied.add(&more);
                    tallied.active_ns = now_ns;
                }
                None => {
                    self.beyond_limit.add(&more);
                    self.has_beyond_limit = true;
                }
            }
        }
        folded
    }

    /// Where the counts of a workload go, if there is room for it.
    fn tallied(&mut self, workload: &Workload, limits: Limits, now_ns: u64) -> Option<&mut Tallied> {
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
            self.named
                .insert(workload.clone(), Tallied { since_ns, active_ns: now_ns, ..Tallied::default() });
        }
        self.named.get_mut(workload)
    }

    /// The workload that has been idle for longest makes room, if it was for long enough.
    fn make_room(&mut self, limits: Limits, now_ns: u64) -> bool {
        let idlest = self.named.iter().min_by_key(|(workload, tallied)| (tallied.active_ns, *workload));
        match idlest.map(|(workload, tallied)| (workload.clone(), tallied.active_ns)) {
            Some((workload, active_ns)) if now_ns.saturating_sub(active_ns) >= limits.idle_ns => {
                self.give_up(&workload);
                true
            }
            _ => false,
        }
    }

    /// Its counts go into the sum over those without room.
    fn give_up(&mut self, workload: &Workload) {
        if let Some(tallied) = self.named.remove(workload) {
            self.began_anew_ns = self.read_ns;
            self.beyond_limit.add(&tallied);
            self.has_beyond_limit = true;
        }
    }

    /// The limit may be lower than it was.
    fn keep_to(&mut self, limits: Limits, now_ns: u64) {
        while self.named.len() > limits.workloads {
            self.make_room(Limits { idle_ns: 0, ..limits }, now_ns);
        }
    }

    /// How many parents are remembered, and how many more there is room for beyond what is not worth giving back.
    #[cfg(test)]
    pub fn parents_remembered(&self) -> (usize, usize) {
        (self.parents.len(), self.parents.capacity().saturating_sub(2 * ROOM_KEPT))
    }

    /// What a parent is part of, if that is known.
    pub fn of(&self, parent: Identity) -> Option<&Workload> {
        self.parents.get(&parent)?.workload.as_ref()
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
        let metrics = |workload, tallied: &Tallied| {
            metrics(workload, tallied, rfc3339(session, tallied.since_ns.unwrap_or(began_ns)))
        };
        let short_lived = Tallied { counts: self.short_lived, ..Tallied::default() };
        let others = [
            (report::Workload::SHORT_LIVED, Some(&short_lived)),
            (report::Workload::BEYOND_LIMIT, Some(&self.beyond_limit).filter(|_| self.has_beyond_limit)),
        ];
        let mut all: Vec<_> = (self.named.iter())
            .map(|(workload, tallied)| metrics(analysis::workload(workload), tallied))
            .chain(others.into_iter().filter_map(|(workload, tallied)| Some(metrics(workload, tallied?))))
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

fn counts(counted: ChildCounts, abandoned: u64) -> WorkloadCounts {
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
