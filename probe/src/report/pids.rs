//! How near the limits on processes are: what is used of each, how fast that grows, and when forks will fail.
//!
//! Owns names, order and units. Must not know how a forecast is made.

use serde::Serialize;

use super::Named;

/// A limit is pressing when more than this part of it is in use, in percent,
pub const PRESSING_PERCENT: u64 = 90;
/// or when forks may fail within this time, in ns.
pub const PRESSING_WITHIN_NS: u64 = 3_600_000_000_000;

/// The limits on processes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PidPressure {
    /// The one that makes forks fail first comes first; at most 16 in a report.
    pub limits: Vec<PidLimit>,
    /// How many more limits there are, none of which bites sooner.
    pub more: u64,
    /// How many processes and cgroups there was no room or no time to look at: they may be under a lower limit.
    pub left_out: u64,
}

impl PidPressure {
    /// What a reader has to know: the limit that makes forks fail first, and the others that are pressing; and whether each is.
    pub fn foremost(&self) -> impl Iterator<Item = (&PidLimit, bool)> {
        let all = self.limits.iter().map(|one| (one, one.is_pressing(PRESSING_PERCENT, PRESSING_WITHIN_NS)));
        all.enumerate()
            .take_while(|(place, (_, is_pressing))| *place == 0 || *is_pressing)
            .map(|(_, one)| one)
    }
}

/// One limit on processes. A process counts with each of its threads, and a zombie as one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PidLimit {
    /// Which kind of limit.
    pub scope: PidScope,
    /// The path of the cgroup from the root of its hierarchy, or the number of the user; empty for those of the host.
    pub name: String,
    /// How many there are.
    pub used: u64,
    /// How many there may be.
    pub limit: u64,
    /// Zombies among them: of a cgroup and of a user those of the parents that were looked at; null where it is not known.
    pub zombies: Option<u64>,
    /// The parent that has most of these zombies; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_zombies: Option<ZombieHolder>,
    /// Forks that this cgroup's limit has made fail since the cgroup was made; absent where that is not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// How fast it fills up; null where growth could be chance, or where it was read too seldom.
    pub growth: Option<Growth>,
    /// Whether it was read too seldom to tell whether it grows.
    #[serde(skip)]
    pub has_too_few_readings: bool,
    /// When forks will fail if it goes on like this; null where nothing grows, zeros where the limit is reached.
    pub exhausted_in: Option<ExhaustedIn>,
}

/// A parent and its zombies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZombieHolder {
    /// Who.
    #[serde(flatten)]
    pub parent: Named<'static>,
    /// How many zombies of its are known to be among what is used.
    pub zombies: u64,
}

/// How much is added in an hour, with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// At least.
    pub least_per_hour: u64,
    /// At most.
    pub most_per_hour: u64,
}

/// When a limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ExhaustedIn {
    /// Not before, in ns.
    pub earliest_ns: u64,
    /// Not after, in ns; null where it may take for ever.
    pub latest_ns: Option<u64>,
}

impl ExhaustedIn {
    /// Both in seconds, by their stable names; infinity where it may take for ever.
    pub fn bounds_s(self) -> [(&'static str, f64); 2] {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let latest_s = self.latest_ns.map_or(f64::INFINITY, seconds);
        [("earliest", seconds(self.earliest_ns)), ("latest", latest_s)]
    }
}

/// Which kind of limit on processes. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PidScope {
    /// The sysctl `kernel.pid_max`.
    PidMax,
    /// The sysctl `kernel.threads-max`.
    ThreadsMax,
    /// `pids.max` of a cgroup.
    Cgroup,
    /// RLIMIT_NPROC of a user.
    User,
}

impl PidScope {
    /// Its name in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::PidMax => "pid_max",
            Self::ThreadsMax => "threads_max",
            Self::Cgroup => "cgroup",
            Self::User => "user",
        }
    }
}

impl PidLimit {
    /// What part of it is in use, in percent, rounded down.
    pub fn percent(&self) -> u64 {
        self.used.saturating_mul(100).checked_div(self.limit).unwrap_or(100)
    }

    /// Whether more than this part of it is in use, or forks will fail within this time even at the slowest growth.
    pub fn is_pressing(&self, percent: u64, within_ns: u64) -> bool {
        let ends_within = |ends: ExhaustedIn| ends.latest_ns.is_some_and(|latest_ns| latest_ns <= within_ns);
        self.percent() > percent || self.exhausted_in.is_some_and(ends_within)
    }
}
