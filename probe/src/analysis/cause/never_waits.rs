//! `never_waits`: the program begins no wait call.
//!
//! Confusable with a parent that waits by means that cannot be seen (io_uring), with one that ignores SIGCHLD too late,
//! and with one whose handler never runs. Must not know the other rules, nor verdicts.

use super::{
    Case, Explains, Finding, Fix, Rule,
    runtime::Runtime,
    sigchld::{SIGCHLD, is_blocked, is_handled},
    words::{AFTER_READING, IN_TURN, LIBUV, dead_children},
};
use crate::{
    model::{Blocked, Call},
    report::CauseKind,
};

pub const RULE: Rule = Rule {
    kind: CauseKind::NeverWaits,
    explains: Explains::Own,
    check,
    fix: |case| {
        Fix::new(
            match case.free_now() {
                reap if !reap.is_empty() && case.may_have_missed_a_signal() => {
                    let pid = case.parent.task.identity.tgid;
                    format!(
                        "`reapwatch reap --nudge {pid}` sends it the SIGCHLD that its handler may have missed; {reap}"
                    )
                }
                reap => reap,
            },
            match case.runtime {
                _ if case.are_signals_missing() => super::flags::WITH_ALL_KINDS.into(),
                // sigwait of a signal that is ignored never comes.
                runtime if takes_the_signal(case) => runtime.wait_for_each().into(),
                Runtime::Php if case.evidence.is_some_and(is_handled) => format!(
                    "call pcntl_async_signals(true), or pcntl_signal_dispatch() in the loop: without either no handler of PHP runs; \
                     {}",
                    Runtime::Php.wait_for_each()
                ),
                runtime if !runtime.can_ignore_sigchld() => runtime.wait_for_each().into(),
                runtime if case.parent.ledger.counts.autoreaped > 0 => format!(
                    "{}; or ignore SIGCHLD before the first child is started: the kernel does not reap those that are dead \
                     already",
                    runtime.wait_for_each()
                ),
                runtime => format!(
                    "{}; where no exit status matters, not to libraries either, ignore SIGCHLD (sigaction SIG_IGN) before the first \
                     child is started, and the kernel reaps",
                    runtime.wait_for_each()
                ),
            },
        )
    },
};

fn check(case: &Case) -> Finding {
    let own = case.own_left();
    let Some(waits) = case.waits else {
        return Finding::CannotTell("its wait calls were not counted");
    };
    if own == 0 || waits.any + waits.specific > 0 {
        return Finding::No;
    }
    // A parent that reaps without wait calls (io_uring) has another way to wait.
    if case.parent.has_reaped() {
        return Finding::CannotTell("it reaps without wait calls that can be seen");
    }
    if !case.are_waits_known() || own == case.unreaped.older {
        return Finding::CannotTell("its dead children are older than the watch");
    }
    // Waits by io_uring are not counted. And what is stopped, frozen or blocked begins none, whatever its program does: the
    // rules of that rest on a look too.
    let Some(evidence) = case.evidence.filter(|evidence| evidence.state != 0) else {
        return Finding::CannotTell(
            "what it was doing meanwhile is not known: it may wait by io_uring, or be stopped, frozen or blocked",
        );
    };
    if evidence.blocked == Blocked::Call(Call::IoUring) || evidence.wait_channel.starts_with(b"io_cqring") {
        return Finding::CannotTell("it is in io_uring, by which it may wait");
    }
    if case.is_in_wait() {
        return Finding::CannotTell("a thread of it is in a wait call that it began before the watch");
    }
    if case.runtime == Runtime::Node {
        return Finding::CannotTell(LIBUV);
    }
    if case.may_wait_in_turn() {
        return Finding::CannotTell(IN_TURN);
    }
    if case.may_wait_after_reading() {
        return Finding::CannotTell(AFTER_READING);
    }
    let counted = case.waits_counted().unwrap_or_default();
    let mut evidence = vec![format!("{counted}, and {}", case.stayed(own))];
    let before_exec = case.parent.ledger.counts.reaped - case.reaped();
    if before_exec > 0 {
        evidence
            .push(format!("the program that ran before the last exec reaped {}", dead_children(before_exec)));
    }
    if case.may_have_missed_a_signal() {
        evidence.push(
            "it has a handler for SIGCHLD, which began no wait call: it does not reap, was installed after those left had died, or has not \
             come to run yet (Python, Perl and Ruby run handlers between their own instructions)"
                .into(),
        );
    }
    if takes_the_signal(case) {
        evidence.push(
            "it blocks SIGCHLD, and one is pending: whoever is to take it (sigwait, signalfd) has not come to it"
                .into(),
        );
    }
    evidence.extend(at_own_pipe(case));
    let autoreaped = case.parent.ledger.counts.autoreaped;
    if autoreaped > 0 && !case.parent.is_dead_namespace_init() {
        evidence.push(format!(
            "the kernel reaped {} at once: it ignored SIGCHLD (or had SA_NOCLDWAIT set) when those died, not when these did",
            dead_children(autoreaped)
        ));
    }
    Finding::Yes(evidence)
}

/// Whether it leaves SIGCHLD pending that no handler is to take.
fn takes_the_signal(case: &Case) -> bool {
    case.evidence.is_some_and(|evidence| {
        let is_pending = evidence.pending.is_some_and(|pending| pending & SIGCHLD != 0);
        is_pending && is_blocked(evidence) && !is_handled(evidence)
    })
}

/// That it reads from a pipe which nobody else can end.
fn at_own_pipe(case: &Case) -> Option<String> {
    let Blocked::PipeRead(read) = &case.evidence?.blocked else { return None };
    let [writer] = read.writers.as_slice() else { return None };
    let is_its_own = writer.identity.tgid == case.parent.task.identity.tgid && !read.is_cut;
    (is_its_own && !read.is_polled).then(|| {
        format!(
            "it is blocked in a read of a pipe (descriptor {}) of which it alone holds the writing end: that read does not end \
             before it closes that",
            read.fd
        )
    })
}
