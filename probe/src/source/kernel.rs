//! Loads the programs, chooses the rung, drains what they send, reads what they count, walks the task list.
//!
//! Must not interpret: it hands out inputs in the model's words. Dropping it detaches everything.

use std::{
    fs,
    io::{BufReader, ErrorKind, Read},
    os::fd::{AsFd, FromRawFd, OwnedFd},
    path::Path,
};

use aya::{
    Btf, Ebpf,
    maps::{HashMap, Map, MapData, PerCpuArray, RingBuf},
    programs::{
        BtfTracePoint, FEntry, FExit, Iter, KProbe, Program, ProgramError, RawTracePoint, TracePoint,
    },
};
use aya_log::EbpfLogger;
use nix::errno::Errno;
use probe_common::{
    offsets::Offsets,
    settings::{Settings, scope},
    wire::{self, Followed, Life, ParentRecord},
};

use super::{
    SetupError,
    attach_types::{attach_types, loader},
    batch, clock, decode, lives, load, namespace, object, offsets,
    parents::Parents,
    shortage, tracefs,
    types::Types,
};
use crate::model::{
    Begin, Counters, Coverage, Death, Hooks, Identity, Lifecycle, Losses, MapUpkeep, ProgramUpkeep, Scope,
    Settled, Snapshot,
};

/// The committed object, as `cargo xtask build-ebpf` made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("reapwatch.bpf.o");

/// As many as stay in the CPU's cache; what dies within as many pids of an unreaped one goes to the hash.
const LIFE_SLOTS_MAX: u32 = 4_096;

/// Parents of a host are hundreds: few find their slot taken.
const PARENT_SLOTS_MAX: u32 = 4_096;

/// Room for 15,000 stages, or for 3,700 where only what is slow or wrong is told.
const RING_BYTES: u32 = 4 << 20;
const RING_BYTES_COUNTING: u32 = 512 << 10;

/// Most processes of a tree at once: 2 MB.
const FOLLOWED_MAX: u32 = 32_768;

/// What is read of the task list at once: as much as the kernel hands over in one go.
const TASKS_READ_BYTES: usize = 32 << 10;

/// A dead parent's record stays in its map this long, so that late releases still find it.
const RECORD_KEPT_NS: u64 = 5_000_000_000;
/// The same where a third of the room is taken: whoever leaks next needs a record more than late releases do, most of which
/// come within 60 ms.
const RECORD_KEPT_CROWDED_NS: u64 = 500_000_000;
const CROWDED_SHARE: u64 = 3;

/// Programs without which events are missing, not merely late: what a reap hook misses, the free shows, and what
/// the exit hook misses, the exact zombie hook.
const COUNTED_FOR_MISSES: &[&str] =
    &["process_fork", "process_exec", "zombie_signal", "notify_fexit", "notify_kretprobe", "process_free"];

/// The tracepoints that programs attach to, by their type or raw.
pub const TRACEPOINTS: &[&str] = &[
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "sched_process_wait",
    "sched_process_free",
    "signal_generate",
];
/// The functions among them.
pub const FUNCTIONS: &[&str] = &["do_notify_parent", "release_task", "bpf_iter_task"];

const NOTIFY: &str = "do_notify_parent";
const RELEASE: &str = "release_task";
const SIGNAL: &str = "signal_generate";
const TASKS: &str = "task";

/// Programs that every rung has, and what for; the dearest to verify first.
const ON_EVERY_RUNG: &[(&str, &str)] = &[
    ("process_exit", "sched_process_exit"),
    ("process_fork", "sched_process_fork"),
    ("process_exec", "sched_process_exec"),
    ("task_snapshot", TASKS),
    ("process_free", "sched_process_free"),
    ("process_wait", ""),
];

/// Which hooks may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookChoice {
    /// The best the kernel allows, hook by hook.
    Auto,
    Fentry,
    Kprobe,
    Tracepoint,
}

/// How one stage is seen, and what the better hooks said when they were tried.
#[derive(Clone, Debug)]
pub struct Attached {
    pub stage: &'static str,
    pub hook: String,
    /// (better hook, why it could not be had).
    pub refused: Vec<(String, String)>,
}

/// What a program is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Instructions the verifier went through; 0 where the kernel does not say (before 5.16).
    pub verified_instructions: u32,
    /// Size after the verifier removed what cannot be reached.
    pub translated_bytes: u32,
}

/// What to load, and how big.
#[derive(Clone, Debug)]
pub struct KernelOptions {
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
    pub asked: Asked,
}

impl KernelOptions {
    /// It is mapped twice, and all of it is resident.
    fn ring_bytes(&self) -> u32 {
        self.ring_bytes.unwrap_or(match self.asked {
            Asked::Counters { .. } => RING_BYTES_COUNTING,
            _ => RING_BYTES,
        })
    }
}

/// What a command needs to be told: the programs send nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Every stage of every process.
    Everything,
    /// Counters; of the stages only what is slow, a reap this late, or wrong.
    Counters { slow_ns: u64 },
    /// Every stage of the descendants of whom [`Kernel::follow_descendants`] is told, nothing of anybody else.
    Tree,
    /// Stages of these processes and of their children, all where empty; with a latency, only reaps that late.
    Events { pids: Vec<u32>, min_latency_ns: u64 },
}

impl Asked {
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

/// The attached programs and their maps.
pub struct Kernel {
    ebpf: Ebpf,
    events: RingBuf<MapData>,
    parents: Parents,
    attached: Vec<Attached>,
    exact: bool,
    asked: Asked,
    sizes: Sizes,
    losses: Losses,
    undecodable: u64,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    /// While it is open, the kernel counts runs of programs.
    _counting: Option<OwnedFd>,
}

/// How big the maps are.
struct Sizes {
    ring_bytes: u32,
    lives: u32,
    parents: u32,
    followed: u64,
}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Shared<T>(T);
// SAFETY: repr(C) integers and byte arrays without padding; the wrapper is transparent.
unsafe impl aya::Pod for Shared<Offsets> {}
// SAFETY: as above.
unsafe impl aya::Pod for Shared<Settings> {}
// SAFETY: as above.
unsafe impl aya::Pod for Shared<Followed> {}
// SAFETY: as above.
unsafe impl aya::Pod for Shared<wire::Settled> {}

impl Kernel {
    /// Loads and attaches. On failure nothing stays attached.
    pub fn attach(options: &KernelOptions) -> Result<Self, SetupError> {
        match options.asked {
            // All of the tree is in our PID namespace, or in one below it.
            Asked::Tree => namespace::require_known_pid()?,
            _ => namespace::require_initial_pid()?,
        }
        let _raised = load::MemlockRaised::new();
        let Located { found, wait_hooks, types } = locate(options)?;
        // Side by side: while the maps are made, the types are put into the form aya wants.
        let (attachable, ebpf) = load::beside(
            || attach_types(&types, TRACEPOINTS, FUNCTIONS),
            || load_object(options, &found.offsets),
        );
        drop(types);
        let counting = if options.stats { Some(count_runs()?) } else { None };
        let mut ebpf = ebpf?;
        let btf = attachable
            .map_err(|_| broken_object("the thread that read the kernel's types panicked"))?
            .map_err(|error| broken_object(&format!("the kernel's types cannot be handed on: {error}")))?;
        follow(&mut ebpf, &options.asked)?;
        let mut kernel = Loading { ebpf, btf, choice: options.hooks, attached: Vec::new() };
        let logger = if options.log_programs {
            let logger = EbpfLogger::init(&mut kernel.ebpf);
            Some(logger.map_err(|error| broken_object(&format!("its log cannot be read: {error}")))?)
        } else {
            None
        };
        kernel.attach_all(wait_hooks)?;
        let Loading { mut ebpf, attached, .. } = kernel;
        let events = ebpf
            .take_map("EVENTS")
            .and_then(|map| RingBuf::try_from(map).ok())
            .ok_or_else(|| broken_object("the map EVENTS is missing"))?;
        let parents =
            Parents::take(&mut ebpf, parent_slots(options)).map_err(|error| broken_object(&error))?;
        let exact =
            attached.iter().all(|one| !one.hook.contains("signal_generate") && !one.hook.contains("free"));
        let sizes = Sizes {
            ring_bytes: options.ring_bytes(),
            lives: options.lives,
            parents: options.parents,
            followed: followed_max(options).into(),
        };
        Ok(Self {
            ebpf,
            events,
            parents,
            attached,
            exact,
            asked: options.asked.clone(),
            sizes,
            losses: Losses::default(),
            undecodable: 0,
            logger,
            _counting: counting,
        })
    }

    /// Follows the processes that this one starts from now on, and their descendants.
    pub fn follow_descendants(&mut self, process: Identity) -> Result<(), SetupError> {
        follow_one(&mut self.ebpf, process)
    }

    /// What a window over these programs covers, see [`Asked::begin`].
    pub fn begin(&self, time_ns: u64, root: Option<Identity>) -> Begin {
        self.asked.begin(time_ns, root)
    }

    /// What is attached, stage by stage.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// The hooks as reports name them.
    pub fn hooks(&self) -> Hooks {
        let hook = |stage| {
            self.attached
                .iter()
                .find(|one| one.stage == stage)
                .map(|one| one.hook.clone())
                .unwrap_or_default()
        };
        Hooks { exit: hook("exit"), zombie: hook("zombie"), reap: hook("reap"), exact: self.exact }
    }

    /// The file descriptor that becomes readable when much has piled up.
    pub fn readiness(&self) -> std::os::fd::BorrowedFd<'_> {
        use std::os::fd::AsRawFd;
        // SAFETY: the ring buffer's descriptor lives as long as self, which the lifetime says.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(self.events.as_raw_fd()) }
    }

    /// Hands out what the ring buffer holds, so much at most. True where that was all.
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(Lifecycle)) -> bool {
        for _ in 0..most {
            let Some(record) = self.events.next() else { return true };
            match decode::event(&record) {
                Some(event) => take(event),
                None => self.undecodable += 1,
            }
        }
        false
    }

    /// Walks the kernel's task list. Zombies whose death no hook has seen are entered into the maps as they are passed.
    pub fn snapshot(&mut self, settle_after_ns: u64) -> Result<Snapshot, SetupError> {
        let began_ns = clock::boottime_ns();
        let mut tasks = Vec::new();
        each_task(&mut self.ebpf, |seen| tasks.extend(decode::seen_task(seen))).map_err(|error| {
            SetupError {
                what: format!("cannot walk the kernel's task list: {}", cause(&*error)),
                remedy: errno(&*error).and_then(shortage).unwrap_or("run `reapwatch doctor`").into(),
            }
        })?;
        let ended_ns = clock::boottime_ns();
        Ok(Snapshot { began_ns, ended_ns, settle_after_ns, tasks })
    }

    /// Whether much of the room for counters of parents is taken.
    pub fn is_crowded(&self) -> bool {
        self.parents.taken() > u64::from(self.sizes.parents) / CROWDED_SHARE
    }

    /// The counters of parents: of all, or of those long dead, whose counters are final. The records of these are given
    /// back, unless the window is about to close. True where the reading was complete.
    pub fn counters(&mut self, all: bool, closing: bool, mut take: impl FnMut(Counters)) -> bool {
        let now_ns = clock::boottime_ns();
        let kept_ns = if self.is_crowded() { RECORD_KEPT_CROWDED_NS } else { RECORD_KEPT_NS };
        let long_dead = |record: &ParentRecord| record.dead_ns != 0 && record.dead_ns + kept_ns < now_ns;
        self.parents.read(
            |record| !closing && long_dead(record),
            |record, retired| {
                if all || long_dead(record) {
                    // Not when the reading began: what happens between the two is counted.
                    let mut counters = decode::counters(clock::boottime_ns(), record);
                    counters.retired = retired;
                    take(counters);
                }
            },
        )
    }

    /// The books of parents that left nothing to tell.
    pub fn settled(&self) -> Settled {
        let mut sum = Settled::default();
        if let Some(map) = self.ebpf.map("SETTLED")
            && let Ok(settled) = PerCpuArray::<_, Shared<wire::Settled>>::try_from(map)
            && let Ok(values) = settled.get(&0, 0)
        {
            for Shared(one) in values.iter() {
                sum += decode::settled(one);
            }
        }
        sum
    }

    /// The deaths that are followed: their release was not heard of.
    pub fn deaths(&self) -> Vec<Death> {
        lives::all(&self.ebpf)
    }

    /// What each loaded program is to the kernel, by name.
    pub fn costs(&self) -> Vec<(String, ProgramCost)> {
        let mut costs: Vec<_> = self
            .ebpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program_info(program.fd().ok()?.as_fd())?;
                let cost = ProgramCost {
                    verified_instructions: info.verified_insns,
                    translated_bytes: info.xlated_prog_len,
                };
                Some((name.to_owned(), cost))
            })
            .collect();
        costs.sort_by(|one, other| one.0.cmp(&other.0));
        costs
    }

    /// Hands what the programs logged to the logger, where logging is on.
    pub fn flush_log(&mut self) {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }

    /// Everything lost so far, by reason.
    pub fn losses(&mut self) -> Losses {
        let refused = self.refused();
        self.losses.events = refused[wire::loss::RING_FULL as usize] + self.undecodable;
        self.losses.map_full = refused.iter().sum::<u64>() - refused[wire::loss::RING_FULL as usize];
        let counted: u64 = COUNTED_FOR_MISSES.iter().map(|name| self.misses(name).unwrap_or(0)).sum();
        let exits = match (self.misses("process_exit"), self.misses("exit_again")) {
            // Whoever is skipped by one is seen by the other.
            (Some(one), Some(other)) => one.min(other),
            (Some(_), None) if self.exact => 0,
            (misses, _) => misses.unwrap_or(0),
        };
        self.losses.probe_missed = counted + exits;
        self.losses
    }

    /// What the programs and maps cost and hold.
    pub fn upkeep(&mut self) -> (Vec<ProgramUpkeep>, Vec<MapUpkeep>) {
        let mut programs: Vec<_> = self
            .ebpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program_info(program.fd().ok()?.as_fd())?;
                Some(ProgramUpkeep {
                    name: name.to_owned(),
                    runs: info.run_cnt,
                    run_time_ns: info.run_time_ns,
                    recursion_misses: info.recursion_misses,
                })
            })
            .collect();
        programs.sort_by(|one, other| one.name.cmp(&other.name));
        let refused = self.refused();
        let elsewhere = self.count::<u32, Life>("LIVES");
        let maps = [
            ("EVENTS", 0, u64::from(self.sizes.ring_bytes), wire::loss::RING_FULL),
            ("LIVES", elsewhere, u64::from(self.sizes.lives), wire::loss::LIVES_FULL),
            ("PARENTS", self.parents.count(), u64::from(self.sizes.parents), wire::loss::PARENTS_FULL),
            (
                "FOLLOWED",
                self.count::<u32, Followed>("FOLLOWED"),
                self.sizes.followed,
                wire::loss::FOLLOWED_FULL,
            ),
        ];
        let maps = maps.map(|(name, entries, max_entries, reason)| MapUpkeep {
            name: name.to_owned(),
            entries,
            max_entries,
            refused: refused[reason as usize],
        });
        (programs, maps.into())
    }

    /// How many entries a hash map has.
    fn count<K, V>(&self, name: &str) -> u64 {
        let mut count = 0;
        if let Some(Map::HashMap(map)) = self.ebpf.map(name) {
            batch::entries(name, map.fd().as_fd(), size_of::<K>(), size_of::<V>(), |_, _| count += 1);
        }
        count
    }

    /// Times something did not fit, by reason.
    fn refused(&self) -> [u64; wire::loss::REASONS as usize] {
        let mut refused = [0; wire::loss::REASONS as usize];
        if let Some(map) = self.ebpf.map("LOSSES")
            && let Ok(counts) = PerCpuArray::<_, u64>::try_from(map)
        {
            for (reason, sum) in (0..).zip(&mut refused) {
                *sum = counts.get(&reason, 0).map_or(0, |values| values.iter().sum());
            }
        }
        refused
    }

    /// Times a loaded program was skipped because it was under way on the same CPU.
    fn misses(&self, name: &str) -> Option<u64> {
        let misses = program_info(self.ebpf.program(name)?.fd().ok()?.as_fd())?.recursion_misses;
        if misses > 0 {
            tracing::debug!(program = name, misses, "skipped while it was under way on the same CPU");
        }
        Some(misses)
    }
}

/// What must be known of the kernel before the maps can be made.
struct Located {
    found: offsets::Found,
    /// Whether the offsets of the wait tracepoints are among them.
    wait_hooks: bool,
    types: Types,
}

fn locate(options: &KernelOptions) -> Result<Located, SetupError> {
    let mut waits = Offsets::NONE;
    let (wait_hooks, found) = load::beside(
        || {
            // aya tries out what the kernel can when it is first asked, and remembers it.
            aya::features();
            tracefs::with(|| read_wait_offsets(&mut waits)).is_ok_and(|all| all)
        },
        || offsets::open(&options.btf).and_then(|types| Ok((offsets::find(&types)?, types))),
    );
    let (wait_hooks, (mut found, types)) = (wait_hooks.unwrap_or(false), found?);
    for ((path, offset), (_, of_wait)) in found.offsets.paths().into_iter().zip(waits.paths()) {
        if offsets::is_in_tracefs(path) {
            *offset = *of_wait;
        }
    }
    for (feature, members) in &found.lost {
        tracing::warn!(missing = members.join(", "), "this kernel's BTF lacks what is needed for {feature}");
    }
    Ok(Located { found, wait_hooks, types })
}

/// Makes the maps; the programs are not yet in the kernel.
fn load_object(options: &KernelOptions, found: &Offsets) -> Result<Ebpf, SetupError> {
    // Off, the verifier removes every log statement: nothing is left of them.
    let log_level = if options.log_programs { aya_log::Level::Debug as u8 } else { 0 };
    let settings = settings(options);
    let object =
        object::fit(OBJECT, found, settings.life_slots != 0).map_err(|error| broken_object(&error))?;
    let parent_slots = settings.parent_slots;
    let (found, settings) = (Shared(*found), Shared(settings));
    loader()
        .override_global("OFFSETS", &found, true)
        .override_global("SETTINGS", &settings, true)
        .override_global(aya_log::LEVEL, &log_level, true)
        .map_max_entries("EVENTS", options.ring_bytes())
        .map_max_entries("LIFE_SLOTS", settings.0.life_slots.max(1))
        .map_max_entries("LIVES", options.lives)
        .map_max_entries("NS_PIDS", options.lives)
        .map_max_entries("FOLLOWED", followed_max(options))
        .map_max_entries("PARENT_CLAIMS", parent_slots.max(1))
        .map_max_entries("PARENT_SLOTS", parent_slots.max(1))
        .map_max_entries("PARENTS", (options.parents - parent_slots).max(1))
        .load(&object)
        .map_err(|error| load_error(&error))
}

/// Slots for parents: half of the room at most, the rest is for those whose slot is taken.
fn parent_slots(options: &KernelOptions) -> u32 {
    if !is_at_least(5, 12) || options.parents < 2 {
        return 0;
    }
    (1 << (options.parents / 2).ilog2()).min(PARENT_SLOTS_MAX)
}

/// What the programs are set to.
fn settings(options: &KernelOptions) -> Settings {
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
    match &options.asked {
        Asked::Everything => {}
        Asked::Counters { slow_ns } => (settings.stream_all, settings.slow_ns) = (0, *slow_ns),
        Asked::Tree => settings.scope = scope::TREE,
        Asked::Events { pids, min_latency_ns } => {
            settings.min_latency_ns = *min_latency_ns;
            settings.scope = if pids.is_empty() { scope::HOST } else { scope::PIDS };
        }
    }
    settings
}

/// Entries of the FOLLOWED map.
fn followed_max(options: &KernelOptions) -> u32 {
    match &options.asked {
        Asked::Tree => FOLLOWED_MAX,
        Asked::Events { pids, .. } => (pids.len() as u32).max(1),
        Asked::Everything | Asked::Counters { .. } => 1,
    }
}

/// Tells the programs whom to follow.
fn follow(ebpf: &mut Ebpf, asked: &Asked) -> Result<(), SetupError> {
    let pids: &[u32] = match asked {
        Asked::Events { pids, .. } => pids,
        Asked::Tree | Asked::Everything | Asked::Counters { .. } => &[],
    };
    pids.iter().try_for_each(|pid| follow_one(ebpf, Identity { tgid: *pid, start_boottime_ns: 0 }))
}

fn follow_one(ebpf: &mut Ebpf, process: Identity) -> Result<(), SetupError> {
    let mut followed = ebpf
        .map_mut("FOLLOWED")
        .and_then(|map| HashMap::<_, u32, Shared<Followed>>::try_from(map).ok())
        .ok_or_else(|| broken_object("the map FOLLOWED is missing"))?;
    let entry = Followed { start_boottime_ns: process.start_boottime_ns };
    followed.insert(process.tgid, Shared(entry), 0).map_err(|error| SetupError {
        what: format!("cannot follow process {}: {}", process.tgid, cause(&error)),
        remedy: "run `reapwatch doctor`".into(),
    })
}

/// Reads the offsets that tracefs knows; true when all are there.
fn read_wait_offsets(waits: &mut Offsets) -> bool {
    let mut all = true;
    for (path, offset) in waits.paths() {
        if offsets::is_in_tracefs(path)
            && let Some((tracepoint, field)) = path.rsplit_once('.')
        {
            match tracefs::field_offset(tracepoint, field) {
                Some(found) => *offset = found,
                None => all = false,
            }
        }
    }
    all
}

/// Hands out the records of the task iterator as they are read: tens of thousands of them take megabytes.
fn each_task(ebpf: &mut Ebpf, mut take: impl FnMut(&[u8])) -> Result<(), Box<dyn std::error::Error>> {
    let program: &mut Iter = ebpf.program_mut("task_snapshot").ok_or("its program is missing")?.try_into()?;
    let link = program.attach()?;
    let file = program.take_link(link)?.into_file()?;
    let mut records = BufReader::with_capacity(TASKS_READ_BYTES, file);
    let mut record = [0; size_of::<wire::SeenTask>()];
    loop {
        match records.read_exact(&mut record) {
            Ok(()) => take(&record),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Has the kernel count runs and run time of all programs, as long as the descriptor is open.
fn count_runs() -> Result<OwnedFd, SetupError> {
    const BPF_ENABLE_STATS: nix::libc::c_long = 32;
    // `union bpf_attr` for that command: BPF_STATS_RUN_TIME.
    let mut attr: u32 = 0;
    // SAFETY: attr is ours, alive during the call, and its size is stated.
    let fd =
        unsafe { nix::libc::syscall(nix::libc::SYS_bpf, BPF_ENABLE_STATS, &raw mut attr, size_of::<u32>()) };
    if fd < 0 {
        return Err(SetupError {
            what: format!("--stats: the kernel does not count runs of programs: {}", Errno::last()),
            remedy: "leave --stats out, or run with CAP_SYS_ADMIN on Linux 5.8 or newer".into(),
        });
    }
    // SAFETY: a new descriptor of ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `bpf_prog_info`, of which aya hands out only a part.
fn program_info(fd: std::os::fd::BorrowedFd<'_>) -> Option<aya_obj::generated::bpf_prog_info> {
    use std::os::fd::AsRawFd;
    const BPF_OBJ_GET_INFO_BY_FD: nix::libc::c_long = 15;
    #[repr(C)]
    struct Attr {
        bpf_fd: u32,
        info_len: u32,
        info: u64,
    }
    // SAFETY: plain integers; all zero is a valid value.
    let mut info: aya_obj::generated::bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut attr = Attr {
        bpf_fd: fd.as_raw_fd() as u32,
        info_len: size_of_val(&info) as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: attr and info are ours, alive during the call, and their sizes are stated.
    let result = unsafe {
        nix::libc::syscall(nix::libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &raw mut attr, size_of::<Attr>())
    };
    (result == 0).then_some(info)
}

/// An error with all its sources, on one line.
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    // Where the kernel refuses before verifying, the log it promises is empty.
    if let Some(before) = text.trim_end().strip_suffix("Verifier output:") {
        text.truncate(before.trim_end().trim_end_matches('.').len());
    }
    // The verifier's log has many lines; its end says why, followed by statistics.
    const STATISTICS: &[&str] = &["processed ", "stack depth ", "verification time ", "subprog "];
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split(" processed ").next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty() && !STATISTICS.iter().any(|word| line.starts_with(word)))
        .collect();
    match lines.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, .., prior, last] => format!("{first} … {prior}; {last}"),
        [first, last] => format!("{first} … {last}"),
    }
}

fn errno(error: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = current {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return io.raw_os_error().map(Errno::from_raw);
        }
        current = inner.source();
    }
    None
}

fn load_error(error: &(dyn std::error::Error + 'static)) -> SetupError {
    let errno = errno(error);
    let permitted = !matches!(errno, Some(Errno::EPERM | Errno::EACCES));
    SetupError {
        what: format!("cannot load the programs into the kernel: {}", cause(error)),
        remedy: if let Some(remedy) = errno.and_then(shortage) {
            remedy.into()
        } else if permitted {
            "run `reapwatch doctor`; the kernel must be 5.10 or newer with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF"
                .into()
        } else {
            "run as root (sudo reapwatch …), or with CAP_BPF and CAP_PERFMON (before Linux 5.11 also ulimit -l unlimited)"
                .into()
        },
    }
}

fn broken_object(what: &str) -> SetupError {
    SetupError {
        what: format!("the embedded eBPF object is not the one this binary was built for: {what}"),
        remedy: "rebuild: cargo xtask build-ebpf && cargo build --release".into(),
    }
}

/// Attaching in progress; what it has attached goes when it is dropped.
struct Loading {
    ebpf: Ebpf,
    btf: Btf,
    choice: HookChoice,
    attached: Vec<Attached>,
}

impl Loading {
    /// Has all programs in the kernel before the first is attached: what they count begins at one moment, nearly.
    fn load_all(&mut self, wait_hooks: bool) {
        let exact = self.may(HookChoice::Fentry) && self.load::<FEntry>("release_again", RELEASE).is_ok();
        let rung: &[(&str, &str)] = if exact {
            &[("notify_fexit", NOTIFY), ("release_fentry", RELEASE)]
        } else if self.may(HookChoice::Kprobe) && has_kprobes() {
            &[("notify_kretprobe", NOTIFY), ("notify_kprobe", NOTIFY), ("release_kprobe", RELEASE)]
        } else if !self.may(HookChoice::Tracepoint) {
            &[]
        } else if wait_hooks {
            &[("zombie_signal", SIGNAL), ("exit_wait4", ""), ("exit_waitid", ""), ("enter_waitid", "")]
        } else {
            &[("zombie_signal", SIGNAL)]
        };
        // The dearest first: the one that tells of zombies, then the common ones; the rest of a rung is cheap.
        let (zombie, rest) = rung.split_at(rung.len().min(1));
        let wanted: Vec<_> = zombie.iter().chain(ON_EVERY_RUNG).chain(rest).copied().collect();
        load::load_all(&mut self.ebpf, &self.btf, &wanted);
    }

    /// Loads one and hands it out.
    fn load<'a, T>(&'a mut self, name: &str, target: &str) -> Result<&'a mut T, ProgramError>
    where
        &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        let program = self.ebpf.program_mut(name).ok_or(ProgramError::UnexpectedProgramType)?;
        load::load(program, target, &self.btf)?;
        program.try_into()
    }

    fn attach_all(&mut self, wait_hooks: bool) -> Result<(), SetupError> {
        self.load_all(wait_hooks);
        // Reap before zombie before exit before fork: a stage is never seen without the ones that follow it.
        let mut reap = Attached { stage: "reap", hook: String::new(), refused: Vec::new() };
        self.attach_reap(&mut reap, wait_hooks)?;
        let mut zombie = Attached { stage: "zombie", hook: String::new(), refused: Vec::new() };
        self.attach_zombie(&mut zombie)?;
        for (stage, name, tracepoint) in [
            ("exit", "process_exit", "sched_process_exit"),
            ("exec", "process_exec", "sched_process_exec"),
            ("fork", "process_fork", "sched_process_fork"),
        ] {
            self.tp_btf(name, tracepoint)?;
            self.attached.push(Attached { stage, hook: format!("tp_btf {tracepoint}"), refused: Vec::new() });
        }
        let hook = "raw_tp sched_process_wait".to_owned();
        self.load("process_wait", "")
            .and_then(|wait: &mut RawTracePoint| wait.attach("sched_process_wait").map(drop))
            .map_err(|error| attach_error(&hook, &error))?;
        self.attached.push(Attached { stage: "wait", hook, refused: Vec::new() });
        // A tracepoint's programs may be preempted: seen on 7.3, not on 6.18.
        if zombie.hook.contains("signal_generate") && is_at_least(6, 19) {
            self.tp_btf("exit_again", "sched_process_exit")?;
        }
        self.attached.extend([zombie, reap]);
        self.load::<Iter>("task_snapshot", TASKS).map_err(|error| attach_error("iter/task", &error))?;
        self.attached.push(Attached { stage: "snapshot", hook: "iter/task".into(), refused: Vec::new() });
        Ok(())
    }

    fn tp_btf(&mut self, name: &str, tracepoint: &str) -> Result<(), SetupError> {
        self.load(name, tracepoint)
            .and_then(|hook: &mut BtfTracePoint| hook.attach().map(drop))
            .map_err(|error| attach_error(&format!("tp_btf {tracepoint}"), &error))
    }

    fn may(&self, choice: HookChoice) -> bool {
        self.choice == HookChoice::Auto || self.choice == choice
    }

    fn attach_zombie(&mut self, zombie: &mut Attached) -> Result<(), SetupError> {
        const TARGET: &str = NOTIFY;
        if self.may(HookChoice::Fentry) {
            match self.load("notify_fexit", TARGET).and_then(|hook: &mut FExit| hook.attach().map(drop)) {
                Ok(()) => {
                    zombie.hook = format!("fexit {TARGET}");
                    return Ok(());
                }
                Err(error) => zombie.refused.push((format!("fexit {TARGET}"), cause(&error))),
            }
        }
        if self.may(HookChoice::Kprobe) {
            match self.kprobe("notify_kprobe", TARGET).and_then(|()| self.kprobe("notify_kretprobe", TARGET))
            {
                Ok(()) => {
                    zombie.hook = format!("kretprobe {TARGET}");
                    return Ok(());
                }
                Err(error) => zombie.refused.push((format!("kretprobe {TARGET}"), error.what)),
            }
        }
        self.fall_back(zombie)?;
        self.tp_btf("zombie_signal", SIGNAL)?;
        zombie.hook = "tp_btf signal_generate".into();
        Ok(())
    }

    fn attach_reap(&mut self, reap: &mut Attached, wait_hooks: bool) -> Result<(), SetupError> {
        const TARGET: &str = RELEASE;
        if self.may(HookChoice::Fentry) {
            match self.fentry("release_again", TARGET).and_then(|()| self.fentry("release_fentry", TARGET)) {
                Ok(()) => {
                    self.tp_btf("process_free", "sched_process_free")?;
                    reap.hook = format!("fentry {TARGET}");
                    return Ok(());
                }
                Err(error) => reap.refused.push((format!("fentry {TARGET}"), error.what)),
            }
        }
        if self.may(HookChoice::Kprobe) {
            match self.kprobe("release_kprobe", TARGET) {
                Ok(()) => {
                    // Perf-based programs are skipped while another runs on the same CPU: the free catches those.
                    self.tp_btf("process_free", "sched_process_free")?;
                    reap.hook = format!("kprobe {TARGET}");
                    return Ok(());
                }
                Err(error) => reap.refused.push((format!("kprobe {TARGET}"), error.what)),
            }
        }
        self.fall_back(reap)?;
        self.tp_btf("process_free", "sched_process_free")?;
        reap.hook = "tp_btf sched_process_free".into();
        if !wait_hooks {
            reap.refused
                .push(("syscalls:sys_exit_wait4, sys_exit_waitid".into(), "tracefs cannot be read".into()));
            return Ok(());
        }
        let attached = tracefs::with(|| {
            for (name, tracepoint) in [
                ("enter_waitid", "sys_enter_waitid"),
                ("exit_waitid", "sys_exit_waitid"),
                ("exit_wait4", "sys_exit_wait4"),
            ] {
                self.load(name, "")
                    .and_then(|hook: &mut TracePoint| hook.attach("syscalls", tracepoint).map(drop))
                    .map_err(|error| attach_error(&format!("syscalls:{tracepoint}"), &error))?;
            }
            Ok::<(), SetupError>(())
        });
        match attached {
            Ok(Ok(())) => {
                reap.hook = "syscalls:sys_exit_wait4, sys_exit_waitid; tp_btf sched_process_free".into()
            }
            Ok(Err(error)) => {
                reap.refused.push(("syscalls:sys_exit_wait4, sys_exit_waitid".into(), error.what))
            }
            Err(error) => reap.refused.push(("tracefs".into(), error.to_string())),
        }
        Ok(())
    }

    fn fentry(&mut self, name: &str, target: &str) -> Result<(), SetupError> {
        self.load(name, target)
            .and_then(|hook: &mut FEntry| hook.attach().map(drop))
            .map_err(|error| SetupError { what: cause(&error), remedy: String::new() })
    }

    fn kprobe(&mut self, name: &str, target: &str) -> Result<(), SetupError> {
        if !has_kprobes() {
            return Err(SetupError { what: "this kernel has no kprobes".into(), remedy: String::new() });
        }
        self.load(name, "")
            .and_then(|hook: &mut KProbe| hook.attach(target, 0).map(drop))
            .map_err(|error| SetupError { what: cause(&error), remedy: String::new() })
    }

    /// Whether a lower rung is allowed, after the better ones were refused.
    fn fall_back(&self, stage: &Attached) -> Result<(), SetupError> {
        if self.may(HookChoice::Tracepoint) {
            return Ok(());
        }
        let refused: Vec<String> = stage.refused.iter().map(|(hook, why)| format!("{hook}: {why}")).collect();
        Err(SetupError {
            what: format!("the hooks asked for cannot be had: {}", refused.join("; ")),
            remedy: "leave --hooks at auto: the tracepoint rung gives the same counts".into(),
        })
    }
}

/// Without them attaching is bound to fail, after the verifier's work was done.
fn has_kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
}

fn attach_error(hook: &str, error: &(dyn std::error::Error + 'static)) -> SetupError {
    let mut setup = load_error(error);
    setup.what = format!("cannot attach {hook}: {}", cause(error));
    setup
}

/// Whether the running kernel is of this release or a later one.
fn is_at_least(major: u32, minor: u32) -> bool {
    let release = release().0;
    let mut numbers = release.split(|one: char| !one.is_ascii_digit()).map_while(|part| part.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

/// Kernel release and architecture, for `doctor`.
pub fn release() -> (String, String) {
    let release = fs::read_to_string(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    (release.trim().to_owned(), std::env::consts::ARCH.to_owned())
}
