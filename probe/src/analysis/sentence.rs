//! The headline of a report: its finding, and what was left running, in a sentence or two.
//!
//! Must not judge: the verdicts and the finding are in the report, here they are put into words. Must not escape: that is
//! `render`'s.

use crate::report::{
    Finding, Named, Parent, Report, Verdict,
    words::{self, children, count, duration, in_namespace},
};

/// The headline.
pub fn headline(report: &Report) -> String {
    let running = match report.left_unsuppressed().count() {
        0 => String::new(),
        1 => "1 process was left running".into(),
        more => format!("{} processes were left running", count(more as u64)),
    };
    let suppressed = suppressed(report);
    match (report.unsuppressed().next(), report.finding) {
        (_, Finding::None) if !suppressed.is_empty() => {
            let running = if running.is_empty() { running } else { format!(" {running}.") };
            format!("No leak beside what is suppressed: {suppressed}.{running}")
        }
        (worst, Finding::Undecided) if worst.is_none_or(|worst| worst.verdict == Verdict::Healthy) => {
            let running = if running.is_empty() { running } else { format!(" {running}.") };
            let missing = "Undecided: no leak was seen, but some of what the kernel told is missing";
            format!("{missing}: {}{running}", all_reaped(report))
        }
        (Some(worst), Finding::Leak | Finding::Slow | Finding::Held | Finding::Undecided) => {
            let finding = of_parent(report, worst);
            if running.is_empty() { finding } else { format!("{finding} {running}.") }
        }
        _ => {
            let reaped = all_reaped(report);
            if running.is_empty() {
                format!("No leak: {reaped}")
            } else {
                format!("{running}. No dead child was left past the grace: {reaped}")
            }
        }
    }
}

/// What suppressions took out of the finding; empty where that is nothing.
fn suppressed(report: &Report) -> String {
    let (parents_named, left) = (report.suppressions.iter())
        .fold((0, 0), |(named, left), one| (named + one.parents, left + one.left_running));
    let parts = [(parents_named, parents(parents_named)), (left, format!("{} left running", count(left)))];
    let parts: Vec<String> =
        parts.into_iter().filter(|(number, _)| *number > 0).map(|(_, text)| text).collect();
    parts.join(" and ")
}

fn parents(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "parent" } else { "parents" })
}

/// How many children were reaped, if all dead children were.
fn all_reaped(report: &Report) -> String {
    let totals = &report.totals;
    let all = report.parents_seen();
    if all == 0 {
        return "no process with children was seen.".into();
    }
    let who = parents(all);
    let autoreaped = children(totals.autoreaped, "dead ");
    match (totals.reaped, totals.autoreaped) {
        (0, 0) => format!("{who}, and no dead child that anybody had to reap."),
        (0, _) => format!("{who}; the kernel reaped {autoreaped} at once (SIGCHLD ignored or SA_NOCLDWAIT)."),
        (reaped, autoreaped_count) => {
            let slowest_ns =
                report.parents.iter().map(|parent| parent.reap_latency.max_ns).max().unwrap_or(0);
            // Of unlisted parents, the report only knows that none was slow.
            let how_fast = match slowest_ns {
                _ if all > report.parents.len() as u64 => ", each within the grace".into(),
                0 => String::new(),
                slowest_ns => format!("; the slowest reap took {}", duration(slowest_ns)),
            };
            let also = if autoreaped_count > 0 {
                format!(" The kernel reaped {autoreaped} at once (SIGCHLD ignored or SA_NOCLDWAIT).")
            } else {
                String::new()
            };
            format!("{who} reaped {}{how_fast}.{also}", children(reaped, "dead "))
        }
    }
}

/// What the worst parent did.
pub fn of_parent(report: &Report, worst: &Parent) -> String {
    let who = words::parent(worst);
    let ledger = &worst.ledger;
    let at_least = if worst.oldest_at_least { "at least " } else { "" };
    let oldest = format!("{at_least}{}", duration(worst.oldest_unreaped_ns));
    let left = worst.left_by_itself();
    let (leaves, has) = if worst.alive { ("leaves", "has") } else { ("left", "had") };
    match worst.verdict {
        Verdict::NeverReaps if worst.alive => {
            format!(
                "{who} has not reaped any of {}; the oldest has waited {oldest}.",
                children(left, "dead ")
            )
        }
        Verdict::NeverReaps => format!(
            "{who} died and left {} it never reaped; the oldest had waited {oldest}.",
            children(left, "dead ")
        ),
        Verdict::Leaking if ledger.reaped == 0 && worst.older >= left => format!(
            "{who} {leaves} {} unreaped, older than the watch; the oldest {has} waited {oldest}.",
            children(left, "dead ")
        ),
        Verdict::Leaking => format!(
            "{who} reaped {} of {} and {leaves} {}; the oldest {has} waited {oldest}.",
            count(ledger.reaped),
            children(ledger.died(), "dead "),
            count(left),
        ),
        Verdict::Slow => format!(
            "No leak, but {who} reaps late: {} waited up to {}.",
            children(ledger.reaped, "dead "),
            duration(worst.reap_latency.max_ns)
        ),
        Verdict::Held => {
            let held = if worst.held > 0 { worst.held } else { ledger.abandoned };
            let tracer = worst.held_by.as_ref().map_or_else(|| "A tracer".into(), tracer);
            format!(
                "{tracer} {} {} of {who}, which cannot reap {} before; the oldest {has} waited {oldest}.",
                if worst.alive { "holds" } else { "held" },
                children(held, "dead "),
                if held == 1 { "it" } else { "them" }
            )
        }
        Verdict::Undecided => undecided(report, worst, left, &oldest),
        // These are never the worst verdict of a report that finds something.
        Verdict::Healthy => format!("{who} reaps its dead children."),
    }
}

fn tracer(named: &Named) -> String {
    format!("The tracer {} (pid {}{})", named.comm, named.pid, in_namespace(named.ns_pid))
}

fn undecided(report: &Report, worst: &Parent, left: u64, oldest: &str) -> String {
    let who = words::parent(worst);
    let has_not_reaped = if worst.alive {
        format!("{who} has not reaped {}", children(left, "dead "))
    } else {
        format!("{who} died and left {} unreaped", children(left, "dead "))
    };
    let (window_ns, grace_ns) = (report.window.duration_ns, report.grace_ns);
    if window_ns <= grace_ns {
        return format!(
            "{has_not_reaped}. The window of {} was not longer than the grace of {}, too short to call it a leak: a shorter --grace \
             judges sooner.",
            duration(window_ns),
            duration(grace_ns)
        );
    }
    if !report.complete || !report.not_covered.is_empty() {
        return format!("Undecided, because not everything was seen: {has_not_reaped}.");
    }
    format!("Undecided: {has_not_reaped}, dead for {oldest}; that is not long enough to call it a leak.")
}

#[cfg(test)]
#[path = "sentence_tests.rs"]
mod tests;
