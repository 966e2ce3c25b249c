//! `waits_after_end_of_pipe`: the parent reads what a child writes until the pipe ends, and only then waits for it; but a
//! process that the dead child left behind holds the pipe open.
//!
//! Confusable with a parent that reads from a pipe for other reasons: here the writer comes from the zombie itself. Must
//! not know the other rules, nor verdicts.

use super::{Case, Explains, Finding, Fix, Persistence, Rule};
use crate::{model::Blocked, report::CauseKind};

pub const RULE: Rule = Rule {
    kind: CauseKind::WaitsAfterEndOfPipe,
    explains: Explains::All,
    check,
    fix: |case| {
        let now = match &case.parent.pipe_writer {
            Some(writer) if case.left > 0 => {
                format!("the end of {} (pid {}) ends the pipe", writer.comm.text(), writer.identity.tgid)
            }
            _ => String::new(),
        };
        Fix::new(
            now,
            "do not wait for the end of the pipe to know that the child has ended: wait with a time-out and then close the \
             pipe; start what is to live on with its output elsewhere (>/dev/null 2>&1)",
        )
    },
};

fn check(case: &Case) -> Finding {
    let Some(writer) = &case.parent.pipe_writer else { return Finding::No };
    // Children that it leaves for good it leaves for that only while it still reads.
    let reads = matches!(case.evidence.map(|evidence| &evidence.blocked), Some(Blocked::PipeRead(_)));
    if case.left > 0 && !reads {
        return Finding::No;
    }
    if case.left > 0 && case.persistence() == Persistence::SeenOnce {
        return Finding::CannotTell("it reads from a pipe, and was looked at only once");
    }
    let fd = match case.evidence.map(|evidence| &evidence.blocked) {
        Some(Blocked::PipeRead(read)) => format!(" (descriptor {})", read.fd),
        _ => String::new(),
    };
    Finding::Yes(vec![format!(
        "it was blocked in a read of a pipe{fd} that {} (pid {}), which its dead child left behind, holds open",
        writer.comm.text(),
        writer.identity.tgid
    )])
}
