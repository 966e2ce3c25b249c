//! What travels from the kernel programs to the collector: ring-buffer events, task-iterator records, map values.
//!
//! Owns layout only. Every time is CLOCK_BOOTTIME ns, every pid of the initial PID namespace unless `ns_`.

use crate::{bucket::BUCKETS, child_counts::ChildCounts};

/// Bytes of `comm`.
pub const COMM_LEN: usize = 16;
/// Bytes of an executable's path that travel; longer ones are cut.
pub const EXECUTABLE_LEN: usize = 128;
/// Bytes of argv (NUL separated) that travel; longer ones are cut.
pub const ARGS_LEN: usize = 256;

/// Bytes of a terminal's name that travel; longer ones are cut.
pub const TTY_LEN: usize = 16;

/// A process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskRef {
    pub start_boottime_ns: u64,
    /// 0 where the reference is absent.
    pub tgid: u32,
    /// Its pid in its own PID namespace.
    pub ns_pid: u32,
    pub comm: [u8; COMM_LEN],
}

impl TaskRef {
    /// Nobody.
    pub const NONE: Self = Self { start_boottime_ns: 0, tgid: 0, ns_pid: 0, comm: [0; COMM_LEN] };

    /// Its identity.
    #[inline(always)]
    pub fn key(&self) -> ParentKey {
        ParentKey { tgid: self.tgid, start_boottime_ns: self.start_boottime_ns, reserved: 0 }
    }
}

/// [`Event::kind`].
pub mod kind {
    pub const FORK: u32 = 1;
    pub const EXEC: u32 = 2;
    pub const EXIT: u32 = 3;
    pub const ZOMBIE: u32 = 4;
    pub const REPARENT: u32 = 5;
    pub const REAP: u32 = 6;
    pub const ORPHAN: u32 = 7;
    pub const KILLED: u32 = 8;
}

bitflags::bitflags! {
    /// What an [`Event`] says beside its kind.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct EventFlags: u32 {
        /// The parent ignores SIGCHLD or set SA_NOCLDWAIT: the kernel reaps.
        const AUTOREAP = 1;
        /// The kernel notified a tracer that is not the parent of the death.
        const HELD = 2;
        /// On ZOMBIE: not the first notification.
        const AGAIN = 4;
        /// On REAP: only the free was seen.
        const COARSE = 8;
        /// On REAP: the parent it had at its death still was its parent at its release, and had not died before.
        const BY_PARENT = 16;
        /// On EXIT: its parent is notified by another signal than SIGCHLD, or by none.
        const CLONE_CHILD = 256;
        /// On REAP: when it became its parent's zombie, no thread of the parent was in a wait call.
        const NOBODY_WAITED = 1024;
        /// On REAP: one was.
        const WAITED = 2048;
        /// On REAP: one was in a wait call that takes this child.
        const WAITED_FOR_IT = 4096;
        /// On REAP: those that were, were in calls that do not take this child.
        const WAITED_OTHERWISE = 8192;
    }
}

bitflags::bitflags! {
    /// What the programs know of a [`DeadChild`].
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct DeadFlags: u32 {
        /// The parent ignores SIGCHLD or set SA_NOCLDWAIT: the kernel reaps.
        const AUTOREAP = 1;
        /// The kernel notified a tracer that is not the parent of the death.
        const HELD = 2;
        /// The parent is the init of a PID namespace, for which the kernel reaps when it dies.
        const UNDER_INIT = 32;
        /// It was dead before the programs were attached: no hook saw its death.
        const PREEXISTING = 64;
        /// It had an entry among the parents itself.
        const PARENT = 128;
        /// Its parent is notified by another signal than SIGCHLD, or by none.
        const CLONE_CHILD = 256;
        /// Its parent had the kernel reap when it died, and it became a zombie all the same.
        const THOUGH_IGNORED = 512;
        /// When it became its parent's zombie, no thread of the parent was in a wait call.
        const NOBODY_WAITED = 1024;
        /// One was.
        const WAITED = 2048;
        /// One was in a wait call that takes this child.
        const WAITED_FOR_IT = 4096;
        /// Those that were, were in calls that do not take this child.
        const WAITED_OTHERWISE = 8192;
        /// All that is said of the parent's threads when it became its zombie; empty: that is not known.
        const READINESS = 1024 | 2048 | 4096 | 8192;
    }
}

impl DeadFlags {
    /// What an event says of them. Without a branch, which the verifier would follow both ways.
    #[inline(always)]
    pub const fn sent(self) -> EventFlags {
        const SENT: DeadFlags = DeadFlags::AUTOREAP.union(DeadFlags::HELD).union(DeadFlags::CLONE_CHILD);
        const _: () = assert!(
            SENT.bits() == EventFlags::AUTOREAP.union(EventFlags::HELD).union(EventFlags::CLONE_CHILD).bits()
        );
        EventFlags::from_bits_retain(self.bits() & SENT.bits())
    }

    /// What the event of its release says of the parent's threads.
    #[inline(always)]
    pub const fn readiness(self) -> EventFlags {
        const _: () = assert!(
            EventFlags::NOBODY_WAITED
                .union(EventFlags::WAITED)
                .union(EventFlags::WAITED_FOR_IT)
                .union(EventFlags::WAITED_OTHERWISE)
                .bits()
                == DeadFlags::READINESS.bits()
        );
        EventFlags::from_bits_retain(self.bits() & DeadFlags::READINESS.bits())
    }
}

/// One event of a process. `other`: the creator (FORK), tracer (ZOMBIE), old parent (REPARENT, ORPHAN), reaper (REAP),
/// who sent the signal (KILLED).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub time_ns: u64,
    pub kind: u32,
    pub flags: EventFlags,
    pub process: TaskRef,
    pub parent: TaskRef,
    pub other: TaskRef,
    /// 0 where not seen.
    pub exit_ns: u64,
    /// 0 where not seen.
    pub zombie_ns: u64,
    /// Wait status, on EXIT; on KILLED, the signal.
    pub status: u32,
    /// [`crate::sent_signal::sender`], on KILLED.
    pub sender: u32,
}

/// What follows [`Event`] on EXEC.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ExecEvent {
    pub event: Event,
    /// NUL terminated.
    pub executable: [u8; EXECUTABLE_LEN],
    pub args: [u8; ARGS_LEN],
    /// Bytes of `args` that are valid.
    pub args_len: u32,
    /// 1 where argv was longer.
    pub args_cut: u32,
}

/// Who a process was that dies, and what it has used, as the kernel's process accounting has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The id of its cgroup in the unified hierarchy; 0 where that is not known.
    pub cgroup_id: u64,
    /// What all its threads have run; [`Self::CPU_UNKNOWN`] where that could not be read at one moment.
    pub cpu_ns: u64,
    /// The most memory that it had at once, by all programs that it ran; 0 where it had none.
    pub peak_rss_pages: u64,
    /// Real user id in the initial user namespace; [`Self::UID_UNKNOWN`] where that is not known.
    pub uid: u32,
    /// Its session, as the pid of whoever began it in the initial PID namespace; 0 where it has none there.
    pub session: u32,
    /// Its controlling terminal, NUL padded; empty where it has none.
    pub tty: [u8; TTY_LEN],
}

impl Account {
    pub const CPU_UNKNOWN: u64 = u64::MAX;
    /// The kernel gives it to nobody.
    pub const UID_UNKNOWN: u32 = u32::MAX;
}

/// What follows [`Event`] on EXIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ExitEvent {
    pub event: Event,
    pub account: Account,
}

/// [`TaskEntry::state`].
pub mod state {
    pub const RUNNING: u32 = 0;
    pub const EXITING: u32 = 1;
    pub const DEAD_LEADER: u32 = 2;
    pub const ZOMBIE: u32 = 3;
}

bitflags::bitflags! {
    /// What the task list says of a zombie beside its state. Neither of the first two: this kernel does not say.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct TaskTraits: u32 {
        /// Whoever forked it ran as many programs before as its parent did: the parent's program of now can have started it.
        const SAME_PROGRAM = 1;
        /// The program that its parent runs now did not start it: the parent has run another program since, or another
        /// process forked it.
        const OTHER_PROGRAM = 2;
        /// Its parent is notified of its death by another signal than SIGCHLD, or by none: only waits with __WALL or
        /// __WCLONE see it.
        const CLONE_CHILD = 4;
        /// Its parent is a subreaper (prctl PR_SET_CHILD_SUBREAPER).
        const UNDER_SUBREAPER = 8;
        /// Its parent ignored SIGCHLD (or set SA_NOCLDWAIT) when it died: it stays because its parent traced it.
        const THOUGH_IGNORED = 16;
    }
}

/// One process of the task iterator.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskEntry {
    pub time_ns: u64,
    pub process: TaskRef,
    pub parent: TaskRef,
    /// `tgid` 0 where there is no tracer besides the parent.
    pub tracer: TaskRef,
    /// When it became a zombie, as far as was seen; 0 where not, or where it lives.
    pub zombie_ns: u64,
    pub state: u32,
    pub traits: TaskTraits,
}

/// A death between exit and reap: value of the DEAD_CHILDREN map, keyed by tgid, and part of a [`DeadChildSlot`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadChild {
    pub process: TaskRef,
    pub parent: ParentKey,
    /// Address of the `task_struct` it was a child of at its exit; 0 once that is another, or where it was not seen.
    pub real_parent: u64,
    pub exit_ns: u64,
    pub zombie_ns: u64,
    /// Whoever was told of the death instead of the parent; stays after it let go. 0: nobody.
    pub tracer_tgid: u32,
    pub flags: DeadFlags,
    pub nr: u32,
    pub ns_inum: u32,
}

/// One of the slots in the map `.bss`: one life of those whose tgid has these low bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadChildSlot {
    /// `start_boottime_ns` of whose slot it is, 0: nobody's. Changed only by compare-and-exchange.
    pub claim_ns: u64,
    /// How many others with these low bits are in the DEAD_CHILDREN map.
    pub overflow_count: u32,
    pub reserved: u32,
    pub child: DeadChild,
}

impl DeadChildSlot {
    /// Nobody's.
    pub const NONE: Self = Self {
        claim_ns: 0,
        overflow_count: 0,
        reserved: 0,
        child: DeadChild {
            process: TaskRef::NONE,
            parent: ParentKey { start_boottime_ns: 0, tgid: 0, reserved: 0 },
            real_parent: 0,
            exit_ns: 0,
            zombie_ns: 0,
            tracer_tgid: 0,
            flags: DeadFlags::empty(),
            nr: 0,
            ns_inum: 0,
        },
    };
}

/// How many of them there are, a power of two; fewer may be asked for. As many as stay in the CPU's cache; what dies within as many
/// pids of an unreaped one goes to the hash.
pub const LIFE_SLOTS_MAX: u32 = 4_096;

/// Value of the TARGETS map, keyed by tgid.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Which of those with this tgid; 0: each.
    pub start_boottime_ns: u64,
}

/// Value of the FINISHED_PARENTS map: the sum over parents whose entry was freed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinishedParents {
    pub parents: u64,
    pub counts: ChildCounts,
}

/// Value of the FINISHED_IN_CGROUPS map, keyed by [`ParentEntry::cgroup_id`]: what of [`FinishedParents`] was there.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinishedInCgroup {
    pub finished: FinishedParents,
    pub reap_latency: WideHistogram,
    pub teardown: WideHistogram,
}

/// A histogram with buckets that each span [`WIDE`] of those of [`crate::bucket`], but for the first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WideHistogram {
    pub sum_ns: u64,
    /// The first [`WIDE_BUCKETS`] are used.
    pub buckets: [u64; WIDE_ROOM],
}

/// Two octaves.
pub const WIDE: usize = 16;
/// The first wide bucket has all that is below the bucket of this index.
pub const WIDE_FROM: usize = 32;
pub const WIDE_BUCKETS: usize = 1 + (crate::bucket::LAST + 1 - WIDE_FROM) / WIDE;
/// A power of two, so that the verifier accepts `index & (WIDE_ROOM - 1)`.
pub const WIDE_ROOM: usize = WIDE_BUCKETS.next_power_of_two();

/// Value of the DEEP_CGROUPS map: cgroups directly below the root that have workloads one level further down than others
/// ([`Settings::cgroup_level_deep`]); 0: none.
///
/// [`Settings::cgroup_level_deep`]: crate::settings::Settings::cgroup_level_deep
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeepCgroups {
    pub ids: [u64; DEEP_CGROUPS_MAX],
}

/// [`DeepCgroups`].
pub const DEEP_CGROUPS_MAX: usize = 4;

/// Key of the PARENTS map: an identity.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ParentKey {
    pub start_boottime_ns: u64,
    pub tgid: u32,
    /// Always 0: hash keys are compared byte by byte.
    pub reserved: u32,
}

impl ParentKey {
    /// The identity in one word, which can be claimed by one compare-and-exchange: never 0 and always odd. A tgid has 22
    /// bits; two starts of one process number are more than a ns apart.
    #[inline(always)]
    pub fn claim(&self) -> u64 {
        (self.start_boottime_ns ^ (u64::from(self.tgid) << 42)) | 1
    }
}

/// [`ParentClaim::claim`] while the record is begun or taken away: nobody's, and not to be had.
pub const CLAIM_BUSY: u64 = 2;

/// Value of the PARENT_CLAIMS map: whose the record with the same index in PARENT_SLOTS is, the low bits of a tgid. Two
/// threads that begin their parent's record at the same moment may begin one here and one in the PARENTS map: who reads
/// adds them up.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParentClaim {
    /// [`ParentKey::claim`] of the owner, 0: nobody's. Changed only by compare-and-exchange.
    pub claim: u64,
    /// How many others with these low bits are in the PARENTS map.
    pub overflow_count: u32,
    pub reserved: u32,
}

/// Key of the NS_PIDS map: a pid as a wait call in that namespace returns it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NsPid {
    pub ns_inum: u32,
    pub nr: u32,
}

/// A histogram in the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Histogram {
    pub count: u64,
    pub sum_ns: u64,
    /// 0 while `count` is 0. Two CPUs may race for it: exact but for that.
    pub min_ns: u64,
    pub max_ns: u64,
    pub buckets: [u32; BUCKETS],
}

/// Value of the PARENT_SLOTS and PARENTS maps. A parent and its children die and reap on different CPUs: what is rarely
/// written, what is written where the parent runs, and what is written where its children die have a cache line each,
/// where records begin at one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ParentEntry {
    pub comm: [u8; COMM_LEN],
    pub ns_pid: u32,
    pub reserved: u32,
    /// When the parent itself died; 0 while it lives.
    pub dead_ns: u64,
    /// `reaped` at its last exec, and when that was.
    pub reaped_before_exec: u64,
    pub exec_ns: u64,
    pub process: ParentKey,

    pub forked: u64,
    pub reaped: u64,
    /// Wait calls begun since its last exec, for any child and for certain ones: every one of them.
    pub waits_any: u64,
    pub waits_specific: u64,
    pub reap_latency: Histogram,

    pub exited: u64,
    pub adopted: u64,
    pub autoreaped: u64,
    /// Of `reaped`: seen only by their free.
    pub coarse: u64,
    pub teardown: Histogram,

    /// Of `exited`: could not be followed to their reap, for want of room.
    pub untracked: u64,
    /// SIGCHLDs of its children since its last exec that were merged into one that was pending.
    pub coalesced: u64,
    pub _pad_to_cache_line: [u64; 6],

    pub calls: WaitArguments,
    /// The cgroup it was in when its entry was begun, or one above it ([`Settings::cgroup_level`]); 0: not asked for, or not
    /// known. It also fills the entry up to an odd number of cache lines, so that consecutive slots do not fall into the same
    /// cache sets.
    ///
    /// [`Settings::cgroup_level`]: crate::settings::Settings::cgroup_level
    pub cgroup_id: u64,
}

/// What the arguments of a parent's wait calls say, of the calls whose arguments were looked at: its first
/// [`WAITS_READ_FIRST`] since its last exec, then one in [`WAITS_READ_ONE_IN`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitArguments {
    /// How many were looked at and understood.
    pub read: u64,
    /// How many were looked at in vain: a caller of 32 bits, or a kernel that does not show them.
    pub unread: u64,
    /// Of `read`: for a process group.
    pub group: u64,
    /// Of `read`: for one child, or a group, that does not exist. To the kernel's hook that looks like a call for any child.
    pub absent: u64,
    /// Of `read`: take no dead child away (WNOWAIT, or a waitid without WEXITED).
    pub peeking: u64,
    /// Of `read`: see the children of the calling thread alone (__WNOTHREAD).
    pub own_thread: u64,
    /// Of `read`: see only children that do not send SIGCHLD (__WCLONE without __WALL).
    pub clone_only: u64,
}

/// [`WaitArguments`].
pub const WAITS_READ_FIRST: u64 = 8;
/// [`WaitArguments`].
pub const WAITS_READ_ONE_IN: u64 = 64;

impl ParentEntry {
    /// What became of its children, which cache lines keep apart here.
    pub fn counts(&self) -> ChildCounts {
        ChildCounts {
            forked: self.forked,
            exited: self.exited,
            adopted: self.adopted,
            reaped: self.reaped,
            autoreaped: self.autoreaped,
            coarse: self.coarse,
        }
    }
}

/// Index into the LOSSES array, which counts per CPU.
pub mod loss {
    pub const RING_FULL: u32 = 0;
    pub const DEAD_CHILDREN_FULL: u32 = 1;
    pub const PARENTS_FULL: u32 = 2;
    pub const TARGETS_FULL: u32 = 3;
    pub const FORK_STACKS_FULL: u32 = 4;
    pub const REASONS: u32 = 5;
}

const CACHE_LINE: usize = 64;
const _: () = {
    assert!(size_of::<TaskRef>() == 32);
    assert!(size_of::<Event>() == 136);
    assert!(size_of::<ExecEvent>() == 136 + EXECUTABLE_LEN + ARGS_LEN + 8);
    assert!(size_of::<Account>() == 48);
    assert!(size_of::<ExitEvent>() == 136 + 48);
    assert!(size_of::<TaskEntry>() == 120);
    assert!(size_of::<DeadChild>() == 88);
    assert!(size_of::<ParentKey>() == 16);
    assert!(size_of::<Histogram>() == 32 + 4 * BUCKETS);
    assert!(size_of::<DeadChildSlot>() == 104);
    assert!(size_of::<ParentClaim>() == 16);
    assert!(core::mem::offset_of!(ParentEntry, forked) == CACHE_LINE);
    assert!(core::mem::offset_of!(ParentEntry, exited) % CACHE_LINE == 0);
    assert!(core::mem::offset_of!(ParentEntry, untracked) % CACHE_LINE == 0);
    assert!(core::mem::offset_of!(ParentEntry, calls) % CACHE_LINE == 0);
    assert!(size_of::<ParentEntry>().is_multiple_of(CACHE_LINE));
    assert!(size_of::<ParentEntry>() / CACHE_LINE % 2 == 1);
};
