//! One event line for people.
//!
//! Must not judge.

use std::io::{self, Write};

use super::terminal::{View, escape, left, right};
use crate::report::{
    EventKind, EventLine, Named, Precision, Readiness, ReapHow,
    words::{bytes, called, count, counted, duration, ended, in_namespace},
};

/// How much of an event a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// What happened.
    Narrow,
    /// And, of a life that has ended, who it was and what it used.
    Wide,
}

/// Writes the line.
pub fn line(out: &mut impl Write, event: &EventLine, view: View, width: Width) -> io::Result<()> {
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
            "{time} {} {} did not fit, {}, {} so far",
            left("lost", 8),
            counted(lost.events, "event", "events"),
            counted(lost.map_full, "map entry", "map entries"),
            counted(lost.probe_missed, "missed hit", "missed hits")
        );
        if lost.damaged > 0 {
            let places = counted(lost.damaged, "place", "places");
            text.push_str(&format!(", {places} of the recording could not be read"));
        }
        return writeln!(out, "{}", view.paint("33", &text));
    };
    writeln!(
        out,
        "{time} {}{} {} {}",
        left(event.event.name(), 9),
        right(&process.pid.to_string(), 7),
        left(&escape(called(&process.comm)), 15),
        detail(event) + &in_namespace(process.ns_pid) + &of_life(event, width)
    )
}

fn who(named: &Named) -> String {
    format!("{} ({}{})", escape(called(&named.comm)), named.pid, in_namespace(named.ns_pid))
}

/// `; exit code 0, lived 1.2 s, CPU 3 ms, peak 4.2 MiB, uid 1000, session 7, pts/0, unit cron.service: make all`.
fn of_life(event: &EventLine, width: Width) -> String {
    let Some(life) = event.life.as_ref().filter(|_| width == Width::Wide) else { return String::new() };
    // An exit has said it already.
    let reason = life.reason.as_deref().filter(|_| event.event != EventKind::Exit).map(str::to_owned);
    let facts = [
        reason,
        Some(format!("lived {}", duration(life.lifetime_ns))),
        life.cpu_ns.map(|ns| format!("CPU {}", duration(ns))),
        life.peak_rss_bytes.map(|peak| format!("peak {}", bytes(peak))),
        life.uid.map(|uid| format!("uid {uid}")),
        life.session.map(|session| format!("session {session}")),
        life.tty.as_ref().map(|tty| escape(tty)),
        life.workload.as_ref().map(|workload| format!("{} {}", workload.kind.name(), escape(&workload.name))),
        life.cgroup_id.filter(|_| life.workload.is_none()).map(|id| format!("cgroup {id}")),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let command = life.command_line.as_ref().filter(|arguments| !arguments.is_empty());
    let command = command.map(|arguments| format!(": {}", escape(&arguments.join(" ")))).unwrap_or_default();
    format!("; {}{command}", facts.join(", "))
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
            let how = event.exit.as_ref().map_or("ended".into(), ended);
            format!("{how}, child of {parent}")
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
            let bound = if event.reap_latency_at_least { "≥" } else { "" };
            let after = event.reap_latency_ns.map(|ns| format!(" after {bound}{}", duration(ns)));
            let after = after.unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{EventProcess, ExitDetail, Life, Rfc3339, Workload, WorkloadKind, sample};

    fn reap(life: Life<'static>) -> EventLine<'static> {
        let time = Rfc3339::from("2026-01-01T10:20:30.400000000Z").expect("it fits");
        let mut line = EventLine::blank(EventKind::Reap, time);
        line.process = Some(EventProcess { pid: 77, ns_pid: None, start_time: time, comm: "make".into() });
        line.parent = Some(Named { pid: 7, ns_pid: None, comm: "sh".into() });
        line.exit = Some(ExitDetail { code: None, signal: Some(11), core_dumped: true });
        line.life = Some(life);
        line
    }

    fn told(event: &EventLine, width: Width) -> String {
        let mut text = Vec::new();
        line(&mut text, event, View { width: 80, colour: false }, width).expect("a Vec takes everything");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn a_wide_line_says_who_the_dead_was_and_what_it_used_and_a_narrow_one_what_happened() {
        let name = "build.service".into();
        let life = Life {
            reason: Some("killed by SIGSEGV (core dumped)".into()),
            cpu_ns: Some(3_200_000),
            peak_rss_bytes: Some(5 << 19),
            uid: Some(1_000),
            session: Some(70),
            tty: Some("pts/0".into()),
            cgroup_id: Some(9),
            workload: Some(Workload { kind: WorkloadKind::Unit, name, container: None, runtime: None }),
            command_line: Some(vec!["make".into(), "al\u{1b}l".into()]),
            ..sample::life()
        };
        let line = reap(life);
        assert_eq!(
            told(&line, Width::Wide),
            "10:20:30.400 reap          77 make            unseen, child of sh (7); killed by SIGSEGV (core dumped), lived \
             1.0 s, CPU 3.2 ms, peak 2.5 MiB, uid 1000, session 70, pts/0, unit build.service: make al\\x1bl\n"
        );
        assert_eq!(
            told(&line, Width::Narrow),
            "10:20:30.400 reap          77 make            unseen, child of sh (7)\n"
        );
    }

    #[test]
    fn what_is_not_known_of_a_life_is_not_told_and_a_cgroup_without_a_name_by_its_number() {
        let told = told(&reap(Life { cgroup_id: Some(9), ..sample::life() }), Width::Wide);
        assert!(told.ends_with("child of sh (7); lived 1.0 s, cgroup 9\n"), "{told}");
    }
}
