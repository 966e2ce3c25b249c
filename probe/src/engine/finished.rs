//! Parents that are finished: dead, their last children gone, their counters final. Beyond a bound they are no longer kept
//! one by one: their ledgers go into sums, so that any number of short-lived parents fits.
//!
//! Owns which are given up, and the sums. Must not know verdicts: it keeps what a verdict on a dead parent rests on.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
};

use foldhash::{HashMap, HashSet};

use super::parent::{Ledger, Parent};
use crate::model::{FinishedParents, Identity};

/// So many times as many dead parents as may be kept are too many to wait for the counters of each,
const MANY: usize = 8;
/// so that those that have none are waited for only as long as it takes to read all.
const COUNTERS_SOON_NS: u64 = 1_000_000_000;

/// Most given-up parents that are still known by name, should an input come for one of them all the same.
const RECENT_MAX: usize = 8_192;

/// How much is kept one by one.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// A child that waited longer for its reap is something to tell of its parent.
    pub late_ns: u64,
    /// Most processes followed at once: beyond that, the eldest of those that run are not.
    pub processes_max: usize,
    /// Most parents in all: of those that live, no more are followed.
    pub parents_max: usize,
    /// Most finished ones that left nothing to tell: the youngest are kept.
    pub quiet_max: usize,
    /// Most other finished ones: the worst are kept.
    pub telling_max: usize,
    /// How long after a parent's death its counters are waited for: they come within 6 s, and frees within 60 ms.
    pub counters_within_ns: u64,
}

impl Bounds {
    /// The usual ones.
    pub fn new(late_ns: u64) -> Self {
        Self {
            late_ns,
            processes_max: 1 << 20,
            parents_max: 1 << 17,
            quiet_max: 1_024,
            telling_max: 1_024,
            counters_within_ns: 7_000_000_000,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::new(5_000_000_000)
    }
}

/// What a verdict on a parent rests on: yes or no, so that parents in any number can be summed up by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grounds {
    /// Children that no tracer held have waited longer than is allowed.
    pub late: bool,
    /// Some of those are known to have died, or to have come to it, within the window.
    pub late_in_window: bool,
    /// It reaped a child later than is allowed.
    pub reaped_late: bool,
    /// A tracer has held a child for longer than is allowed.
    pub held_late: bool,
    /// Children that no tracer held are unreaped or abandoned.
    pub left: bool,
    /// Some were abandoned of which only the kernel's counters tell.
    pub left_unseen: bool,
    /// Its last program has reaped a child.
    pub has_reaped: bool,
}

impl Grounds {
    /// Those of a dead parent, which has abandoned what it had.
    fn of_dead(parent: &Parent, late_ns: u64) -> Self {
        let abandoned = parent.abandoned();
        let (free, held) = (&abandoned.after, &abandoned.held_after);
        let (late, seen) = (free.count_over(late_ns), free.count().saturating_add(held.count()));
        let left_unseen = parent.ledger.abandoned > seen;
        Self {
            late: late > 0,
            late_in_window: late > abandoned.older,
            reaped_late: parent.reap_latency.max_ns() > late_ns,
            held_late: held.count_over(late_ns) > 0,
            left: free.count().min(parent.ledger.abandoned) > 0 || left_unseen,
            left_unseen,
            has_reaped: parent.has_reaped(),
        }
    }
}

/// The ledgers of several parents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub parents: u64,
    pub ledger: Ledger,
}

impl Sum {
    fn add(&mut self, parent: &Parent) {
        self.parents = self.parents.saturating_add(u64::from(!parent.resumed));
        self.ledger += parent.ledger;
    }
}

/// The sums over all that were given up.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Those that left nothing to tell.
    pub quiet: Sum,
    /// The others.
    pub telling: BTreeMap<Grounds, Sum>,
}

impl Sums {
    fn add(&mut self, parent: &Parent, late_ns: u64) {
        if parent.ledger == Ledger::default() {
            return;
        }
        if is_quiet(parent, late_ns) {
            self.quiet.add(parent);
        } else {
            self.telling.entry(Grounds::of_dead(parent, late_ns)).or_default().add(parent);
        }
    }

    /// Of all of them.
    pub fn all(&self) -> impl Iterator<Item = &Sum> {
        std::iter::once(&self.quiet).chain(self.telling.values())
    }

    /// Those that left nothing to tell, in the form in which the kernel sums up such.
    pub fn without_findings(&self) -> FinishedParents {
        FinishedParents { parents: self.quiet.parents, counts: self.quiet.ledger.counts }
    }
}

fn is_quiet(parent: &Parent, late_ns: u64) -> bool {
    parent.ledger.abandoned == 0 && parent.reap_latency.max_ns() <= late_ns
}

/// Who is worse: the greater. By verdict, as far as it can be told here; of those that leak, who left more.
fn gravity(parent: &Parent, late_ns: u64) -> impl Ord + use<> {
    let found = Grounds::of_dead(parent, late_ns);
    let none_reaped = !found.has_reaped;
    let kind = match found {
        Grounds { late: true, .. } => 4,
        Grounds { reaped_late: true, .. } => 3,
        Grounds { held_late: true, left_unseen: false, .. } => 2,
        Grounds { left: true, left_unseen, .. } if none_reaped || left_unseen => 1,
        _ => 0,
    };
    (
        kind,
        parent.ledger.abandoned,
        found.late_in_window && none_reaped,
        parent.abandoned().after.max_ns(),
        parent.reap_latency.max_ns(),
        parent.ledger.counts.exited,
        // The same every time.
        Reverse(parent.task.identity),
    )
}

/// What has become of the finished.
#[derive(Debug, Default)]
pub struct Finished {
    pub bounds: Bounds,
    /// As the events told it, and as the kernel counted it: which of the two is right is known at the end.
    told: Sums,
    counted: Sums,
    recent: Recent,
    /// Parents that are dead and still kept.
    dead: usize,
    /// At how many of them they are looked through.
    look_at: usize,
}

/// What the engine is at when the finished are looked through.
#[derive(Clone, Copy)]
pub struct Moment {
    pub now_ns: u64,
    /// The ledgers will be those that the kernel counted.
    pub is_counted: bool,
    /// A window over a tree: others than its members are nobody's.
    pub is_tree: bool,
}

/// Which of the finished are no longer kept one by one.
struct Chosen {
    nobodys: Vec<Identity>,
    /// To be summed up.
    beyond: Vec<Identity>,
}

impl Finished {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// A parent died.
    pub fn one_more_dead(&mut self) {
        self.dead += 1;
    }

    /// So many of those that are kept are dead.
    pub fn set_dead(&mut self, dead: usize) {
        self.dead = dead;
    }

    /// When a parent died that was given up of late.
    pub fn died_ns(&self, parent: &Identity) -> Option<u64> {
        self.recent.died_ns(parent)
    }

    /// What was given up.
    pub fn sums(&self, is_counted: bool) -> &Sums {
        if is_counted { &self.counted } else { &self.told }
    }

    /// Whether to look through them: so many more than may be kept that it is cheap for each.
    pub fn is_due(&self) -> bool {
        self.dead > self.look_at.max(self.kept_max() + self.kept_max() / 2)
    }

    fn kept_max(&self) -> usize {
        self.bounds.quiet_max + self.bounds.telling_max
    }

    /// Gives up whoever is finished and beyond the bounds. `owners`: the parents of those in the process table.
    pub fn give_up(
        &mut self,
        parents: &mut HashMap<Identity, Box<Parent>>,
        owners: impl Iterator<Item = Identity>,
        moment: Moment,
    ) {
        let mut looked_at = parents.len();
        let with_children: HashSet<Identity> = owners
            .inspect(|_| looked_at += 1)
            .filter(|owner| parents.get(owner).is_some_and(|owner| owner.died_ns.is_some()))
            .collect();
        let finished = parents.iter().filter_map(|(identity, parent)| {
            let is_final = self.is_final(parent, parent.died_ns?, moment.now_ns);
            (is_final && !with_children.contains(identity)).then_some(())?;
            let reconciled = if moment.is_counted { counted(parent) } else { None };
            Some((*identity, reconciled.map_or(Cow::Borrowed(&**parent), Cow::Owned)))
        });
        let Chosen { nobodys, beyond } = self.choose(finished, moment.is_tree);
        for identity in nobodys {
            parents.remove(&identity);
        }
        for identity in beyond {
            if let Some(parent) = parents.remove(&identity) {
                self.sum_up(identity, &parent);
            }
        }
        self.dead = parents.values().filter(|parent| parent.died_ns.is_some()).count();
        self.look_at = self.dead + (self.kept_max() / 2).max(looked_at / 8);
    }

    /// Gives up a parent that has been reported, if it is finished.
    pub fn retire(&mut self, parents: &mut HashMap<Identity, Box<Parent>>, identity: Identity, now_ns: u64) {
        let is_finished = parents.get(&identity).is_some_and(|parent| {
            parent.died_ns.is_some_and(|died_ns| self.is_final(parent, died_ns, now_ns))
        });
        if is_finished && let Some(parent) = parents.remove(&identity) {
            self.sum_up(identity, &parent);
            self.dead = self.dead.saturating_sub(1);
        }
    }

    /// Leaves those that a report lists one by one; the sums over all others. `parents`: with the ledgers that count.
    pub fn fold(
        &self,
        parents: &mut HashMap<Identity, Cow<'_, Box<Parent>>>,
        is_counted: bool,
        is_tree: bool,
    ) -> Sums {
        let mut sums = self.sums(is_counted).clone();
        let dead = parents.iter().filter(|(_, parent)| parent.died_ns.is_some());
        let Chosen { nobodys, beyond } =
            self.choose(dead.map(|(identity, parent)| (*identity, Cow::Borrowed(&***parent))), is_tree);
        for identity in nobodys {
            parents.remove(&identity);
        }
        for identity in beyond {
            if let Some(parent) = parents.remove(&identity) {
                sums.add(&parent, self.bounds.late_ns);
            }
        }
        sums
    }

    /// Of these finished parents, with the ledgers that count: whom nobody asked for, and who is beyond the bounds.
    fn choose<'a>(
        &self,
        finished: impl Iterator<Item = (Identity, Cow<'a, Parent>)>,
        is_tree: bool,
    ) -> Chosen {
        let late_ns = self.bounds.late_ns;
        let (mut quiet, mut telling, mut nobodys) = (Vec::new(), Vec::new(), Vec::new());
        for (identity, parent) in finished {
            if (is_tree && !parent.in_tree)
                || (parent.counters.is_none() && parent.ledger == Ledger::default())
            {
                nobodys.push(identity);
            } else if parent.resumed || is_quiet(&parent, late_ns) {
                quiet.push((!parent.resumed, parent.died_ns, identity));
            } else {
                telling.push((gravity(&parent, late_ns), identity));
            }
        }
        quiet.sort_unstable_by(|one, other| other.cmp(one));
        telling.sort_unstable_by(|one, other| other.cmp(one));
        let kept = quiet.iter().take(self.bounds.quiet_max).take_while(|(is_row, ..)| *is_row).count();
        let quiet = quiet.into_iter().skip(kept).map(|(.., identity)| identity);
        let telling = telling.into_iter().skip(self.bounds.telling_max).map(|(_, identity)| identity);
        Chosen { nobodys, beyond: quiet.chain(telling).collect() }
    }

    /// Whether no more is counted of a dead parent.
    fn is_final(&self, parent: &Parent, died_ns: u64, now_ns: u64) -> bool {
        match &parent.counters {
            Some(counters) => counters.is_retired(),
            None => now_ns.saturating_sub(died_ns) >= self.counters_within_ns(),
        }
    }

    /// The more there are, the less the kernel had room for: most will never come.
    fn counters_within_ns(&self) -> u64 {
        let usual_ns = self.bounds.counters_within_ns;
        if self.dead > MANY * self.kept_max() { usual_ns.min(COUNTERS_SOON_NS) } else { usual_ns }
    }

    fn sum_up(&mut self, identity: Identity, parent: &Parent) {
        let late_ns = self.bounds.late_ns;
        self.told.add(parent, late_ns);
        self.counted.add(counted(parent).as_ref().unwrap_or(parent), late_ns);
        self.recent.push(identity, parent.died_ns.unwrap_or(0));
    }
}

/// A dead parent with the ledger that the kernel counted, if it did.
fn counted(parent: &Parent) -> Option<Parent> {
    parent.reconciled(|_| None)
}

/// Who was given up of late, and when each had died.
#[derive(Debug, Default)]
struct Recent {
    died_ns: HashMap<Identity, u64>,
    order: VecDeque<Identity>,
}

impl Recent {
    fn push(&mut self, parent: Identity, died_ns: u64) {
        if self.died_ns.insert(parent, died_ns).is_some() {
            return;
        }
        self.order.push_back(parent);
        if self.order.len() > RECENT_MAX
            && let Some(first) = self.order.pop_front()
        {
            self.died_ns.remove(&first);
        }
    }

    fn died_ns(&self, parent: &Identity) -> Option<u64> {
        self.died_ns.get(parent).copied()
    }
}
