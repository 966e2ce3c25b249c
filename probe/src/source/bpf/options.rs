//! What is asked of the kernel: which hooks, which events, how much room; and how the programs are set to it.
//!
//! Must not load anything.

use probe_common::settings::{Settings, scope};

use crate::{
    model::{Begin, Coverage, Identity, Scope},
    source::host::release::is_at_least,
};

/// As many as stay in the CPU's cache; what dies within as many pids of an unreaped one goes to the hash.
const LIFE_SLOTS_MAX: u32 = 4_096;

/// Parents of a host are hundreds: few find their slot taken.
const PARENT_SLOTS_MAX: u32 = 4_096;

/// Room for 15,000 stages, or for 3,700 where only what is slow or wrong is told.
const RING_BYTES: u32 = 4 << 20;
const RING_BYTES_COUNTING: u32 = 512 << 10;

/// Most processes of a tree at once: 2 MB.
const FOLLOWED_MAX: u32 = 32_768;

/// Which hooks may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookChoice {
    /// The best the kernel allows, hook by hook.
    Auto,
    Fentry,
    Kprobe,
    Tracepoint,
}

/// What to load, and how big.
#[derive(Clone, Debug)]
pub struct TracerOptions {
    pub btf: std::path::PathBuf,
    pub hooks: HookChoice,
    /// Bytes of the ring buffer, a power of two; `None`: as many as what is asked for needs.
    pub ring_bytes: Option<u32>,
    /// Most dead children between exit and reap, and most parents, followed at once.
    pub lives: u32,
    pub parents: u32,
    /// Whether the programs log what they decide.
    pub log_programs: bool,
    /// Whether the kernel is to count runs and run time of programs meanwhile.
    pub stats: bool,
    pub subscription: Subscription,
}

impl TracerOptions {
    /// It is mapped twice, and all of it is resident.
    pub fn ring_bytes(&self) -> u32 {
        self.ring_bytes.unwrap_or(match self.subscription {
            Subscription::Counters { .. } => RING_BYTES_COUNTING,
            _ => RING_BYTES,
        })
    }
}

/// What a command needs to be told: the programs send nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// Every stage of every process.
    Everything,
    /// Counters; of the stages only what is slow, a reap this late, or wrong.
    Counters { slow_ns: u64 },
    /// Every stage of the descendants of whom [`Tracer::follow_descendants`] is told, nothing of anybody else.
    Tree,
    /// Stages of these processes and of their children, all where empty; with a latency, only reaps that late.
    Events { pids: Vec<u32>, min_latency_ns: u64 },
}

impl Subscription {
    /// The processes that are named; none of them where the scope is another.
    pub fn pids(&self) -> &[u32] {
        match self {
            Self::Events { pids, .. } => pids,
            Self::Everything | Self::Counters { .. } | Self::Tree => &[],
        }
    }

    /// What the window covers, in the model's words. `root`: the command whose tree it is, once it has started.
    pub fn begin(&self, time_ns: u64, root: Option<Identity>) -> Begin {
        let scope = match (self, root) {
            (_, Some(root)) => Scope::Tree(root),
            (Self::Events { pids, .. }, None) if !pids.is_empty() => Scope::Pids(pids.clone()),
            _ => Scope::Host,
        };
        let coverage = match *self {
            Self::Counters { slow_ns } => Coverage::Exceptions { slow_ns },
            Self::Events { min_latency_ns, .. } if min_latency_ns > 0 => {
                Coverage::LateReaps { min_latency_ns }
            }
            _ => Coverage::EveryEvent,
        };
        Begin { time_ns, scope, coverage }
    }
}

/// Slots for parents: half of the room at most, the rest is for those whose slot is taken.
pub fn parent_slots(options: &TracerOptions) -> u32 {
    if !is_at_least(5, 12) || options.parents < 2 {
        return 0;
    }
    (1 << (options.parents / 2).ilog2()).min(PARENT_SLOTS_MAX)
}

/// What the programs are set to.
pub fn settings(options: &TracerOptions) -> Settings {
    let mut settings = Settings {
        // Compare-and-exchange is known from 5.12 on, the typed current task from 5.11.
        life_slots: if is_at_least(5, 12) {
            options.lives.next_power_of_two().min(LIFE_SLOTS_MAX)
        } else {
            0
        },
        parent_slots: parent_slots(options),
        typed_current: u32::from(is_at_least(5, 11)),
        ..Settings::DEFAULT
    };
    match &options.subscription {
        Subscription::Everything => {}
        Subscription::Counters { slow_ns } => (settings.stream_all, settings.slow_ns) = (0, *slow_ns),
        Subscription::Tree => settings.scope = scope::TREE,
        Subscription::Events { pids, min_latency_ns } => {
            settings.min_latency_ns = *min_latency_ns;
            settings.scope = if pids.is_empty() { scope::HOST } else { scope::PIDS };
        }
    }
    settings
}

/// Entries of the FOLLOWED map.
pub fn followed_max(options: &TracerOptions) -> u32 {
    match &options.subscription {
        Subscription::Tree => FOLLOWED_MAX,
        Subscription::Events { pids, .. } => (pids.len() as u32).max(1),
        Subscription::Everything | Subscription::Counters { .. } => 1,
    }
}
