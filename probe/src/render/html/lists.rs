//! The lists of a page: what was left running, who only looks dead, limits on processes, labels and suppressions.
//!
//! Must not judge. Each list has an end.

use std::io::{self, Write};

use super::text;
use crate::report::{
    LeftRunning, Report,
    words::{self, called, count, duration, in_namespace},
};

/// Most entries of a list.
const LISTED_MAX: usize = 100;

pub fn left_running(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.left_running.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Left running ({})</h2><ul>", count(report.left_running.len() as u64))?;
    for left in report.left_running.iter().take(LISTED_MAX) {
        let LeftRunning { pid, ns_pid, comm, command_line, spawned_by, suppressed_by, ended, .. } = left;
        let command = if command_line.is_empty() { called(comm).to_owned() } else { command_line.join(" ") };
        let became = match (ended, suppressed_by) {
            (Some(ended), _) => format!(": {}", ended.words()),
            (None, Some(name)) => format!(", suppressed by “{name}”"),
            (None, None) => String::new(),
        };
        writeln!(
            out,
            "<li><span class=\"mono\">{}</span> (pid {pid}{}), started by {} (pid {}){}</li>",
            text(&command),
            in_namespace(*ns_pid),
            text(called(&spawned_by.comm)),
            spawned_by.pid,
            text(&became)
        )?;
    }
    more(out, report.left_running.len())
}

pub fn look_dead(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.look_dead.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Look dead, but are no zombies ({})</h2><ul>", report.look_dead.len())?;
    for entry in report.look_dead.iter().take(LISTED_MAX) {
        writeln!(
            out,
            "<li>{} (pid {}{}), child of {} (pid {}), for {}: {}</li>",
            text(called(&entry.comm)),
            entry.pid,
            in_namespace(entry.ns_pid),
            text(called(&entry.parent.comm)),
            entry.parent.pid,
            duration(entry.since_ns),
            text(words::looking_dead(entry.kind))
        )?;
    }
    more(out, report.look_dead.len())
}

/// The limit on processes that makes forks fail first, and the others that are pressing.
pub fn pids(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Some(pids) = report.pids.as_ref().filter(|pids| !pids.limits.is_empty()) else { return Ok(()) };
    writeln!(out, "<h2>Limits on processes</h2><ul>")?;
    for (limit, is_pressing) in pids.foremost() {
        let class = if is_pressing { "bad" } else { "dim" };
        writeln!(out, "<li class=\"{class}\">{}</li>", text(&words::pid_limit(limit)))?;
    }
    writeln!(out, "</ul>")
}

pub fn labels(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.labels.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>By label</h2><ul>")?;
    for group in report.labels.iter().take(LISTED_MAX) {
        writeln!(
            out,
            "<li><code>{}</code>: {} unreaped, {} abandoned, {} left running</li>",
            text(&group.label),
            count(group.unreaped),
            count(group.abandoned),
            count(group.left_running)
        )?;
    }
    more(out, report.labels.len())
}

pub fn suppressions(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.suppressions.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Suppressions</h2><ul>")?;
    for one in report.suppressions.iter().take(LISTED_MAX) {
        let what = if one.is_used() {
            format!(
                "parents: {}, their dead children: {}, left running: {}",
                count(one.parents),
                count(one.children),
                count(one.left_running)
            )
        } else {
            "not used".into()
        };
        writeln!(out, "<li>“{}”: {what}</li>", text(&one.name))?;
    }
    more(out, report.suppressions.len())
}

/// Ends a list, of which so many entries there are.
fn more(out: &mut impl Write, all: usize) -> io::Result<()> {
    if all > LISTED_MAX {
        writeln!(out, "<li>… and {} more</li>", count((all - LISTED_MAX) as u64))?;
    }
    writeln!(out, "</ul>")
}
