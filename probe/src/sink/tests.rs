//! Golden outputs: what a person sees, from reports made by hand.

use super::{
    terminal::{View, called, count, cut, duration, escape, fitting, width},
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
        held_by: None,
        older: 0,
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
    let finding = match parents.iter().map(|parent| parent.verdict).max() {
        Some(Verdict::NeverReaps | Verdict::Leaking) => Finding::Leak,
        Some(Verdict::Slow) => Finding::Slow,
        Some(Verdict::Held) => Finding::Held,
        Some(Verdict::Undecided) => Finding::Undecided,
        Some(Verdict::Healthy) | None => Finding::None,
    };
    Report {
        schema: SCHEMA,
        finding,
        grace_ns: 5_000_000_000,
        window: Window { start: Rfc3339::new(), end: Rfc3339::new(), duration_ns: 60_000_000_000 },
        scope: Scope::Host,
        coverage: Coverage::EveryEvent,
        not_covered: Vec::new(),
        hooks: HooksUsed { exit: "e".into(), zombie: "z".into(), reap: "r".into(), precision: "exact" },
        complete: true,
        lost: Lost::default(),
        totals: parents.first().map(|parent| parent.ledger).unwrap_or_default(),
        settled: Default::default(),
        other: Default::default(),
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
    for verdict in [
        Verdict::Healthy,
        Verdict::Undecided,
        Verdict::Held,
        Verdict::Slow,
        Verdict::Leaking,
        Verdict::NeverReaps,
    ] {
        for columns in [80, 120] {
            let mut report = sample(vec![parent("a\u{1b}[31m\n\"\u{202e}漢字漢字", verdict); 30]);
            report.complete = false;
            report.lost.events = 1204;
            report.left_running = vec![LeftRunning {
                pid: 7,
                ns_pid: Some(3),
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

/// The first paragraph.
fn sentence(report: &Report) -> String {
    render(report, 200).lines().next().unwrap_or_default().to_owned()
}

/// A parent without a unit whose children died so and so.
fn plain(verdict: Verdict, ledger: Ledger) -> Parent {
    Parent { unit: None, ledger, causes: Vec::new(), ..parent("sh", verdict) }
}

#[test]
fn where_a_parent_is_pid_1_of_a_namespace_is_said() {
    let mut report = sample(vec![Parent { ns_pid: Some(1), ..parent("node", Verdict::NeverReaps) }]);
    assert!(
        sentence(&report).starts_with(
            "node (pid 4242, PID 1 of a PID namespace, worker-manager.service) has not reaped any of 100"
        ),
        "{}",
        sentence(&report)
    );
    report.parents[0].ns_pid = Some(17);
    assert!(
        sentence(&report).starts_with("node (pid 4242, 17 in its PID namespace, worker"),
        "{}",
        sentence(&report)
    );
}

#[test]
fn a_held_zombie_names_the_tracer_and_not_the_parent_as_the_one_to_blame() {
    let tracer = Named { pid: 99, ns_pid: None, comm: "gdb".into() };
    let ledger = Ledger { exited: 300, unreaped: 300, ..Ledger::default() };
    let report = sample(vec![Parent { held: 300, held_by: Some(tracer), ..plain(Verdict::Held, ledger) }]);
    assert_eq!(
        sentence(&report),
        "The tracer gdb (pid 99) holds 300 dead children of sh (pid 4242), which cannot reap them before; the oldest has waited 41 s."
    );
}

#[test]
fn zombies_older_than_the_watch_are_called_that() {
    let ledger = Ledger { exited: 7, unreaped: 7, ..Ledger::default() };
    let report = sample(vec![Parent { older: 7, oldest_at_least: true, ..plain(Verdict::Leaking, ledger) }]);
    assert_eq!(
        sentence(&report),
        "sh (pid 4242) leaves 7 dead children unreaped, older than the watch; the oldest has waited at least 41 s."
    );
}

#[test]
fn a_window_shorter_than_the_grace_is_said_and_so_is_what_was_lost() {
    let ledger = Ledger { exited: 3, unreaped: 3, ..Ledger::default() };
    let mut report = sample(vec![plain(Verdict::Undecided, ledger)]);
    report.parents[0].oldest_unreaped_ns = 1_000_000_000;
    assert_eq!(
        sentence(&report),
        "Undecided: sh (pid 4242) has not reaped 3 dead children, dead for 1.0 s; that is not long enough to call it a leak."
    );
    report.complete = false;
    assert_eq!(
        sentence(&report),
        "Undecided, because not everything was seen: sh (pid 4242) has not reaped 3 dead children."
    );
    report.window.duration_ns = 2_000_000_000;
    assert_eq!(
        sentence(&report),
        "Watched for 2.0 s, shorter than the grace of 5.0 s: sh (pid 4242) has not reaped 3 dead children, which cannot be \
         called a leak yet."
    );
}

#[test]
fn no_leak_is_not_the_headline_above_what_was_left_running() {
    let ledger = Ledger { exited: 5, reaped: 5, ..Ledger::default() };
    let mut report = sample(vec![plain(Verdict::Healthy, ledger)]);
    report.parents[0].reap_latency.max_ns = 3_000_000;
    assert_eq!(sentence(&report), "No leak: 1 parent reaped 5 dead children; the slowest reap took 3.0 ms.");
    let spawned_by = Named { pid: 1, ns_pid: None, comm: "sh".into() };
    let running =
        LeftRunning { pid: 7, ns_pid: None, comm: "x".into(), command_line: Vec::new(), spawned_by };
    report.left_running = vec![running.clone(), running];
    assert_eq!(
        sentence(&report),
        "2 processes were left running. No dead child was left past the grace: 1 parent reaped 5 dead children; the \
         slowest reap took 3.0 ms."
    );
}

#[test]
fn who_has_the_kernel_reap_has_not_reaped_in_0_ns() {
    let ledger = Ledger { exited: 5, autoreaped: 5, ..Ledger::default() };
    let report = sample(vec![plain(Verdict::Healthy, ledger)]);
    assert_eq!(
        sentence(&report),
        "No leak: 1 parent; the kernel reaped 5 dead children at once (SIGCHLD ignored or SA_NOCLDWAIT)."
    );
    assert!(sentence(&sample(Vec::new())).starts_with("No leak: no process with children"));
}

#[test]
fn hostile_text_is_visible_and_harmless() {
    assert_eq!((called(""), called("a\n")), ("?".into(), "a\\x0a".into()));
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
        (31_622_400_000_000_000, "366 d"),
    ];
    for (ns, text) in cases {
        assert_eq!(duration(ns), text);
    }
    assert_eq!(count(1_234_567), "1,234,567");
    for (number, text) in [
        (999_999, "999,999"),
        (1_000_000, "1.0 M"),
        (12_345_678, "12 M"),
        (999_600_000, "1.0 G"),
        (4_294_967_306, "4.3 G"),
        (u64::MAX, "18 E"),
    ] {
        assert_eq!(fitting(number, 7), text);
    }
    assert_eq!(cut("漢字漢字", 5), "漢字…");
}
