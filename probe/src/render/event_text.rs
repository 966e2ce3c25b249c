//! One event line for people.
//!
//! Must not judge.

use std::io::{self, Write};

use super::terminal::{View, escape, left, right};
use crate::report::{
    EventKind, EventLine, Named, Precision, Readiness, ReapHow,
    words::{called, count, duration, in_namespace, signal},
};

/// Writes the line.
pub fn line(out: &mut impl Write, event: &EventLine, view: View) -> io::Result<()> {
    // Takes HH:MM:SS.mmm from an RFC 3339 time.
    let time = event.time.get(11..23).unwrap_or(&event.time);
    if let Some(lines) = event.lines {
        let text =
            format!("{time} {} {} lines left out: the reader was too slow", left("lost", 8), count(lines));
        return writeln!(out, "{}", view.paint("33", &text));
    }
    let Some(process) = &event.process else {
        let lost = event.lost.unwrap_or_default();
        let mut text = format!(
            "{time} {} {} events did not fit, {} map entries, {} missed hits so far",
            left("lost", 8),
            count(lost.events),
            count(lost.map_full),
            count(lost.probe_missed)
        );
        if lost.damaged > 0 {
            text.push_str(&format!(", {} places of the recording could not be read", count(lost.damaged)));
        }
        return writeln!(out, "{}", view.paint("33", &text));
    };
    writeln!(
        out,
        "{time} {}{} {} {}",
        left(event.event.name(), 9),
        right(&process.pid.to_string(), 7),
        left(&escape(called(&process.comm)), 15),
        detail(event) + &in_namespace(process.ns_pid)
    )
}

fn who(named: &Named) -> String {
    format!("{} ({}{})", escape(called(&named.comm)), named.pid, in_namespace(named.ns_pid))
}

fn detail(event: &EventLine) -> String {
    let parent = event.parent.as_ref().map(who).unwrap_or_default();
    match event.event {
        EventKind::Fork => match &event.creator {
            Some(creator) => format!("child of {parent}, created by {}", who(creator)),
            None => format!("child of {parent}"),
        },
        EventKind::Exec => {
            event.command_line.as_ref().map(|args| escape(&args.join(" "))).unwrap_or_default()
        }
        EventKind::Exit => {
            let exit = event.exit.as_ref();
            let how = match exit.and_then(|exit| exit.signal) {
                Some(number) => format!("killed by {}", signal(number)),
                None => format!("exit code {}", exit.and_then(|exit| exit.code).unwrap_or(0)),
            };
            let core = if exit.is_some_and(|exit| exit.core_dumped) { " (core dumped)" } else { "" };
            format!("{how}{core}, child of {parent}")
        }
        EventKind::Zombie => match &event.held_by {
            Some(tracer) => format!("held by the tracer {}, child of {parent}", who(tracer)),
            None => format!("waits for {parent}"),
        },
        EventKind::Reparent => {
            let from = event.from.as_ref().map(|from| format!(", left by {}", who(from))).unwrap_or_default();
            format!("now waits for {parent}{from}")
        }
        EventKind::Reap => {
            let by = match (event.how, &event.reaper) {
                (Some(ReapHow::Auto), _) => format!("by the kernel, {parent} ignores its children's deaths"),
                (_, Some(reaper)) => format!("by {}", who(reaper)),
                (_, None) => format!("unseen, child of {parent}"),
            };
            let after =
                event.reap_latency_ns.map(|ns| format!(" after {}", duration(ns))).unwrap_or_default();
            let coarse = if event.precision == Some(Precision::Coarse) { " (coarse)" } else { "" };
            let teardown =
                event.teardown_ns.map(|ns| format!(", teardown {}", duration(ns))).unwrap_or_default();
            let readiness = match event.readiness {
                None => "",
                Some(Readiness::NotWaiting) => ", no thread waited",
                Some(Readiness::Waiting) => ", a thread waited",
                Some(Readiness::WaitingForIt) => ", a thread waited for it",
                Some(Readiness::WaitingOtherwise) => ", threads waited for something else",
            };
            format!("{by}{after}{coarse}{readiness}{teardown}")
        }
        EventKind::Lost => parent,
    }
}
