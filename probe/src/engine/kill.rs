//! Who killed the dead children that are not reaped.
//!
//! Owns how many are remembered. Must not know how a sender is found, nor what is said of it.

use foldhash::{HashMap, HashSet};

use super::{Engine, Parent, View};
use crate::model::{Identity, Kill, Killer, Task};

/// Most killed processes that are remembered between two walks of the task list.
const KILLS_MAX: usize = 65_536;
/// Most kinds of kills that are told apart for one parent.
const KINDS_MAX: usize = 64;

/// The killed that may be unreaped.
#[derive(Debug, Default)]
pub(super) struct Kills(HashMap<Identity, (u64, Kill)>);

impl Kills {
    pub(super) fn of(&self, process: Identity) -> Option<&Kill> {
        self.0.get(&process).map(|(_, kill)| kill)
    }

    /// A walk of the task list that began at `began_ns` found these: who was killed before and is not there is reaped.
    pub(super) fn keep(&mut self, present: &HashSet<Identity>, began_ns: u64) {
        self.0.retain(|process, (killed_ns, _)| *killed_ns >= began_ns || present.contains(process));
        if self.0.capacity() / 4 > self.0.len() {
            self.0.shrink_to(2 * self.0.len());
        }
    }
}

/// Who killed a child, as its parent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KilledBy {
    /// The parent.
    Parent,
    /// The child itself.
    Itself,
    /// Another process. `is_one`: all of them are this one; otherwise, they are processes with its name.
    Another { process: Task, is_one: bool },
    /// The kernel, for a fault of the child.
    Fault,
    /// The kernel, because memory ran out.
    OutOfMemory,
    /// The kernel, because the init of a PID namespace ended.
    NamespaceEnd(Task),
    /// The kernel, for another reason.
    Kernel,
}

impl KilledBy {
    fn new(killer: &Killer, child: Identity, parent: Identity) -> Self {
        match killer {
            Killer::Process(task) if task.identity == parent => Self::Parent,
            Killer::Process(task) if task.identity == child => Self::Itself,
            Killer::Process(task) => Self::Another { process: *task, is_one: true },
            Killer::Fault => Self::Fault,
            Killer::OutOfMemory => Self::OutOfMemory,
            Killer::NamespaceEnd(init) => Self::NamespaceEnd(*init),
            Killer::Kernel => Self::Kernel,
        }
    }

    /// Both in one, if they are of one kind.
    fn merged(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Another { process: one, is_one }, Self::Another { process: other, .. })
                if one.comm == other.comm =>
            {
                let is_one = *is_one && one.identity == other.identity;
                let process = if other.identity < one.identity { *other } else { *one };
                Some(Self::Another { process, is_one })
            }
            _ => (self == other).then_some(*self),
        }
    }
}

/// Children of one parent that died of the same signal, sent by the same kind of sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed {
    pub signal: u32,
    pub by: KilledBy,
    pub count: u64,
}

/// All of one parent.
#[derive(Clone, Debug, Default)]
pub struct KilledChildren(Vec<Killed>);

impl KilledChildren {
    pub(super) const NONE: Self = Self(Vec::new());

    pub(super) fn add(&mut self, child: Identity, parent: Identity, kill: &Kill) {
        let by = KilledBy::new(&kill.by, child, parent);
        for known in self.0.iter_mut().filter(|known| known.signal == kill.signal) {
            if let Some(by) = known.by.merged(&by) {
                known.by = by;
                known.count += 1;
                return;
            }
        }
        if self.0.len() < KINDS_MAX {
            self.0.push(Killed { signal: kill.signal, by, count: 1 });
        }
    }

    /// One that was added.
    pub(super) fn remove(&mut self, child: Identity, parent: Identity, kill: &Kill) {
        let by = KilledBy::new(&kill.by, child, parent);
        let is_its = |known: &&mut Killed| known.signal == kill.signal && known.by.merged(&by).is_some();
        if let Some(known) = self.0.iter_mut().find(is_its) {
            known.count -= 1;
        }
        self.0.retain(|known| known.count > 0);
    }
}

/// Signals from this number on (real-time ones) are queued each by itself, and the first one kills. The programs remember who
/// sent the last: that does not tell.
const QUEUED_FROM: u32 = 32;

impl Engine {
    /// A process dies of a signal.
    pub(super) fn killed(&mut self, process: Identity, kill: Kill, now: u64) {
        if kill.signal >= QUEUED_FROM {
            return;
        }
        if let Some(parent) = self.parents.get_mut(&process) {
            parent.killed_by = u8::try_from(kill.signal).ok();
        }
        let kills = &mut self.kills.0;
        if kills.len() < KILLS_MAX || kills.contains_key(&process) {
            kills.insert(process, (now, kill));
        }
    }
}

impl View<'_> {
    /// The signal that this dead process died of, and who sent it, where that was seen and it is not reaped.
    pub fn kill(&self, process: Identity) -> Option<&Kill> {
        self.engine.kills.of(process)
    }

    /// Who killed the children that this parent has not reaped or left behind, as far as that was seen: the most first.
    pub fn killed_children(&self, parent: &Parent) -> Vec<Killed> {
        let mut killed = parent.abandoned().killed.clone();
        let mut zombies: Vec<Identity> = parent.zombies.iter().copied().collect();
        zombies.sort_unstable();
        for zombie in zombies {
            if let Some(kill) = self.kill(zombie) {
                killed.add(zombie, parent.task.identity, kill);
            }
        }
        killed.0.sort_by_key(|known| std::cmp::Reverse(known.count));
        killed.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::tests::{play_in, task},
        model::{Begin, Comm},
    };

    fn killed(script: &str) -> Vec<(u32, KilledBy, u64)> {
        let engine = play_in(Begin { time_ns: 1, ..Begin::default() }, script);
        let view = engine.view();
        let parent = view.parent(task(2).identity).expect("a parent");
        view.killed_children(parent).into_iter().map(|one| (one.signal, one.by, one.count)).collect()
    }

    fn another(tgid: u32) -> KilledBy {
        KilledBy::Another { process: task(tgid), is_one: true }
    }

    const FOUR: &str = "10 fork 20 2\n 11 fork 21 2\n 12 fork 22 2\n 13 fork 23 2
        30 killed 20 2 9\n 31 exit 20 2\n 32 zombie 20 2\n 33 killed 21 2 9\n 34 exit 21 2\n 35 zombie 21 2
        36 killed 22 22 6\n 37 exit 22 2\n 38 zombie 22 2\n 39 exit 23 2\n 40 zombie 23 2\n";

    #[test]
    fn unreaped_and_abandoned_children_have_their_killers_and_reaped_ones_do_not_count() {
        let own = (9, KilledBy::Parent, 2);
        let itself = (6, KilledBy::Itself, 1);
        assert_eq!(killed(FOUR), [own, itself]);
        assert_eq!(killed(&(FOUR.to_owned() + "50 exit 2 1\n")), [own, itself]);
        let one_reaped = FOUR.to_owned() + "50 reap 21 2\n";
        assert_eq!(killed(&one_reaped).len(), 2);
        assert!(killed(&one_reaped).iter().all(|(.., count)| *count == 1));
        // It had been reaped before the parent died, which is told only after.
        let reaped_after_all = FOUR.to_owned() + "50 exit 2 1\n 51 reap 22 2\n";
        assert_eq!(killed(&reaped_after_all), [own]);
        // Whoever adopts them has the same ones, killed by another now.
        let adopted = FOUR.to_owned() + "50 exit 2 1\n 51 reparent 20 3\n 52 reparent 21 3\n";
        let engine = play_in(Begin { time_ns: 1, ..Begin::default() }, &adopted);
        let view = engine.view();
        let adopter = view.killed_children(view.parent(task(3).identity).expect("an adopter"));
        assert_eq!(adopter, [Killed { signal: 9, by: another(2), count: 2 }]);
    }

    #[test]
    fn senders_of_one_name_are_one_kind() {
        let mut all = KilledChildren::default();
        let (child, parent) = (task(20).identity, task(2).identity);
        let sent = |tgid, name: &[u8]| {
            let by = Killer::Process(Task { comm: Comm::from(name), ..task(tgid) });
            Kill { signal: 15, by }
        };
        for (tgid, name) in [(8, b"timeout"), (7, b"timeout"), (9, b"another")] {
            all.add(child, parent, &sent(tgid, name));
        }
        let [timeouts, other] = all.0.as_slice() else { panic!("{all:?}") };
        let KilledBy::Another { process, is_one: false } = timeouts.by else { panic!("{timeouts:?}") };
        assert_eq!((process.identity, timeouts.count, other.count), (task(7).identity, 2, 1));
        all.remove(child, parent, &sent(9, b"another"));
        assert_eq!(all.0.len(), 1);
        for signal in 0..2 * KINDS_MAX as u32 {
            all.add(child, parent, &Kill { signal, by: Killer::Kernel });
        }
        assert_eq!(all.0.len(), KINDS_MAX);
    }

    #[test]
    fn a_parent_that_is_killed_has_its_signal() {
        let engine = play_in(Begin { time_ns: 1, ..Begin::default() }, "10 fork 20 2\n 30 killed 2 7 9\n");
        assert_eq!(engine.parents[&task(2).identity].killed_by, Some(9));
    }

    #[test]
    fn nobody_is_told_of_a_real_time_signal() {
        let mut engine = play_in(Begin { time_ns: 1, ..Begin::default() }, "10 fork 20 2\n");
        for (signal, is_told) in [(31, true), (34, false)] {
            engine.killed(task(signal).identity, Kill { signal, by: Killer::Kernel }, 20);
            assert_eq!(engine.kills.of(task(signal).identity).is_some(), is_told);
        }
    }

    #[test]
    fn who_is_no_longer_there_is_forgotten_and_no_more_are_remembered_than_there_is_room_for() {
        let script = FOUR.to_owned() + "100 walk@60 2 20:2 22:2 23:2\n";
        let engine = play_in(Begin { time_ns: 1, ..Begin::default() }, &script);
        let known = |tgid| engine.kills.of(task(tgid).identity).is_some();
        assert_eq!([20, 21, 22, 23].map(known), [true, false, true, false]);
        let engine = play_in(Begin { time_ns: 1, ..Begin::default() }, "70 killed 25 0 9\n 100 walk@60 2\n");
        assert!(engine.kills.of(task(25).identity).is_some(), "killed while the list was walked");
        let mut engine = engine;
        for tgid in 0..KILLS_MAX as u32 + 10 {
            engine.killed(task(tgid).identity, Kill { signal: 9, by: Killer::Kernel }, 200);
        }
        assert_eq!(engine.kills.0.len(), KILLS_MAX);
    }
}
