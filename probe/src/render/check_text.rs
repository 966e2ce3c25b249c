//! What a report for people says of a check: labels, suppressions, and the outcome.
//!
//! Must not judge: the outcome is in the report.

use std::io::{self, Write};

use super::terminal::{View, cut, escape};
use crate::report::{
    Labelled, Report,
    words::{self, count},
};

/// Most lines of each kind.
const ROWS_MAX: usize = 20;

/// What was left under which label. One that left nothing is no news.
pub fn labels(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    let left: Vec<&Labelled> = (report.labels.iter())
        .filter(|group| group.unreaped + group.abandoned + group.left_running > 0)
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nBy label:")?;
    for group in left.iter().take(ROWS_MAX) {
        let parts: Vec<String> = [
            (group.unreaped, "unreaped"),
            (group.abandoned, "abandoned"),
            (group.left_running, "left running"),
        ]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", count(number)))
        .collect();
        writeln!(out, "{}", cut(&format!("  {}: {}", escape(&group.label), parts.join(", ")), view.width))?;
    }
    if left.len() > ROWS_MAX {
        writeln!(out, "  … and {} more", count((left.len() - ROWS_MAX) as u64))?;
    }
    Ok(())
}

/// What the suppressions came to: those that were not used may hide what comes next, so they are named.
pub fn suppressions(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    if report.suppressions.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let (used, unused): (Vec<_>, Vec<_>) = report.suppressions.iter().partition(|one| one.is_used());
    for one in used.iter().take(ROWS_MAX) {
        let mut what = Vec::new();
        if one.parents > 0 {
            let parents = if one.parents == 1 { "parent" } else { "parents" };
            let children = words::children(one.children, "dead ");
            what.push(format!("{} {parents} with {children}", count(one.parents)));
        }
        if one.left_running > 0 {
            what.push(format!("{} left running", count(one.left_running)));
        }
        let line = format!("Suppressed by \"{}\": {}.", escape(&one.name), what.join(", "));
        writeln!(out, "{}", cut(&line, view.width))?;
    }
    for one in unused.iter().take(ROWS_MAX) {
        let line = format!("note: the suppression \"{}\" was not used: delete it", escape(&one.name));
        writeln!(out, "{}", view.paint("33", &cut(&line, view.width)))?;
    }
    let more = used.len().saturating_sub(ROWS_MAX) + unused.len().saturating_sub(ROWS_MAX);
    if more > 0 {
        writeln!(out, "… and {} more suppressions", count(more as u64))?;
    }
    Ok(())
}

/// What the check came to, and with which code reapwatch therefore exits.
pub fn outcome(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    let Some(check) = &report.check else { return Ok(()) };
    let line = if check.failed {
        let failures: Vec<&str> = check.failures.iter().map(|failure| failure.words()).collect();
        let text = format!("Check failed, for {}: exit code {}.", failures.join(" and "), check.exit_code);
        view.paint("1;31", &text)
    } else {
        view.paint("1;32", "Check passed.")
    };
    writeln!(out, "{line}")
}
