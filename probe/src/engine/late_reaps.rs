//! The late reaps of one parent: how many came with a birth, and what its threads did when the child died.
//!
//! Most parents reap none late, so it takes no memory of theirs until they do. Must not know which reaps are late, nor judge.

use crate::model::{Evidence, Readiness, Task};

/// How many, and for how long the children had waited in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    pub count: u64,
    pub total_ns: u64,
}

/// Slow reaps, in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlowReaps {
    /// No thread of the parent was in a wait call.
    pub not_waiting: Waited,
    /// Those that were, were in calls that do not take the child.
    pub waiting_otherwise: Waited,
    /// One was in a wait call, it is not known for which child.
    pub waiting: Waited,
    /// One was in a call that takes the child.
    pub waiting_for_it: Waited,
    pub unknown: Waited,
}

impl SlowReaps {
    const NONE: Self = {
        let none = Waited { count: 0, total_ns: 0 };
        Self {
            not_waiting: none,
            waiting_otherwise: none,
            waiting: none,
            waiting_for_it: none,
            unknown: none,
        }
    };

    /// One more.
    pub(super) fn count(&mut self, readiness: Readiness, latency_ns: u64) {
        let part = match readiness {
            Readiness::NotWaiting => &mut self.not_waiting,
            Readiness::WaitingOtherwise => &mut self.waiting_otherwise,
            Readiness::Waiting => &mut self.waiting,
            Readiness::WaitingForIt => &mut self.waiting_for_it,
            Readiness::Unknown => &mut self.unknown,
        };
        part.count = part.count.saturating_add(1);
        part.total_ns = part.total_ns.saturating_add(latency_ns);
    }
}

/// What lasted for so long was found by two looks, which are a second apart: it was no moment.
pub const TWO_LOOKS_NS: u64 = 1_100_000_000;

/// A reap so shortly before or after a birth comes with it.
pub const AT_SPAWN_NS: u64 = 50_000_000;

/// A dead child for which its parent was found waiting while a tracer held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwaitedChild {
    /// As the parent names it.
    pub pid: u32,
    pub tracer: Task,
    /// When the tracer was told of the death.
    pub since_ns: u64,
}

/// Reaps that came later than is allowed.
#[derive(Clone, Debug, Default)]
pub struct LateReaps {
    pub count: u64,
    /// Those of them that came with a birth.
    pub at_spawn: u64,
    /// How often some came: those that come within [`AT_SPAWN_NS`] of the first come at once.
    pub times: u64,
    /// Those of the last time, while no birth has come since: how many, and when the first of them was.
    before_birth: u64,
    first_ns: u64,
    /// Those whose readiness was told.
    pub slow: SlowReaps,
    /// Those during which the parent did one thing alone for most of the time, the like at each, as looks at it found.
    pub doing_one_thing: u64,
    /// What, at the last of them.
    pub doing: Option<Box<Evidence>>,
    /// Readings of the counters that found new wait calls and no birth, after the first late reap.
    pub calls_without_birth: u64,
    /// Births, after the first late reap, at which a dead child lay there.
    pub births_beside_dead: u64,
    /// The last one of which that was found.
    pub awaited_held: Option<AwaitedChild>,
}

impl LateReaps {
    /// Of a parent that has reaped none late.
    pub(super) const NONE: &Self = &Self {
        count: 0,
        at_spawn: 0,
        times: 0,
        before_birth: 0,
        first_ns: 0,
        slow: SlowReaps::NONE,
        doing_one_thing: 0,
        doing: None,
        calls_without_birth: 0,
        births_beside_dead: 0,
        awaited_held: None,
    };

    /// One more; `is_at_spawn`: a birth came shortly before.
    pub(super) fn add(&mut self, now: u64, is_at_spawn: bool) {
        self.count = self.count.saturating_add(1);
        if now.saturating_sub(self.first_ns) > AT_SPAWN_NS {
            (self.before_birth, self.first_ns) = (0, now);
            self.times += 1;
        }
        if is_at_spawn {
            self.at_spawn = self.at_spawn.saturating_add(1);
        } else {
            self.before_birth += 1;
        }
    }

    /// What the parent was found doing from one time to the other, when it reaps one that had waited for so long.
    pub(super) fn while_doing(&mut self, evidence: &Evidence, [from_ns, until_ns]: [u64; 2], waited_ns: u64) {
        let is_most = |lasted_ns: u64| lasted_ns.saturating_mul(4) >= waited_ns.saturating_mul(3);
        let is_why = |held: &AwaitedChild| is_most(until_ns.saturating_sub(held.since_ns));
        self.awaited_held = self.awaited_held.filter(is_why);
        let lasted_ns = until_ns.saturating_sub(from_ns);
        if lasted_ns >= TWO_LOOKS_NS && is_most(lasted_ns) {
            // Of two things neither is why all were late.
            let is_another = self.doing.as_ref().is_some_and(|before| !evidence.is_like(before));
            if !is_another {
                self.doing_one_thing += 1;
                self.doing = Some(Box::new(evidence.clone()));
            }
        }
    }

    /// The parent runs another program: what was late before is not that one's.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { slow: self.slow, ..Self::default() };
    }

    /// A birth. `is_beside_dead`: a dead child lies there.
    pub(super) fn spawned(&mut self, now: u64, is_beside_dead: bool) {
        self.births_beside_dead += u64::from(is_beside_dead);
        let reaped = std::mem::take(&mut self.before_birth);
        if now.saturating_sub(self.first_ns) <= AT_SPAWN_NS {
            self.at_spawn = self.at_spawn.saturating_add(reaped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_reaped_just_before_a_birth_come_with_it() {
        const MS: u64 = 1_000_000;
        let at_spawn = |reaps_ms: &[u64], birth_ms: u64| {
            let mut late = LateReaps::default();
            for at in reaps_ms {
                late.add(at * MS, false);
            }
            late.spawned(birth_ms * MS, false);
            late.spawned(birth_ms * MS, true);
            assert_eq!(late.births_beside_dead, 1);
            (late.at_spawn, late.times)
        };
        assert_eq!(at_spawn(&[1000, 1001, 1002], 1010), (3, 1));
        assert_eq!(at_spawn(&[900, 1000, 1001], 1010), (2, 2));
        assert_eq!(at_spawn(&[900, 940], 1010), (0, 1));
    }

    #[test]
    fn of_two_things_neither_is_why_and_another_program_begins_anew() {
        use crate::{
            engine::tests::{play_in, task},
            model::{Begin, Blocked, Call},
        };
        let doing = |call| Evidence { blocked: Blocked::Call(call), ..Evidence::default() };
        let mut late = LateReaps::default();
        for call in [Call::Write, Call::Sleep, Call::Write] {
            late.while_doing(&doing(call), [0, 9 * TWO_LOOKS_NS], 10 * TWO_LOOKS_NS);
        }
        late.while_doing(&doing(Call::Write), [0, 7 * TWO_LOOKS_NS], 10 * TWO_LOOKS_NS);
        assert_eq!((late.doing_one_thing, late.doing), (2, Some(Box::new(doing(Call::Write)))));

        let script = "1 fork 20 2\n 2 exit 20 2\n 3 zombie 20 2\n 9000000000 reap 20 2\n";
        let late = |script: &str| {
            let engine = play_in(Begin::default(), script);
            engine.parents[&task(2).identity].late_reaps().count
        };
        assert_eq!(late(script), 1);
        assert_eq!(late(&format!("{script} 9000000001 exec 2 1\n")), 0);
    }
}
