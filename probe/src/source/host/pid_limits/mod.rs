//! The limits on how many processes there can be, as the kernel says them, and what is used of each: those of the host, and those
//! that given processes are under.
//!
//! Owns how much is read at a time, and which limits cannot be known from here. A PID namespace can have a lower `pid_max` of its
//! own (since Linux 6.14), which only a process in it can read. Must not decide whose limits are read, or when.

mod cgroups;
mod users;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use foldhash::HashMap;

use super::{
    clock, namespace,
    process_directory::{Directories, bounded, part},
};
use crate::model::{Identity, PID_LIMITS_MAX, PidLimit, PidLimits, PidScope, Task};
use cgroups::Cgroups;
use users::Users;

/// How long a reading may take, the walk through all processes apart. Whoever has no turn is counted.
const READING_TAKES: Duration = Duration::from_millis(50);
/// Longest file of the host's that is read: a few numbers.
const NUMBERS_MAX: usize = 256;
/// Longest cgroup file read.
const CGROUP_MAX: usize = 64 * 1_024;

/// Reads limits.
pub struct Reader {
    directories: Directories,
    cgroups: Cgroups,
    users: Users,
    /// We are in a PID namespace of our own, and /proc shows it.
    has_own_pids: bool,
}

impl Reader {
    pub fn open() -> Self {
        let directories = Directories::learn();
        Self {
            directories,
            cgroups: Cgroups::learn(),
            users: Users::learn(),
            has_own_pids: !namespace::is_initial("pid").unwrap_or(true) && !directories.has_initial_pids(),
        }
    }

    /// Those of the host, and those that these processes are under.
    pub fn read(&mut self, tasks: &[Task]) -> PidLimits {
        let ends = Instant::now() + READING_TAKES;
        let mut found = Found { time_ns: clock::boottime_ns(), ..Found::default() };
        self.cgroups.begin();
        let mut users: Vec<(u32, u64, Identity)> = Vec::new();
        for task in tasks {
            if Instant::now() >= ends {
                found.left_out += 1;
                continue;
            }
            let Some(process) = self.directories.open(task) else { continue };
            found.under.entry(task.identity).or_default();
            for limit in self.cgroups.of(&part(&process, "cgroup", CGROUP_MAX)) {
                found.add(task.identity, limit);
            }
            users.extend(self.users.limit_of(&process).map(|(user, limit)| (user, limit, task.identity)));
        }
        found.left_out += self.cgroups.left_out();
        let walk = if self.has_own_pids || !users.is_empty() { self.users.walk() } else { None };
        if let Some(walk) = &walk {
            // The lowest comes first: the limit is each process's own.
            users.sort_unstable();
            for (user, limit, identity) in users {
                let used = walk.threads_of(user);
                found.add(identity, PidLimit { scope: PidScope::User(user), used, limit, refused: None });
            }
        }
        self.host(&mut found, walk.map(|walk| walk.threads()));
        found.finish()
    }

    /// Of all processes: threads that the whole host has, and numbers that our PID namespace has given out.
    fn host(&self, found: &mut Found, walked: Option<u64>) {
        let threads = threads_in_loadavg(&bounded(Path::new("/proc/loadavg"), NUMBERS_MAX));
        let numbers = if self.has_own_pids { walked } else { threads };
        let limit = |name: &str| number(&bounded(&Path::new("/proc/sys/kernel").join(name), NUMBERS_MAX));
        // The highest number is one less than pid_max.
        let pid_max = limit("pid_max").map(|pid_max| pid_max.saturating_sub(1));
        for (scope, used, limit) in
            [(PidScope::PidMax, numbers, pid_max), (PidScope::ThreadsMax, threads, limit("threads-max"))]
        {
            if let (Some(used), Some(limit)) = (used, limit) {
                found.host.push(PidLimit { scope, used, limit, refused: None });
            }
        }
    }
}

/// What a reading has found so far.
#[derive(Default)]
struct Found {
    time_ns: u64,
    host: Vec<PidLimit>,
    limits: Vec<PidLimit>,
    places: HashMap<PidScope, u16>,
    under: HashMap<Identity, Vec<u16>>,
    left_out: u64,
}

impl Found {
    /// A limit that a process is under. The first one of a scope counts.
    fn add(&mut self, identity: Identity, limit: PidLimit) {
        let place = match self.places.get(&limit.scope) {
            Some(place) => *place,
            // Two places are the host's.
            None if self.limits.len() >= PID_LIMITS_MAX - 2 => {
                self.left_out += 1;
                return;
            }
            None => {
                let place = self.limits.len() as u16;
                self.places.insert(limit.scope.clone(), place);
                self.limits.push(limit);
                place
            }
        };
        self.under.entry(identity).or_default().push(place);
    }

    fn finish(self) -> PidLimits {
        let Self { time_ns, host, mut limits, under, left_out, .. } = self;
        limits.extend(host);
        let mut under: Vec<_> = under.into_iter().collect();
        under.sort_unstable();
        PidLimits { time_ns, limits, under, left_out }
    }
}

/// How many threads the host has, zombies included, by a loadavg file: `0.00 0.01 0.05 1/86 32585`.
fn threads_in_loadavg(text: &[u8]) -> Option<u64> {
    let fourth = std::str::from_utf8(text).ok()?.split_ascii_whitespace().nth(3)?;
    fourth.split_once('/')?.1.parse().ok()
}

/// A file that is a number.
fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim_ascii().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::host::process_directory::tests::own_task;

    #[test]
    fn threads_are_read_from_loadavg() {
        assert_eq!(threads_in_loadavg(b"0.57 0.85 4.17 1/86 32585\n"), Some(86));
        for damaged in ["", "0 0 0", "0 0 0 1", "0 0 0 1/", "0 0 0 1/x 5", "0 0 0 1/-1 5"] {
            assert_eq!(threads_in_loadavg(damaged.as_bytes()), None, "{damaged}");
        }
        assert_eq!([&b"max\n"[..], b"32768\n", b"", b"-1"].map(number), [None, Some(32_768), None, None]);
    }

    #[test]
    fn the_host_has_its_limits_and_uses_less_than_they_allow() {
        let read = Reader::open().read(&[own_task()]);
        for scope in [PidScope::PidMax, PidScope::ThreadsMax] {
            let limit = read.limits.iter().find(|limit| limit.scope == scope).expect("every host has it");
            assert!(limit.used > 0 && limit.used <= limit.limit, "{limit:?}");
        }
        assert_eq!(read.left_out, 0);
    }

    #[test]
    fn a_scope_is_told_once_and_what_finds_no_room_is_counted() {
        let mut found = Found::default();
        let identity = |tgid| Identity { tgid, start_boottime_ns: 1 };
        let limit = |user, limit| PidLimit { scope: PidScope::User(user), used: 1, limit, refused: None };
        for tgid in 0..2 {
            found.add(identity(tgid), limit(1_000, 7 + u64::from(tgid)));
        }
        for user in 2_000..2_300 {
            found.add(identity(2), limit(user, 5));
        }
        let read = found.finish();
        assert_eq!(read.limits[0], limit(1_000, 7));
        assert_eq!((read.limits.len(), read.left_out), (254, 47));
        assert_eq!((&read.under[0].1, &read.under[1].1, read.under[2].1.len()), (&vec![0], &vec![0], 253));
    }
}
