//! What `reap` says: what it is about to do and what came of it, in the form that is published
//! (`schemas/reap.schema.json`).
//!
//! Owns names, order and units of what is read as JSON. Must not know how a parent is made to reap, or how it is written.
//! Texts are valid UTF-8 but unescaped: `render` escapes.

use serde::Serialize;

use super::{ExitDetail, Rfc3339};

/// The value of `schema`; changes only when a field changes its meaning or goes.
pub const SCHEMA: &str = "reapwatch.reap/1";

/// What was done about the zombies of one parent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReapReport {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The way that was taken.
    pub way: Way,
    /// Nothing was done: it was only asked what would be.
    pub dry_run: bool,
    /// The parent.
    pub parent: ReapParent,
    /// Only children that were zombies for all of this time are reaped, in ns.
    pub grace_ns: u64,
    /// Zombies of the parent when the grace was over.
    pub zombies_before: u64,
    /// Those of them that were there for all of the grace.
    pub past_grace: u64,
    /// Some of those, the ones that were started first.
    pub oldest: Vec<ReapChild>,
    /// The thread that is asked first; null where none can be, or the way needs none.
    pub thread: Option<u32>,
    /// How long it is stopped, about, in ns; null where no thread is.
    pub stop_estimate_ns: Option<u64>,
    /// Reaped by the calls that reapwatch had the parent make; after a signal, those that are gone.
    pub reaped: u64,
    /// The parent had reaped these by itself before its call.
    pub reaped_by_itself: u64,
    /// A tracer holds these, and the parent cannot reap them until it lets go.
    pub held: Vec<HeldChild>,
    /// The call failed for these.
    pub failed: Vec<FailedChild>,
    /// Not tried: no thread could be had, or reapwatch was told to end.
    pub untried: u64,
    /// Why no thread could be had for the untried ones.
    pub refused: Option<Refused>,
    /// Zombies of the parent afterwards, as /proc lists them.
    pub zombies_after: u64,
    /// Every stop of a thread, in order.
    pub stops: Vec<ThreadStop>,
}

/// How zombies are got rid of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A thread of the parent is made to call wait4.
    Wait4,
    /// The parent is sent SIGCHLD.
    Sigchld,
}

/// The parent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReapParent {
    /// Its pid.
    pub pid: u32,
    /// When it started, to 10 ms.
    pub start_time: Rfc3339,
    /// Its name.
    pub comm: String,
    /// Its arguments, the beginning of a long command line.
    pub command_line: Vec<String>,
    /// It is built on libuv (Node), which never reports the exit of a child whose status another took.
    pub is_built_on_libuv: bool,
}

/// A zombie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReapChild {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// How it ended; null where that may not be read.
    pub exit: Option<ExitDetail>,
}

/// A zombie that a tracer holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldChild {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The tracer; null where it has let go meanwhile.
    pub tracer: Option<u32>,
}

/// A zombie that the call failed for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailedChild {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The number of the error.
    pub errno: i32,
    /// The error in words.
    pub error: String,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// What stands against it.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// One stop of a thread of the parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadStop {
    /// The thread.
    pub thread: u32,
    /// From the request to stop until it was let go, in ns.
    pub duration_ns: u64,
    /// Children reaped in this stop.
    pub reaped: u64,
    /// The name of the call at whose end it was found: it had gone on before it stopped, and the call may have ended otherwise
    /// than it would have. Null as a rule.
    pub disturbed: Option<String>,
}
