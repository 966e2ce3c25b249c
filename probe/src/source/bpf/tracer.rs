//! The programs at work: drains what they send, reads what they count, says what they lost and cost.
//!
//! Must not interpret: it hands out inputs in the model's words. Dropping it detaches everything.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use aya_log::EbpfLogger;
use probe_common::{interpreter::Interpreter, wire::ParentEntry};

use super::{
    attach::{Attached, Attaching, Spare},
    attach_btf::attach_types,
    decode,
    error::broken_object,
    fork_stacks::ForkStackRing,
    load,
    map::{dead_children, finished_in_cgroups, finished_parents, parents::Parents, targets},
    object::{self, Located},
    options::{ForkStacks, Subscription, TracerOptions, followed_max, parent_slots},
    programs::{self, HookStage},
    stats::{self, ProgramCost, Refused, Sizes},
    suspects::Suspects,
    sys::count_runs,
    task_list,
};
use crate::{
    model::{
        Begin, Counters, DeadChild, FinishedInCgroup, FinishedParents, Hooks, Identity, LifecycleEvent,
        Losses, MapStats, ProgramStats, Scope, Snapshot, Task,
    },
    source::{
        SetupError,
        host::{clock, fork_site::Stack, namespace},
    },
};

/// A dead parent's record stays in its map this long, so that late releases still find it.
const RECORD_KEPT_NS: u64 = 5_000_000_000;
/// The same where a third of the room is taken: a parent that leaks next needs a record more than late releases do, most of
/// which come within 60 ms.
const RECORD_KEPT_CROWDED_NS: u64 = 500_000_000;
const CROWDED_SHARE: u64 = 3;

/// The attached programs and their maps.
pub struct Tracer {
    ebpf: Ebpf,
    events: RingBuf<MapData>,
    stacks: ForkStackRing,
    suspects: Suspects,
    spare: Spare,
    parents: Parents,
    attached: Vec<Attached>,
    subscription: Subscription,
    sizes: Sizes,
    losses: Losses,
    undecodable: u64,
    /// Whether signals that were merged into a pending one are counted.
    counts_merged: bool,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    /// While it is open, the kernel counts runs of programs.
    _counting: Option<OwnedFd>,
}

impl Tracer {
    /// Loads and attaches. On failure nothing stays attached.
    pub fn attach(options: &TracerOptions) -> Result<Self, SetupError> {
        namespace::require_host_clock()?;
        match options.subscription.scope {
            // All of the tree is in our PID namespace, or in one below it.
            Scope::Tree(_) => namespace::require_known_pid()?,
            _ => namespace::require_initial_pid()?,
        }
        let _raised = load::MemlockRaised::new();
        let Located { found, wait_hooks, types } = object::locate(options)?;
        // While the maps are made, another thread puts the types into the form aya wants.
        let (attachable, ebpf) = load::beside(
            || attach_types(&types, &programs::tracepoints(), &programs::functions()),
            || object::load_object(options, &found.offsets),
        );
        drop(types);
        let counting = if options.stats { Some(count_runs()?) } else { None };
        let mut ebpf = ebpf?;
        let btf = attachable
            .map_err(|_| broken_object("the thread that read the kernel's types panicked"))?
            .map_err(|error| broken_object(format!("the kernel's types cannot be handed on: {error}")))?;
        options.subscription.pids().iter().try_for_each(|pid| targets::add_pid(&mut ebpf, *pid))?;
        let logger = if options.log_programs {
            let logger = EbpfLogger::init(&mut ebpf);
            Some(logger.map_err(|error| broken_object(format!("its log cannot be read: {error}")))?)
        } else {
            None
        };
        let (mut ebpf, attached, spare) =
            Attaching::new(ebpf, btf, options.hooks, &options.subscription).attach_all(wait_hooks)?;
        let stacks = ForkStackRing::take(&mut ebpf, options.subscription.fork_stacks)?;
        let events = ebpf
            .take_map("EVENTS")
            .and_then(|map| RingBuf::try_from(map).ok())
            .ok_or_else(|| broken_object("the map EVENTS is missing"))?;
        // The tracepoint of signals says so itself.
        let counts_merged = found.shows_merged_signals()
            || attached.iter().any(|one| one.stage == HookStage::Zombie && !one.hook.is_exact());
        let parents = Parents::take(&mut ebpf, parent_slots(options)).map_err(broken_object)?;
        let sizes = Sizes {
            ring_bytes: options.ring_bytes(),
            lives: options.lives,
            parents: options.parents,
            followed: followed_max(options),
        };
        Ok(Self {
            ebpf,
            events,
            stacks,
            suspects: Suspects::new(&options.subscription),
            spare,
            parents,
            attached,
            subscription: options.subscription.clone(),
            sizes,
            losses: Losses::default(),
            undecodable: 0,
            counts_merged,
            logger,
            _counting: counting,
        })
    }

    /// Follows the processes that this one starts from now on, and their descendants.
    pub fn follow_descendants(&mut self, process: Identity) -> Result<(), SetupError> {
        Ok(targets::add(&mut self.ebpf, process)?)
    }

    /// What a window over these programs covers, see [`Subscription::begin`].
    pub fn begin(&self, time_ns: u64, root: Option<Identity>) -> Begin {
        self.subscription.begin(time_ns, root)
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
    pub fn readiness(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring buffer's descriptor lives as long as self, which the lifetime says.
        unsafe { BorrowedFd::borrow_raw(self.events.as_raw_fd()) }
    }

    /// Takes up to `most` events out of the ring buffer. Returns true if that was all.
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(LifecycleEvent)) -> bool {
        for _ in 0..most {
            let Some(record) = self.events.next() else { return true };
            match decode::event(&record) {
                Some(event) => take(event),
                None => self.undecodable += 1,
            }
        }
        false
    }

    /// The same of stacks; `None` where none are asked for.
    pub fn stacks_readiness(&self) -> Option<BorrowedFd<'_>> {
        self.stacks.readiness()
    }

    /// Takes up to `most` stacks out of their ring buffer. Returns true if that was all.
    pub fn drain_stacks(&mut self, most: usize, take: impl FnMut(Stack)) -> bool {
        self.stacks.drain(most, take)
    }

    /// Has more sent of these processes than of others, where that was asked for: the stacks of their forks, and who killed
    /// their children.
    pub fn look_closer(&mut self, suspects: &[Task]) {
        if !suspects.is_empty()
            && let Err(error) = self.stacks.map()
        {
            tracing::warn!(%error, "where suspects fork is not shown");
        }
        self.suspects.set(&mut self.ebpf, suspects);
    }

    /// Has the frames of this interpreter sent with the stacks of its process.
    pub fn add_interpreter(&mut self, process: Identity, interpreter: &Interpreter) {
        self.stacks.add_interpreter(&mut self.ebpf, process, interpreter);
    }

    /// Of which forks the stack is asked for.
    pub fn fork_stacks(&self) -> ForkStacks {
        self.subscription.fork_stacks
    }

    /// Forks whose stack was asked for and did not arrive, so far.
    pub fn stacks_missed(&self) -> u64 {
        let are_sent = self.subscription.fork_stacks == ForkStacks::OfAll || self.suspects.are_watched();
        if are_sent { Refused::read(&self.ebpf).fork_stacks() } else { 0 }
    }

    /// Walks the kernel's task list. Zombies whose death no hook has seen are entered into the maps as they are passed.
    pub fn snapshot(&mut self, settle_after_ns: u64) -> Result<Snapshot, SetupError> {
        task_list::snapshot(&mut self.ebpf, settle_after_ns)
    }

    /// Whether much of the room for counters of parents is taken.
    pub fn is_crowded(&self) -> bool {
        self.parents.taken() > u64::from(self.sizes.parents) / CROWDED_SHARE
    }

    /// The counters of parents: of all, or of those long dead, whose counters are final. The records of these are freed,
    /// unless the window is about to close. Returns true if the reading was complete.
    pub fn counters(&mut self, all: bool, closing: bool, mut take: impl FnMut(Counters)) -> bool {
        let now_ns = clock::boottime_ns();
        let kept_ns = if self.is_crowded() { RECORD_KEPT_CROWDED_NS } else { RECORD_KEPT_NS };
        let counts_merged = self.counts_merged;
        let long_dead = |record: &ParentEntry| record.dead_ns != 0 && record.dead_ns + kept_ns < now_ns;
        self.parents.read(
            |record| !closing && long_dead(record),
            |record, retired| {
                if all || long_dead(record) {
                    // Not when the reading began: what happens between the two is counted.
                    let mut counters = decode::counters(clock::boottime_ns(), record);
                    counters.retired = retired;
                    counters.coalesced = counters.coalesced.filter(|_| counts_merged);
                    take(counters);
                }
            },
        )
    }

    /// The sum over parents that ended with nothing to report.
    pub fn finished_parents(&self) -> FinishedParents {
        finished_parents::sum(&self.ebpf)
    }

    /// Whether what finished parents had is asked for by cgroup.
    pub fn is_by_cgroup(&self) -> bool {
        self.subscription.by_cgroup
    }

    /// The same by cgroup, `None` where that is not asked for or cannot be read. To be read after the sum of all, so that it has
    /// all that is in that.
    pub fn finished_in_cgroups(&self) -> Option<Vec<FinishedInCgroup>> {
        if self.subscription.by_cgroup { finished_in_cgroups::all(&self.ebpf) } else { None }
    }

    /// Has the programs forget the sum of a cgroup that has gone.
    pub fn forget_cgroup(&mut self, cgroup_id: u64) {
        finished_in_cgroups::forget(&mut self.ebpf, cgroup_id);
    }

    /// Says which cgroups directly below the root have workloads one level further down than others.
    pub fn set_deep_cgroups(&mut self, ids: &[u64]) {
        finished_in_cgroups::set_deep(&mut self.ebpf, ids);
    }

    /// The dead children whose release no hook has seen yet.
    pub fn deaths(&self) -> Vec<DeadChild> {
        dead_children::all(&self.ebpf)
    }

    /// What each loaded program is to the kernel, by name.
    pub fn costs(&self) -> Vec<(String, ProgramCost)> {
        stats::costs(&self.ebpf)
    }

    /// Passes what the programs logged to the logger, where logging is on.
    pub fn flush_log(&mut self) {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }

    /// Everything lost so far, by reason. Sees to it that no more is lost than has to be.
    pub fn losses(&mut self) -> Losses {
        self.spare.attach_if_needed(&mut self.ebpf);
        let refused = Refused::read(&self.ebpf);
        self.losses.events = refused.events() + self.undecodable;
        self.losses.map_full = refused.entries();
        self.losses.probe_missed = stats::missed(&self.ebpf, self.is_exact());
        self.losses
    }

    /// What the programs and maps cost and hold.
    pub fn tracer_stats(&mut self) -> (Vec<ProgramStats>, Vec<MapStats>) {
        let maps = stats::map_upkeep(&self.ebpf, self.parents.count(), &self.sizes);
        (stats::program_upkeep(&self.ebpf), maps)
    }
}
