//! `reaps_only_when_it_spawns`: the dead wait until the program starts its next child, as CPython does with the Popen objects
//! that nobody refers to any more.
//!
//! Confusable with a parent that reaps late for other reasons: here each late reap came with a birth. Must not know the
//! other rules, nor verdicts.

use super::{Case, Explains, Finding, Fix, Rule, runtime::Runtime, sigchld::SIGCHLD, words::dead_children};
use crate::{model::Evidence, report::CauseKind};

/// Fewer may be chance.
const TIMES_MIN: u64 = 2;
/// Fewer say nothing: a reading of the counters may fall between the calls and the birth that they come with.
const CALLS_ALONE_MIN: u64 = 2;

pub const RULE: Rule = Rule {
    kind: CauseKind::ReapsOnlyWhenItSpawns,
    explains: Explains::Own,
    check,
    fix: |case| {
        Fix::new(
            "",
            match case.runtime {
                Runtime::Python => {
                    "where it drops Popen or multiprocessing.Process objects, keep them and call wait() or join(): both modules reap \
                     dropped ones only when the next one is started. Where it waits for each, but late, wait in a thread, and do not \
                     block the event loop (asyncio); a manager of workers: reap by a short timer"
                }
                Runtime::Php => {
                    "call proc_close or pcntl_waitpid as soon as a child has ended, not just before the next one is started"
                }
                _ => {
                    "reap on SIGCHLD, or by a short timer, not only when the next child is started; where it is busy until then, \
                     wait in a thread"
                }
            },
        )
    },
};

fn check(case: &Case) -> Finding {
    let late_reaps = case.parent.late_reaps();
    let (late, at_spawn) = (late_reaps.count, late_reaps.at_spawn);
    // Those that died since the last birth wait for the next one; of others more than one was forgotten. Who reaps most of them
    // promptly is told of deaths, and was late for another reason: a busy host, or work that starts children.
    let first_death_ns = case.until_ns().saturating_sub(case.unreaped.oldest_ns);
    let are_forgotten = case.left > 1 && first_death_ns < case.parent.last_fork_ns;
    if late_reaps.times < TIMES_MIN || at_spawn < late || are_forgotten || 2 * late < case.reaped() {
        return Finding::No;
    }
    // Who looks for dead ones finds a living one now and then; who waits for each comes back with it.
    if case.waits.is_some_and(|waits| waits.any + waits.specific <= case.reaped()) {
        return Finding::CannotTell(
            "each of its wait calls took a child: it may wait for each when it has done with another thing, and start the next then",
        );
    }
    // Who looks for dead children between births too, and then starts the next, reaps by another clock.
    if late_reaps.calls_without_birth >= CALLS_ALONE_MIN {
        return Finding::CannotTell("it also began wait calls when it started no child");
    }
    // Who reaps just after the birth has its dead beside each one that it reaps at.
    if late_reaps.births_beside_dead > late_reaps.times + 1 {
        return Finding::CannotTell("it also started children while dead ones lay there, and reaped none");
    }
    // Who starts children all the time starts one within any such time.
    let forked = case.parent.ledger.counts.forked;
    let lived_ns =
        case.until_ns().saturating_sub(case.began_ns.max(case.parent.task.identity.start_boottime_ns));
    if forked.saturating_mul(4 * crate::engine::AT_SPAWN_NS) > lived_ns {
        return Finding::CannotTell(
            "it starts children so often that a birth comes with every reap by chance",
        );
    }
    let hears_of_deaths =
        |evidence: &Evidence| (evidence.signals.caught | evidence.signals.blocked) & SIGCHLD != 0;
    if case.evidence.is_some_and(hears_of_deaths) {
        return Finding::CannotTell(
            "it handles SIGCHLD or takes it otherwise, so it may have been too busy to reap and to start children alike",
        );
    }
    Finding::Yes(vec![
        format!(
            "it reaped {} late, each within {} ms of starting another child",
            dead_children(late),
            crate::engine::AT_SPAWN_NS / 1_000_000
        ),
        "so far: either it looks for dead children only when it starts one, or it comes to each of them when it is done with something \
         else, and starts the next one then: that cannot be told apart"
            .into(),
    ])
}
