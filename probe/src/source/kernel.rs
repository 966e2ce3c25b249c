//! The programs at work: drains what they send, reads what they count, walks the task list, says what they lost and cost.
//!
//! Must not interpret: it hands out inputs in the model's words. Dropping it detaches everything.

use std::{
    io::{BufReader, ErrorKind, Read},
    os::fd::{AsFd, OwnedFd},
};

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, PerCpuArray, RingBuf},
    programs::Iter,
};
use aya_log::EbpfLogger;
use probe_common::wire::{self, Followed, Life, ParentRecord};

use super::{
    SetupError,
    attach::{Attached, Attaching},
    attach_types::attach_types,
    batch, clock, decode,
    failure::{broken_object, cause, errno},
    lives, load, namespace,
    options::{Asked, KernelOptions, followed_max, parent_slots},
    parents::Parents,
    prepared::{self, Located},
    program_info::{count_runs, program_info},
    programs::{self, Backstop, HookStage, PROGRAMS},
    shortage,
};
use crate::model::{
    Begin, Counters, Death, Hooks, Identity, Lifecycle, Losses, MapUpkeep, ProgramUpkeep, Settled, Snapshot,
};

/// What is read of the task list at once: as much as the kernel hands over in one go.
const TASKS_READ_BYTES: usize = 32 << 10;

/// A dead parent's record stays in its map this long, so that late releases still find it.
const RECORD_KEPT_NS: u64 = 5_000_000_000;
/// The same where a third of the room is taken: whoever leaks next needs a record more than late releases do, most of which
/// come within 60 ms.
const RECORD_KEPT_CROWDED_NS: u64 = 500_000_000;
const CROWDED_SHARE: u64 = 3;

/// What a program is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Instructions the verifier went through; 0 where the kernel does not say (before 5.16).
    pub verified_instructions: u32,
    /// Size after the verifier removed what cannot be reached.
    pub translated_bytes: u32,
}

/// The attached programs and their maps.
pub struct Kernel {
    ebpf: Ebpf,
    events: RingBuf<MapData>,
    parents: Parents,
    attached: Vec<Attached>,
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
// SAFETY: repr(C) integers without padding; the wrapper is transparent.
unsafe impl aya::Pod for Shared<Followed> {}
// SAFETY: as above.
unsafe impl aya::Pod for Shared<wire::Settled> {}

impl Kernel {
    /// Loads and attaches. On failure nothing stays attached.
    pub fn attach(options: &KernelOptions) -> Result<Self, SetupError> {
        namespace::require_host_clock()?;
        match options.asked {
            // All of the tree is in our PID namespace, or in one below it.
            Asked::Tree => namespace::require_known_pid()?,
            _ => namespace::require_initial_pid()?,
        }
        let _raised = load::MemlockRaised::new();
        let Located { found, wait_hooks, types } = prepared::locate(options)?;
        // Side by side: while the maps are made, the types are put into the form aya wants.
        let (attachable, ebpf) = load::beside(
            || attach_types(&types, &programs::tracepoints(), &programs::functions()),
            || prepared::load_object(options, &found.offsets),
        );
        drop(types);
        let counting = if options.stats { Some(count_runs()?) } else { None };
        let mut ebpf = ebpf?;
        let btf = attachable
            .map_err(|_| broken_object("the thread that read the kernel's types panicked"))?
            .map_err(|error| broken_object(&format!("the kernel's types cannot be handed on: {error}")))?;
        follow(&mut ebpf, &options.asked)?;
        let logger = if options.log_programs {
            let logger = EbpfLogger::init(&mut ebpf);
            Some(logger.map_err(|error| broken_object(&format!("its log cannot be read: {error}")))?)
        } else {
            None
        };
        let (mut ebpf, attached) = Attaching::new(ebpf, btf, options.hooks).attach_all(wait_hooks)?;
        let events = ebpf
            .take_map("EVENTS")
            .and_then(|map| RingBuf::try_from(map).ok())
            .ok_or_else(|| broken_object("the map EVENTS is missing"))?;
        let parents =
            Parents::take(&mut ebpf, parent_slots(options)).map_err(|error| broken_object(&error))?;
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
                .map(|one| one.hook.to_string())
                .unwrap_or_default()
        };
        Hooks {
            exit: hook(HookStage::Exit),
            zombie: hook(HookStage::Zombie),
            reap: hook(HookStage::Reap),
            exact: self.is_exact(),
        }
    }

    /// Whether zombies and reaps are timed in the functions in which the kernel makes them.
    pub fn is_exact(&self) -> bool {
        let timed = |one: &&Attached| matches!(one.stage, HookStage::Zombie | HookStage::Reap);
        self.attached.iter().filter(timed).all(|one| one.hook.is_exact())
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
        let lost = PROGRAMS.iter().filter(|spec| spec.backstop == Backstop::None);
        let counted: u64 = lost.map(|spec| self.misses(spec.name).unwrap_or(0)).sum();
        let mut copies = PROGRAMS.iter().filter(|spec| spec.backstop == Backstop::CopyOrZombie);
        let exits = match [copies.next(), copies.next()].map(|copy| self.misses(copy?.name)) {
            // Each sees what the other missed.
            [Some(one), Some(other)] => one.min(other),
            [Some(_), None] if self.is_exact() => 0,
            [misses, _] => misses.unwrap_or(0),
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
