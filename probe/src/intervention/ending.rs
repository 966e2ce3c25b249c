//! Ends processes that a command left running: SIGTERM, and SIGKILL for what has not ended in time.
//!
//! Owns who is hit: the processes that are named, their children, and the members of process groups that they lead, also those
//! that are started meanwhile. Each is held by a pidfd and its open /proc directory, so a process that was given the pid of
//! another is never hit. Must not choose whom to end, or ask the user.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use rustix::process::Signal;

use super::{
    pidfd,
    process::{Process, Stat, is_dead},
};

/// How often new processes are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Most of those named that are ended at a time, and most processes that are held: each takes two descriptors.
const AT_ONCE: usize = 128;
const HELD_MAX: usize = 384;

/// A process that is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// As the /proc that is mounted here has it.
    pub pid: u32,
    /// When it started, in clock ticks since boot, to the tick.
    pub start_ticks: u64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    ByItself,
    Terminated,
    Killed,
    Survived,
    NotPermitted,
}

/// One that was started after those that were named, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    pub pid: u32,
    pub start_ticks: u64,
    pub comm: String,
    pub command_line: Vec<String>,
    /// Pid of its parent.
    pub parent: u32,
    pub fate: Fate,
}

/// What became of those that were named, in their order, and of those that were found beside them.
#[derive(Debug, Default)]
pub struct Ended {
    pub named: Vec<Fate>,
    pub newcomers: Vec<Newcomer>,
    /// So many were not reached, for there were too many.
    pub left_out: usize,
}

/// A process that is held.
struct Held {
    process: Process,
    pidfd: OwnedFd,
    /// Its place among those that were named; `None`: it was found beside them.
    named: Option<usize>,
    /// As it was found: of one that has gone nothing can be read.
    stat: Option<Stat>,
    command_line: Vec<String>,
    sent: Option<Sent>,
    fate: Option<Fate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Terminate,
    Kill,
}

/// How long processes get to end.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After SIGTERM.
    pub terminated: Duration,
    /// After SIGKILL: the kernel has to free their memory.
    pub killed: Duration,
}

/// Ends them.
pub fn end(doomed: &[Doomed], patience: Patience) -> Ended {
    let mut all = Ended::default();
    for some in doomed.chunks(AT_ONCE) {
        let ended = end_some(some, patience);
        all.named.extend(ended.named);
        all.newcomers.extend(ended.newcomers);
        all.left_out += ended.left_out;
    }
    all
}

fn end_some(doomed: &[Doomed], patience: Patience) -> Ended {
    let mut ended = Ended { named: vec![Fate::ByItself; doomed.len()], ..Ended::default() };
    let mut held = Vec::new();
    for (place, one) in doomed.iter().enumerate() {
        match hold(one.pid) {
            Ok(process) if process.0.start_ticks.abs_diff(one.start_ticks) <= 1 => {
                held.push(Held::new(process, Some(place)));
            }
            // It has gone, or another has its pid.
            Ok(_) => {}
            Err(error)
                if error.raw_os_error() == Some(libc::ESRCH) || error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => ended.named[place] = Fate::Survived,
        }
    }
    for (sent, within) in [(Sent::Terminate, patience.terminated), (Sent::Kill, patience.killed)] {
        let deadline = Instant::now() + within;
        loop {
            // Until nobody new is found: who is found is signalled at once, and may have started another before.
            while ended.left_out == 0 && take_in_newcomers(&mut held, &mut ended.left_out) > 0 {}
            held.iter_mut().for_each(|one| one.send(sent));
            if wait(&mut held, deadline) {
                break;
            }
        }
    }
    for one in held {
        let fate = one.fate.unwrap_or(Fate::Survived);
        match one.named {
            Some(place) => ended.named[place] = fate,
            None => ended.newcomers.extend(one.newcomer(fate)),
        }
    }
    ended
}

/// A process, as long as it is there: its directory is opened first, and what it says is read again when the pidfd is open.
fn hold(pid: u32) -> io::Result<(Process, OwnedFd)> {
    let process = Process::open(pid)?;
    let pidfd = pidfd::open(pid)?;
    let gone = || io::Error::from(Errno::ESRCH);
    let stat = process.stat().ok_or_else(gone)?;
    if stat.is_kernel_thread || pid <= 1 || pid == std::process::id() {
        return Err(gone());
    }
    Ok((process, pidfd))
}

/// Adds children of those that are held, and members of the process groups that they lead. Returns how many.
fn take_in_newcomers(held: &mut Vec<Held>, left_out: &mut usize) -> usize {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let before = held.len();
    let known = alive(held);
    for pid in pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if known.iter().any(|(other, stat)| *other == pid && stat.is_some()) {
            continue;
        }
        // Most processes have nothing to do with it.
        let stat = Process::open(pid).ok().and_then(|process| process.stat());
        if !stat.is_some_and(|stat| !is_dead(&stat) && is_of(&known, &stat)) {
            continue;
        }
        let Ok(found) = hold(pid) else { continue };
        // Again, now that it is held: the number of a parent or of a group is theirs only while they are there.
        let still_is = |stat: Stat| !is_dead(&stat) && is_of(&alive(held), &stat);
        if !found.0.stat().is_some_and(still_is) {
            continue;
        }
        if held.len() >= HELD_MAX {
            *left_out += 1;
            continue;
        }
        held.push(Held::new(found, None));
    }
    held.len() - before
}

/// The pids of those that are held, and the stats of those that live.
fn alive(held: &[Held]) -> Vec<(u32, Option<Stat>)> {
    held.iter().map(|one| (one.process.pid, one.process.stat().filter(|stat| !is_dead(stat)))).collect()
}

/// Whether a process with this stat is a child of one of those that are known to live, or in the group of one whose leader is
/// among them. `known`: pids, and the stats of those that live.
fn is_of(known: &[(u32, Option<Stat>)], stat: &Stat) -> bool {
    known.iter().filter_map(|(pid, alive)| Some((pid, alive.as_ref()?))).any(|(pid, alive)| {
        let leader_is_known = || known.iter().any(|(leader, _)| *leader == alive.group);
        stat.parent == *pid || (stat.group == alive.group && alive.group != 0 && leader_is_known())
    })
}

/// Waits for a while, or until all have ended: then true. True also at the deadline.
fn wait(held: &mut [Held], deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now()).min(LOOK_EVERY);
    let mut polled: Vec<PollFd<'_>> = held
        .iter()
        .filter(|one| one.fate.is_none())
        .map(|one| PollFd::new(one.pidfd.as_fd(), PollFlags::POLLIN))
        .collect();
    if !polled.is_empty() {
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        // An error, as EINTR, only shortens the wait.
        let _ = poll(&mut polled, timeout);
    }
    drop(polled);
    held.iter_mut().for_each(Held::look);
    held.iter().all(|one| one.fate.is_some()) || Instant::now() >= deadline
}

impl Held {
    fn new((process, pidfd): (Process, OwnedFd), named: Option<usize>) -> Self {
        let (stat, command_line) = (process.stat(), process.command_line());
        Self { process, pidfd, named, stat, command_line, sent: None, fate: None }
    }

    /// Sends it what it has not been sent. What is stopped has to go on to end.
    fn send(&mut self, what: Sent) {
        self.look();
        if self.fate.is_some() || self.sent == Some(what) {
            return;
        }
        let signals: &[Signal] = match what {
            Sent::Terminate => &[Signal::TERM, Signal::CONT],
            Sent::Kill => &[Signal::KILL],
        };
        for signal in signals {
            if let Err(error) = pidfd::send(&self.pidfd, *signal)
                && error.raw_os_error() == Some(libc::EPERM)
            {
                self.fate = Some(Fate::NotPermitted);
                return;
            }
        }
        self.sent = Some(what);
    }

    /// Notes whether it has ended.
    fn look(&mut self) {
        if self.fate.is_none() && self.process.has_ended() {
            self.fate = Some(match self.sent {
                None => Fate::ByItself,
                Some(Sent::Terminate) => Fate::Terminated,
                Some(Sent::Kill) => Fate::Killed,
            });
        }
    }

    /// What is told of it; nothing where it ended before it was sent anything.
    fn newcomer(self, fate: Fate) -> Option<Newcomer> {
        let stat = self.stat;
        (fate != Fate::ByItself).then(|| Newcomer {
            pid: self.process.pid,
            start_ticks: self.process.start_ticks,
            comm: stat.as_ref().map(|stat| stat.comm.clone()).unwrap_or_default(),
            command_line: self.command_line,
            parent: stat.map_or(0, |stat| stat.parent),
            fate,
        })
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
