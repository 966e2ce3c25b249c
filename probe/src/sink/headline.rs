//! The one sentence of a report, for people. What it comes to is the report's own `finding`: here it is only worded.

use super::terminal::{called, children, count, duration, escape};
use crate::report::{Finding, Named, Parent, Report, Verdict};

/// A parent with what tells it apart, escaped.
pub fn name(parent: &Parent) -> String {
    let unit = parent.unit.as_ref().map(|unit| format!(", {}", escape(unit))).unwrap_or_default();
    format!("{} (pid {}{}{unit})", called(&parent.comm), parent.pid, in_namespace(parent.ns_pid))
}

/// What a process is called in its own PID namespace, after its pid.
pub fn in_namespace(ns_pid: Option<u32>) -> String {
    match ns_pid {
        Some(1) => ", PID 1 of a PID namespace".into(),
        Some(ns_pid) => format!(", {ns_pid} in its PID namespace"),
        None => String::new(),
    }
}

/// The ANSI colour that the finding asks for.
pub fn colour(report: &Report) -> &'static str {
    match report.finding {
        Finding::Leak => "1;31",
        Finding::Slow | Finding::Held | Finding::Undecided => "1;33",
        Finding::None if !report.left_running.is_empty() => "1;33",
        Finding::None => "1;32",
    }
}

/// The sentence, and what was left running.
pub fn headline(report: &Report) -> String {
    let running = match report.left_running.len() {
        0 => String::new(),
        1 => "1 process was left running".into(),
        more => format!("{} processes were left running", count(more as u64)),
    };
    match (report.parents.first(), report.finding) {
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

fn parents(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "parent" } else { "parents" })
}

/// What was reaped, where all was.
fn all_reaped(report: &Report) -> String {
    let (settled, totals) = (&report.settled, &report.totals);
    let all =
        (report.parents.len() as u64).saturating_add(settled.parents).saturating_add(report.other.parents);
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
            // Of the parents no longer kept it is only known that none was slow.
            let how_fast = match slowest_ns {
                _ if settled.parents > 0 || report.other.parents > 0 => ", each within the grace".into(),
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
fn of_parent(report: &Report, worst: &Parent) -> String {
    let who = name(worst);
    let books = &worst.ledger;
    let at_least = if worst.oldest_at_least { "at least " } else { "" };
    let oldest = format!("{at_least}{}", duration(worst.oldest_unreaped_ns));
    let left = books.unreaped.saturating_sub(worst.held).saturating_add(books.abandoned);
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
        Verdict::Leaking if books.reaped == 0 && worst.older >= left => format!(
            "{who} {leaves} {} unreaped, older than the watch; the oldest {has} waited {oldest}.",
            children(left, "dead ")
        ),
        Verdict::Leaking => format!(
            "{who} reaped {} of {} and {leaves} {}; the oldest {has} waited {oldest}.",
            count(books.reaped),
            children(books.exited.saturating_add(books.adopted), "dead "),
            count(left),
        ),
        Verdict::Slow => format!(
            "No leak, but {who} reaps late: {} waited up to {}.",
            children(books.reaped, "dead "),
            duration(worst.reap_latency.max_ns)
        ),
        Verdict::Held => {
            let held = if worst.held > 0 { worst.held } else { books.abandoned };
            let tracer = worst.held_by.as_ref().map_or_else(|| "A tracer".into(), tracer);
            format!(
                "{tracer} {} {} of {who}, which cannot reap {} before; the oldest {has} waited {oldest}.",
                if worst.alive { "holds" } else { "held" },
                children(held, "dead "),
                if held == 1 { "it" } else { "them" }
            )
        }
        Verdict::Undecided => undecided(report, worst, left, &oldest),
        // Not the worst of a report that finds something.
        Verdict::Healthy => format!("{who} reaps its dead children."),
    }
}

fn tracer(named: &Named) -> String {
    format!("The tracer {} (pid {}{})", escape(&named.comm), named.pid, in_namespace(named.ns_pid))
}

fn undecided(report: &Report, worst: &Parent, left: u64, oldest: &str) -> String {
    let who = name(worst);
    let has_not_reaped = if worst.alive {
        format!("{who} has not reaped {}", children(left, "dead "))
    } else {
        format!("{who} died and left {} unreaped", children(left, "dead "))
    };
    let (window_ns, grace_ns) = (report.window.duration_ns, report.grace_ns);
    if window_ns <= grace_ns {
        return format!(
            "Watched for {}, shorter than the grace of {}: {has_not_reaped}, which cannot be called a leak yet.",
            duration(window_ns),
            duration(grace_ns)
        );
    }
    if !report.complete || !report.not_covered.is_empty() {
        return format!("Undecided, because not everything was seen: {has_not_reaped}.");
    }
    format!("Undecided: {has_not_reaped}, dead for {oldest}; that is not long enough to call it a leak.")
}
