//! A report as one page for a browser: it needs no network and no script, is readable on a telephone and can be printed.
//!
//! Must not judge. Every text from outside goes through [`text`], and the page forbids the browser to run or load anything.

mod charts;
mod flame;
mod lists;
mod text;
mod tree;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use self::text::text;
use crate::report::{
    Finding, ForkSite, LatencySummary, Parent, Report, Verdict,
    page::Page,
    words::{self, count, counted, duration},
};

/// Most parents with a card of their own.
const PARENTS_MAX: usize = 100;
/// Most lines of evidence and notes of one parent, and most callers at its fork site.
const LINES_MAX: usize = 16;
const FRAMES_MAX: usize = 8;
const STYLE: &str = include_str!("style.css");

/// Writes the page.
pub fn page(out: &mut impl Write, page: &Page) -> io::Result<()> {
    let report = &page.report;
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>reapwatch: {}</title>\n<style>{STYLE}</style></head><body>",
        text(&page.subject)
    )?;
    head(out, page)?;
    findings(out, report)?;
    lists::left_running(out, report)?;
    lists::look_dead(out, report)?;
    lists::pids(out, report)?;
    lists::labels(out, report)?;
    lists::suppressions(out, report)?;
    charts::timeline(out, page)?;
    charts::latencies(out, page)?;
    tree::tree(out, page)?;
    flame::flame(out, &page.profile)?;
    foot(out, report)?;
    writeln!(out, "</body></html>")
}

fn head(out: &mut impl Write, page: &Page) -> io::Result<()> {
    let report = &page.report;
    let class = match report.finding {
        Finding::Leak => "bad",
        Finding::None if report.left_unsuppressed().next().is_none() => "good",
        _ => "warn",
    };
    writeln!(out, "<header><small>reapwatch: {}</small>", text(&page.subject))?;
    writeln!(out, "<h1 class=\"{class}\">{}</h1>", text(&report.headline))?;
    if let Some(check) = &report.check {
        let failures: Vec<&str> = check.failures.iter().map(|failure| failure.words()).collect();
        let (class, said) = if check.failed {
            ("bad", format!("Check failed, for {}: exit code {}.", failures.join(" and "), check.exit_code))
        } else {
            ("good", "Check passed.".to_owned())
        };
        writeln!(out, "<p class=\"{class}\">{said}</p>")?;
    }
    for sentence in &report.not_covered {
        writeln!(out, "<p class=\"warn\">{}</p>", text(sentence))?;
    }
    let totals = &report.totals;
    writeln!(out, "<dl>")?;
    for (what, number) in [
        ("died", totals.exited),
        ("adopted dead", totals.adopted),
        ("reaped", totals.reaped),
        ("autoreaped", totals.autoreaped),
        ("unreaped", totals.unreaped),
        ("abandoned", totals.abandoned),
        ("parents", report.parents_seen()),
    ] {
        writeln!(out, "<div><dt>{what}</dt><dd>{}</dd></div>", count(number))?;
    }
    writeln!(out, "<div><dt>watched for</dt><dd>{}</dd></div>", duration(report.window.duration_ns))?;
    writeln!(out, "<div><dt>grace</dt><dd>{}</dd></div></dl>", duration(report.grace_ns))?;
    writeln!(out, "<small>{} to {}</small>", text(&report.window.start), text(&report.window.end))?;
    if let Some(recording) = &page.recording {
        writeln!(out, "<p>The events are in the recording <code>{}</code>.</p>", text(recording))?;
    }
    writeln!(out, "</header>")
}

fn findings(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "<h2>Findings</h2>")?;
    let found: Vec<&Parent> =
        report.parents.iter().filter(|parent| parent.verdict > Verdict::Healthy).collect();
    if found.is_empty() {
        writeln!(out, "<p class=\"good\">No parent left a dead child longer than the grace.</p>")?;
    }
    for parent in found.iter().take(PARENTS_MAX) {
        card(out, parent)?;
    }
    let more = (found.len().saturating_sub(PARENTS_MAX) as u64).saturating_add(report.other.parents);
    if more > 0 {
        writeln!(out, "<p>… and {} more parents.</p>", count(more))?;
    }
    let healthy = report.parents.len() - found.len();
    let healthy = (healthy as u64).saturating_add(report.settled.parents);
    writeln!(out, "<p class=\"dim\">{} healthy parents.</p>", count(healthy))
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NeverReaps | Verdict::Leaking => "bad",
        Verdict::Slow | Verdict::Held | Verdict::Undecided => "warn",
        Verdict::Healthy => "good",
    }
}

fn card(out: &mut impl Write, parent: &Parent) -> io::Result<()> {
    let verdict = parent.verdict;
    writeln!(
        out,
        "<section class=\"card\"><h3>{} <span class=\"tag {}\">{}</span></h3>",
        text(&words::parent(parent)),
        if parent.suppressed_by.is_some() { "dim" } else { class(verdict) },
        verdict.words()
    )?;
    if let Some(name) = &parent.suppressed_by {
        writeln!(out, "<p class=\"dim\">Suppressed by “{}”.</p>", text(name))?;
    }
    if !parent.command_line.is_empty() {
        writeln!(out, "<p class=\"mono\">{}</p>", text(&parent.command_line.join(" ")))?;
    }
    let ledger = &parent.ledger;
    let at_least = if parent.oldest_at_least { "≥ " } else { "" };
    writeln!(out, "<dl>")?;
    for (what, value) in [
        ("died", count(ledger.died())),
        ("reaped", count(ledger.gone())),
        ("left", count(ledger.left())),
        ("oldest", format!("{at_least}{}", duration(parent.oldest_unreaped_ns))),
        ("median reap", quantile(&parent.reap_latency, parent.reap_latency.p50_ns)),
        ("p99 reap", quantile(&parent.reap_latency, parent.reap_latency.p99_ns)),
    ] {
        writeln!(out, "<div><dt>{what}</dt><dd>{value}</dd></div>")?;
    }
    writeln!(out, "</dl>")?;
    for cause in &parent.causes {
        writeln!(out, "<p><strong>Why: {}.</strong></p><ul>", cause.kind.words())?;
        for evidence in cause.evidence.iter().take(LINES_MAX) {
            writeln!(out, "<li>{}</li>", text(evidence))?;
        }
        writeln!(out, "</ul>")?;
        if !cause.now.is_empty() {
            writeln!(out, "<p><strong>Now:</strong> {}</p>", text(&cause.now))?;
        }
        writeln!(out, "<p><strong>Fix:</strong> {}</p>", text(&cause.fix))?;
    }
    if let Some(late) = parent.slow_reaps.as_ref().and_then(words::slow_reaps) {
        writeln!(out, "<p><strong>Late:</strong> {}</p>", text(&late))?;
    }
    if let Some(site) = &parent.fork_site {
        fork_site(out, site)?;
    }
    for note in parent.notes.iter().take(LINES_MAX) {
        writeln!(out, "<p class=\"dim\">{}</p>", text(&note.text))?;
    }
    writeln!(out, "</section>")
}

fn quantile(latencies: &LatencySummary, value_ns: Option<u64>) -> String {
    value_ns.filter(|_| latencies.count > 0).map_or_else(|| "–".into(), duration)
}

fn fork_site(out: &mut impl Write, site: &ForkSite) -> io::Result<()> {
    let frames = site.program_frames();
    if frames.is_empty() {
        return Ok(());
    }
    writeln!(out, "<p><strong>Forked {} at:</strong></p><ul class=\"mono\">", count(site.forks))?;
    for frame in frames.iter().take(FRAMES_MAX) {
        let place = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!(" ({file}:{line})"),
            _ => String::new(),
        };
        writeln!(out, "<li>{}{}</li>", text(&super::frame_name(frame)), text(&place))?;
    }
    if frames.len() > FRAMES_MAX {
        writeln!(out, "<li>…</li>")?;
    }
    writeln!(out, "</ul>")?;
    if !site.depth.words().is_empty() {
        writeln!(out, "<p class=\"dim\">{}.</p>", text(site.depth.words()))?;
    }
    Ok(())
}

fn foot(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "<footer>")?;
    if !report.complete {
        let lost = &report.lost;
        for (number, (one, many), what) in [
            (
                lost.events,
                ("event", "events"),
                "did not fit the ring buffer: counts are exact, detail is missing",
            ),
            (
                lost.map_full,
                ("entry", "entries"),
                "did not fit a table: some parents or deaths are not counted",
            ),
            (lost.probe_missed, ("hit was", "hits were"), "missed by a program: detail is missing"),
            (
                lost.damaged,
                ("place", "places"),
                "of the recording could not be read: what was there is missing",
            ),
        ] {
            if number > 0 {
                writeln!(out, "<p class=\"warn\">{} {what}.</p>", counted(number, one, many))?;
            }
        }
    }
    let hook = if report.hooks.reap.is_empty() { "no hook" } else { &report.hooks.reap };
    writeln!(
        out,
        "<p>Reaps {} ({}). Made by reapwatch {}. Nothing on this page is loaded from anywhere, and it runs no script.</p></footer>",
        report.hooks.precision.name(),
        text(hook),
        env!("CARGO_PKG_VERSION")
    )
}
