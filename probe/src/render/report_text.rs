//! The report for people: one sentence, a table worst first, causes, what was left running, what is missing.
//!
//! Must not judge: verdicts and causes are in the report.

use std::io::{self, Write};

use super::{
    check_text, fork_site_text,
    terminal::{View, cut, escape, left, right, width as columns, wrap},
};
use crate::report::{
    Finding, ForkSite, Parent, Report, Verdict,
    words::{self, called, count, counted, duration, fitting, in_namespace},
};

/// Maximum number of rows in the table, and of entries in the list of what was left running.
const ROWS_MAX: usize = 20;
/// Maximum number of healthy rows in the table: they are context, not news.
const HEALTHY_ROWS_MAX: usize = 5;
/// Maximum number of limits on processes that are told of, though all are pressing.
const PID_LIMITS_MAX: usize = 4;
/// So much of a command line is shown at least, in columns.
const COMMAND_LEAST: usize = 24;
/// The width of the narrowest layout.
const WIDTH_MIN: usize = 80;

/// Writes the report.
pub fn report(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    let view = View { width: view.width.max(WIDTH_MIN), ..view };
    for line in wrap(&escape(&report.headline), view.width) {
        writeln!(out, "{}", view.paint(colour(report), &line))?;
    }
    if !report.parents.is_empty() {
        writeln!(out)?;
        table(out, report, view)?;
    }
    for parent in report.parents.iter().take(ROWS_MAX).filter(|parent| {
        !parent.causes.is_empty() || !parent.notes.is_empty() || blamed_site(parent).is_some()
    }) {
        causes(out, parent, view)?;
    }
    left_running(out, report, view)?;
    looking_dead(out, report, view)?;
    pids(out, report, view)?;
    check_text::labels(out, report, view)?;
    check_text::suppressions(out, report, view)?;
    missing(out, report, view)?;
    writeln!(out)?;
    let footer = format!(
        "Watched for {}; {}; reaps {} ({}).",
        duration(report.window.duration_ns),
        ledger(report),
        report.hooks.precision.name(),
        if report.hooks.reap.is_empty() { "no hook".into() } else { escape(&report.hooks.reap) }
    );
    for line in wrap(&footer, view.width) {
        writeln!(out, "{line}")?;
    }
    check_text::outcome(out, report, view)
}

/// The ANSI colour that the finding asks for.
fn colour(report: &Report) -> &'static str {
    match report.finding {
        Finding::Leak => "1;31",
        Finding::Slow | Finding::Held | Finding::Undecided => "1;33",
        Finding::None if report.left_unsuppressed().next().is_some() => "1;33",
        Finding::None => "1;32",
    }
}

fn ledger(report: &Report) -> String {
    let totals = &report.totals;
    let mut text = format!("{} died, {} reaped", count(totals.exited), count(totals.reaped));
    for (number, word) in [
        (totals.autoreaped, "autoreaped"),
        (totals.unreaped, "unreaped"),
        (totals.abandoned, "abandoned"),
        (totals.adopted, "adopted dead"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {} {word}", count(number)));
        }
    }
    text
}

/// The ANSI colour of a verdict.
pub(super) fn verdict_colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NeverReaps | Verdict::Leaking => "31",
        Verdict::Slow | Verdict::Held | Verdict::Undecided => "33",
        Verdict::Healthy => "32",
    }
}

/// How many parents the table lists.
fn rows(report: &Report) -> usize {
    let bad = report.parents.iter().filter(|parent| parent.verdict != Verdict::Healthy).count();
    (bad + HEALTHY_ROWS_MAX).min(ROWS_MAX)
}

fn table(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    let rows = rows(report);
    let fixed = 12 + 8 + 8 + 8 + 9 + 9 + 9;
    let command_width = view.width - fixed - 1;
    writeln!(
        out,
        "{}{} {}{}{}{}{}{}",
        left("VERDICT", 12),
        right("PID", 7),
        left("COMMAND", command_width),
        right("DIED", 8),
        right("REAPED", 8),
        right("LEFT", 9),
        right("OLDEST", 10),
        right("P99", 9)
    )?;
    for parent in report.parents.iter().take(rows) {
        let (word, colour) = match parent.suppressed_by {
            Some(_) => ("suppressed", "2"),
            None => (parent.verdict.words(), verdict_colour(parent.verdict)),
        };
        let ledger = &parent.ledger;
        let oldest = if ledger.left() == 0 {
            "-".into()
        } else {
            format!(
                "{}{}",
                if parent.oldest_at_least { "≥" } else { "" },
                duration(parent.oldest_unreaped_ns)
            )
        };
        let p99 = parent
            .reap_latency
            .p99_ns
            .filter(|_| parent.reap_latency.count > 0)
            .map_or_else(|| "-".into(), duration);
        let command = if view.width > WIDTH_MIN && !parent.command_line.is_empty() {
            parent.command_line.join(" ")
        } else {
            parent.comm.clone()
        };
        writeln!(
            out,
            "{}{} {}{}{}{}{}{}",
            view.paint(colour, &left(word, 12)),
            right(&parent.pid.to_string(), 7),
            left(&cut(&escape(called(&command)), command_width), command_width),
            right(&fitting(ledger.died(), 7), 8),
            right(&fitting(ledger.gone(), 7), 8),
            right(&fitting(ledger.left(), 8), 9),
            right(&oldest, 10),
            right(&p99, 9)
        )?;
    }
    let more = &report.parents[report.parents.len().min(rows)..];
    if !more.is_empty() {
        let healthy = more.iter().filter(|parent| parent.verdict == Verdict::Healthy).count();
        let (kind, how) =
            if healthy == more.len() { ("healthy ", "") } else { ("", "; --format json lists them all") };
        writeln!(out, "… and {} more {kind}parents{how}", count(more.len() as u64))?;
    }
    not_listed(out, report, view)
}

fn not_listed(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    let other = &report.other;
    if other.parents == 0 {
        return Ok(());
    }
    let found: Vec<String> = (other.verdicts.found())
        .map(|(found, parents)| format!("{} {}", count(parents), found.words()))
        .collect();
    let line = format!("… of {} others only the sum is kept: {}", count(other.parents), found.join(", "));
    for line in wrap(&line, view.width) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn causes(out: &mut impl Write, parent: &Parent, view: View) -> io::Result<()> {
    writeln!(out)?;
    let ended = if parent.alive { "" } else { ", which has ended" };
    let heading = format!("{}{ended}", escape(&words::parent(parent)));
    writeln!(out, "{}", view.paint("1", &cut(&heading, view.width)))?;
    if let Some(name) = &parent.suppressed_by {
        let text = format!("suppressed by \"{}\": {}", escape(name), parent.verdict.words());
        indented(out, &text, view)?;
    }
    for cause in &parent.causes {
        let kind = cause.kind.words();
        for (place, evidence) in cause.evidence.iter().enumerate() {
            let text = if place == 0 {
                format!("why: {kind}: {}", escape(evidence))
            } else {
                format!("and: {}", escape(evidence))
            };
            indented(out, &text, view)?;
        }
        if !cause.now.is_empty() {
            indented(out, &format!("now: {}", escape(&cause.now)), view)?;
        }
        indented(out, &format!("fix: {}", escape(&cause.fix)), view)?;
    }
    if let Some(late) = parent.slow_reaps.as_ref().and_then(words::slow_reaps) {
        indented(out, &format!("late: {late}"), view)?;
    }
    if let Some(site) = blamed_site(parent) {
        indented(out, &format!("from: {}", fork_site_text::sentence(site)), view)?;
    }
    for note in &parent.notes {
        indented(out, &format!("note: {}", escape(&note.text)), view)?;
    }
    Ok(())
}

fn indented(out: &mut impl Write, text: &str, view: View) -> io::Result<()> {
    for (place, line) in wrap(text, view.width - 7).into_iter().enumerate() {
        writeln!(out, "{}{line}", if place == 0 { "  " } else { "       " })?;
    }
    Ok(())
}

fn left_running(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    let left = &report.left_running;
    if left.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nLeft running ({}):", count(left.len() as u64))?;
    for entry in left.iter().take(ROWS_MAX) {
        let command =
            if entry.command_line.is_empty() { entry.comm.clone() } else { entry.command_line.join(" ") };
        let became = match (&entry.ended, &entry.suppressed_by) {
            (Some(ended), _) => format!(": {}", ended.words()),
            (None, Some(name)) => format!(", suppressed by \"{}\"", escape(name)),
            (None, None) => String::new(),
        };
        let head = format!("{}{} ", entry.pid, in_namespace(entry.ns_pid));
        let tail = format!(
            ", started by {} ({}{}){became}",
            escape(called(&entry.spawned_by.comm)),
            entry.spawned_by.pid,
            in_namespace(entry.spawned_by.ns_pid)
        );
        // What became of it is worth more than its last arguments.
        let room = view.width.saturating_sub(2 + columns(&head) + columns(&tail)).max(COMMAND_LEAST);
        let line = format!("{head}{}{tail}", cut(&escape(called(&command)), room));
        if columns(&line) + 2 <= view.width {
            writeln!(out, "  {line}")?;
        } else {
            indented(out, &line, view)?;
        }
    }
    if left.len() > ROWS_MAX {
        writeln!(out, "  … and {} more", count((left.len() - ROWS_MAX) as u64))?;
    }
    Ok(())
}

fn looking_dead(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    if report.look_dead.is_empty() {
        return Ok(());
    }
    let title =
        format!("Look dead, but are no zombies ({}): nobody can reap them yet", report.look_dead.len());
    writeln!(out, "\n{}", view.paint("1", &cut(&title, view.width)))?;
    for entry in report.look_dead.iter().take(ROWS_MAX) {
        let command = called(&entry.comm);
        let line = format!(
            "{}{} {}, child of {} ({}), for {}{}: {}",
            entry.pid,
            in_namespace(entry.ns_pid),
            escape(command),
            escape(called(&entry.parent.comm)),
            entry.parent.pid,
            if entry.at_least { "at least " } else { "" },
            duration(entry.since_ns),
            words::looking_dead(entry.kind)
        );
        indented(out, &line, view)?;
    }
    if report.look_dead.len() > ROWS_MAX {
        writeln!(out, "  … and {} more", count((report.look_dead.len() - ROWS_MAX) as u64))?;
    }
    indented(out, "`reapwatch explain PID` says what one waits for and what it still holds", view)
}

/// The limit on processes that makes forks fail first, and the others that are pressing.
fn pids(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    let Some(pids) = &report.pids else { return Ok(()) };
    for (place, (limit, is_pressing)) in pids.foremost().take(PID_LIMITS_MAX).enumerate() {
        if place == 0 {
            writeln!(out)?;
        }
        let text = format!("PIDs: {}", escape(&words::pid_limit(limit)));
        for line in wrap(&text, view.width) {
            writeln!(out, "{}", if is_pressing { view.paint("1;31", &line) } else { line })?;
        }
    }
    Ok(())
}

/// Where it forked its children. A healthy parent is no finding: where it forks helps nobody.
fn blamed_site(parent: &Parent) -> Option<&ForkSite> {
    parent.fork_site.as_ref().filter(|_| parent.verdict != Verdict::Healthy)
}

fn missing(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    for sentence in &report.not_covered {
        writeln!(out)?;
        for line in wrap(&escape(sentence), view.width) {
            writeln!(out, "{}", view.paint("33", &line))?;
        }
    }
    if report.complete {
        return Ok(());
    }
    let lost = &report.lost;
    writeln!(out)?;
    for (number, (one, many), what) in [
        (
            lost.events,
            ("event", "events"),
            "did not fit the ring buffer: counts are exact, detail is missing; try --ring-size 32M",
        ),
        (lost.map_full, ("entry", "entries"), "did not fit a table: some parents or deaths are not counted"),
        (
            lost.probe_missed,
            ("hit was", "hits were"),
            "missed by a program: counts come from the task list, detail is missing",
        ),
        (lost.damaged, ("place", "places"), "of the recording could not be read: what was there is missing"),
    ] {
        if number > 0 {
            for line in wrap(&format!("{} {what}", counted(number, one, many)), view.width) {
                writeln!(out, "{}", view.paint("33", &line))?;
            }
        }
    }
    Ok(())
}
