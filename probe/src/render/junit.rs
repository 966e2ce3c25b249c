//! A report as JUnit XML: a test case for each parent with a finding, and one for the run as a whole. Valid for the schemas of
//! Jenkins and of Ant, so that every CI reads it.
//!
//! Must not judge: what is a failure is in the report. Names are hostile: what XML cannot hold, or a terminal would hide, is
//! escaped.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::terminal::{cut, escape};
use crate::report::{
    Finding, LeftRunning, Parent, Report, Suppressible,
    words::{self, called},
};

/// Most test cases of parents, and processes that are named as left running.
const CASES_MAX: usize = 1_000;
/// Longest command in a name, in columns.
const COMMAND_MAX: usize = 120;
/// The test case of the run as a whole.
const WHOLE: &str = "every dead child is reaped";

/// How a test case ended.
enum Outcome {
    Passed,
    Skipped { why: String },
    Failed { kind: &'static str, message: String, text: Vec<String> },
}

struct Case {
    class: String,
    name: String,
    outcome: Outcome,
}

/// Writes the report. `command`: what was run, for the name of the suite; `host`: where.
pub fn junit(out: &mut impl Write, report: &Report, command: &str, host: &str) -> io::Result<()> {
    let cases = cases(report);
    let count = |is: fn(&Outcome) -> bool| cases.iter().filter(|case| is(&case.outcome)).count();
    let seconds = report.window.duration_ns as f64 / 1e9;
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, "<testsuites>")?;
    writeln!(
        out,
        r#"<testsuite name="{}" package="reapwatch" id="0" tests="{}" failures="{}" errors="0" skipped="{}" time="{seconds:.3}" timestamp="{}" hostname="{}">"#,
        token(&format!("reapwatch: {}", cut(command, COMMAND_MAX))),
        cases.len(),
        count(|outcome| matches!(outcome, Outcome::Failed { .. })),
        count(|outcome| matches!(outcome, Outcome::Skipped { .. })),
        report.window.start.get(..19).unwrap_or("1970-01-01T00:00:00"),
        token(host),
    )?;
    writeln!(out, "<properties>")?;
    for (name, value) in [
        ("finding", report.finding.name().to_owned()),
        ("grace", words::duration(report.grace_ns)),
        ("complete", report.complete.to_string()),
        ("died", report.totals.died().to_string()),
        ("left", report.totals.left().to_string()),
    ] {
        writeln!(out, r#"<property name="{name}" value="{}"/>"#, xml(&value))?;
    }
    writeln!(out, "</properties>")?;
    for case in &cases {
        write!(out, r#"<testcase classname="{}" name="{}" time="0""#, token(&case.class), token(&case.name))?;
        match &case.outcome {
            Outcome::Passed => writeln!(out, "/>")?,
            Outcome::Skipped { why } => {
                writeln!(out, r#"><skipped message="{}"/></testcase>"#, xml(why))?;
            }
            Outcome::Failed { kind, message, text } => writeln!(
                out,
                r#"><failure type="{kind}" message="{}">{}</failure></testcase>"#,
                xml(message),
                lines(text)
            )?,
        }
    }
    writeln!(out, "<system-out>{}</system-out>\n<system-err></system-err>", xml(&report.headline))?;
    writeln!(out, "</testsuite>\n</testsuites>")
}

fn cases(report: &Report) -> Vec<Case> {
    let mut cases = vec![Case { class: "reapwatch".into(), name: WHOLE.into(), outcome: whole(report) }];
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let found = report.parents.iter().filter_map(|parent| Some((parent, Suppressible::of(parent.verdict)?)));
    for (parent, found) in found.take(CASES_MAX) {
        let mut name = command(&parent.comm, &parent.command_line);
        // The same name in every run, so that a CI knows the case again: no pids.
        let number = seen.entry(name.clone()).or_default();
        *number += 1;
        if *number > 1 {
            name = format!("{name} ({number})");
        }
        let outcome = match &parent.suppressed_by {
            Some(rule) => {
                Outcome::Skipped { why: format!("{}, suppressed by \"{rule}\"", parent.verdict.words()) }
            }
            None if parent.verdict.is_leak() => {
                Outcome::Failed { kind: found.name(), message: message(parent), text: explained(parent) }
            }
            None => Outcome::Skipped { why: format!("{}: {}", parent.verdict.words(), message(parent)) },
        };
        cases.push(Case { class: format!("reapwatch.{}", called(&parent.comm)), name, outcome });
    }
    cases
}

/// Fails where the check fails, or where none was asked for, for a leak.
fn whole(report: &Report) -> Outcome {
    let fails = report.check.as_ref().map_or(report.finding == Finding::Leak, |check| check.failed);
    match (fails, report.finding) {
        (true, finding) => {
            let mut text = vec![report.headline.clone()];
            text.extend(report.left_unsuppressed().take(CASES_MAX).map(left_running));
            let kind = if finding == Finding::Leak { "leak" } else { "left_running" };
            Outcome::Failed { kind, message: report.headline.clone(), text }
        }
        (false, Finding::Undecided) => Outcome::Skipped { why: report.headline.clone() },
        (false, _) => Outcome::Passed,
    }
}

fn left_running(left: &LeftRunning) -> String {
    let became = left.ended.map_or(String::new(), |ended| format!(": {}", ended.words()));
    format!("left running: {} (pid {}){became}", command(&left.comm, &left.command_line), left.pid)
}

fn message(parent: &Parent) -> String {
    let left = words::children(parent.ledger.left(), "dead ");
    let why = parent.causes.first().map_or(String::new(), |cause| format!(": {}", cause.kind.words()));
    format!("{} {}, {left} left{why}", words::parent(parent), parent.verdict.words())
}

/// Causes, what to do, and where it forks, a line each.
fn explained(parent: &Parent) -> Vec<String> {
    let mut text = vec![message(parent)];
    for cause in &parent.causes {
        text.extend(cause.evidence.iter().map(|evidence| format!("why: {evidence}")));
        text.push(format!("fix: {}", cause.fix));
    }
    if let Some((_, file, line)) = parent.fork_site.as_ref().and_then(|site| site.place(|_| false)) {
        text.push(format!("at: {file}:{line}"));
    }
    text
}

fn command(comm: &str, command_line: &[String]) -> String {
    let text = if command_line.is_empty() { called(comm).to_owned() } else { command_line.join(" ") };
    cut(&escape(&text), COMMAND_MAX)
}

/// A text in an attribute or an element, on one line.
fn xml(text: &str) -> String {
    let mut out = String::new();
    for character in escape(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(character),
        }
    }
    out
}

/// Lines of text, of which none is more than one line.
fn lines(text: &[String]) -> String {
    text.iter().map(|line| xml(line)).collect::<Vec<_>>().join("\n")
}

/// A text without spaces at its ends and without two in a row, which xs:token does not allow; never empty.
fn token(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() { "?".into() } else { xml(&words.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        Check, CheckFailure, Verdict,
        sample::{left_running, parent, sample},
    };

    fn render(report: &Report) -> String {
        let mut out = Vec::new();
        junit(&mut out, report, "make test", "ci-7").expect("a Vec takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn each_parent_with_a_finding_is_a_case_and_the_run_is_one() {
        let mut slow = parent("cron", Verdict::Slow);
        slow.command_line.clear();
        let mut known = parent("sh", Verdict::Leaking);
        known.suppressed_by = Some("it's \"known\"".into());
        let leaks = parent("python3", Verdict::NeverReaps);
        let mut report = sample(vec![leaks.clone(), leaks, known, slow, parent("healthy", Verdict::Healthy)]);
        report.headline = "python3 <leaks> & more".into();
        let text = render(&report);
        assert!(text.contains(r#"tests="5" failures="3" errors="0" skipped="2""#), "{text}");
        assert!(text.contains(r#"name="python3 worker_manager.py (2)""#), "{text}");
        assert!(
            text.contains("message=\"leaking, suppressed by &quot;it&apos;s &quot;known&quot;&quot;\""),
            "{text}"
        );
        assert!(text.contains("fix: call waitpid for each child"), "{text}");
        assert!(text.contains("python3 &lt;leaks&gt; &amp; more"), "{text}");
        assert!(!text.contains("healthy"), "{text}");
    }

    #[test]
    fn the_run_fails_as_the_check_does() {
        let mut report = sample(vec![parent("sh", Verdict::Healthy)]);
        report.left_running.push(self::left_running("server"));
        assert!(render(&report).contains(r#"tests="1" failures="0""#));
        report.check = Some(Check { failed: true, failures: vec![CheckFailure::LeftRunning], exit_code: 9 });
        let text = render(&report);
        assert!(
            text.contains(r#"failures="1""#) && text.contains("left running: server --serve (pid 77)"),
            "{text}"
        );
    }

    #[test]
    fn no_name_is_more_than_text() {
        let mut evil = parent("]]>\"<x a='1'>&\u{0}\u{b}\u{fffe}\u{1b}", Verdict::NeverReaps);
        evil.command_line = vec!["</testcase><testcase name=\"forged\"/>\n\r\t".into()];
        let text = render(&sample(vec![evil]));
        assert_eq!(text.matches("<testcase ").count(), 2, "{text}");
        assert!(text.chars().all(|one| one == '\n' || !super::super::terminal::is_hidden(one)), "{text}");
    }
}
