//! What `audit` found, for people, in 80 columns.
//!
//! Owns that findings which say the same are written once. Must not judge.

use std::io::{self, Write};

use super::terminal::{View, cut, escape, left, wrap};
use crate::report::{
    audit::{AuditFinding, AuditProcess, AuditReport, Confidence, Role},
    words::{called, count, counted, duration},
};

/// Most pids, commands and others that are written of findings that say the same; the rest is counted.
const LISTED_MAX: usize = 8;
/// Columns of a label.
const LABEL: usize = 10;
/// Most columns of a command line.
const COMMAND_LINE_MAX: usize = 300;

/// Writes the findings.
pub fn report(out: &mut impl Write, report: &AuditReport, view: View) -> io::Result<()> {
    let colour = if report.findings.is_empty() { "1;32" } else { "1;33" };
    for line in wrap(&escape(&report.headline), view.width) {
        writeln!(out, "{}", view.paint(colour, &line))?;
    }
    let mut written: Vec<&AuditFinding> = Vec::new();
    for finding in &report.findings {
        if written.iter().any(|other| says_the_same(other, finding)) {
            continue;
        }
        written.push(finding);
        let same: Vec<&AuditFinding> =
            report.findings.iter().filter(|other| says_the_same(finding, other)).collect();
        writeln!(out)?;
        block(out, finding, &same, view)?;
    }
    let mut notes = Vec::new();
    let mut note = |number: u64, one: &str, many: &str| {
        if number > 0 {
            notes.push(counted(number, one, many));
        }
    };
    note(report.not_listed, "more finding is not listed.", "more findings are not listed.");
    note(report.suppressed, "finding is suppressed.", "findings are suppressed.");
    note(
        report.older,
        "finding is on a process that started before the time asked for.",
        "findings are on processes that started before the time asked for.",
    );
    notes.extend(report.not_seen.iter().map(|sentence| format!("Not seen: {sentence}.")));
    if !notes.is_empty() {
        writeln!(out)?;
    }
    for line in notes.iter().flat_map(|note| wrap(&escape(note), view.width)) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Nineteen tests that one agent left are one thing to read.
fn says_the_same(one: &AuditFinding, other: &AuditFinding) -> bool {
    one.kind == other.kind
        && one.confidence == other.confidence
        && one.evidence.len() == other.evidence.len()
        && (&one.process.comm, &one.process.command_line, &one.process.workload, one.process.user)
            == (&other.process.comm, &other.process.command_line, &other.process.workload, other.process.user)
}

fn block(out: &mut impl Write, first: &AuditFinding, same: &[&AuditFinding], view: View) -> io::Result<()> {
    let colour = if first.confidence == Confidence::Possible { "33" } else { "31" };
    let head =
        format!("{} ({})", first.kind.name().replace('_', " ").to_uppercase(), first.confidence.name());
    let process = &first.process;
    let who = match same {
        [_] => format!("{}, started {} ago", name(process), duration(process.age_ns)),
        _ => {
            let oldest = same.iter().map(|one| one.process.age_ns).max().unwrap_or(0);
            format!("{}, {} of them, the oldest started {} ago", name(process), same.len(), duration(oldest))
        }
    };
    writeln!(out, "{}  {}", view.paint(colour, &head), cut(&who, view.width.saturating_sub(head.len() + 2)))?;
    let command_line = process.command_line.join(" ");
    if !command_line.is_empty() {
        hanging(out, "command", &cut(&escape(&command_line), COMMAND_LINE_MAX), view)?;
    }
    if let Some(part) = part_of(process) {
        hanging(out, "part of", &escape(&part), view)?;
    }
    if same.len() > 1 {
        let pids: Vec<String> =
            same.iter().take(LISTED_MAX * 4).map(|one| one.process.pid.to_string()).collect();
        hanging(out, "pids", &format!("{}{}", pids.join(" "), rest(same.len(), LISTED_MAX * 4)), view)?;
    }
    for (label, role) in [("zombies", Role::Zombie), ("beside", Role::Managed), ("with", Role::Descendant)] {
        let of_role: Vec<&AuditProcess> =
            first.related.iter().filter(|other| other.role == role).map(|other| &other.process).collect();
        if !of_role.is_empty() {
            let names: Vec<String> = of_role.iter().take(LISTED_MAX).map(|one| name(one)).collect();
            let all = if role == Role::Managed { of_role.len() } else { all_of(first, role, of_role.len()) };
            hanging(out, label, &format!("{}{}", names.join(", "), rest(all, LISTED_MAX)), view)?;
        }
    }
    for (place, sentence) in first.evidence.iter().enumerate() {
        let label = match (place, same.len()) {
            (0, 1) => "because",
            (0, _) => "the first",
            _ => "",
        };
        hanging(out, label, &escape(sentence), view)?;
    }
    if first.inferred {
        hanging(out, "", "(inferred: nobody watched when it happened)", view)?;
    }
    for finding in same.iter().take(LISTED_MAX) {
        for (place, way) in finding.commands.iter().enumerate() {
            let label = if place == 0 && finding.process.pid == process.pid { "to do" } else { "" };
            let command = escape(&way.command);
            let does =
                if finding.process.pid == process.pid { format!("   # {}", way.does) } else { String::new() };
            writeln!(out, "  {}{command}{does}", left(label, LABEL))?;
        }
    }
    if same.len() > LISTED_MAX && !first.commands.is_empty() {
        hanging(out, "", &format!("and so on for the other {}", same.len() - LISTED_MAX), view)?;
    }
    Ok(())
}

/// How many there are in all, of whom some are named.
fn all_of(finding: &AuditFinding, role: Role, named: usize) -> usize {
    let all = finding.count - u64::from(role == Role::Descendant);
    usize::try_from(all).unwrap_or(usize::MAX).max(named)
}

fn rest(all: usize, listed: usize) -> String {
    if all > listed { format!(" and {} more", count((all - listed) as u64)) } else { String::new() }
}

fn name(process: &AuditProcess) -> String {
    format!("{} (pid {})", escape(called(&process.comm)), process.pid)
}

fn part_of(process: &AuditProcess) -> Option<String> {
    let workload =
        process.workload.as_ref().map(|workload| format!("{} {}", workload.kind.name(), workload.name));
    match (&process.user_service, workload) {
        (Some(service), Some(workload)) => Some(format!("{service} of {workload}")),
        (Some(service), None) => Some(service.clone()),
        (None, workload) => workload,
    }
}

fn hanging(out: &mut impl Write, label: &str, text: &str, view: View) -> io::Result<()> {
    for (place, line) in wrap(text, view.width.saturating_sub(LABEL + 2)).into_iter().enumerate() {
        writeln!(out, "  {}{line}", left(if place == 0 { label } else { "" }, LABEL))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "audit_text_tests.rs"]
mod tests;
