//! What `explain` says of one process, in the form that is published (`schemas/explain.schema.json`).
//!
//! Owns names, order and units of what is read as JSON. Must not know how a process is looked at, or how it is written.
//! Texts are valid UTF-8 but unescaped: `render` escapes.

use serde::Serialize;

use super::{ExitDetail, Finding, HooksUsed, Lost, Named, Parent, Rfc3339, Window};

/// The value of `schema`; changes only when a field changes its meaning or goes.
pub const SCHEMA: &str = "reapwatch.explain/1";

/// What is known of one process and of its dead children.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The process that was asked for.
    pub process: Asked,
    /// The finding on `parent`: it follows its verdict.
    pub finding: Finding,
    /// A dead child that is left unreaped for longer than this counts against the parent, in ns.
    pub grace_ns: u64,
    /// The time that the verdict is about.
    pub window: Window,
    /// The hooks that were attached.
    pub hooks: HooksUsed,
    /// False when anything was lost: the counts stay true, detail is missing.
    pub complete: bool,
    /// What was lost, by reason.
    pub lost: Lost,
    /// What was not asked for or is not known, one sentence each.
    pub not_covered: Vec<String>,
    /// Why the verdict on `parent` is what it is, one sentence each. What a program reaped before the parent's last exec is
    /// no part of it.
    pub because: Vec<String>,
    /// The parent that is explained: the process that was asked for, or, where that is a zombie and had no dead children
    /// itself, whoever must reap it. The same entry as in a report.
    pub parent: Parent,
    /// Its unreaped children, those first that have been dead for the longest: at most 256.
    pub unreaped: Vec<UnreapedChild>,
    /// How many more there are.
    pub unreaped_more: u64,
    /// The limits on processes that this parent is under, the one first that makes forks fail first.
    /// Empty where they were not read.
    pub pid_limits: Vec<super::pids::PidLimit>,
}

/// The process that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its pid in its own PID namespace; absent where that is the initial one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    /// When it was born.
    pub start_time: Rfc3339,
    /// Its short name.
    pub comm: String,
    /// Whether it lives.
    pub state: Life,
    /// What that means, one sentence each; empty for a process that runs.
    pub about: Vec<String>,
    /// How it ended; null where it has not, or where that is not known or may not be read.
    pub exit: Option<ExitDetail>,
    /// For how long it has been a zombie, or been ending, in ns; null where it is neither.
    pub since_ns: Option<u64>,
    /// True when that is a lower bound: it was so before the window began.
    pub at_least: bool,
    /// Who must reap it; null where it is no zombie, or its parent is not known.
    pub must_reap: Option<Named<'static>>,
    /// The function of the kernel in which it sleeps while it ends; null where it does not end, or where it is not known.
    pub kernel_function: Option<String>,
    /// Of a process whose main thread has ended: the threads that have not.
    pub threads_left: Option<u64>,
    /// The descriptors that it still has, though it looks dead; null where it does not, or where that cannot be known.
    pub descriptors: Option<u64>,
    /// What to do about it now; absent where nothing is to be done about the process itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub now: String,
    /// What to change in the deployment; absent where nothing is to be changed for the process itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

/// Where in its life a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It lives.
    Running,
    /// Its main thread has ended, and is shown as `Z`; others live. It is no zombie.
    DeadLeader,
    /// It is ending: the kernel takes it apart. It is no zombie yet.
    Ending,
    /// It is dead, and waits to be reaped.
    Zombie,
    /// It is gone.
    Gone,
}

/// Who sent the signal that a process died of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KilledBy {
    /// What sent it.
    pub sender: Sender,
    /// The process that sent it; for `namespace_end` the init that ended. Absent for the other kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Named<'static>>,
}

/// What sends a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// A process, by a system call; it may be the one that died.
    Process,
    /// The kernel, for a fault of the process that died.
    Fault,
    /// The kernel, because memory ran out.
    OutOfMemory,
    /// The kernel, because the init of its PID namespace ended.
    NamespaceEnd,
    /// The kernel, for another reason.
    Kernel,
}

/// A dead child that its parent has not reaped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnreapedChild {
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its pid in its own PID namespace; absent where that is the initial one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    /// When it was born.
    pub start_time: Rfc3339,
    /// Its short name.
    pub comm: String,
    /// Its arguments; empty where they are not known: the kernel forgets those of the dead.
    pub command_line: Vec<String>,
    /// For how long this parent could have reaped it, in ns.
    pub unreaped_ns: u64,
    /// True when that is a lower bound: it was dead before the window began.
    pub at_least: bool,
    /// How it ended; null where that is not known or may not be read.
    pub exit: Option<ExitDetail>,
    /// Its first parent, where it had another and that one was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_parent: Option<Named<'static>>,
    /// Who sent the signal that it died of; absent where none killed it, or where that was not seen for certain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_by: Option<KilledBy>,
    /// The tracer that keeps it from its parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Named<'static>>,
}
