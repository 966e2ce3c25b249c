//! From the engine's state to a report, and from its observations to event lines.
//!
//! Owns verdicts, causes, the headline, order and totals. Must not change the engine, read a clock, or know how a report is
//! written.

pub mod audit;
mod cause;
pub mod check;
mod coverage;
mod detail;
pub mod explain;
mod finding;
pub mod fork_site;
mod growth;
pub mod history;
mod label;
mod line;
mod listed;
mod looking_dead;
mod note;
pub mod page;
mod pattern;
pub mod pids;
pub mod profile;
mod sentence;
pub mod time;
mod unreaped;
mod verdict;
mod workload;

#[cfg(test)]
mod tests;

pub use cause::Runtime;
pub use detail::detail;
pub use history::History;
pub use line::event_line;
pub use pattern::Pattern;
pub use sentence::headline;
pub use workload::workload;

use std::borrow::Cow;

use unreaped::Unreaped;

use crate::{
    engine::{self, Engine, Histogram, Parent as Known, State, View},
    model::{self, Identity, ProcessInfo, Session, Task},
    report::{
        HooksUsed, LatencySummary, Ledger, LeftRunning, Lost, MapFill, Named, Other, Parent, Precision,
        ProgramCost, Report, SCHEMA, Settled, SlowPart, SlowReaps, Tracer, Verdict, Waits, Window,
    },
};

/// The report on everything up to now.
pub fn report(view: &View<'_>, session: &Session) -> Report {
    let (start_ns, end_ns) = view.window();
    let losses = view.losses();
    let lost = lost(losses);
    let complete = lost == Lost::default();
    let coarse = (view.parents_asked_for().map(|known| known.ledger.counts.coarse))
        .chain(view.others().map(|(_, sum)| sum.ledger.counts.coarse))
        .fold(view.finished_parents().counts.coarse, u64::saturating_add);
    let mut parents: Vec<Parent> = view
        .parents_asked_for()
        .map(|known| parent(view, session, known, complete))
        .filter(|parent| parent.ledger != Ledger::default())
        .collect();
    let (settled, mut other) = (settled(view.finished_parents()), others(view, complete));
    listed::worst(&mut parents, &mut other, listed::PARENTS_MAX);
    let mut report = Report {
        schema: SCHEMA,
        finding: finding::finding(&parents, &other, &lost),
        headline: String::new(),
        grace_ns: session.grace_ns,
        window: Window {
            start: time::rfc3339(session, start_ns),
            end: time::rfc3339(session, end_ns),
            duration_ns: end_ns.saturating_sub(start_ns),
        },
        scope: coverage::scope(&view.begin().scope),
        coverage: coverage::coverage(view.begin().coverage),
        not_covered: coverage::not_covered(view.begin()),
        hooks: HooksUsed {
            exit: session.hooks.exit.clone(),
            zombie: session.hooks.zombie.clone(),
            reap: session.hooks.reap.clone(),
            precision: if session.hooks.exact || coarse == 0 { Precision::Exact } else { Precision::Coarse },
        },
        complete,
        lost,
        totals: totals(settled.ledger, other.ledger, &parents),
        settled,
        other,
        parents,
        left_running: if view.root().is_some() { left_running(view) } else { Vec::new() },
        look_dead: looking_dead::looking_dead(view, session),
        pids: pids::pressure(view),
        labels: label::labelled(view),
        suppressions: Vec::new(),
        check: None,
        tracer: tracer(view.tracer_stats()),
    };
    report.headline = sentence::headline(&report);
    report
}

/// The report while the watch goes on, and nothing but what the kernel counted may be known of reaps.
pub fn report_so_far(engine: &Engine, session: &Session) -> Report {
    let view = engine.view();
    let mut report = report(&view, session);
    let (_, now_ns) = view.window();
    if engine.is_counted() {
        as_of_walk(&mut report.parents, session.grace_ns, now_ns.saturating_sub(engine.walked_ns()));
        listed::worst(&mut report.parents, &mut report.other, listed::PARENTS_MAX);
        report.finding = finding::finding(&report.parents, &report.other, &report.lost);
        report.headline = sentence::headline(&report);
    }
    report
}

/// A zombie that was in the task list when it was walked may have been reaped since, and nobody is told of a reap in time. So
/// nobody is accused of more than had been so then, `since_ns` ago.
pub fn as_of_walk(parents: &mut [Parent], grace_ns: u64, since_ns: u64) {
    for parent in parents {
        parent.oldest_unreaped_ns = parent.oldest_unreaped_ns.saturating_sub(since_ns);
        let rests_on_unreaped =
            matches!(parent.verdict, Verdict::Held | Verdict::Leaking | Verdict::NeverReaps);
        if rests_on_unreaped && parent.oldest_unreaped_ns <= grace_ns {
            parent.verdict = Verdict::Undecided;
            parent.causes.clear();
        }
    }
}

/// Some of the parents that are kept one by one, each as a report lists it, the worst first.
pub fn parents(view: &View<'_>, session: &Session, chosen: impl Fn(Identity) -> bool) -> Vec<Parent> {
    let is_complete = lost(view.losses()) == Lost::default();
    let mut parents: Vec<Parent> = view
        .parents_asked_for()
        .filter(|known| chosen(known.task.identity))
        .map(|known| parent(view, session, known, is_complete))
        .collect();
    listed::worst(&mut parents, &mut Other::default(), usize::MAX);
    parents
}

/// What the tracer itself cost, and how full its maps were.
pub fn tracer(tracer_stats: &model::TracerStats) -> Tracer {
    let programs = tracer_stats.programs.iter().map(|one| ProgramCost {
        name: one.name.clone(),
        runs: one.runs,
        run_time_ns: one.run_time_ns,
        recursion_misses: one.recursion_misses,
    });
    let maps = tracer_stats.maps.iter().map(|one| MapFill {
        name: one.name.clone(),
        entries: one.entries,
        max_entries: one.max_entries,
        refused: one.refused,
    });
    Tracer {
        cpu_ns: tracer_stats.cpu_ns,
        resident_bytes: tracer_stats.resident_bytes,
        kernel_bytes: tracer_stats.kernel_bytes,
        recursion_misses: tracer_stats.programs.iter().map(|one| one.recursion_misses).sum(),
        programs: programs.collect(),
        maps: maps.collect(),
    }
}

/// The sum over the finished parents in its published form.
fn settled(sum: model::FinishedParents) -> Settled {
    Settled { parents: sum.parents, ledger: ledger(&engine::Ledger { counts: sum.counts, abandoned: 0 }, 0) }
}

/// The sum over the parents that had something to report and are no longer kept one by one.
fn others(view: &View<'_>, complete: bool) -> Other {
    let mut other = Other::default();
    for (grounds, sum) in view.others() {
        listed::add(&mut other, sum.parents, ledger(&sum.ledger, 0), verdict::verdict(grounds, complete));
    }
    other
}

/// The published form of a ledger.
fn ledger(known: &engine::Ledger, unreaped: u64) -> Ledger {
    let engine::Ledger { counts, abandoned } = *known;
    let model::ChildCounts { forked, exited, adopted, reaped, autoreaped, coarse: _ } = counts;
    Ledger { forked, exited, adopted, reaped, autoreaped, unreaped, abandoned }
}

fn totals(settled: Ledger, other: Ledger, parents: &[Parent]) -> Ledger {
    let mut totals = settled;
    totals += other;
    for parent in parents {
        totals += parent.ledger;
    }
    totals
}

/// What was lost, in its published form.
pub fn lost(losses: model::Losses) -> Lost {
    let model::Losses { events, map_full, probe_missed, damaged } = losses;
    Lost { events, map_full, probe_missed, damaged }
}

fn parent(view: &View<'_>, session: &Session, known: &Known, complete: bool) -> Parent {
    let (began_ns, end_ns) = view.window();
    let unreaped = Unreaped::of(view, known, session.grace_ns, end_ns);
    let verdict = verdict::verdict(&verdict::grounds(known, &unreaped, session.grace_ns), complete);
    let info = known.info.clone().unwrap_or_default();
    Parent {
        pid: known.task.identity.tgid,
        ns_pid: ns_pid(&known.task),
        start_time: time::rfc3339(session, known.task.identity.start_boottime_ns),
        start_boottime_ns: known.task.identity.start_boottime_ns,
        comm: known.task.comm.text().into_owned(),
        command_line: command_line(&info),
        executable: text(&info.executable).into_owned(),
        unit: (!info.unit.is_empty()).then(|| text(&info.unit).into_owned()),
        workload: known.workload.as_deref().map(workload),
        label: (!info.label.is_empty()).then(|| text(&info.label).into_owned()),
        alive: known.died_ns.is_none(),
        ledger: ledger(&known.ledger, known.zombies.len() as u64),
        held: unreaped.held,
        held_by: unreaped.tracers.first().map(|(tracer, _)| owned(tracer)),
        older: unreaped.older,
        oldest_unreaped_ns: unreaped.oldest_ns,
        oldest_at_least: unreaped.at_least,
        reap_latency: summary(&known.reap_latency),
        slow_reaps: slow_reaps(known),
        teardown: summary(&known.teardown),
        waits: known
            .waits()
            .map_or(Waits::default(), |waits| Waits { any: waits.any, specific: waits.specific }),
        verdict,
        suppressed_by: None,
        causes: if verdict >= Verdict::Held {
            cause::causes(known, &unreaped, (began_ns, end_ns))
        } else {
            Vec::new()
        },
        fork_site: fork_site::worst(view, known),
        notes: note::notes(view, known, verdict),
    }
}

fn summary(histogram: &Histogram) -> LatencySummary {
    LatencySummary {
        count: histogram.count(),
        min_ns: histogram.min_ns(),
        p50_ns: histogram.quantile_ns(0.50),
        p90_ns: histogram.quantile_ns(0.90),
        p99_ns: histogram.quantile_ns(0.99),
        max_ns: histogram.max_ns(),
        mean_ns: histogram.mean_ns(),
    }
}

/// `None` where it has none. A wait call of a parent that waits for any child takes every one.
fn slow_reaps(known: &Known) -> Option<SlowReaps> {
    let engine::SlowReaps { not_waiting, waiting_otherwise, mut waiting, mut waiting_for_it, unknown } =
        known.late_reaps().slow;
    let takes_any = known.waits().is_some_and(|waits| waits.any > 0 && waits.specific == 0);
    if takes_any && known.reaped_before_exec == 0 {
        waiting_for_it.count = waiting_for_it.count.saturating_add(waiting.count);
        waiting_for_it.total_ns = waiting_for_it.total_ns.saturating_add(waiting.total_ns);
        waiting = engine::Waited::default();
    }
    let part = |part: engine::Waited| SlowPart { count: part.count, total_ns: part.total_ns };
    let slow = SlowReaps {
        not_waiting: part(not_waiting),
        waiting_otherwise: part(waiting_otherwise),
        waiting_for_it: part(waiting_for_it),
        waiting: part(waiting),
        unknown: part(unknown),
    };
    (slow != SlowReaps::default()).then_some(slow)
}

/// The command, if it has not ended, and its descendants that are still alive, sorted by pid.
fn left_running(view: &View<'_>) -> Vec<LeftRunning> {
    let mut left: Vec<(Identity, LeftRunning)> = view
        .processes()
        .filter(|process| process.in_tree && matches!(process.state, State::Running))
        .map(|process| {
            let info = process.info.clone().unwrap_or_default();
            let spawned_by = process.spawned_by.as_deref().copied().unwrap_or_default();
            let entry = LeftRunning {
                pid: process.task.identity.tgid,
                ns_pid: ns_pid(&process.task),
                comm: process.task.comm.text().into_owned(),
                command_line: command_line(&info),
                executable: text(&info.executable).into_owned(),
                start_boottime_ns: process.task.identity.start_boottime_ns,
                label: (!info.label.is_empty()).then(|| text(&info.label).into_owned()),
                spawned_by: owned(&spawned_by),
                suppressed_by: None,
                ended: None,
            };
            (process.task.identity, entry)
        })
        .collect();
    left.sort_by_key(|(identity, _)| *identity);
    left.into_iter().map(|(_, entry)| entry).collect()
}

fn command_line(info: &ProcessInfo) -> Vec<String> {
    info.command_line.iter().map(|arg| text(arg).into_owned()).collect()
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

fn owned(task: &Task) -> Named<'static> {
    Named { pid: task.identity.tgid, ns_pid: ns_pid(task), comm: task.comm.text().into_owned().into() }
}
