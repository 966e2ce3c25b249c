//! What `doctor` says: which hooks this kernel and these privileges allow, in the form that is published
//! (`schemas/doctor.schema.json`).
//!
//! Owns names and order of what is read as JSON. Must not know how anything is probed, or how it is written. Texts are
//! valid UTF-8 but unescaped: `render` escapes.

use serde::Serialize;

/// The value of `schema`; changes only when a field changes its meaning or goes.
pub const SCHEMA: &str = "reapwatch.doctor/1";

/// What this kernel and these privileges allow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DoctorReport {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// Release of the running kernel, as `uname -r` gives it.
    pub kernel: String,
    /// As `uname -m` gives it.
    pub architecture: String,
    /// Whether the kernel's types can be read.
    pub btf: BtfCheck,
    /// Whether programs may be loaded.
    pub privileges: PrivilegeCheck,
    /// Whether every process can be seen from here.
    pub pid_namespace: NamespaceCheck,
    /// The rung that `--hooks auto` would use.
    pub rung: Rung,
    /// How good its reap times are.
    pub precision: ReapPrecision,
    /// What was tried for each stage, best first within a stage.
    pub hooks: Vec<HookCheck>,
    /// The conclusion.
    pub verdict: Readiness,
    /// One sentence: the verdict in words, and what to do first.
    pub summary: String,
}

/// Whether the kernel's types can be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BtfCheck {
    /// The file that was read.
    pub path: String,
    /// Whether it can be used.
    pub ok: bool,
    /// What was found, or why it cannot be used and what to do.
    pub detail: String,
}

/// Whether programs may be loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrivilegeCheck {
    /// The effective user.
    pub euid: u32,
    /// Effective capabilities that matter here, such as `cap_bpf`.
    pub capabilities: Vec<String>,
    /// Those of them that are kept once the programs are loaded; everything else is given up.
    pub kept: Vec<String>,
    /// Whether they suffice.
    pub ok: bool,
    /// What is missing and how to get it.
    pub detail: String,
}

/// Whether this is the host's own PID namespace, the only one from which every process can be seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamespaceCheck {
    /// Whether it is.
    pub ok: bool,
    /// Which it is, or what is wrong and what to do.
    pub detail: String,
}

/// One hook that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HookCheck {
    /// The stage that it serves.
    pub stage: HookStage,
    /// Kind and place, such as `tp_btf sched_process_exit`.
    pub hook: String,
    /// Whether it can be attached.
    pub ok: bool,
    /// Why not, in the kernel's words; null where it works.
    pub error: Option<String>,
    /// What cannot be seen or is less exact without it; empty where it works.
    pub consequence: String,
    /// What to do; empty where it works or nothing can be done.
    pub remedy: String,
}

/// The stage of a life that a hook serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HookStage {
    /// A process is born.
    Fork,
    /// A process runs another program.
    Exec,
    /// A process ends.
    Exit,
    /// A parent is notified of a dead child.
    Zombie,
    /// A dead process is taken away.
    Reap,
    /// Wait calls, for the cause of a leak.
    Wait,
    /// The snapshot of the task list.
    Snapshot,
}

impl HookStage {
    /// Its name in JSON and in text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::Zombie => "zombie",
            Self::Reap => "reap",
            Self::Wait => "wait",
            Self::Snapshot => "snapshot",
        }
    }
}

/// The kinds of hooks, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// BPF trampolines: exact, cheapest.
    Fentry,
    /// Kernel probes: exact.
    Kprobe,
    /// Tracepoints alone: available on every supported kernel.
    Tracepoint,
    /// Not even tracepoints can be used.
    None,
}

impl Rung {
    /// Its name in JSON and in text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
            Self::None => "none",
        }
    }
}

/// How good the reap times of a rung are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReapPrecision {
    /// Seen where it happens.
    Exact,
    /// Seen only when the kernel frees the process, up to 32 ms later.
    Coarse,
    /// Nothing can be seen.
    None,
}

/// The conclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Everything works, exactly.
    Ready,
    /// It works, with the consequences listed.
    Degraded,
    /// It cannot work as things are.
    Unusable,
}
