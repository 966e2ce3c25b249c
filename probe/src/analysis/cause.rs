//! Why a parent leaks, as far as the observations show. What cannot be known is `unknown`, never a guess: each cause
//! rests on observations that nothing else explains, and each sentence is true whatever the cause is.

use super::unreaped::Unreaped;
use crate::{
    engine::Parent,
    report::{Cause, CauseKind},
};

/// How many tracers are named at most.
const TRACERS_NAMED: usize = 3;

fn cause(kind: CauseKind, evidence: Vec<String>, fix: &str) -> Cause {
    Cause { kind, evidence, fix: fix.into() }
}

/// `1 wait call`, `2 wait calls`.
fn wait_calls(count: u64) -> String {
    format!("{count} wait {}", if count == 1 { "call" } else { "calls" })
}

/// `1 dead child`, `2 dead children`.
fn dead_children(count: u64) -> String {
    format!("{count} dead {}", if count == 1 { "child" } else { "children" })
}

/// `its 3 dead children`, or `2 of its 3 dead children`, with the verb that goes with it.
fn of_its(count: u64, all: u64, was: &str, were: &str) -> String {
    let its = format!("its {}", dead_children(all));
    match count {
        _ if count >= all => format!("{its} {}", if all == 1 { was } else { were }),
        1 => format!("1 of {its} {was}"),
        _ => format!("{count} of {its} {were}"),
    }
}

/// All causes that apply, the strongest first; never empty. `began_ns`: when the window began.
pub fn causes(parent: &Parent, unreaped: &Unreaped, began_ns: u64) -> Vec<Cause> {
    let case = Case::new(parent, unreaped, began_ns);
    let found: Vec<Cause> =
        [case.inherited(), case.adopted(), case.waits(), case.held()].into_iter().flatten().collect();
    if found.is_empty() { vec![case.unknown()] } else { found }
}

/// One parent, and the questions that several causes ask about it.
struct Case<'a> {
    parent: &'a Parent,
    unreaped: &'a Unreaped,
    began_ns: u64,
    /// How many dead children it is to blame for.
    left: u64,
    /// True if it was born within the window.
    is_seen_whole: bool,
    /// True if all children that it started were counted.
    are_forks_known: bool,
}

impl<'a> Case<'a> {
    fn new(parent: &'a Parent, unreaped: &'a Unreaped, began_ns: u64) -> Self {
        let is_seen_whole = parent.task.identity.start_boottime_ns >= began_ns;
        let are_forks_known = is_seen_whole && !parent.is_uncounted;
        Self { parent, unreaped, began_ns, left: unreaped.left(), is_seen_whole, are_forks_known }
    }

    /// The time since which its wait calls are counted, in words.
    fn since(&self) -> &'static str {
        if self.parent.exec_ns.is_some() {
            "since its last exec"
        } else if self.is_seen_whole {
            "since it was started"
        } else {
            "since the watch began"
        }
    }

    /// The least number of adopted children among those left: those known to be adopted, or those that it cannot have
    /// started.
    fn adopted_left(&self) -> u64 {
        let not_its_own =
            if self.are_forks_known { self.left.saturating_sub(self.parent.ledger.counts.forked) } else { 0 };
        self.unreaped.adopted.max(not_its_own)
    }

    /// The least number of children that it adopted alive, because it cannot have started them.
    fn adopted_alive(&self) -> u64 {
        let ledger = &self.parent.ledger;
        if self.are_forks_known { ledger.counts.exited.saturating_sub(ledger.counts.forked) } else { 0 }
    }

    /// Whether it was seen to adopt. If it was, any child whose birth was not seen may have had another parent. If it
    /// was not, it is neither a subreaper nor an init.
    fn adopts(&self) -> bool {
        self.adopted_left() > 0 || self.adopted_alive() > 0 || self.parent.ledger.counts.adopted > 0
    }

    /// The least number of children among those left that it started itself.
    fn started_left(&self) -> u64 {
        if self.adopts() { self.unreaped.started } else { self.left }
    }

    /// The least number of children among those left that it started itself before its last exec.
    fn started_before_exec(&self) -> u64 {
        let unknown = if self.adopts() { 0 } else { self.unreaped.unknown_before_exec };
        self.unreaped.started_before_exec + unknown
    }

    fn inherited(&self) -> Option<Cause> {
        let inherited = self.started_before_exec();
        (inherited > 0).then(|| {
            cause(
                CauseKind::ChildrenInheritedThroughExec,
                vec![format!(
                    "{} born before its last exec: the program it runs now did not start {}",
                    of_its(inherited, self.left, "was", "were"),
                    if inherited == 1 { "it" } else { "them" }
                )],
                "wait for the background jobs before the exec, or do not exec: let the shell stay as the parent",
            )
        })
    }

    fn adopted(&self) -> Option<Cause> {
        let adopted = self.adopted_left();
        let ledger = &self.parent.ledger;
        // If it reaped more children than it can have started, it does reap adopted ones.
        let may_reap_them = self.parent.has_reaped()
            && !(self.are_forks_known && ledger.counts.reaped <= ledger.counts.forked);
        if adopted == 0 || may_reap_them {
            return None;
        }
        let at_least = if adopted < self.left { "at least " } else { "" };
        let mut evidence = vec![format!(
            "{at_least}{} to it from processes that died before",
            of_its(adopted, self.left, "came", "came")
        )];
        if self.parent.task.ns_pid == 1 {
            evidence.push("it is PID 1 of a PID namespace, which gets every orphan in it".into());
        }
        evidence.extend(self.waits_counted());
        Some(cause(
            CauseKind::DoesNotReapAdoptedChildren,
            evidence,
            "a PID 1 or subreaper must reap any child: loop on waitpid(-1, …); in a container use an init (tini, \
             docker run --init)",
        ))
    }

    /// How it waited, if its wait calls were counted.
    fn waits_counted(&self) -> Option<String> {
        let since = self.since();
        self.parent.waits.map(|waits| match (waits.any, waits.specific) {
            (0, 0) => format!("it began no wait call {since}"),
            (0, specific) => {
                format!("{since} it began {}, each for one process or process group", wait_calls(specific))
            }
            (any, 0) => format!("{since} it began {} for any child", wait_calls(any)),
            (any, specific) => {
                format!("{since} it began {} for any child and {specific} for certain ones", wait_calls(any))
            }
        })
    }

    /// What can be said from its wait calls alone.
    fn waits(&self) -> Option<Cause> {
        let waits = self.parent.waits?;
        // Inherited and adopted children have a cause of their own.
        let own = self.started_left().saturating_sub(self.started_before_exec());
        if own == 0 || waits.any > 0 {
            return None;
        }
        // A wait call that began before the window may still be running, but it cannot be for a child that was born
        // later. A process that reaps without wait calls (by io_uring) waits in another way.
        let since_ns = self.began_ns.max(self.parent.exec_ns.unwrap_or(0));
        let is_known = self.is_seen_whole || self.unreaped.youngest_ns >= since_ns;
        let mut evidence: Vec<String> = self.waits_counted().into_iter().collect();
        if waits.specific == 0 {
            if self.parent.has_reaped() || !is_known || own == self.unreaped.older {
                return None;
            }
            evidence[0].push_str(&format!(", and {} stayed unreaped", dead_children(self.left)));
            let autoreaped = self.parent.ledger.counts.autoreaped;
            if autoreaped > 0 {
                evidence.push(format!(
                    "the kernel reaped {} at once: it ignored SIGCHLD (or had SA_NOCLDWAIT set) when those died, not \
                     when these did",
                    dead_children(autoreaped)
                ));
            }
            return Some(cause(
                CauseKind::NeverWaits,
                evidence,
                if autoreaped > 0 {
                    "call waitpid for each child; or ignore SIGCHLD before the first child is started: the kernel \
                     does not reap those that are dead already"
                } else {
                    "call waitpid for each child, or waitpid(-1, …, WNOHANG) in a loop on SIGCHLD; if it has such \
                     code, see why that does not run (SigBlk in /proc/PID/status, a stopped process); where the exit \
                     status does not matter, ignore SIGCHLD (sigaction SIG_IGN) and the kernel reaps"
                },
            ));
        }
        (own > self.unreaped.older).then(|| {
            cause(
                CauseKind::WaitsOnlyForSpecificChildren,
                evidence,
                "wait for every child that is started, also on the error path and after a timeout",
            )
        })
    }

    fn held(&self) -> Option<Cause> {
        let tracers = &self.unreaped.tracers;
        let named = tracers.iter().take(TRACERS_NAMED).map(|(tracer, count)| {
            format!(
                "the tracer {} (pid {}) holds {} of it",
                tracer.comm.text(),
                tracer.identity.tgid,
                dead_children(*count)
            )
        });
        let mut evidence: Vec<String> = named.collect();
        if let more @ 1.. = tracers.len().saturating_sub(TRACERS_NAMED) {
            evidence.push(format!("so do {more} more tracers"));
        }
        (!evidence.is_empty()).then(|| {
            cause(
                CauseKind::HeldByTracer,
                evidence,
                "let the tracer wait for these children, or detach, or end it: their parent cannot reap them before",
            )
        })
    }

    /// What is known although the cause is not.
    fn unknown(&self) -> Cause {
        let (parent, unreaped) = (self.parent, self.unreaped);
        let mut evidence = Vec::new();
        let waits = parent.waits.map(|waits| waits.any + waits.specific);
        let reaped = parent.ledger.counts.reaped.saturating_sub(parent.reaped_before_exec);
        if unreaped.older > 0 && unreaped.older == self.left {
            let them = if self.left == 1 { "its dead child is" } else { "all its dead children are" };
            evidence.push(format!("{them} older than the watch: how it waited before is not known"));
        } else if self.left > 0 && waits == Some(0) && reaped > 0 {
            evidence.push(format!(
                "it reaped {} though no wait call of it was seen to begin: it waits by other means (such as io_uring), or in a \
                 call that began earlier",
                dead_children(reaped)
            ));
        } else if self.left > 0 {
            let left = dead_children(self.left);
            evidence.extend(self.waits_counted().map(|counted| match waits {
                Some(0) => format!("{counted}; how it waited before is not known"),
                _ => format!("{counted}, and {left} stayed unreaped"),
            }));
        } else if reaped > 0 {
            evidence.push(format!("it reaped {}, at least one later than the grace", dead_children(reaped)));
        }
        match self.adopted_left() {
            0 if self.left > 0 && self.adopts() => {
                let adopted = self.adopted_alive().saturating_add(parent.ledger.counts.adopted);
                evidence.push(format!(
                    "it adopts: {adopted} or more of those that died came to it from processes that died before; whether \
                     those left did is not known"
                ));
            }
            0 => {}
            adopted => evidence.push(format!(
                "{} to it from processes that died before",
                of_its(adopted, self.left, "came", "came")
            )),
        }
        if evidence.is_empty() {
            evidence.push("nothing that was seen tells why".into());
        }
        cause(CauseKind::Unknown, evidence, "look at where it starts children and where it waits for them")
    }
}
