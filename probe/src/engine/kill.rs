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

impl Engine {
    /// A process dies of a signal.
    pub(super) fn killed(&mut self, process: Identity, kill: Kill, now: u64) {
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
        let mut killed = parent.abandoned_killed.clone();
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
