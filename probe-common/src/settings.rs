//! What the collector asks of the programs, as one read-only global set before loading: the verifier knows it, and what
//! is not asked for is gone from the programs. Must not know command lines.

/// [`Settings::scope`].
pub mod scope {
    /// The whole host.
    pub const HOST: u32 = 0;
    /// One process and its descendants: nothing of anybody else is sent or counted.
    pub const TREE: u32 = 1;
    /// Events of certain processes and their children; everybody is counted.
    pub const PIDS: u32 = 2;
}

/// [`Settings::user_registers`].
pub mod user_registers {
    /// Nowhere.
    pub const UNKNOWN: u32 = 0;
    /// Where a helper of the kernel says (from 5.15 on).
    pub const BY_HELPER: u32 = 1;
    /// At the end of the task's kernel stack. Later kernels keep a gap there, so only where the helper is missing.
    pub const AT_STACK_END: u32 = 2;
}

/// [`Settings::fork_stacks`].
pub mod fork_stacks {
    /// Of no fork.
    pub const NONE: u32 = 0;
    /// Of the forks of those in the SUSPECTS map.
    pub const OF_TARGETS: u32 = 1;
    /// Of every fork in the scope.
    pub const OF_ALL: u32 = 2;
}

/// [`Settings::kills`].
pub mod kills {
    /// Of nobody's children.
    pub const NONE: u32 = 0;
    /// Of those in the SUSPECTS map and of their children.
    pub const OF_SUSPECTS: u32 = 1;
    /// Of all in the scope.
    pub const OF_ALL: u32 = 2;
}

/// [`Settings::cgroup_level`] and [`Settings::cgroup_level_deep`].
pub mod cgroup_level {
    /// Finished parents are not summed up by cgroup.
    pub const NONE: u32 = 0;
    /// In a hierarchy as systemd makes it, nobody but root makes cgroups on this level or above it: a unit's or a container's,
    /// in a slice of a slice.
    pub const USUAL: u32 = 3;
    /// The same where the slices of pods are: a container of a pod.
    pub const DEEP: u32 = 4;
}

/// As the programs find it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where not everything is streamed: a reap this late is, ns.
    pub slow_ns: u64,
    /// Reaps below this latency and all other stages are not streamed, ns; 0: no such filter.
    pub min_latency_ns: u64,
    /// 1: every stage is streamed. 0: only what is slow or wrong; the rest is counted.
    pub stream_all: u32,
    /// [`scope`].
    pub scope: u32,
    /// Number of slots for lives, a power of two; 0 where the kernel has no compare-and-exchange (before 5.12).
    pub life_slots: u32,
    /// Number of slots for parents, a power of two; 0 likewise.
    pub parent_slots: u32,
    /// 1: the current task can be had as a typed pointer (from 5.11 on).
    pub typed_current: u32,
    /// [`user_registers`]: where the registers are that a task entered the kernel with.
    pub user_registers: u32,
    /// The system calls wait4 and waitid, as this architecture numbers them.
    pub wait4_number: u32,
    pub waitid_number: u32,
    /// Bytes of a kernel stack; for [`user_registers::AT_STACK_END`].
    pub stack_bytes: u32,
    /// [`fork_stacks`]: of which forks the stack is sent.
    pub fork_stacks: u32,
    /// [`kills`]: of whose children it is sent who killed them.
    pub kills: u32,
    /// 1: every process is in the scope, and of what is usual nothing is streamed.
    pub counts_usual: u32,
    /// [`cgroup_level`]: what finished parents had is summed up by cgroup too, by theirs or by the one above it on this level,
    /// where theirs is deeper. The root is level 0.
    pub cgroup_level: u32,
    /// The same level, in the cgroups of the DEEP_CGROUPS map.
    pub cgroup_level_deep: u32,
}

impl Settings {
    /// Everything of everybody, on the oldest kernel.
    pub const DEFAULT: Self = Self {
        slow_ns: 0,
        min_latency_ns: 0,
        stream_all: 1,
        scope: scope::HOST,
        life_slots: 0,
        parent_slots: 0,
        typed_current: 0,
        user_registers: user_registers::UNKNOWN,
        wait4_number: 0,
        waitid_number: 0,
        stack_bytes: 0,
        fork_stacks: fork_stacks::NONE,
        kills: kills::NONE,
        counts_usual: 0,
        cgroup_level: cgroup_level::NONE,
        cgroup_level_deep: cgroup_level::NONE,
    };
}
