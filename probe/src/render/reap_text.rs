//! What `reap` is about to do, and what it did, for people.
//!
//! Must not ask or decide.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::terminal::{View, cut, escape, wrap};
use crate::report::{
    ExitDetail,
    reap::{ReapReport, Way},
    words::{called, count, duration, signal},
};

/// Writes what it is about to do.
pub fn plan(out: &mut impl Write, report: &ReapReport, view: View) -> io::Result<()> {
    let parent = &report.parent;
    let command_line = escape(&parent.command_line.join(" "));
    let name = format!("{} (pid {})", escape(called(&parent.comm)), parent.pid);
    let separator = if command_line.is_empty() { "" } else { ": " };
    writeln!(out, "{}", cut(&format!("{name}{separator}{command_line}"), view.width))?;
    let grace = humantime::format_duration(Duration::from_nanos(report.grace_ns)).to_string();
    let there = number(report.zombies_before, "zombie");
    if report.past_grace == 0 {
        return writeln!(out, "{there}, none of them for all of the grace ({grace}): nothing is to be done.");
    }
    writeln!(
        out,
        "{there}; {} stayed for all of the grace ({grace}), the oldest:",
        count(report.past_grace)
    )?;
    for child in &report.oldest {
        let ended = child.exit.map_or_else(|| "how it ended may not be read".into(), ended);
        writeln!(out, "  {:>7} {}  {ended}", child.pid, escape(called(&child.comm)))?;
    }
    let more = report.past_grace.saturating_sub(report.oldest.len() as u64);
    if more > 0 {
        writeln!(out, "  and {} more", count(more))?;
    }
    for line in wrap(&intention(report), view.width) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn intention(report: &ReapReport) -> String {
    match (report.way, report.thread, report.stop_estimate_ns) {
        (Way::Wait4, Some(thread), Some(estimate_ns)) => format!(
            "reapwatch will stop thread {thread} for about {} and have it call wait4 for each of them; then the thread goes \
             on with what it did. How these children ended can no longer be read by the program: its own waitpid for \
             them fails with ECHILD, and Python's subprocess then treats them as exit status 0. {} Do not kill \
             reapwatch with SIGKILL meanwhile: the thread would crash. Later zombies are not reaped.",
            duration(estimate_ns),
            waits_for_ever(report.parent.is_built_on_libuv)
        ),
        (Way::Wait4, ..) => "No thread of it can be had now.".into(),
        (Way::Sigchld, ..) => {
            "reapwatch will send it SIGCHLD, so that its handler runs. A handler that runs cuts sleep(), \
                               poll() and the like short: a program that does not expect it may end."
                .into()
        }
    }
}

/// What becomes of who waits for these children by pid, or for an event of theirs.
fn waits_for_ever(is_built_on_libuv: bool) -> &'static str {
    if is_built_on_libuv {
        "This program is built on libuv (Node), which waits for its children by pid: for these it never reports the exit \
         event, and what waits for that event will wait for ever."
    } else {
        "A program that waits for its children by pid and takes ECHILD for \"not yet\" will wait for ever."
    }
}

/// `1 zombie`, `20 zombies`.
fn number(of: u64, what: &str) -> String {
    format!("{} {what}{}", count(of), if of == 1 { "" } else { "s" })
}

fn ended(exit: ExitDetail) -> String {
    match (exit.code, exit.signal) {
        (_, Some(number)) => format!("killed by {}", signal(number)),
        (code, None) => format!("exited with {}", code.unwrap_or(0)),
    }
}

/// Writes what it did.
pub fn result(out: &mut impl Write, report: &ReapReport, view: View) -> io::Result<()> {
    if report.dry_run || report.past_grace == 0 {
        return writeln!(out, "Nothing was done.");
    }
    let parent = &report.parent;
    let summary = format!(
        "{} (pid {}): {} before, {} reaped, {} after.",
        escape(called(&parent.comm)),
        parent.pid,
        number(report.zombies_before, "zombie"),
        count(report.reaped),
        number(report.zombies_after, "zombie"),
    );
    let younger = report.zombies_before.saturating_sub(report.past_grace);
    let colour = if report.zombies_after == 0 { "1;32" } else { "1;33" };
    writeln!(out, "{}", view.paint(colour, &summary))?;
    if younger > 0 {
        writeln!(out, "Younger than the grace, and left: {}.", count(younger))?;
    }
    // Thousands of zombies take many stops of, mostly, one thread.
    let mut threads: Vec<(u32, u64, u64)> = Vec::new();
    for stop in &report.stops {
        match threads.iter_mut().find(|(thread, ..)| *thread == stop.thread) {
            Some((_, stops, ns)) => (*stops, *ns) = (*stops + 1, *ns + stop.duration_ns),
            None => threads.push((stop.thread, 1, stop.duration_ns)),
        }
    }
    for (thread, stops, ns) in threads {
        writeln!(
            out,
            "Thread {thread} was stopped {}, for {} in all.",
            if stops == 1 { "once".into() } else { format!("{} times", count(stops)) },
            duration(ns)
        )?;
    }
    for stop in &report.stops {
        let Some(call) = &stop.disturbed else { continue };
        writeln!(
            out,
            "Thread {} had gone on to {} before it stopped: that call may have come back with less than it was asked for.",
            stop.thread,
            escape(call)
        )?;
    }
    if report.reaped_by_itself > 0 {
        writeln!(out, "Reaped meanwhile by the parent itself: {}.", count(report.reaped_by_itself))?;
    }
    for child in &report.held {
        let holder = child
            .tracer
            .map_or("a tracer that has let go by now".into(), |tracer| format!("tracer {tracer}"));
        writeln!(out, "Child {} ({}) is held by {holder}.", child.pid, escape(called(&child.comm)))?;
    }
    for child in &report.failed {
        let (pid, name) = (child.pid, escape(called(&child.comm)));
        writeln!(out, "Child {pid} ({name}): wait4 failed: {}.", escape(&child.error))?;
    }
    if report.untried > 0 {
        writeln!(out, "Not tried: {}.", count(report.untried))?;
    }
    if report.way == Way::Sigchld && report.zombies_after > 0 {
        writeln!(out, "Its handler does not reap the rest. To do: reapwatch reap without --nudge.")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Rfc3339, reap::*};

    fn report() -> ReapReport {
        ReapReport {
            schema: SCHEMA,
            way: Way::Wait4,
            dry_run: false,
            parent: ReapParent {
                pid: 7,
                start_time: Rfc3339::new(),
                comm: "x\u{1b}[2J".into(),
                command_line: vec!["x\u{1b}[2J".into(), "--a\nb".into()],
                is_built_on_libuv: false,
            },
            grace_ns: 5_000_000_000,
            zombies_before: 3_001,
            past_grace: 3_000,
            oldest: vec![ReapChild {
                pid: 8,
                comm: "y\u{202e}".into(),
                exit: Some(ExitDetail { code: None, signal: Some(9), core_dumped: false }),
            }],
            thread: Some(7),
            stop_estimate_ns: Some(2_000_000),
            reaped: 2_998,
            reaped_by_itself: 1,
            held: vec![HeldChild { pid: 9, comm: "z\t".into(), tracer: Some(10) }],
            failed: vec![],
            untried: 0,
            refused: None,
            zombies_after: 2,
            stops: [1_999, 999]
                .map(|reaped| ThreadStop { thread: 7, duration_ns: 1_234_567, reaped, disturbed: None })
                .to_vec(),
        }
    }

    const VIEW: View = View { width: 80, colour: false };

    #[test]
    fn the_plan_says_whom_and_what_it_costs() {
        let mut out = Vec::new();
        plan(&mut out, &report(), VIEW).expect("a Vec takes everything");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(
            text.starts_with("x\\x1b[2J (pid 7): x\\x1b[2J --a\\x0ab\n3,001 zombies; 3,000 stayed"),
            "{text}"
        );
        assert!(text.contains("      8 y\\u{202e}  killed by SIGKILL\n  and 2,999 more\n"), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["stop thread 7 for about 2.0 ms", "ECHILD", "grace (5s)"] {
            assert!(words.contains(part), "{part}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn of_libuv_it_says_that_the_exit_event_never_comes() {
        let said = |is_built_on_libuv| {
            let parent = ReapParent { is_built_on_libuv, ..report().parent };
            let mut out = Vec::new();
            plan(&mut out, &ReapReport { parent, ..report() }, VIEW).expect("a Vec takes everything");
            let text = String::from_utf8(out).expect("UTF-8");
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(
            said(true)
                .contains("never reports the exit event, and what waits for that event will wait for ever.")
        );
        assert!(
            said(false).contains(
                "waits for its children by pid and takes ECHILD for \"not yet\" will wait for ever."
            )
        );
    }

    #[test]
    fn a_call_that_was_disturbed_is_told() {
        let stop = ThreadStop { thread: 7, duration_ns: 1_000, reaped: 1, disturbed: Some("write".into()) };
        let mut out = Vec::new();
        result(&mut out, &ReapReport { stops: vec![stop], ..report() }, VIEW)
            .expect("a Vec takes everything");
        assert!(String::from_utf8_lossy(&out).contains("Thread 7 had gone on to write before it stopped"));
    }

    #[test]
    fn the_result_says_what_is_left_and_why() {
        let mut out = Vec::new();
        result(&mut out, &report(), VIEW).expect("a Vec takes everything");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "x\\x1b[2J (pid 7): 3,001 zombies before, 2,998 reaped, 2 zombies after.\n\
             Younger than the grace, and left: 1.\n\
             Thread 7 was stopped 2 times, for 2.5 ms in all.\n\
             Reaped meanwhile by the parent itself: 1.\n\
             Child 9 (z\\x09) is held by tracer 10.\n"
        );
    }

    #[test]
    fn where_nothing_is_done_it_says_so() {
        let mut out = Vec::new();
        let none = ReapReport { past_grace: 0, ..report() };
        plan(&mut out, &none, VIEW)
            .and_then(|()| result(&mut out, &none, VIEW))
            .expect("a Vec takes everything");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.contains("none of them for all of the grace"), "{text}");
        assert!(text.ends_with("Nothing was done.\n"), "{text}");
    }
}
