//! The page about one process, for people.
//!
//! Must not judge: what it says is in the explanation.

use std::io::{self, Write};

use super::{
    fork_site_text,
    report_text::verdict_colour,
    terminal::{View, cut, escape, left, right, wrap},
};
use crate::report::{
    ExitDetail, Named,
    explain::{Asked, Explanation, UnreapedChild},
    words::{self, called, count, duration, in_namespace, signal},
};

/// Most unreaped children in the table.
const ROWS_MAX: usize = 10;
/// The width of the narrowest layout.
const WIDTH_MIN: usize = 80;
/// The column that says how a child ended.
const ENDED_WIDTH: usize = 24;

/// Writes the page.
pub fn page(out: &mut impl Write, page: &Explanation, view: View) -> io::Result<()> {
    let view = View { width: view.width.max(WIDTH_MIN), ..view };
    let parent = &page.parent;
    let process = &page.process;
    let is_about_parent = parent.pid == process.pid && parent.start_time == process.start_time;
    if !is_about_parent || !process.about.is_empty() {
        asked(out, process, view)?;
        writeln!(out)?;
    }
    let (verdict, colour) = (parent.verdict.words(), verdict_colour(parent.verdict));
    let title = cut(&format!("{}: {verdict}", escape(&words::parent(parent))), view.width);
    writeln!(out, "{}", view.paint(&format!("1;{colour}"), &title))?;
    let command = parent.command_line.join(" ");
    if !command.is_empty() {
        writeln!(out, "  {}", cut(&escape(&command), view.width - 2))?;
    }
    for (place, because) in page.because.iter().enumerate() {
        indented(out, &format!("{}{}", if place == 0 { "because " } else { "and " }, escape(because)), view)?;
    }
    for cause in &parent.causes {
        writeln!(out)?;
        for (place, evidence) in cause.evidence.iter().enumerate() {
            let text = match place {
                0 => format!("why: {}: {}", cause.kind.words(), escape(evidence)),
                _ => format!("and: {}", escape(evidence)),
            };
            indented(out, &text, view)?;
        }
        to_do(out, &cause.now, &cause.fix, view)?;
    }
    if let Some(late) = parent.slow_reaps.as_ref().and_then(words::slow_reaps) {
        indented(out, &format!("late: {late}"), view)?;
    }
    if let Some(site) = &parent.fork_site {
        indented(out, &format!("from: {}", fork_site_text::sentence(site)), view)?;
    }
    for note in &parent.notes {
        indented(out, &format!("note: {}", escape(&note.text)), view)?;
    }
    if !page.unreaped.is_empty() {
        writeln!(out)?;
        unreaped(out, page, view)?;
    }
    for (place, limit) in page.pid_limits.iter().enumerate() {
        if place == 0 {
            writeln!(out, "\n{}", view.paint("1", "Limits on processes that it is under:"))?;
        }
        indented(out, &escape(&words::pid_limit(limit)), view)?;
    }
    for sentence in &page.not_covered {
        writeln!(out)?;
        for line in wrap(&escape(sentence), view.width) {
            writeln!(out, "{}", view.paint("33", &line))?;
        }
    }
    writeln!(out)?;
    let complete = if page.complete { "" } else { "; some of what the kernel told is missing" };
    writeln!(
        out,
        "Watched for {}; grace {}; reaps {}{complete}.",
        duration(page.window.duration_ns),
        duration(page.grace_ns),
        page.hooks.precision.name()
    )
}

fn asked(out: &mut impl Write, process: &Asked, view: View) -> io::Result<()> {
    let name =
        format!("{} (pid {}{})", escape(called(&process.comm)), process.pid, in_namespace(process.ns_pid));
    writeln!(out, "{}", view.paint("1", &cut(&name, view.width)))?;
    for sentence in &process.about {
        indented(out, &escape(sentence), view)?;
    }
    to_do(out, &process.now, &process.fix, view)
}

fn to_do(out: &mut impl Write, now: &str, fix: &str, view: View) -> io::Result<()> {
    for (what, text) in [("now", now), ("fix", fix)] {
        if !text.is_empty() {
            indented(out, &format!("{what}: {}", escape(text)), view)?;
        }
    }
    Ok(())
}

fn indented(out: &mut impl Write, text: &str, view: View) -> io::Result<()> {
    for (place, line) in wrap(text, view.width - 7).into_iter().enumerate() {
        writeln!(out, "{}{line}", if place == 0 { "  " } else { "       " })?;
    }
    Ok(())
}

fn unreaped(out: &mut impl Write, page: &Explanation, view: View) -> io::Result<()> {
    let all = (page.unreaped.len() as u64).saturating_add(page.unreaped_more);
    writeln!(out, "{}", view.paint("1", &format!("Unreaped children ({}):", count(all))))?;
    writeln!(out, "{} {} {}COMMAND", right("PID", 9), right("UNREAPED", 11), left(" ENDED", ENDED_WIDTH))?;
    for child in page.unreaped.iter().take(ROWS_MAX) {
        writeln!(out, "{}", cut(&child_row(child), view.width))?;
    }
    let more = all.saturating_sub(ROWS_MAX as u64);
    if more > 0 {
        writeln!(out, "… and {} more", count(more))?;
    }
    Ok(())
}

/// An unreaped child: its pid, for how long it has been one, how it ended, and what it ran.
pub fn child_row(child: &UnreapedChild) -> String {
    let at_least = if child.at_least { "≥" } else { "" };
    format!(
        "{} {} {}{}",
        right(&child.pid.to_string(), 9),
        right(&format!("{at_least}{}", duration(child.unreaped_ns)), 11),
        left(&cut(&format!(" {}", ended(child.exit)), ENDED_WIDTH - 1), ENDED_WIDTH),
        what(child)
    )
}

/// What an unreaped child ran, and whose it was.
fn what(child: &UnreapedChild) -> String {
    let command = child.command_line.join(" ");
    let mut text = escape(called(if command.is_empty() { &child.comm } else { &command }));
    let named = |named: &Named| format!("{} ({})", escape(called(&named.comm)), named.pid);
    if let Some(by) = &child.killed_by {
        text.push_str(&format!(", killed by {}", escape(&words::killer(by, child.pid))));
    }
    if let Some(first) = &child.first_parent {
        text.push_str(&format!(", child of {}", named(first)));
    }
    if let Some(tracer) = &child.held_by {
        text.push_str(&format!(", held by {}", named(tracer)));
    }
    text
}

fn ended(exit: Option<ExitDetail>) -> String {
    match exit.map(|exit| (exit.code, exit.signal)) {
        None => "not known".into(),
        Some((_, Some(number))) => format!("killed by {}", signal(number)),
        Some((code, None)) => format!("exited with {}", code.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        Finding, Ledger, Verdict,
        explain::{KilledBy, Life, SCHEMA, Sender},
        sample,
    };

    fn explanation() -> Explanation {
        let report = sample::sample(vec![sample::parent("x\u{1b}[2J", Verdict::NeverReaps)]);
        let mut parent = report.parents[0].clone();
        parent.ledger = Ledger { exited: 12, unreaped: 12, ..Ledger::default() };
        let child = UnreapedChild {
            pid: 8,
            ns_pid: None,
            start_time: parent.start_time,
            comm: "y\u{202e}".into(),
            command_line: Vec::new(),
            unreaped_ns: 41_000_000_000,
            at_least: true,
            exit: Some(ExitDetail { code: None, signal: Some(9), core_dumped: false }),
            first_parent: Some(Named { pid: 6, ns_pid: None, comm: "z\n".into() }),
            killed_by: None,
            held_by: None,
        };
        let killer = Named { pid: 5, ns_pid: None, comm: "\n".into() };
        let killed_by = KilledBy { sender: Sender::Process, process: Some(killer) };
        let killed = UnreapedChild { killed_by: Some(killed_by), ..child.clone() };
        let process = Asked {
            pid: 8,
            ns_pid: None,
            start_time: parent.start_time,
            comm: "y\u{202e}".into(),
            state: Life::Zombie,
            about: vec!["it is a zombie of x\u{1b}".into()],
            exit: child.exit,
            since_ns: Some(1),
            at_least: true,
            must_reap: None,
            kernel_function: None,
            threads_left: None,
            descriptors: None,
            now: String::new(),
            fix: String::new(),
        };
        Explanation {
            schema: SCHEMA,
            process,
            finding: Finding::Leak,
            grace_ns: report.grace_ns,
            window: report.window,
            hooks: report.hooks,
            complete: true,
            lost: report.lost,
            not_covered: Vec::new(),
            because: vec!["one".into(), "two".into()],
            parent,
            unreaped: [vec![killed], vec![child; 10]].concat(),
            unreaped_more: 1,
            pid_limits: Vec::new(),
        }
    }

    fn text(explanation: &Explanation) -> String {
        let mut out = Vec::new();
        page(&mut out, explanation, View { width: 80, colour: false }).expect("a Vec takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_page_says_who_why_and_what_to_do_and_no_name_controls_the_terminal() {
        let text = text(&explanation());
        assert!(
            text.starts_with("y\\u{202e} (pid 8)\n  it is a zombie of x\\x1b\n\nx\\x1b[2J (pid 4242, "),
            "{text}"
        );
        for part in [
            ": never reaps\n  python3 worker_manager.py\n  because one\n  and two\n",
            "\n  why: never waits: it made",
            "\n  now: `reapwatch reap 1`",
            "\n  fix: call waitpid",
            "\nUnreaped children (12):\n",
            "        8       \u{2265}41 s  killed by SIGKILL      y\\u{202e}, killed by \\x0a (pid 5)…\n",
            "        8       \u{2265}41 s  killed by SIGKILL      y\\u{202e}, child of z\\x0a (6)\n",
            "\n… and 2 more\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_running_parent_is_named_once() {
        let mut running = explanation();
        running.process.pid = running.parent.pid;
        running.process.state = Life::Running;
        running.process.about.clear();
        let text = text(&running);
        assert!(text.starts_with("x\\x1b[2J (pid 4242, "), "{text}");
        assert_eq!(text.matches("(pid 4242").count(), 1, "{text}");
    }
}
