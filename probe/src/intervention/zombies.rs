//! The zombies of a parent, from /proc, and which of them have been zombies for longer than the grace.
//!
//! Owns which dead children can be reaped on the parent's behalf. /proc does not say when a process died: so the list is
//! taken twice, and only who is in both has been a zombie in between. Must not reap.

use std::fs;

use super::process::{Process, Stat, number, parse_stat, pids_by_namespace};

/// A dead child that its parent can reap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zombie {
    pub pid: u32,
    /// Clock ticks from boot to its start: with the pid, its identity.
    pub start_ticks: u64,
    pub comm: String,
    /// How it ended, as wait4 gives it; 0 also where it may not be read.
    pub exit_status: i32,
}

/// The zombies of this parent, those that started first at the beginning. A main thread that ended before the others of
/// its process is shown as `Z` too, and is no zombie.
pub fn of(parent: u32) -> Vec<Zombie> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut zombies: Vec<Zombie> = pids
        .filter_map(|pid| {
            let stat = stat_of(pid)?;
            is_zombie_of(&stat, parent).then_some(Zombie {
                pid,
                start_ticks: stat.start_ticks,
                comm: stat.comm,
                exit_status: stat.exit_status,
            })
        })
        .collect();
    zombies.sort_by_key(|zombie| (zombie.start_ticks, zombie.pid));
    zombies
}

fn stat_of(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn is_zombie_of(stat: &Stat, parent: u32) -> bool {
    stat.state == 'Z' && stat.parent == parent && stat.threads <= 1
}

/// Those of the later list that were in the earlier one: they stayed zombies in between.
pub fn in_both(earlier: &[Zombie], later: Vec<Zombie>) -> Vec<Zombie> {
    let earlier: std::collections::HashSet<(u32, u64)> =
        earlier.iter().map(|zombie| (zombie.pid, zombie.start_ticks)).collect();
    later.into_iter().filter(|zombie| earlier.contains(&(zombie.pid, zombie.start_ticks))).collect()
}

impl Zombie {
    /// Whether this very process is still a zombie of this parent.
    pub fn is_still_of(&self, parent: u32) -> bool {
        stat_of(self.pid)
            .is_some_and(|stat| stat.start_ticks == self.start_ticks && is_zombie_of(&stat, parent))
    }

    /// Who traces it: as long as somebody does, its parent cannot reap it.
    pub fn tracer(&self) -> Option<u32> {
        let status = Process::open(self.pid).ok()?.status();
        number(&status, "TracerPid:").filter(|tracer| *tracer != 0).map(|tracer| tracer as u32)
    }

    /// Its pid as its parent knows it, who is `depth` PID namespaces below the reader.
    pub fn pid_at(&self, depth: usize) -> Option<u32> {
        if depth == 0 {
            return Some(self.pid);
        }
        pids_by_namespace(&Process::open(self.pid).ok()?.status()).get(depth).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zombie(pid: u32, start_ticks: u64) -> Zombie {
        Zombie { pid, start_ticks, comm: String::new(), exit_status: 0 }
    }

    #[test]
    fn only_who_is_in_both_lists_stayed_a_zombie() {
        let earlier = [zombie(1, 10), zombie(2, 20), zombie(3, 30)];
        // 2 was reaped, and its pid given out again; 4 is new.
        let later = vec![zombie(1, 10), zombie(2, 25), zombie(3, 30), zombie(4, 40)];
        assert_eq!(in_both(&earlier, later), [zombie(1, 10), zombie(3, 30)]);
    }

    #[test]
    fn a_child_of_ours_is_a_zombie_until_it_is_reaped() {
        let own = std::process::id();
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let found = loop {
            if let Some(found) = of(own).into_iter().find(|zombie| zombie.pid == child.id()) {
                break found;
            }
            std::thread::yield_now();
        };
        assert!(found.is_still_of(own));
        assert!(!found.is_still_of(1));
        assert!(!zombie(found.pid, found.start_ticks + 1).is_still_of(own));
        assert_eq!((found.tracer(), found.pid_at(0)), (None, Some(found.pid)));
        child.wait().expect("our own child");
        assert!(!found.is_still_of(own));
    }

    #[test]
    fn a_dead_leader_is_no_zombie() {
        let stat = |threads| Stat {
            comm: String::new(),
            state: 'Z',
            parent: 7,
            group: 7,
            is_kernel_thread: false,
            user_ticks: 0,
            kernel_ticks: 0,
            threads,
            start_ticks: 1,
            exit_status: 0,
        };
        assert!(is_zombie_of(&stat(1), 7));
        assert!(!is_zombie_of(&stat(2), 7));
    }
}
