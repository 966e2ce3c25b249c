//! The words of the project as types: identities, lifecycle inputs, task snapshots, counters, losses.
//!
//! Owns what an [`Input`] can say. Must not know where inputs come from, nor what is made of them.
//! Deliberately not `Serialize`: the recording (`record`) and the report (`report`) have forms of their own.

use std::{borrow::Cow, sync::Arc};

/// A process, for all time: its thread-group id and the boot-time ns at which it started. A bare pid is never a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Identity {
    /// Thread-group id in the initial PID namespace.
    pub tgid: u32,
    /// `task_struct.start_boottime` of the group leader, in ns since boot.
    pub start_boottime_ns: u64,
}

impl Identity {
    /// Init of the initial PID namespace. It lives as long as the kernel, also where a sandbox keeps it out of the task
    /// list.
    pub fn is_init(&self) -> bool {
        self.tgid == 1
    }
}

/// `task_struct.comm`, raw: hostile bytes, NUL padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// The bytes before the first NUL.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(16);
        &self.0[..end]
    }

    /// Valid UTF-8, still unescaped: `render` escapes it.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }
}

impl From<&[u8]> for Comm {
    fn from(bytes: &[u8]) -> Self {
        let mut comm = [0; 16];
        let len = bytes.len().min(15);
        comm[..len].copy_from_slice(&bytes[..len]);
        Self(comm)
    }
}

/// A process as an event names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Task {
    /// Who.
    pub identity: Identity,
    /// Its pid in its own PID namespace; equal to `identity.tgid` in the initial one.
    pub ns_pid: u32,
    /// Its name at that moment.
    pub comm: Comm,
}

/// Most bytes kept of a command line, the NULs between its arguments included.
pub const COMMAND_LINE_MAX: usize = 4096;

/// What a process runs, from its exec or from /proc. Raw bytes: hostile text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Detail {
    /// argv, possibly cut (the kernel hands over the first few hundred bytes).
    pub command_line: Vec<Vec<u8>>,
    /// Path of the program as it was executed; empty when unknown.
    pub executable: Vec<u8>,
    /// systemd unit from the cgroup path; empty when unknown.
    pub unit: Vec<u8>,
}

/// The signals that the main thread of a process blocks, ignores and catches. Bit n - 1 is signal n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SignalMasks {
    pub blocked: u64,
    pub ignored: u64,
    pub caught: u64,
}

/// A wait status as `wait4` would return it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WaitStatus(pub u32);

impl WaitStatus {
    /// Exit code, when it ended by itself.
    pub fn code(self) -> Option<u32> {
        (self.0 & 0x7f == 0).then_some((self.0 >> 8) & 0xff)
    }
    /// The signal that killed it.
    pub fn signal(self) -> Option<u32> {
        let signal = self.0 & 0x7f;
        (signal != 0).then_some(signal)
    }
    /// Whether a core was dumped.
    pub fn core_dumped(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// How an entry left the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReapHow {
    /// A wait call took it (or something acting for the parent: io_uring's WAITID).
    Wait,
    /// The kernel took it at once: SIGCHLD ignored or SA_NOCLDWAIT.
    Auto,
}

/// How good a reap's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Seen at the release or at the return of the wait that took it.
    Exact,
    /// Only the RCU free was seen: 4 to 32 ms late.
    Coarse,
}

/// One stage in a process's life.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// A process (not a thread) was created. `parent` is the real parent, `creator` the caller of clone.
    Fork { parent: Task, creator: Task },
    /// It runs another program.
    Exec { detail: Arc<Detail> },
    /// Its last thread is dying. `autoreap`: the parent ignores SIGCHLD or set SA_NOCLDWAIT at this moment.
    Exit { parent: Task, status: WaitStatus, autoreap: bool },
    /// It is dead and waitable. `held_by`: a tracer that is not the parent was told instead of the parent.
    /// `again`: the tracer has let go, and only now is the parent told.
    Zombie { parent: Task, held_by: Option<Task>, exit_ns: u64, again: bool },
    /// A zombie changed hands: `parent` is the adopter, `from` the parent it had, `since_ns` when it became one (0: not
    /// known).
    Reparent { parent: Task, from: Task, since_ns: u64 },
    /// `release_task` took the entry. `exit_ns`, `zombie_ns`: when it exited and became a zombie, 0 when not seen.
    Reap { parent: Task, reaper: Task, how: ReapHow, precision: Precision, exit_ns: u64, zombie_ns: u64 },
}

impl Stage {
    /// The parent that this stage names.
    pub fn parent(&self) -> Option<&Task> {
        match self {
            Self::Fork { parent, .. }
            | Self::Exit { parent, .. }
            | Self::Zombie { parent, .. }
            | Self::Reparent { parent, .. }
            | Self::Reap { parent, .. } => Some(parent),
            Self::Exec { .. } => None,
        }
    }
}

/// One lifecycle event; all times are CLOCK_BOOTTIME ns.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifecycle {
    pub time_ns: u64,
    pub process: Task,
    pub stage: Stage,
}

/// What the kernel's task list says of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Alive.
    Running,
    /// Its last thread is in `do_exit`; not yet waitable.
    Exiting,
    /// Leader gone, other threads live: shown as Z, never a leak.
    DeadLeader,
    /// Dead and waitable.
    Zombie,
}

/// One process of a task snapshot, with the moment at which the iterator stood on it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenTask {
    pub time_ns: u64,
    pub process: Task,
    pub parent: Task,
    pub state: TaskState,
    /// The tracer, where it is not the parent.
    pub tracer: Option<Box<Task>>,
    /// When it became a zombie; 0 where that was not seen.
    pub since_ns: u64,
}

/// The kernel's task list, walked once between two moments. A process that was there the whole time is in it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Snapshot {
    pub began_ns: u64,
    pub ended_ns: u64,
    /// The dead who are absent and died this long before `began_ns` are settled as released;
    /// younger ones may still have their event under way.
    pub settle_after_ns: u64,
    pub tasks: Vec<SeenTask>,
}

/// A latency distribution: exact count, sum, extremes; buckets by [`probe_common::bucket`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Distribution {
    pub count: u64,
    pub sum_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
    /// (bucket index, count), ascending, no zero counts.
    pub buckets: Vec<(u16, u64)>,
}

/// A death of which the kernel programs have not heard the release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Death {
    pub process: Identity,
    /// Whose child it died, or into whose hands it came since.
    pub parent: Identity,
    /// The kernel reaps it itself.
    pub autoreap: bool,
    /// Its parent's counters have it among the deaths.
    pub counted: bool,
}

/// What the kernel counted for one parent since the programs were attached: exact even when events were lost.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Counters {
    pub time_ns: u64,
    pub parent: Task,
    /// When the parent itself died; 0 while it lives.
    pub died_ns: u64,
    /// It is long dead: its record has been given back, and these are final.
    pub retired: bool,
    pub forked: u64,
    pub exited: u64,
    pub adopted: u64,
    pub reaped: u64,
    pub autoreaped: u64,
    /// Of `reaped`: seen only by their free.
    pub coarse: u64,
    /// Of `exited`: could not be followed to their reap, for want of room.
    pub untracked: u64,
    /// When it last ran another program, 0: not seen; and its `reaped` at that moment.
    pub exec_ns: u64,
    pub reaped_before_exec: u64,
    pub waits_any: u64,
    pub waits_specific: u64,
    pub reap_latency: Distribution,
    pub teardown: Distribution,
}

/// Books of parents that are gone and left nothing to tell: not kept one by one. Cumulative since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub parents: u64,
    pub forked: u64,
    pub exited: u64,
    pub adopted: u64,
    pub reaped: u64,
    pub autoreaped: u64,
    /// Of `reaped`: seen only by their free.
    pub coarse: u64,
}

impl std::ops::AddAssign for Settled {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.parents, other.parents),
            (&mut self.forked, other.forked),
            (&mut self.exited, other.exited),
            (&mut self.adopted, other.adopted),
            (&mut self.reaped, other.reaped),
            (&mut self.autoreaped, other.autoreaped),
            (&mut self.coarse, other.coarse),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Everything that did not arrive, by reason, cumulative since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Losses {
    /// Events the ring buffer had no room for.
    pub events: u64,
    /// Entries a kernel map or a table of ours had no room for.
    pub map_full: u64,
    /// Hits a program missed (recursion on the same CPU), and frees that had to tell who reaped and did not come.
    pub probe_missed: u64,
    /// Places of a recording that could not be read. Whoever reads it says so; it is never recorded.
    pub damaged: u64,
}

/// What the tracer itself costs and holds. Cumulative since the start.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Upkeep {
    /// CPU time of the collector, user and system.
    pub cpu_ns: u64,
    /// Its resident memory.
    pub resident_bytes: u64,
    pub programs: Vec<ProgramUpkeep>,
    pub maps: Vec<MapUpkeep>,
}

/// One program in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ProgramUpkeep {
    pub name: String,
    /// Runs and the time in them; 0 where the kernel does not count (`kernel.bpf_stats_enabled`, `--stats`).
    pub runs: u64,
    pub run_time_ns: u64,
    /// Times it was skipped because it was under way on the same CPU.
    pub recursion_misses: u64,
}

/// One map in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MapUpkeep {
    pub name: String,
    pub entries: u64,
    pub max_entries: u64,
    /// Times something found no room.
    pub refused: u64,
}

/// Whose lives are told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every process of the host.
    #[default]
    Host,
    /// This process and its descendants: nothing of anybody else is sent or counted.
    Tree(Identity),
    /// Events of the processes with these pids and of their children. The kernel counts for every parent.
    Pids(Vec<u32>),
}

/// Which stages of a life are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coverage {
    /// All of them.
    #[default]
    EveryEvent,
    /// Only what is slow (a reap at least this late) or wrong; the kernel counts the rest.
    Exceptions { slow_ns: u64 },
    /// Only reaps at least this late; the kernel counts the rest.
    LateReaps { min_latency_ns: u64 },
    /// The recording is too old to say.
    Unstated,
}

/// What was asked for when the window was opened. Everything that depends on it is derived from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    pub time_ns: u64,
    pub scope: Scope,
    pub coverage: Coverage,
}

/// All the engine is ever told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The hooks are attached and the window is open.
    Begin(Begin),
    Lifecycle(Lifecycle),
    /// What a process runs, read from /proc.
    Detail {
        identity: Identity,
        detail: Detail,
    },
    /// The signal masks of a suspect, read from /proc at this time.
    SignalMasks {
        time_ns: u64,
        identity: Identity,
        masks: SignalMasks,
    },
    Snapshot(Snapshot),
    /// Processes that were released without their free: no counters have their release. They add to the counters that are
    /// read after this.
    Unfreed(Vec<Death>),
    Counters(Box<Counters>),
    /// The books of parents that the kernel has already forgotten. It ends a reading of all counters: a parent whose
    /// counters were told before, and now are not, nor were retired, is among the forgotten.
    Settled(Settled),
    Losses {
        time_ns: u64,
        losses: Losses,
    },
    Upkeep(Box<Upkeep>),
    /// The window is closed.
    End {
        time_ns: u64,
    },
}

/// Which hook serves a stage, and how good it is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hooks {
    pub exit: String,
    pub zombie: String,
    pub reap: String,
    /// Whether every reap is seen where it happens; false on the tracepoint rung.
    pub exact: bool,
}

/// The one place where clocks meet: CLOCK_REALTIME minus CLOCK_BOOTTIME, in ns, read once at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TimeAnchor {
    pub realtime_minus_boottime_ns: i64,
}

/// The grace where none is asked for.
pub const DEFAULT_GRACE_NS: u64 = 5_000_000_000;

/// What is true for a whole recording or live run.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Session {
    pub anchor: TimeAnchor,
    pub hooks: Hooks,
    /// A child unreaped for longer than this counts against its parent.
    pub grace_ns: u64,
}
