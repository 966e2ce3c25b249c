//! A report as annotations of GitHub Actions: workflow commands, a line each, which GitHub shows at the line of the source that
//! forks.
//!
//! Must not judge. Names are hostile: none may begin a command of its own.

use std::io::{self, Write};

use super::terminal::escape;
use crate::report::{
    Parent, Report, Verdict,
    words::{self, called},
};

/// GitHub shows so many annotations of a kind in one step.
const SHOWN_MAX: usize = 10;

/// Writes the annotations. `workspace`: the directory that holds the sources, for GitHub wants paths within it; empty where that
/// is not known.
pub fn annotations(out: &mut impl Write, report: &Report, workspace: &str) -> io::Result<()> {
    let (leaks, others): (Vec<&Parent>, Vec<&Parent>) = report
        .unsuppressed()
        .filter(|parent| parent.verdict != Verdict::Healthy)
        .partition(|parent| parent.verdict.is_leak());
    for (level, parents) in [("error", leaks), ("warning", others)] {
        for parent in parents.iter().take(SHOWN_MAX) {
            annotation(out, level, parent, workspace)?;
        }
        if let Some(more) = parents.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            let text = format!("{} more parents are in the report", words::count(more as u64));
            writeln!(out, "::{level} title=reapwatch::{}", data(&text))?;
        }
    }
    let left: Vec<_> = report.left_unsuppressed().collect();
    if left.is_empty() {
        return Ok(());
    }
    let fails = report
        .check
        .as_ref()
        .is_some_and(|check| check.failures.contains(&crate::report::CheckFailure::LeftRunning));
    let level = if fails { "error" } else { "warning" };
    let names: Vec<String> = left
        .iter()
        .take(SHOWN_MAX)
        .map(|one| {
            let became = one.ended.map_or(String::new(), |ended| format!(", {}", ended.words()));
            format!("{} (pid {}{became})", called(&one.comm), one.pid)
        })
        .collect();
    let more = if left.len() > SHOWN_MAX { ", …" } else { "" };
    let processes = if left.len() == 1 { "process" } else { "processes" };
    let text =
        format!("{} {processes} left running: {}{more}", words::count(left.len() as u64), names.join(", "));
    writeln!(out, "::{level} title=reapwatch%3A left running::{}", data(&text))
}

fn annotation(out: &mut impl Write, level: &str, parent: &Parent, workspace: &str) -> io::Result<()> {
    let is_own = |file: &str| within(file, workspace) != file;
    let place = parent.fork_site.as_ref().and_then(|site| site.place(is_own));
    let place = place.map_or(String::new(), |(_, file, line)| {
        format!("file={},line={line},", property(within(file, workspace)))
    });
    let title = format!("reapwatch: {} {}", called(&parent.comm), parent.verdict.words());
    let left = words::children(parent.ledger.left(), "dead ");
    let mut text = vec![format!("{} {}: {left} left", words::parent(parent), parent.verdict.words())];
    for cause in &parent.causes {
        text.push(format!("why: {}: {}", cause.kind.words(), cause.evidence.join("; ")));
        text.push(format!("fix: {}", cause.fix));
    }
    let text: Vec<String> = text.iter().map(|line| data(line)).collect();
    writeln!(out, "::{level} {place}title={}::{}", property(&title), text.join("%0A"))
}

/// The path as GitHub wants it: from the workspace on.
fn within<'a>(file: &'a str, workspace: &str) -> &'a str {
    let rest = file.strip_prefix(workspace.trim_end_matches('/')).filter(|_| !workspace.is_empty());
    rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(file)
}

/// A line of the text of a command.
fn data(line: &str) -> String {
    escape(line).replace('%', "%25")
}

/// The value of a property.
fn property(text: &str) -> String {
    escape(text).replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        ForkSite, SiteFrame,
        sample::{fork_site, left_running, parent, sample},
    };

    fn render(report: &Report) -> String {
        let mut out = Vec::new();
        annotations(&mut out, report, "/home/runner/work/a").expect("a Vec takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    fn site(file: &str) -> ForkSite {
        fork_site(vec![
            SiteFrame { function: Some("fork".into()), ..SiteFrame::default() },
            SiteFrame {
                function: Some("start".into()),
                file: Some(file.into()),
                line: Some(12),
                ..SiteFrame::default()
            },
        ])
    }

    #[test]
    fn a_leak_is_an_error_at_the_line_that_forks() {
        let mut report = sample(vec![parent("python3", Verdict::NeverReaps), parent("sh", Verdict::Slow)]);
        report.parents[0].fork_site = Some(site("/home/runner/work/a/src/agent,1.py"));
        report.left_running.push(left_running("server"));
        insta::assert_snapshot!(render(&report), @r"
        ::error file=src/agent%2C1.py,line=12,title=reapwatch%3A python3 never reaps::python3 (pid 4242, worker-manager.service) never reaps: 100 dead children left%0Awhy: never waits: it made no wait call while 100 children died on it%0Afix: call waitpid for each child
        ::warning title=reapwatch%3A sh slow::sh (pid 4242, worker-manager.service) slow: 100 dead children left%0Awhy: never waits: it made no wait call while 100 children died on it%0Afix: call waitpid for each child
        ::warning title=reapwatch%3A left running::1 process left running: server (pid 77)
        ");
    }

    #[test]
    fn what_is_suppressed_is_not_annotated_and_more_than_github_shows_is_summed_up() {
        let mut report = sample(vec![parent("sh", Verdict::Leaking); 13]);
        report.parents[0].suppressed_by = Some("known".into());
        let text = render(&report);
        assert_eq!(text.lines().count(), 11, "{text}");
        assert!(text.ends_with("::error title=reapwatch::2 more parents are in the report\n"), "{text}");
    }

    #[test]
    fn no_name_begins_a_command_or_another_property() {
        let mut report = sample(vec![parent("x\n::set-env name=A::b\r,file=z::%0A", Verdict::NeverReaps)]);
        report.parents[0].fork_site = Some(site("/a,line=1::b\n::stop-commands::x"));
        report.left_running.push(left_running("y\n::error::forged"));
        let text = render(&report);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.lines()
                .all(|line| line.starts_with("::error file=") || line.starts_with("::warning title="))
        );
        assert!(!text.contains("%0A::") && text.contains("%250A"), "{text}");
    }

    #[test]
    fn only_what_is_in_the_workspace_is_shortened() {
        assert_eq!(within("/w/a/b.c", "/w/a"), "b.c");
        assert_eq!(within("/w/a/b.c", "/w/a/"), "b.c");
        assert_eq!(within("/w/ab/b.c", "/w/a"), "/w/ab/b.c");
        assert_eq!(within("b.c", ""), "b.c");
    }
}
