//! The table of programs: what each is attached to, which stage it reports, on which rung, and what happens where the
//! kernel skips it. Loading, attaching, losses, `doctor` and the tests all go by it.
//!
//! Must not load or attach anything. Text is made only in `Display`.

use std::fmt;

/// What a program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A tracepoint, by its BTF type.
    TpBtf(&'static str),
    /// A tracepoint, by its name.
    RawTp(&'static str),
    /// A tracepoint of tracefs: its category and name.
    Tracepoint(&'static str, &'static str),
    Fentry(&'static str),
    Fexit(&'static str),
    Kprobe(&'static str),
    Kretprobe(&'static str),
    /// The iterator over the task list.
    IterTask,
}

impl Hook {
    /// What the program has to be loaded for, where it is bound to a type of the kernel; else nothing.
    pub fn load_target(self) -> &'static str {
        match self {
            Self::TpBtf(name) | Self::Fentry(name) | Self::Fexit(name) => name,
            Self::IterTask => "task",
            Self::RawTp(_) | Self::Tracepoint(..) | Self::Kprobe(_) | Self::Kretprobe(_) => "",
        }
    }

    /// The tracepoint that is found by its BTF type or raw.
    pub fn tracepoint(self) -> Option<&'static str> {
        if let Self::TpBtf(name) | Self::RawTp(name) = self { Some(name) } else { None }
    }

    /// The function that has a BTF type.
    pub fn function(self) -> Option<&'static str> {
        match self {
            Self::Fentry(name) | Self::Fexit(name) => Some(name),
            Self::IterTask => Some("bpf_iter_task"),
            _ => None,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TpBtf(name) => write!(f, "tp_btf {name}"),
            Self::RawTp(name) => write!(f, "raw_tp {name}"),
            Self::Tracepoint(category, name) => write!(f, "{category}:{name}"),
            Self::Fentry(name) => write!(f, "fentry {name}"),
            Self::Fexit(name) => write!(f, "fexit {name}"),
            Self::Kprobe(name) => write!(f, "kprobe {name}"),
            Self::Kretprobe(name) => write!(f, "kretprobe {name}"),
            Self::IterTask => f.write_str("iter/task"),
        }
    }
}

/// What a program reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookStage {
    Fork,
    /// Where a fork came from. Only where that is asked for; of suspects alone, it is attached as long as there are any.
    ForkSite,
    /// Who killed a process. As [`Self::ForkSite`].
    Kill,
    Exec,
    Exit,
    Zombie,
    Reap,
    /// The same, once more: each of two programs sees what the other missed. Attached where the kernel may preempt programs,
    /// and once it has skipped one.
    ReapAgain,
    Wait,
    Snapshot,
}

/// A set of hooks of one kind for zombie and reap. The kernel allows some or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    Fentry,
    Kprobe,
    Tracepoint,
}

impl Rung {
    /// The best first.
    pub const ALL: [Self; 3] = [Self::Fentry, Self::Kprobe, Self::Tracepoint];
}

/// What reports a stage that a program missed, because the kernel skipped it: it was running on that CPU already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backstop {
    /// Nothing does: what it misses is lost.
    None,
    /// A copy of it on the same hook, or the exact zombie hook.
    CopyOrZombie,
    /// The free of the process, or the other program of a pair.
    Other,
    /// Nothing has to: it reports no stage.
    Unneeded,
}

/// One program of the eBPF object.
#[derive(Debug)]
pub struct ProgramSpec {
    pub name: &'static str,
    pub hook: Hook,
    pub stage: HookStage,
    /// `None`: on every rung.
    pub rung: Option<Rung>,
    pub backstop: Backstop,
    /// Whose verification begins first: the most expensive.
    pub load_order: u8,
}

const NOTIFY: &str = "do_notify_parent";
const RELEASE: &str = "release_task";

const fn spec(
    name: &'static str,
    hook: Hook,
    stage: HookStage,
    rung: Option<Rung>,
    backstop: Backstop,
    load_order: u8,
) -> ProgramSpec {
    ProgramSpec { name, hook, stage, rung, backstop, load_order }
}

/// All that a session may attach. Those of one stage and rung are attached in this order; the last is the one after which
/// the stage is named.
#[rustfmt::skip]
pub const PROGRAMS: &[ProgramSpec] = {
    use {Backstop as B, Hook::*, HookStage::*, self::Rung as R};
    &[
        spec("process_exit", TpBtf("sched_process_exit"), Exit, None, B::CopyOrZombie, 1),
        // A tracepoint's programs may be preempted, seen on 7.3 and not on 6.18: each copy sees what the other missed.
        spec("exit_again", TpBtf("sched_process_exit"), Exit, Some(R::Tracepoint), B::CopyOrZombie, 7),
        spec("process_exec", TpBtf("sched_process_exec"), Exec, None, B::None, 3),
        spec("process_fork", TpBtf("sched_process_fork"), Fork, None, B::None, 2),
        spec("fork_site", TpBtf("sched_process_fork"), ForkSite, None, B::Unneeded, 9),
        spec("signal_sent", TpBtf("signal_generate"), Kill, None, B::Unneeded, 9),
        spec("killed_exit", TpBtf("sched_process_exit"), Kill, None, B::Unneeded, 9),
        spec("process_wait", RawTp("sched_process_wait"), Wait, None, B::Unneeded, 6),
        spec(TASK_LIST, IterTask, Snapshot, None, B::Unneeded, 4),
        spec("process_free", TpBtf("sched_process_free"), Reap, None, B::None, 5),
        spec("notify_fexit", Fexit(NOTIFY), Zombie, Some(R::Fentry), B::None, 0),
        spec("notify_kprobe", Kprobe(NOTIFY), Zombie, Some(R::Kprobe), B::Other, 7),
        spec("notify_kretprobe", Kretprobe(NOTIFY), Zombie, Some(R::Kprobe), B::None, 0),
        spec("zombie_signal", TpBtf("signal_generate"), Zombie, Some(R::Tracepoint), B::None, 0),
        spec("release_again", Fentry(RELEASE), ReapAgain, Some(R::Fentry), B::Other, 8),
        spec(NEEDS_TRAMPOLINE, Fentry(RELEASE), Reap, Some(R::Fentry), B::Other, 7),
        spec("release_kprobe", Kprobe(RELEASE), Reap, Some(R::Kprobe), B::Other, 8),
        spec("exit_waitid", Tracepoint("syscalls", "sys_exit_waitid"), Reap, Some(R::Tracepoint), B::Other, 8),
        spec("exit_wait4", Tracepoint("syscalls", "sys_exit_wait4"), Reap, Some(R::Tracepoint), B::Other, 7),
    ]
};

/// Loads only where the kernel has BPF trampolines: it tells whether the fentry rung can be had.
pub const NEEDS_TRAMPOLINE: &str = "release_fentry";

/// The iterator over the task list.
pub const TASK_LIST: &str = "task_snapshot";

/// The program with this name.
pub fn program(name: &str) -> Option<&'static ProgramSpec> {
    PROGRAMS.iter().find(|spec| spec.name == name)
}

/// Programs of a stage that only this rung has (`None`: that every rung has), in the order in which they are attached.
pub fn programs_of(stage: HookStage, rung: Option<Rung>) -> impl Iterator<Item = &'static ProgramSpec> {
    PROGRAMS.iter().filter(move |spec| spec.stage == stage && spec.rung == rung)
}

/// The tracepoints that programs attach to, by their type or raw, each once.
pub fn tracepoints() -> Vec<&'static str> {
    once(PROGRAMS.iter().filter_map(|spec| spec.hook.tracepoint()))
}

/// The functions that programs attach to by their type, each once.
pub fn functions() -> Vec<&'static str> {
    once(PROGRAMS.iter().filter_map(|spec| spec.hook.function()))
}

fn once(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// How a stage is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageHook {
    One(Hook),
    /// The return of wait calls.
    WaitCalls,
    /// Those, and the free where none of them shows the reap.
    WaitCallsAndFree,
    /// What makes the wait calls available.
    Tracefs,
}

impl StageHook {
    /// That of the programs of a rung.
    pub fn of(stage: HookStage, rung: Rung) -> Option<Self> {
        let last = programs_of(stage, Some(rung)).last()?;
        Some(if matches!(last.hook, Hook::Tracepoint(..)) { Self::WaitCalls } else { Self::One(last.hook) })
    }

    /// The rung of hooks it belongs to; `None` for those of every rung.
    pub fn rung(self) -> Option<Rung> {
        match self {
            Self::One(Hook::Fentry(_) | Hook::Fexit(_)) => Some(Rung::Fentry),
            Self::One(Hook::Kprobe(_) | Hook::Kretprobe(_)) => Some(Rung::Kprobe),
            Self::WaitCalls | Self::WaitCallsAndFree | Self::Tracefs => Some(Rung::Tracepoint),
            Self::One(_) => None,
        }
    }

    /// Whether it times zombies or reaps in the very function in which the kernel makes them.
    pub fn is_exact(self) -> bool {
        matches!(self.rung(), Some(Rung::Fentry | Rung::Kprobe))
    }
}

impl fmt::Display for StageHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WAIT_CALLS: &str = "syscalls:sys_exit_wait4, sys_exit_waitid";
        match self {
            Self::One(hook) => hook.fmt(f),
            Self::WaitCalls => f.write_str(WAIT_CALLS),
            Self::WaitCallsAndFree => write!(f, "{WAIT_CALLS}; {}", Hook::TpBtf("sched_process_free")),
            Self::Tracefs => f.write_str("tracefs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_has_a_zombie_and_a_reap_hook_and_the_better_ones_are_exact() {
        for rung in Rung::ALL {
            for stage in [HookStage::Zombie, HookStage::Reap] {
                let hook = StageHook::of(stage, rung).expect("a hook");
                assert_eq!(hook.is_exact(), rung != Rung::Tracepoint, "{hook}");
            }
        }
    }

    #[test]
    fn every_name_is_there_once_and_the_zombie_hook_of_each_rung_is_verified_first() {
        for spec in PROGRAMS {
            assert_eq!(PROGRAMS.iter().filter(|other| other.name == spec.name).count(), 1, "{}", spec.name);
        }
        for rung in Rung::ALL {
            let last = programs_of(HookStage::Zombie, Some(rung)).last().expect("a program");
            assert_eq!(last.load_order, 0, "{}", last.name);
        }
    }
}
