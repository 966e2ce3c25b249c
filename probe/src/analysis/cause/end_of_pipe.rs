//! `waits_after_end_of_pipe`: the parent reads what a child writes until the pipe ends, and only then waits for it; but a
//! process that the dead child left behind holds the pipe open.
//!
//! Confusable with a parent that reads from a pipe for other reasons: here the writer comes from the zombie itself. Must
//! not know the other rules, nor verdicts.

use super::{
    Case, Explains, Finding, Fix, Rule,
    words::{END_OF_PIPE, END_OF_SOME_PIPE, PERHAPS_END_OF_PIPE},
};
use crate::{
    engine::Grade,
    model::{Blocked, PipeRead},
    report::CauseKind,
};

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
    let Some(evidence) = case.evidence else { return Finding::No };
    let Some(left_open) = case.at_end_of_pipe() else {
        return match &evidence.blocked {
            Blocked::PipeRead(read) if case.left > 0 && read.are_writers_unknown() => {
                Finding::CannotTell(END_OF_SOME_PIPE)
            }
            // Of another user's process no more is shown.
            Blocked::Unknown
                if case.left > 0 && evidence.is_hidden() && is_of_pipe(&evidence.wait_channel) =>
            {
                Finding::CannotTell(END_OF_SOME_PIPE)
            }
            _ => Finding::No,
        };
    };
    if left_open.found.grade == Grade::Probable {
        return Finding::CannotTell(PERHAPS_END_OF_PIPE);
    }
    if case.left > 0 {
        return Finding::CannotTell(END_OF_PIPE);
    }
    // That it waits at the end of the pipe is known once it has: for each that it reaped late it was there until it did. Of
    // several threads it is not known which one reaps.
    let Some(evidence) = case.doing().filter(|evidence| evidence.threads == 1) else {
        return Finding::CannotTell(END_OF_PIPE);
    };
    let Blocked::PipeRead(PipeRead { fd, pipe, .. }) = &evidence.blocked else { return Finding::No };
    // It has come to another pipe since.
    if *pipe != left_open.found.pipe {
        return Finding::CannotTell(END_OF_PIPE);
    }
    let did = match left_open.found.is_polled {
        true => "waited for input from",
        false => "was blocked in a read of",
    };
    let writer = &left_open.found.writer;
    let mut evidence = vec![format!(
        "it {did} a pipe (descriptor {fd}) that {} (pid {}), which its dead child left behind, holds open",
        writer.comm.text(),
        writer.identity.tgid
    )];
    let may_be_otherwise = match left_open.is_end_known() {
        true => {
            "so far: it reaped just after that had ended; so does a program that has read what it wanted just before, or that has a \
             time-out and then asks the writer to end"
        }
        false => {
            "so far: when that ended was not seen (`run` and `watch --record` see it); it may have reaped for another reason"
        }
    };
    evidence.push(may_be_otherwise.into());
    Finding::Yes(evidence)
}

/// Whether that is where the kernel has a thread sleep that reads from a pipe: `pipe_read`, `anon_pipe_read`, `fifo_pipe_read`.
fn is_of_pipe(channel: &[u8]) -> bool {
    channel.ends_with(b"pipe_read")
}
