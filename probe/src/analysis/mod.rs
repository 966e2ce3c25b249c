//! From the engine's state to a report, and from its observations to event lines.
//!
//! Owns verdicts, causes, order and totals. Must not change the engine, read a clock, or know a sink.

mod cause;
mod coverage;
mod line;
mod time;
mod verdict;

pub use line::event_line;

use std::borrow::Cow;

use crate::{
    engine::{Engine, Parent as Known, State, Tally},
    model::{self, Detail, Identity, Session, Task},
    report::{
        HooksUsed, LatencySummary, Ledger, LeftRunning, Lost, MapFill, Named, Parent, ProgramCost, Report,
        SCHEMA, Settled, Tracer, Verdict, Waits, Window,
    },
};

/// What is to be said of everything up to now.
pub fn report(engine: &Engine, session: &Session) -> Report {
    let (start_ns, end_ns) = engine.window();
    let losses = engine.losses();
    let lost = Lost { events: losses.events, map_full: losses.map_full, probe_missed: losses.probe_missed };
    let complete = lost == Lost::default();
    let mut parents: Vec<Parent> = engine
        .parents()
        .filter(|(_, parent)| engine.root().is_none() || parent.member)
        .map(|(_, known)| parent(engine, session, known, end_ns, complete))
        .filter(|parent| parent.ledger != Ledger::default())
        .collect();
    parents.sort_by_key(badness);
    let settled = settled(engine.settled());
    Report {
        schema: SCHEMA,
        window: Window {
            start: time::rfc3339(session, start_ns),
            end: time::rfc3339(session, end_ns),
            duration_ns: end_ns.saturating_sub(start_ns),
        },
        scope: coverage::scope(&engine.begin().scope),
        coverage: coverage::coverage(engine.begin().coverage),
        not_covered: coverage::not_covered(engine.begin()),
        hooks: HooksUsed {
            exit: session.hooks.exit.clone(),
            zombie: session.hooks.zombie.clone(),
            reap: session.hooks.reap.clone(),
            precision: if session.hooks.exact || engine.coarse_reaps() == 0 { "exact" } else { "coarse" },
        },
        complete,
        lost,
        totals: totals(settled.ledger, &parents),
        settled,
        parents,
        left_running: if engine.root().is_some() { left_running(engine) } else { Vec::new() },
        tracer: tracer(engine.upkeep()),
    }
}

/// Sort key, worst first and the same every time.
fn badness(parent: &Parent) -> impl Ord + use<> {
    use std::cmp::Reverse;
    (
        Reverse(parent.verdict),
        Reverse(parent.ledger.unreaped + parent.ledger.abandoned),
        Reverse(parent.oldest_unreaped_ns),
        Reverse(parent.reap_latency.max_ns),
        Reverse(parent.ledger.exited),
        parent.pid,
        parent.start_time,
    )
}

/// What the tracer itself cost and held.
pub fn tracer(upkeep: &model::Upkeep) -> Tracer {
    let programs = upkeep.programs.iter().map(|one| ProgramCost {
        name: one.name.clone(),
        runs: one.runs,
        run_time_ns: one.run_time_ns,
        recursion_misses: one.recursion_misses,
    });
    let maps = upkeep.maps.iter().map(|one| MapFill {
        name: one.name.clone(),
        entries: one.entries,
        max_entries: one.max_entries,
        refused: one.refused,
    });
    Tracer {
        cpu_ns: upkeep.cpu_ns,
        resident_bytes: upkeep.resident_bytes,
        recursion_misses: upkeep.programs.iter().map(|one| one.recursion_misses).sum(),
        programs: programs.collect(),
        maps: maps.collect(),
    }
}

fn settled(sum: model::Settled) -> Settled {
    let model::Settled { parents, forked, exited, adopted, reaped, autoreaped, coarse: _ } = sum;
    let ledger = Ledger { forked, exited, adopted, reaped, autoreaped, unreaped: 0, abandoned: 0 };
    Settled { parents, ledger }
}

fn totals(settled: Ledger, parents: &[Parent]) -> Ledger {
    parents.iter().fold(settled, |sum, parent| Ledger {
        forked: sum.forked + parent.ledger.forked,
        exited: sum.exited + parent.ledger.exited,
        adopted: sum.adopted + parent.ledger.adopted,
        reaped: sum.reaped + parent.ledger.reaped,
        autoreaped: sum.autoreaped + parent.ledger.autoreaped,
        unreaped: sum.unreaped + parent.ledger.unreaped,
        abandoned: sum.abandoned + parent.ledger.abandoned,
    })
}

fn parent(engine: &Engine, session: &Session, known: &Known, end_ns: u64, complete: bool) -> Parent {
    let unreaped = Unreaped::of(engine, known, session.grace_ns, end_ns);
    let books = &known.ledger;
    let ledger = Ledger {
        forked: books.forked,
        exited: books.exited,
        adopted: books.adopted,
        reaped: books.reaped,
        autoreaped: books.autoreaped,
        unreaped: known.zombies.len() as u64,
        abandoned: books.abandoned,
    };
    let verdict = verdict::verdict(known, &unreaped, session.grace_ns, complete);
    let detail = known.detail.clone().unwrap_or_default();
    Parent {
        pid: known.task.identity.tgid,
        ns_pid: ns_pid(&known.task),
        start_time: time::rfc3339(session, known.task.identity.start_boottime_ns),
        comm: known.task.comm.text().into_owned(),
        command_line: command_line(&detail),
        executable: text(&detail.executable).into_owned(),
        unit: (!detail.unit.is_empty()).then(|| text(&detail.unit).into_owned()),
        alive: known.died_ns.is_none(),
        ledger,
        held: unreaped.held,
        oldest_unreaped_ns: unreaped.oldest_ns,
        oldest_at_least: unreaped.at_least,
        reap_latency: summary(&known.reap_latency),
        teardown: summary(&known.teardown),
        waits: known
            .waits
            .map_or(Waits::default(), |waits| Waits { any: waits.any, specific: waits.specific }),
        verdict,
        causes: if verdict >= Verdict::Slow { cause::causes(known, &unreaped) } else { Vec::new() },
    }
}

/// What a parent leaves unreaped, sorted out.
pub(crate) struct Unreaped {
    /// The parent's own: no tracer holds them.
    pub own: u64,
    pub held: u64,
    /// Of the own ones, past the grace.
    pub past_grace: u64,
    /// Abandoned ones that had waited past the grace.
    pub abandoned_past_grace: u64,
    pub oldest_ns: u64,
    pub at_least: bool,
    /// A tracer that holds some.
    pub tracer: Option<Task>,
}

impl Unreaped {
    fn of(engine: &Engine, known: &Known, grace_ns: u64, end_ns: u64) -> Self {
        let mut found = Self {
            own: 0,
            held: 0,
            past_grace: 0,
            abandoned_past_grace: known.abandoned_after.count_over(grace_ns),
            oldest_ns: known.abandoned_after.max_ns(),
            at_least: false,
            tracer: None,
        };
        for child in &known.zombies {
            let Some(State::Zombie { since_ns, held_by, at_least }) =
                engine.process(*child).map(|one| one.state)
            else {
                continue;
            };
            if held_by.is_some() {
                found.held += 1;
                found.tracer = held_by;
                continue;
            }
            let waited_ns = end_ns.saturating_sub(since_ns);
            found.own += 1;
            found.past_grace += u64::from(waited_ns > grace_ns);
            if waited_ns >= found.oldest_ns {
                found.oldest_ns = waited_ns;
                found.at_least = at_least;
            }
        }
        found
    }
}

fn summary(tally: &Tally) -> LatencySummary {
    LatencySummary {
        count: tally.count(),
        min_ns: tally.min_ns(),
        p50_ns: tally.quantile_ns(0.50),
        p90_ns: tally.quantile_ns(0.90),
        p99_ns: tally.quantile_ns(0.99),
        max_ns: tally.max_ns(),
        mean_ns: tally.mean_ns(),
    }
}

/// The command, where it has not ended, and its descendants still alive, by pid.
fn left_running(engine: &Engine) -> Vec<LeftRunning> {
    let mut left: Vec<(Identity, LeftRunning)> = engine
        .processes()
        .filter(|process| process.member && matches!(process.state, State::Running))
        .map(|process| {
            let detail = process.detail.clone().unwrap_or_default();
            let spawned_by = process.born_to.unwrap_or_default();
            let entry = LeftRunning {
                pid: process.task.identity.tgid,
                comm: process.task.comm.text().into_owned(),
                command_line: command_line(&detail),
                spawned_by: Named { comm: spawned_by.comm.text().into_owned().into(), ..named(&spawned_by) },
            };
            (process.task.identity, entry)
        })
        .collect();
    left.sort_by_key(|(identity, _)| *identity);
    left.into_iter().map(|(_, entry)| entry).collect()
}

fn command_line(detail: &Detail) -> Vec<String> {
    detail.command_line.iter().map(|arg| text(arg).into_owned()).collect()
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn ns_pid(task: &Task) -> Option<u32> {
    (task.ns_pid != 0 && task.ns_pid != task.identity.tgid).then_some(task.ns_pid)
}

fn named(task: &Task) -> Named<'_> {
    Named { pid: task.identity.tgid, ns_pid: ns_pid(task), comm: task.comm.text() }
}
