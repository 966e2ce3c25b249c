//! Has the programs in the kernel and attached, on the best rung that it and the user allow, stage by stage.
//!
//! Owns which rung is tried when, and what the refused ones said. What is attached goes when it is dropped. Must not know
//! what the programs send.

use std::path::Path;

use aya::{
    Btf, Ebpf,
    programs::{
        BtfTracePoint, FEntry, FExit, Iter, KProbe, Program, ProgramError, RawTracePoint, TracePoint,
    },
};
use nix::errno::Errno;

use super::{
    error::{BpfError, broken_object, cause, errno},
    load,
    options::{ForkStacks, HookChoice, Kills, Subscription},
    programs::{
        Hook, HookStage, NEEDS_TRAMPOLINE, PROGRAMS, ProgramSpec, Rung, StageHook, program, programs_of,
    },
    stats,
};
use crate::source::host::{release::is_at_least, tracefs};

/// How one stage is reported, and what the better hooks said when they were tried.
#[derive(Clone, Debug)]
pub struct Attached {
    pub stage: HookStage,
    pub hook: StageHook,
    pub refused: Vec<Refused>,
}

/// A better hook that could not be had.
#[derive(Clone, Debug)]
pub struct Refused {
    pub hook: StageHook,
    pub why: String,
    /// What the system call said, where it was one.
    pub errno: Option<Errno>,
}

impl Refused {
    fn new(hook: StageHook, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { hook, why: cause(error), errno: errno(error) }
    }

    fn because(hook: StageHook, why: impl Into<String>) -> Self {
        Self { hook, why: why.into(), errno: None }
    }
}

/// Attaching in progress.
pub struct Attaching {
    ebpf: Ebpf,
    btf: Btf,
    choice: HookChoice,
    fork_stacks: ForkStacks,
    kills: Kills,
    attached: Vec<Attached>,
}

impl Attaching {
    /// `btf`: the kernel's types of what programs attach to.
    pub fn new(ebpf: Ebpf, btf: Btf, choice: HookChoice, subscription: &Subscription) -> Self {
        let Subscription { fork_stacks, kills, .. } = *subscription;
        Self { ebpf, btf, choice, fork_stacks, kills, attached: Vec::new() }
    }

    /// Attaches every stage. `wait_hooks`: the wait tracepoints can be used.
    /// Returns also what is not attached yet, because it may never be needed.
    pub fn attach_all(mut self, wait_hooks: bool) -> Result<(Ebpf, Vec<Attached>, Spare), BpfError> {
        self.load_all(wait_hooks);
        // Reap before zombie before exit before fork: a stage is never seen without the ones that follow it.
        let (reap, refused) = self.reap(wait_hooks)?;
        let has_copy = reap.rung() == Some(Rung::Fentry);
        if has_copy && may_be_preempted() {
            programs_of(HookStage::ReapAgain, Some(Rung::Fentry)).try_for_each(|spec| self.require(spec))?;
        }
        let reap = Attached { stage: HookStage::Reap, hook: reap, refused };
        let (zombie, refused) = self.climb(HookStage::Zombie)?;
        let zombie = match zombie {
            Some(hook) => hook,
            None => self.tracepoints(HookStage::Zombie)?,
        };
        let exact_zombie = zombie.is_exact();
        let zombie = Attached { stage: HookStage::Zombie, hook: zombie, refused };
        for stage in [HookStage::Exit, HookStage::Exec, HookStage::Fork, HookStage::Wait] {
            self.on_every_rung(stage)?;
        }
        if may_be_preempted() && !exact_zombie {
            self.tracepoints(HookStage::Exit)?;
        }
        // Not among what reports name: nothing is counted by it.
        if self.fork_stacks == ForkStacks::OfAll {
            programs_of(HookStage::ForkSite, None).try_for_each(|spec| self.require(spec))?;
        }
        if self.kills == Kills::OfAll
            && let Err(error) = programs_of(HookStage::Kill, None).try_for_each(|spec| self.attach(spec))
        {
            tracing::warn!(%error, "who killed children is not shown");
        }
        self.attached.extend([zombie, reap]);
        self.on_every_rung(HookStage::Snapshot)?;
        let spare = Spare { is_there: has_copy && !may_be_preempted() };
        Ok((self.ebpf, self.attached, spare))
    }

    /// Has all programs in the kernel before the first is attached: what they count begins at one moment, nearly.
    fn load_all(&mut self, wait_hooks: bool) {
        let trampolines =
            program(NEEDS_TRAMPOLINE).is_some_and(|spec| self.may(Rung::Fentry) && self.load(spec).is_ok());
        let rung = if trampolines {
            Some(Rung::Fentry)
        } else if self.may(Rung::Kprobe) && has_kprobes() {
            Some(Rung::Kprobe)
        } else {
            Some(Rung::Tracepoint).filter(|rung| self.may(*rung))
        };
        let is_wanted = |spec: &&ProgramSpec| match (spec.rung, spec.hook) {
            _ if spec.stage == HookStage::ForkSite => self.fork_stacks != ForkStacks::None,
            _ if spec.stage == HookStage::Kill => self.kills != Kills::None,
            (None, _) => true,
            (_, Hook::Tracepoint(..)) => spec.rung == rung && wait_hooks,
            _ if spec.stage == HookStage::Exit => spec.rung == rung && may_be_preempted(),
            _ => spec.rung == rung,
        };
        let mut wanted: Vec<&ProgramSpec> = PROGRAMS.iter().filter(is_wanted).collect();
        wanted.sort_by_key(|spec| spec.load_order);
        let wanted: Vec<_> = wanted.iter().map(|spec| (spec.name, spec.hook.load_target())).collect();
        load::load_all(&mut self.ebpf, &self.btf, &wanted);
    }

    /// Loads one, unless it is loaded, and hands it out.
    fn load(&mut self, spec: &ProgramSpec) -> Result<&mut Program, ProgramError> {
        let program = self.ebpf.program_mut(spec.name).ok_or(ProgramError::UnexpectedProgramType)?;
        load::load(program, spec.hook.load_target(), &self.btf)?;
        Ok(program)
    }

    /// Attaches one that nothing can take the place of.
    fn require(&mut self, spec: &ProgramSpec) -> Result<(), BpfError> {
        self.attach(spec).map_err(|error| BpfError::Attach { hook: spec.hook, error })
    }

    fn attach(&mut self, spec: &ProgramSpec) -> Result<(), ProgramError> {
        let program = self.load(spec)?;
        match spec.hook {
            Hook::TpBtf(_) => <&mut BtfTracePoint>::try_from(program)?.attach().map(drop),
            Hook::RawTp(name) => <&mut RawTracePoint>::try_from(program)?.attach(name).map(drop),
            Hook::Tracepoint(category, name) => {
                <&mut TracePoint>::try_from(program)?.attach(category, name).map(drop)
            }
            Hook::Fentry(_) => <&mut FEntry>::try_from(program)?.attach().map(drop),
            Hook::Fexit(_) => <&mut FExit>::try_from(program)?.attach().map(drop),
            Hook::Kprobe(name) | Hook::Kretprobe(name) => {
                <&mut KProbe>::try_from(program)?.attach(name, 0).map(drop)
            }
            // Each walk attaches it for itself.
            Hook::IterTask => <&mut Iter>::try_from(program).map(drop),
        }
    }

    fn on_every_rung(&mut self, stage: HookStage) -> Result<(), BpfError> {
        for spec in programs_of(stage, None) {
            self.require(spec)?;
            self.attached.push(Attached { stage, hook: StageHook::One(spec.hook), refused: Vec::new() });
        }
        Ok(())
    }

    /// The tracepoints of the lowest rung.
    fn tracepoints(&mut self, stage: HookStage) -> Result<StageHook, BpfError> {
        let mut last = None;
        for spec in programs_of(stage, Some(Rung::Tracepoint)) {
            self.require(spec)?;
            last = Some(StageHook::One(spec.hook));
        }
        last.ok_or_else(|| broken_object("a rung has no programs"))
    }

    /// The better rungs, best first: the hook of the first that can be had, and what was refused. `None` where only the
    /// lowest is left, if that is allowed.
    fn climb(&mut self, stage: HookStage) -> Result<(Option<StageHook>, Vec<Refused>), BpfError> {
        let mut refused = Vec::new();
        for rung in [Rung::Fentry, Rung::Kprobe] {
            let Some(hook) = StageHook::of(stage, rung).filter(|_| self.may(rung)) else { continue };
            if rung == Rung::Kprobe && !has_kprobes() {
                refused.push(Refused::because(hook, "this kernel has no kprobes"));
                continue;
            }
            match programs_of(stage, Some(rung)).try_for_each(|spec| self.attach(spec)) {
                Ok(()) => return Ok((Some(hook), refused)),
                Err(error) => refused.push(Refused::new(hook, &error)),
            }
        }
        if self.may(Rung::Tracepoint) {
            return Ok((None, refused));
        }
        Err(BpfError::HooksRefused(refused))
    }

    fn reap(&mut self, wait_hooks: bool) -> Result<(StageHook, Vec<Refused>), BpfError> {
        let (exact, mut refused) = self.climb(HookStage::Reap)?;
        // On every rung: what the others miss, because the kernel skips them, the free catches.
        let mut hook = exact;
        for spec in programs_of(HookStage::Reap, None) {
            self.require(spec)?;
            hook = hook.or(Some(StageHook::One(spec.hook)));
        }
        let hook = hook.ok_or_else(|| broken_object("no program reports reaps"))?;
        if exact.is_some() {
            return Ok((hook, refused));
        }
        if !wait_hooks {
            refused.push(Refused::because(StageHook::WaitCalls, "tracefs cannot be read"));
            return Ok((hook, refused));
        }
        let attached = tracefs::with(|| {
            programs_of(HookStage::Reap, Some(Rung::Tracepoint)).try_for_each(|spec| self.require(spec))
        });
        match attached {
            Ok(Ok(())) => return Ok((StageHook::WaitCallsAndFree, refused)),
            Ok(Err(error)) => refused.push(Refused {
                hook: StageHook::WaitCalls,
                why: error.to_string(),
                errno: errno(&error),
            }),
            Err(error) => refused.push(Refused::because(StageHook::Tracefs, error.to_string())),
        }
        Ok((hook, refused))
    }

    /// Whether the user allows this rung.
    fn may(&self, rung: Rung) -> bool {
        match self.choice {
            HookChoice::Auto => true,
            HookChoice::Fentry => rung == Rung::Fentry,
            HookChoice::Kprobe => rung == Rung::Kprobe,
            HookChoice::Tracepoint => rung == Rung::Tracepoint,
        }
    }
}

/// The second program of a pair, of which one is enough until the kernel skips it. It is loaded at the start, for which later
/// there are no privileges.
pub struct Spare {
    is_there: bool,
}

impl Spare {
    /// Attaches it, once the kernel has skipped the other: what that one missed, the free has told.
    pub fn attach_if_needed(&mut self, ebpf: &mut Ebpf) {
        if !self.is_there || stats::misses(ebpf, NEEDS_TRAMPOLINE).unwrap_or(0) == 0 {
            return;
        }
        self.is_there = false;
        for spec in programs_of(HookStage::ReapAgain, Some(Rung::Fentry)) {
            let attached = ebpf
                .program_mut(spec.name)
                .ok_or(ProgramError::UnexpectedProgramType)
                .and_then(|program| <&mut FEntry>::try_from(program)?.attach());
            match attached {
                Ok(_) => tracing::debug!(program = spec.name, "attached, because the kernel skips the other"),
                Err(error) => tracing::warn!(%error, "reaps that the kernel skips are told late"),
            }
        }
    }
}

/// Whether programs may be preempted: seen on 7.3, not on 6.18.
fn may_be_preempted() -> bool {
    is_at_least(6, 19)
}

/// Without them attaching is bound to fail, after the verifier's work was done.
fn has_kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
}
