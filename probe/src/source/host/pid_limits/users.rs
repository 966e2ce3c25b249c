//! RLIMIT_NPROC: who is bound by it, and how many threads each user has.
//!
//! The limit is each process's own, and what it is compared with is the number of all threads with the same real uid. Nobody
//! says that number, so it is counted by going through all processes. Must not know cgroups, or whose limits are asked for.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt};
use procfs::process::Process;

use crate::source::host::{
    process_directory::{number_field, part, stat},
    self_usage::thread_cpu_time,
};

/// How much of a status file is read: user, capabilities and number of threads are in it, unless the list of groups is long.
const STATUS_MAX: usize = 4_096;
/// Longest limits file read.
const LIMITS_MAX: usize = 4_096;
/// Processes are gone through at most so often,
const WALK_EVERY: Duration = Duration::from_secs(1);
/// and for no more than this part of the time.
const WALKS_SHARE: u32 = 100;
/// The longest that going through them may take, in CPU time; if that is too short, nothing is said of users.
const WALK_TAKES: Duration = Duration::from_millis(250);
/// The kernel never has more (PID_MAX_LIMIT).
const PID_MAX_LIMIT: u64 = 4 << 20;
/// Who has one of these may fork beyond the limit: CAP_SYS_ADMIN, CAP_SYS_RESOURCE.
const EXEMPTING: u64 = 1 << 21 | 1 << 24;

/// Who is bound by the limit, and how often processes were gone through.
pub struct Users {
    /// Our user namespace. In another one the numbers of users are others.
    namespace: Option<PathBuf>,
    /// The next walk comes no sooner.
    next: Option<Instant>,
}

/// How many threads each user has, zombies included.
#[derive(Debug, Default)]
pub struct Walk {
    by_user: HashMap<u32, u64>,
    threads: u64,
}

impl Walk {
    pub fn threads_of(&self, user: u32) -> u64 {
        self.by_user.get(&user).copied().unwrap_or(0)
    }

    pub fn threads(&self) -> u64 {
        self.threads
    }
}

impl Users {
    pub fn learn() -> Self {
        Self { namespace: fs::read_link("/proc/self/ns/user").ok(), next: None }
    }

    /// The real uid of a process and its limit; `None` where it has none, is exempt, or that cannot be known.
    pub fn limit_of(&self, process: &Process) -> Option<(u32, u64)> {
        let limit = limit(&part(process, "limits", LIMITS_MAX))?;
        let user = bound_user(&part(process, "status", STATUS_MAX))?;
        let namespace = fs::read_link(format!("/proc/{}/ns/user", process.pid)).ok()?;
        // The pid is the process's own as long as it is there.
        let is_ours = stat(process).is_some() && self.namespace.as_ref() == Some(&namespace);
        is_ours.then_some((user, limit))
    }

    /// Goes through all processes, if it is time for that and there is time enough.
    pub fn walk(&mut self) -> Option<Walk> {
        let began = Instant::now();
        if self.next.is_some_and(|next| began < next) {
            return None;
        }
        let walk = walk(thread_cpu_time() + WALK_TAKES);
        self.next = Some(began + WALK_EVERY.max(began.elapsed() * WALKS_SHARE));
        walk
    }
}

fn walk(ends_at_cpu: Duration) -> Option<Walk> {
    let mut walk = Walk { by_user: HashMap::new(), threads: 0 };
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if thread_cpu_time() >= ends_at_cpu {
            return None;
        }
        let Ok(process) = Process::new(pid) else { continue };
        let status = part(&process, "status", STATUS_MAX);
        let Some(user) = field(&status, b"Uid:", 10) else { continue };
        let threads = field(&status, b"Threads:", 10)
            .or_else(|| stat(&process).and_then(|stat| number_field(&stat, 20)))
            .unwrap_or(1)
            .max(1);
        walk.threads += threads;
        if let Ok(user) = u32::try_from(user) {
            *walk.by_user.entry(user).or_default() += threads;
        }
    }
    Some(walk)
}

/// The real uid of whoever is bound by the limit: not of root, nor of one with a capability that exempts from it.
fn bound_user(status: &[u8]) -> Option<u32> {
    let user = u32::try_from(field(status, b"Uid:", 10)?).ok()?;
    let capabilities = field(status, b"CapEff:", 16)?;
    (user != 0 && capabilities & EXEMPTING == 0).then_some(user)
}

/// The soft limit of a limits file; `None` where it is unlimited, or higher than any number of processes can be.
fn limit(limits: &[u8]) -> Option<u64> {
    field(limits, b"Max processes", 10).filter(|limit| *limit <= PID_MAX_LIMIT)
}

/// The first number of the line that begins with this. No name can pretend to be a line: the kernel escapes newlines in it.
fn field(text: &[u8], name: &[u8], radix: u32) -> Option<u64> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(user: u32, capabilities: &str) -> String {
        format!(
            "Name:\tUid:\\n7\nUid:\t{user}\t0\t0\t0\nThreads:\t3\nCapPrm:\tffff\nCapEff:\t{capabilities}\n"
        )
    }

    #[test]
    fn root_and_those_with_a_capability_are_exempt() {
        for (user, capabilities, expected) in [
            (1_000, "0000000000000000", Some(1_000)),
            (1_000, "0000000000000fff", Some(1_000)),
            (1_000, "0000000000200000", None),
            (1_000, "0000000001000000", None),
            (0, "0000000000000000", None),
        ] {
            assert_eq!(bound_user(status(user, capabilities).as_bytes()), expected, "{user} {capabilities}");
        }
        assert_eq!(bound_user(b"Uid:\t1000\t0\t0\t0\n"), None, "nothing is known of its capabilities");
        assert_eq!(bound_user(b""), None);
    }

    #[test]
    fn the_soft_limit_counts_and_unlimited_is_none() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max stack size            8388608              unlimited            bytes     \n\
                 Max processes             {soft}                96365                processes \n"
            )
        };
        assert_eq!(limit(limits("8").as_bytes()), Some(8));
        assert_eq!(limit(limits("unlimited").as_bytes()), None);
        assert_eq!(limit(limits("4194305").as_bytes()), None);
        assert_eq!(limit(b"Max processes"), None);
    }

    #[test]
    fn a_walk_counts_ourselves_and_the_next_one_waits() {
        let mut users = Users::learn();
        let walk = users.walk().expect("the first");
        let own = fs::read("/proc/self/status").expect("our own");
        let user = u32::try_from(field(&own, b"Uid:", 10).expect("a number")).expect("a uid");
        assert!(walk.threads_of(user) >= 1 && walk.threads() >= walk.threads_of(user), "{walk:?}");
        assert_eq!(walk.by_user.values().sum::<u64>(), walk.threads());
        assert!(users.walk().is_none());
    }
}
