//! The event line, one line of `trace`, in the form that is published (`schemas/event.schema.json`).
//!
//! Owns names, order and units of its fields. Must not know the engine, or how a line is written. Texts are valid UTF-8
//! but unescaped: `render` escapes.

use std::borrow::Cow;

use serde::Serialize;

use super::{Lost, Named, Precision, Rfc3339, Workload};

/// What an event line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A process was born.
    Fork,
    /// A process runs another program.
    Exec,
    /// A process began to end: its last thread exits.
    Exit,
    /// A process is dead, and its parent was notified.
    Zombie,
    /// The entry of a dead process was taken away.
    Reap,
    /// A zombie has another parent.
    Reparent,
    /// Something was lost.
    Lost,
}

impl EventKind {
    /// Its name in JSON and in text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::Zombie => "zombie",
            Self::Reap => "reap",
            Self::Reparent => "reparent",
            Self::Lost => "lost",
        }
    }
}

/// How a dead process was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReapHow {
    /// By a wait call.
    Wait,
    /// By the kernel, as the parent ignores SIGCHLD or set SA_NOCLDWAIT.
    Auto,
}

/// What the threads of the parent did when the child became its zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// None was in a wait call.
    NotWaiting,
    /// One was in a wait call, it is not known for which child.
    Waiting,
    /// One was in a wait call that takes this child, or another one first.
    WaitingForIt,
    /// Some were in wait calls, none of which takes this child: for others, or only to look.
    WaitingOtherwise,
}

/// One event. Its texts are borrowed from the observation, because there are thousands of lines a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventLine<'a> {
    /// When it happened.
    pub time: Rfc3339,
    /// What happened.
    pub event: EventKind,
    /// The process it happened to; absent on `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<EventProcess<'a>>,
    /// Its real parent's thread group; absent where the kernel is the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Named<'a>>,
    /// On `fork`: the caller of clone, where it is not the real parent (CLONE_PARENT).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<Named<'a>>,
    /// On `reparent`: the parent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Named<'a>>,
    /// On `zombie`: the tracer that the kernel notified instead of the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Named<'a>>,
    /// On `exec`: the arguments of the new program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<Vec<Cow<'a, str>>>,
    /// On `exec`: the file of the new program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<Cow<'a, str>>,
    /// On `exit`, and from then on of the same process: with which status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitDetail>,
    /// On `exit`, `zombie`, `reparent` and `reap`: what is known of the life that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub life: Option<Life<'a>>,
    /// On `reap`: by a wait call or by the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<ReapHow>,
    /// On `reap`: the process that reaped it, where a hook saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaper: Option<Named<'a>>,
    /// On `reap`: from zombie to reap, in ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reap_latency_ns: Option<u64>,
    /// On `reap`: true where the death itself was not seen, for it was before the watch: then the latency is a lower bound.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reap_latency_at_least: bool,
    /// On `zombie` and `reap`: from exit to zombie, in ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teardown_ns: Option<u64>,
    /// On `reap`: how good its time is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// On `reap`: whether the parent waited when the child died; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// On `lost`: everything lost so far, by reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// On `lost`: lines before this one that were dropped because the reader was too slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
}

impl EventLine<'_> {
    /// A line that says only when and what.
    pub fn blank(event: EventKind, time: Rfc3339) -> Self {
        Self {
            time,
            event,
            process: None,
            parent: None,
            creator: None,
            from: None,
            held_by: None,
            command_line: None,
            executable: None,
            exit: None,
            life: None,
            how: None,
            reaper: None,
            reap_latency_ns: None,
            reap_latency_at_least: false,
            teardown_ns: None,
            precision: None,
            readiness: None,
            lost: None,
            lines: None,
        }
    }

    /// A line about `lines` lines that were dropped because the reader was too slow.
    pub fn lines_lost(time: Rfc3339, lines: u64) -> Self {
        Self { lines: Some(lines), ..Self::blank(EventKind::Lost, time) }
    }
}

/// The process that an event happened to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventProcess<'a> {
    /// Its pid in the initial PID namespace.
    pub pid: u32,
    /// Its pid in its own PID namespace; absent where that is the initial one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    /// When it was born.
    pub start_time: Rfc3339,
    /// Its short name.
    pub comm: Cow<'a, str>,
}

/// A life that has ended. What is not known is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Life<'a> {
    /// Why it ended, in words; absent where its exit was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
    /// From its birth until its last thread began to exit, in ns.
    pub lifetime_ns: u64,
    /// What all its threads had run by then, as the scheduler had booked it, in ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// The most memory that it had at once, by all programs that it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// Its real user id in the initial user namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Its session: the pid of whoever began it, in the initial PID namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
    /// Its controlling terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<Cow<'a, str>>,
    /// The id of its cgroup in the unified hierarchy: the inode of the cgroup's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<u64>,
    /// The workload that this cgroup is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// The arguments of the last program that it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<Vec<Cow<'a, str>>>,
}

/// The status that a process ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ExitDetail {
    /// Its exit code; null where a signal killed it.
    pub code: Option<u32>,
    /// Number of the signal that killed it; null where none did.
    pub signal: Option<u32>,
    /// Whether the kernel wrote a core dump.
    pub core_dumped: bool,
}
