//! `waits_after_end_of_pipe`: the parent reads what a child writes until the pipe ends, and only then waits for it; but a
//! process that the dead child left behind holds the pipe open.
//!
//! Confusable with a parent that reads from a pipe for other reasons: here the writer comes from the zombie itself. Must
//! not know the other rules, nor verdicts.

use super::{Case, Explains, Finding, Fix, Rule};
use crate::{model::Blocked, report::CauseKind};

pub const RULE: Rule = Rule {
    kind: CauseKind::WaitsAfterEndOfPipe,
    explains: Explains::All,
    check,
    fix: |_| {
        Fix::new(
            "",
            "do not wait for the end of the pipe to know that the child has ended: wait with a time-out and then close the \
             pipe; start what is to live on with its output elsewhere (>/dev/null 2>&1)",
        )
    },
};

fn check(case: &Case) -> Finding {
    let Some(writer) = &case.parent.pipe_writer else { return Finding::No };
    // Another thread may be the one that reaps.
    if case.evidence.is_none_or(|evidence| evidence.threads != 1) {
        return Finding::No;
    }
    // That it waits at the end of the pipe is known once it has.
    if case.left > 0 {
        return Finding::CannotTell(
            "it reads from a pipe that a dead child left open, and may wait at its end",
        );
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
