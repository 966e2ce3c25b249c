//! What `doctor` says: which hooks this kernel and these privileges allow, in the form that is published
//! (`schemas/doctor.schema.json`).
//!
//! Owns names and order of what is read as JSON. Must not know how anything is probed, nor any sink. Texts are valid
//! UTF-8 but unescaped: sinks escape.

use serde::Serialize;

/// The value of `schema`; changes only when a field changes its meaning or goes.
pub const SCHEMA: &str = "reapwatch.doctor/1";

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DoctorReport {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// Release of the running kernel, as `uname -r` gives it.
    pub kernel: String,
    /// As `uname -m` gives it.
    pub architecture: String,
    pub btf: BtfCheck,
    pub privileges: PrivilegeCheck,
    pub pid_namespace: NamespaceCheck,
    /// The rung that `--hooks auto` would use.
    pub rung: Rung,
    /// How good its reap times are.
    pub precision: ReapPrecision,
    /// What was tried for each stage, best first within a stage.
    pub hooks: Vec<HookCheck>,
    pub verdict: Readiness,
    /// One sentence: the verdict in words, and what to do first.
    pub summary: String,
}

/// Whether the kernel's types can be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BtfCheck {
    pub path: String,
    pub ok: bool,
    /// What was found, or why it cannot be used and what to do.
    pub detail: String,
}

/// Whether programs may be loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrivilegeCheck {
    pub euid: u32,
    /// Effective capabilities that matter here, such as `cap_bpf`.
    pub capabilities: Vec<String>,
    /// Those of them that are kept once the programs are loaded; everything else is given up.
    pub kept: Vec<String>,
    pub ok: bool,
    /// What is missing and how to get it.
    pub detail: String,
}

/// Whether this is the host's own PID namespace, the only one from which every process can be seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamespaceCheck {
    pub ok: bool,
    /// Which it is, or what is wrong and what to do.
    pub detail: String,
}

/// One hook that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HookCheck {
    pub stage: HookStage,
    /// Kind and place, such as `tp_btf sched_process_exit`.
    pub hook: String,
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
    Fork,
    Exec,
    Exit,
    Zombie,
    Reap,
    /// Wait calls, for the cause of a leak.
    Wait,
    /// The walk over the task list.
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
    Fentry,
    Kprobe,
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
    /// Up to 32 ms late.
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
