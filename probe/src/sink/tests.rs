//! Golden outputs: what a person sees, from reports made by hand.

use super::{
    terminal::{View, count, cut, duration, escape, width},
    text,
};
use crate::report::*;

fn parent(comm: &str, verdict: Verdict) -> Parent {
    Parent {
        pid: 4242,
        ns_pid: None,
        start_time: Rfc3339::from("2026-01-01T00:00:00.000000000Z").expect("it fits"),
        comm: comm.into(),
        command_line: vec!["python3".into(), "worker_manager.py".into()],
        executable: "/usr/bin/python3".into(),
        unit: Some("worker-manager.service".into()),
        alive: true,
        ledger: Ledger { forked: 100, exited: 100, unreaped: 100, ..Ledger::default() },
        held: 0,
        oldest_unreaped_ns: 41_000_000_000,
        oldest_at_least: false,
        reap_latency: LatencySummary::default(),
        teardown: LatencySummary::default(),
        waits: Waits::default(),
        verdict,
        causes: vec![Cause {
            kind: "never_waits".into(),
            evidence: vec!["it made no wait call while 100 children died on it".into()],
            fix: "call waitpid for each child".into(),
        }],
    }
}

fn sample(parents: Vec<Parent>) -> Report {
    Report {
        schema: SCHEMA,
        window: Window { start: Rfc3339::new(), end: Rfc3339::new(), duration_ns: 60_000_000_000 },
        scope: Scope::Host,
        coverage: Coverage::EveryEvent,
        not_covered: Vec::new(),
        hooks: HooksUsed { exit: "e".into(), zombie: "z".into(), reap: "r".into(), precision: "exact" },
        complete: true,
        lost: Lost::default(),
        totals: parents.first().map(|parent| parent.ledger).unwrap_or_default(),
        settled: Default::default(),
        tracer: Default::default(),
        parents,
        left_running: Vec::new(),
    }
}

fn render(report: &Report, width: usize) -> String {
    let mut out = Vec::new();
    text::report(&mut out, report, View { width, colour: false }).expect("a Vec takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn a_leak_is_said_in_one_sentence_then_in_a_table_then_why() {
    insta::assert_snapshot!(render(&sample(vec![parent("python3", Verdict::NeverReaps)]), 80), @r"
    python3 (pid 4242, worker-manager.service) has not reaped any of 100 dead
    children; the oldest has waited 41 s.

    VERDICT         PID COMMAND             DIED  REAPED     LEFT    OLDEST      P99
    never reaps    4242 python3              100       0      100      41 s        -

    python3 (pid 4242, worker-manager.service)
      why: never waits: it made no wait call while 100 children died on it
      fix: call waitpid for each child

    Watched for 1 m 0 s; 100 died, 0 reaped, 100 unreaped; reaps exact (r).
    ");
}

#[test]
fn every_verdict_has_a_sentence_and_no_line_is_wider_than_the_terminal() {
    for verdict in
        [Verdict::Healthy, Verdict::Undecided, Verdict::Slow, Verdict::Leaking, Verdict::NeverReaps]
    {
        for columns in [80, 120] {
            let mut report = sample(vec![parent("a\u{1b}[31m\n\"\u{202e}漢字漢字", verdict); 30]);
            report.complete = false;
            report.lost.events = 1204;
            report.left_running = vec![LeftRunning {
                pid: 7,
                comm: "x\u{7}".into(),
                command_line: vec!["\u{1b}]0;owned\u{7}".repeat(40)],
                spawned_by: Named { pid: 1, ns_pid: None, comm: "y\r".into() },
            }];
            let text = render(&report, columns);
            for line in text.lines() {
                assert!(width(line) <= columns, "{} > {columns}: {line}", width(line));
                assert!(!line.chars().any(|one| one.is_control() || one == '\u{202e}'), "{line:?}");
            }
        }
    }
}

#[test]
fn hostile_text_is_visible_and_harmless() {
    assert_eq!(escape("a\u{1b}[0m\n\u{202e}\\é"), "a\\x1b[0m\\x0a\\u{202e}\\\\é");
}

#[test]
fn durations_and_counts_read_well() {
    let cases = [
        (850, "850 ns"),
        (53_000, "53 µs"),
        (4_200_000, "4.2 ms"),
        (1_300_000_000, "1.3 s"),
        (41_000_000_000, "41 s"),
        (192_000_000_000, "3 m 12 s"),
        (7_500_000_000_000, "2 h 5 m"),
        (273_600_000_000_000, "3 d 4 h"),
    ];
    for (ns, text) in cases {
        assert_eq!(duration(ns), text);
    }
    assert_eq!(count(1_234_567), "1,234,567");
    assert_eq!(cut("漢字漢字", 5), "漢字…");
}
