//! What is asked of the kernel: which hooks, which events, how much room; and how the programs are set to it.
//!
//! Must not load anything.

use nix::libc;
use probe_common::{
    offsets::{MISSING, Offsets},
    settings::{Settings, cgroup_level, fork_stacks, kills, scope, user_registers},
    wire::LIFE_SLOTS_MAX,
};

use crate::{
    model::{Begin, Coverage, Identity, SUSPECTS_MAX, Scope},
    source::host::release::is_at_least,
};

/// Parents of a host are hundreds: few find their slot taken.
const PARENT_SLOTS_MAX: u32 = 4_096;

/// Room for 15,000 stages, or for 3,700 where only what is slow or wrong is told.
const RING_BYTES: u32 = 4 << 20;
const RING_BYTES_COUNTING: u32 = 512 << 10;

/// Most processes of a tree at once: 2 MB.
const FOLLOWED_MAX: u32 = 32_768;

/// Of a kernel stack (before 5.15, see [`user_registers`]); a kernel that looks for errors in itself has larger ones, and
/// shows no wait call there.
const STACK_BYTES: u32 = 16 << 10;

/// Room for 500 stacks of forks where all are asked for, and for 60 of suspects.
const FORK_STACKS_BYTES: u32 = 8 << 20;
const FORK_STACKS_BYTES_OF_TARGETS: u32 = 1 << 20;

/// Most Python interpreters that are known; every child that has not run another program takes one for a while.
const INTERPRETERS: u32 = 1_024;

/// Most living processes that the last signal to them is known of which they can die of: 0.5 MB. The kernel gives up the one
/// that was signalled the longest ago.
const SENT_SIGNALS: u32 = 4_096;

/// Most cgroups with a sum of what finished parents in them had: 3 MB.
const CGROUPS: u32 = 8_192;

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
        self.ring_bytes.unwrap_or(match self.subscription.coverage {
            Coverage::Exceptions { .. } => RING_BYTES_COUNTING,
            _ => RING_BYTES,
        })
    }
}

/// What a command needs to be told: the programs send nothing else. Their settings and what the window covers both follow
/// from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The root of a tree is not known yet: [`super::tracer::Tracer::follow_descendants`] is told whose descendants.
    pub scope: Scope,
    pub coverage: Coverage,
    pub fork_stacks: ForkStacks,
    pub kills: Kills,
    /// What finished parents had is wanted by cgroup.
    pub by_cgroup: bool,
}

/// Of which forks the stack is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForkStacks {
    #[default]
    None,
    /// Of those whom [`super::tracer::Tracer::look_closer`] names.
    OfTargets,
    /// Of all in the scope.
    OfAll,
}

/// Of whose children it is wanted who killed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kills {
    #[default]
    None,
    /// Of those whom [`super::tracer::Tracer::look_closer`] names.
    OfSuspects,
    /// Of all in the scope.
    OfAll,
}

impl Kills {
    /// Entries of the SENT_SIGNALS map.
    pub fn room(self) -> u32 {
        if self == Self::None { 1 } else { SENT_SIGNALS }
    }
}

impl ForkStacks {
    /// Size of the ring buffer, of the map of targets, and of that of interpreters.
    pub fn room(self) -> (u32, u32, u32) {
        match self {
            Self::None => (1, 1, 1),
            Self::OfTargets => (FORK_STACKS_BYTES_OF_TARGETS, SUSPECTS_MAX as u32, INTERPRETERS),
            Self::OfAll => (FORK_STACKS_BYTES, 1, INTERPRETERS),
        }
    }
}

impl Subscription {
    /// The same, with the stacks of these forks.
    pub fn with(self, fork_stacks: ForkStacks) -> Self {
        Self { fork_stacks, ..self }
    }

    /// The same, with what finished parents had by cgroup.
    pub fn with_cgroups(self) -> Self {
        Self { by_cgroup: true, ..self }
    }

    /// Entries of the FINISHED_IN_CGROUPS map.
    pub fn cgroups_room(&self) -> u32 {
        if self.by_cgroup { CGROUPS } else { 1 }
    }

    /// The same, with who killed these children.
    pub fn with_kills(self, kills: Kills) -> Self {
        Self { kills, ..self }
    }

    /// Every stage of the descendants of a process that will be named.
    pub fn tree() -> Self {
        Self { scope: Scope::Tree(Identity::default()), coverage: Coverage::EveryEvent, ..Self::default() }
    }

    /// Counters of every parent; of the stages only what is slow, a reap this late, or wrong.
    pub fn counters(slow_ns: u64) -> Self {
        Self { scope: Scope::Host, coverage: Coverage::Exceptions { slow_ns }, ..Self::default() }
    }

    /// Stages of these processes and of their children, of all where there are none; with a latency, only reaps that late.
    pub fn events(pids: Vec<u32>, min_latency_ns: u64) -> Self {
        let scope = if pids.is_empty() { Scope::Host } else { Scope::Pids(pids) };
        let coverage = match min_latency_ns {
            0 => Coverage::EveryEvent,
            min_latency_ns => Coverage::LateReaps { min_latency_ns },
        };
        Self { scope, coverage, ..Self::default() }
    }

    /// The processes that are named; none of them where the scope is another.
    pub fn pids(&self) -> &[u32] {
        if let Scope::Pids(pids) = &self.scope { pids } else { &[] }
    }

    /// What the window covers. `root`: the command whose tree it is, once it has started.
    pub fn begin(&self, time_ns: u64, root: Option<Identity>) -> Begin {
        let scope = root.map_or_else(|| self.scope.clone(), Scope::Tree);
        Begin { time_ns, scope, coverage: self.coverage }
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
        wait4_number: libc::SYS_wait4 as u32,
        waitid_number: libc::SYS_waitid as u32,
        stack_bytes: STACK_BYTES,
        ..Settings::DEFAULT
    };
    settings.scope = match options.subscription.scope {
        Scope::Host => scope::HOST,
        Scope::Tree(_) => scope::TREE,
        Scope::Pids(_) => scope::PIDS,
    };
    match options.subscription.coverage {
        Coverage::EveryEvent | Coverage::Unstated => {}
        Coverage::Exceptions { slow_ns } => (settings.stream_all, settings.slow_ns) = (0, slow_ns),
        Coverage::LateReaps { min_latency_ns } => settings.min_latency_ns = min_latency_ns,
    }
    settings.counts_usual = u32::from(settings.stream_all == 0 && settings.scope != scope::TREE);
    // The helper that finds a cgroup above is known to all our programs from 5.14 on.
    if options.subscription.by_cgroup && is_at_least(5, 14) {
        (settings.cgroup_level, settings.cgroup_level_deep) = (cgroup_level::USUAL, cgroup_level::DEEP);
    }
    settings.fork_stacks = match options.subscription.fork_stacks {
        ForkStacks::None => fork_stacks::NONE,
        ForkStacks::OfTargets => fork_stacks::OF_TARGETS,
        ForkStacks::OfAll => fork_stacks::OF_ALL,
    };
    settings.kills = match options.subscription.kills {
        Kills::None => kills::NONE,
        Kills::OfSuspects => kills::OF_SUSPECTS,
        Kills::OfAll => kills::OF_ALL,
    };
    settings
}

/// Where the programs find the arguments of a wait call, as [`Settings::user_registers`] has it. A helper says so from 5.15
/// on; before, they are at the end of the kernel stack, where later kernels keep a gap.
pub fn user_registers(found: &Offsets) -> u32 {
    let needed = [found.regs_syscall, found.regs_argument, found.regs_third, found.regs_fourth];
    if needed.contains(&MISSING) {
        user_registers::UNKNOWN
    } else if is_at_least(5, 15) {
        user_registers::BY_HELPER
    } else if [found.task_stack, found.regs_size].contains(&MISSING) {
        user_registers::UNKNOWN
    } else {
        user_registers::AT_STACK_END
    }
}

/// Entries of the TARGETS map.
pub fn followed_max(options: &TracerOptions) -> u32 {
    match &options.subscription.scope {
        Scope::Host => 1,
        Scope::Tree(_) => FOLLOWED_MAX,
        Scope::Pids(pids) => (pids.len() as u32).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(subscription: Subscription) -> TracerOptions {
        TracerOptions {
            btf: "/".into(),
            hooks: HookChoice::Auto,
            ring_bytes: None,
            lives: 1_024,
            parents: 1_024,
            log_programs: false,
            stats: false,
            subscription,
        }
    }

    #[test]
    fn settings_and_the_window_follow_from_one_subscription() {
        let of = |subscription: Subscription| {
            let set = settings(&options(subscription.clone()));
            ((set.scope, set.stream_all, set.slow_ns, set.min_latency_ns), subscription.begin(7, None))
        };
        let default = Settings::DEFAULT;
        let (set, begin) = of(Subscription::default());
        assert_eq!(set, (scope::HOST, default.stream_all, default.slow_ns, 0));
        assert_eq!(begin, Begin { time_ns: 7, ..Begin::default() });
        let (set, begin) = of(Subscription::counters(9));
        assert_eq!(set, (scope::HOST, 0, 9, 0));
        assert_eq!(begin.coverage, Coverage::Exceptions { slow_ns: 9 });
        let (set, begin) = of(Subscription::events(vec![5, 6], 3));
        assert_eq!(set, (scope::PIDS, default.stream_all, default.slow_ns, 3));
        assert_eq!(
            (begin.scope, begin.coverage),
            (Scope::Pids(vec![5, 6]), Coverage::LateReaps { min_latency_ns: 3 })
        );
        let root = Identity { tgid: 4, start_boottime_ns: 1 };
        assert_eq!(of(Subscription::tree()).0.0, scope::TREE);
        assert_eq!(Subscription::tree().begin(7, Some(root)).scope, Scope::Tree(root));
    }
}
