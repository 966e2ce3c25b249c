//! One parent, and what several rules ask of it.
//!
//! Must not know the causes.

use super::{
    super::unreaped::Unreaped,
    runtime::Runtime,
    sigchld::{is_blocked, is_handled},
    words::{FLAGS, dead_children, wait_calls},
};
use crate::{
    engine::{Parent, Provenances, TWO_LOOKS_NS, WhileLeft},
    model::{Blocked, Evidence, WaitCalls, WaitTarget},
};

/// So long a parent may take to reap.
const A_MOMENT_NS: u64 = 250_000_000;

/// Who has asked for any child so often is taken to do so again.
const HABIT_MIN: u64 = 2;

/// Who handles so many signals handles every one.
const ALL_SIGNALS: u32 = 25;

/// Which children the flags of its wait calls do not let them see.
pub enum Excluded {
    /// Those of other threads than the one that calls.
    OfOtherThreads,
    /// Those with another exit signal than SIGCHLD.
    CloneChildren,
    /// Those with SIGCHLD.
    UsualChildren,
}

pub struct Case<'a> {
    pub parent: &'a Parent,
    pub unreaped: &'a Unreaped,
    pub began_ns: u64,
    pub ended_ns: u64,
    /// How many it is to blame for.
    pub left: u64,
    /// Where those come from.
    from: Provenances,
    /// How it waits, where that was counted.
    pub waits: Option<WaitCalls>,
    /// It was born within the window.
    pub is_seen_whole: bool,
    /// All children that it started were counted.
    pub are_forks_known: bool,
    /// What it was doing when it was last looked at as a suspect.
    pub evidence: Option<&'a Evidence>,
    /// What it is written in, as far as its program says.
    pub runtime: Runtime,
}

impl<'a> Case<'a> {
    pub fn new(parent: &'a Parent, unreaped: &'a Unreaped, (began_ns, ended_ns): (u64, u64)) -> Self {
        let is_seen_whole = parent.task.identity.start_boottime_ns >= began_ns;
        let are_forks_known = is_seen_whole && !parent.is_uncounted;
        // Those that a living parent has had no time to reap need no cause.
        let is_early = parent.died_ns.is_none() && unreaped.past_grace == 0;
        let (left, from) =
            if is_early { (0, Provenances::default()) } else { (unreaped.left(), unreaped.from) };
        Self {
            parent,
            unreaped,
            began_ns,
            ended_ns,
            left,
            from,
            waits: parent.waits(),
            is_seen_whole,
            are_forks_known,
            evidence: parent.current_evidence(),
            runtime: Runtime::of(parent),
        }
    }

    /// Since when its wait calls are counted.
    pub fn since(&self) -> &'static str {
        if self.parent.exec_ns.is_some() {
            "since its last exec"
        } else if self.is_seen_whole {
            "since it was started"
        } else {
            "since the watch began"
        }
    }

    /// From when on nothing that it did is unknown: its birth, its last exec, or the begin of the window.
    fn since_ns(&self) -> u64 {
        self.began_ns.max(self.parent.exec_ns.unwrap_or(0))
    }

    /// Up to when it is known: its death, or the end of the window.
    pub fn until_ns(&self) -> u64 {
        self.parent.died_ns.unwrap_or(self.ended_ns)
    }

    /// Whether orphans come to it: as the kernel said, or because it was seen to have some.
    pub fn is_reaper(&self) -> bool {
        self.parent.is_reaper().unwrap_or(false)
            || self.unreaped.from.adopted > 0
            || self.not_its_own() > 0
            || self.adopted_alive() > 0
            || self.parent.ledger.counts.adopted > 0
    }

    /// How many of those left it cannot have forked, for there are more than it forked.
    fn not_its_own(&self) -> u64 {
        if self.are_forks_known { self.left.saturating_sub(self.parent.ledger.counts.forked) } else { 0 }
    }

    /// How many children at least came to it alive, as it cannot have forked them.
    pub fn adopted_alive(&self) -> u64 {
        let forked = self.parent.ledger.counts.forked;
        if self.are_forks_known { self.parent.died_in_all().saturating_sub(forked) } else { 0 }
    }

    /// At least how many of those left came to it from others. Those that the program of an init did not fork it may also
    /// have inherited through its exec: an init has to reap them all the same. Of a subreaper's this cannot be told.
    pub fn adopted_left(&self) -> u64 {
        let from = &self.from;
        let foreign = if self.parent.is_namespace_init() { from.foreign } else { 0 };
        (from.adopted + foreign).max(self.not_its_own())
    }

    /// Whether some of those left are known to have come to it from others.
    pub fn is_any_known_to_be_adopted(&self) -> bool {
        self.from.adopted > 0 || self.not_its_own() > 0
    }

    /// At least how many of those left it forked before it ran its program of now.
    pub fn inherited_left(&self) -> u64 {
        let from = &self.from;
        from.inherited + if self.is_reaper() { 0 } else { from.foreign }
    }

    /// At least how many of those left its program of now forked.
    pub fn own_left(&self) -> u64 {
        let from = &self.from;
        if self.is_reaper() {
            from.own
        } else {
            self.left.saturating_sub(self.inherited_left() + from.adopted)
        }
    }

    /// Whether its wait calls are known from before the youngest of those left was born: a call that began before the
    /// window may still be under way, but it is not for a child that was born since.
    pub fn are_waits_known(&self) -> bool {
        self.is_seen_whole || self.unreaped.youngest_ns >= self.since_ns()
    }

    /// How it waited, where that was counted.
    pub fn waits_counted(&self) -> Option<String> {
        let since = self.since();
        let counted = self.waits.map(|waits| match (waits.any, waits.specific) {
            (0, 0) => format!("it began no wait call {since}"),
            (0, specific) => {
                format!("{since} it began {}, each for one process or process group", wait_calls(specific))
            }
            (any, 0) => format!("{since} it began {} for any child", wait_calls(any)),
            (any, specific) => {
                format!("{since} it began {} for any child and {specific} for certain ones", wait_calls(any))
            }
        })?;
        // The hook cannot tell such a call from one for any child.
        Some(match self.waits {
            Some(waits) if waits.absent > 0 => format!(
                "{counted}; {} of the {} whose arguments were read named a child that it does not have",
                waits.absent, waits.read
            ),
            _ => counted,
        })
    }

    /// What it was doing while dead children of it waited, by the last look. Where none is left, while those waited that it reaped
    /// late, if it was one thing all the time.
    pub fn doing(&self) -> Option<&'a Evidence> {
        if self.left > 0 {
            // Who ends by itself goes on until then, whatever a look long before found.
            let is_over = self.parent.died_ns.is_some()
                && self.parent.killed_by.is_none()
                && self.until_ns() > self.parent.looked_ns.saturating_add(TWO_LOOKS_NS);
            return self.evidence.filter(|_| !is_over);
        }
        let late = self.parent.late_reaps();
        late.doing.as_deref().filter(|_| late.doing_one_thing == late.count)
    }

    /// Whether that lasted until the end of the window, or until it died or reaped: more than one look found it, and none found
    /// anything else. Otherwise it may have been a moment.
    pub fn evidence_lasts(&self) -> bool {
        self.left == 0 || self.until_ns().saturating_sub(self.parent.evidence_since_ns()) >= TWO_LOOKS_NS
    }

    /// For how long looks found that its main thread had not run in between.
    pub fn has_not_run_ns(&self) -> u64 {
        self.parent.looked_ns.saturating_sub(self.parent.still_ns)
    }

    /// Whether nothing says that it is stopped and continued by turns: it has not run for a moment, was found so for longer, or was looked
    /// at only once.
    pub fn may_be_stopped(&self) -> bool {
        self.parent.is_looked_at_once || self.has_not_run_ns() >= A_MOMENT_NS || self.evidence_lasts()
    }

    /// Whether it would reap those left if it could go on, and the stop, the frost or the sleep that it was found in is why
    /// it does not: `Err` says what is missing. `Ok(false)`: it was free while some of them were dead already.
    pub fn would_reap(&self) -> Result<bool, &'static str> {
        let until_ns = self.until_ns();
        let first_death_ns = until_ns.saturating_sub(self.unreaped.oldest_ns);
        let since_ns = first_death_ns.max(self.parent.exec_ns.unwrap_or(0));
        if self.left > 0 && self.parent.free_ns.is_some_and(|free_ns| free_ns > since_ns + A_MOMENT_NS) {
            return Ok(false);
        }
        let waits = self.waits.unwrap_or_default();
        let took_none =
            |since: WhileLeft| since.any.saturating_sub(waits.absent) >= HABIT_MIN && since.reaped == 0;
        if self.left == 0 {
            return Ok(true);
        }
        // What it asked took none of them: other rules say why.
        if self.only_looks() || self.parent.while_left().is_some_and(took_none) {
            return Ok(false);
        }
        if self.excluded().is_some() {
            return Err(FLAGS);
        }
        if self.asked_for_any() >= HABIT_MIN {
            return Ok(true);
        }
        if self.asked_for_any() > 0 {
            return Err("it cannot go on, and has waited for any child only once: it may not do so again");
        }
        if waits.any + waits.specific > 0 {
            return Err("it asks for particular children only: whether for those left is not known");
        }
        if self.parent.has_reaped() {
            return match self.is_seen_whole {
                true => Ok(true),
                false => {
                    Err("it has reaped in a call that began before the watch, perhaps for one child alone")
                }
            };
        }
        Err(match self.evidence.map(|evidence| evidence.state) {
            Some(b'T') => "it is stopped (state T), but was not seen to wait before, and may never do so",
            Some(b't') => {
                "a tracer has stopped it (state t), but it was not seen to wait before, and may never do so"
            }
            _ => {
                "it cannot go on (frozen, in vfork or in state D), but was not seen to wait before, and may never do so"
            }
        })
    }

    /// Whether children that it forked live, as far as that is known.
    pub fn has_living_children(&self) -> bool {
        self.parent.ledger.counts.forked > self.parent.died_in_all()
    }

    /// Whether it was last seen with several threads.
    pub fn has_threads(&self) -> bool {
        self.evidence.is_some_and(|evidence| evidence.threads > 1)
    }

    /// Whether those left were cloned so that their end sends no SIGCHLD.
    pub fn are_signals_missing(&self) -> bool {
        let silent = self.unreaped.clone_children;
        silent > 0 && silent >= self.left
    }

    /// Whether it has a handler for SIGCHLD that can run and may reap, and that is the program's own: Go's runtime has one for every
    /// signal, and that of a shell or of PHP only takes a note.
    pub fn may_have_missed_a_signal(&self) -> bool {
        self.evidence.is_some_and(|evidence| {
            let is_its_own = evidence.signals.caught.count_ones() < ALL_SIGNALS;
            is_handled(evidence) && is_its_own && !is_blocked(evidence)
        }) && !matches!(self.runtime, Runtime::Shell | Runtime::Php)
            && !self.are_signals_missing()
    }

    /// How often it has asked for any child. A call for one that does not exist looks to the hook like one for any.
    pub fn asked_for_any(&self) -> u64 {
        self.waits.map_or(0, |waits| waits.any.saturating_sub(waits.absent))
    }

    pub fn asks_for_any(&self) -> bool {
        self.asked_for_any() > 0
    }

    /// What all its calls that were read do not see, for their flags or for how the children were cloned.
    pub fn excluded(&self) -> Option<Excluded> {
        let waits = self.waits?;
        if waits.read > 0 && waits.own_thread == waits.read && self.has_threads() {
            Some(Excluded::OfOtherThreads)
        } else if self.are_signals_missing() {
            Some(Excluded::CloneChildren)
        } else if waits.read > 0 && waits.clone_only == waits.read {
            Some(Excluded::UsualChildren)
        } else {
            None
        }
    }

    /// Whether a look found a thread of it in a wait call.
    pub fn is_in_wait(&self) -> bool {
        self.evidence.is_some_and(|evidence| {
            evidence.threads_in_wait > 0 || matches!(evidence.blocked, Blocked::Wait(_))
        })
    }

    /// Whether it was last seen in a wait call for any child.
    pub fn is_in_wait_for_any(&self) -> bool {
        self.evidence.is_some_and(
            |evidence| matches!(&evidence.blocked, Blocked::Wait(wait) if wait.target == WaitTarget::Any),
        )
    }

    /// What it began and reaped while children of it lay unreaped. Where the counters were read only once since these died, all
    /// that it ever did: a parent that has ended leaves no second reading.
    pub fn while_left(&self) -> WhileLeft {
        self.parent.while_left().unwrap_or_else(|| {
            let waits = self.waits.unwrap_or_default();
            WhileLeft { any: waits.any, specific: waits.specific, reaped: self.reaped() }
        })
    }

    /// Whether none of its calls that were read takes a dead child away.
    pub fn only_looks(&self) -> bool {
        self.waits.is_some_and(|waits| waits.read > 0 && waits.peeking == waits.read)
    }

    /// Of how many wait calls the arguments are known.
    pub fn calls_read(&self) -> String {
        match self.waits {
            Some(waits) if waits.read < waits.any + waits.specific => {
                format!("all {} of its wait calls whose arguments were read", waits.read)
            }
            _ => "all its wait calls".into(),
        }
    }

    /// How many its program has reaped.
    pub fn reaped(&self) -> u64 {
        self.parent.ledger.counts.reaped.saturating_sub(self.parent.reaped_before_exec)
    }

    /// That so many stayed.
    pub fn stayed(&self, count: u64) -> String {
        format!("{} stayed unreaped", dead_children(count))
    }
}
