//! Golden outputs: what a person sees, from reports made by hand.

use super::{
    report_text,
    terminal::{View, cut, escape, width},
};
use crate::report::{
    Check, CheckFailure, Ended, LeftRunning, LookingDead, LookingDeadKind, Named, Report, Suppression,
    Verdict,
    pids::{ExhaustedIn, Growth, PidLimit, PidPressure, PidScope, ZombieHolder},
    sample::{left_running, parent, sample},
};

fn render(report: &Report, width: usize) -> String {
    let mut out = Vec::new();
    report_text::report(&mut out, report, View { width, colour: false }).expect("a Vec takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn a_leak_is_said_in_one_sentence_then_in_a_table_then_why() {
    let mut report = sample(vec![parent("python3", Verdict::NeverReaps)]);
    report.headline =
        "python3 (pid 4242, worker-manager.service) has not reaped any of 100 dead children; the oldest has \
                       waited 41 s."
            .into();
    insta::assert_snapshot!(render(&report, 80), @r"
    python3 (pid 4242, worker-manager.service) has not reaped any of 100 dead
    children; the oldest has waited 41 s.

    VERDICT         PID COMMAND             DIED  REAPED     LEFT    OLDEST      P99
    never reaps    4242 python3              100       0      100      41 s        -

    python3 (pid 4242, worker-manager.service)
      why: never waits: it made no wait call while 100 children died on it
      now: `reapwatch reap 1` has the process reap them without a restart
      fix: call waitpid for each child

    Watched for 1 m 0 s; 100 died, 0 reaped, 100 unreaped; reaps exact (r).
    ");
}

/// A limit on processes that fills up.
fn limit(name: &str, used: u64) -> PidLimit {
    let parent = Named { pid: 4242, ns_pid: None, comm: "py\u{1b}".into() };
    PidLimit {
        scope: PidScope::Cgroup,
        name: name.into(),
        used,
        limit: 1_000,
        zombies: Some(700),
        most_zombies: Some(ZombieHolder { parent, zombies: 650 }),
        refused: Some(0),
        growth: Some(Growth { least_per_hour: 5_000, most_per_hour: 9_001 }),
        has_too_few_readings: false,
        exhausted_in: Some(ExhaustedIn { earliest_ns: 80_000_000_000, latest_ns: Some(144_000_000_000) }),
    }
}

#[test]
fn the_limit_that_bites_first_is_told_and_others_only_where_they_are_pressing() {
    let mut report = sample(Vec::new());
    let idle = PidLimit { growth: None, exhausted_in: None, ..limit("/idle", 10) };
    let full = PidLimit {
        scope: PidScope::User,
        zombies: Some(0),
        most_zombies: None,
        exhausted_in: Some(ExhaustedIn { earliest_ns: 0, latest_ns: Some(0) }),
        ..limit("1000", 1_000)
    };
    let limits = vec![limit("/a\u{202e}.service", 800), full, idle];
    report.pids = Some(PidPressure { limits, more: 0, left_out: 0 });
    insta::assert_snapshot!(render(&report, 80), @r"


    PIDs: 800 of 1,000 (80 %) of pids.max of the cgroup /a\u{202e}.service in use,
    700 of them zombies, most of py\x1b (pid 4242); 83 to 151 more each minute: if
    that goes on, forks fail in 1 m 20 s to 2 m 24 s
    PIDs: 1,000 of 1,000 (100 %) of RLIMIT_NPROC of user 1000 in use; forks fail now

    Watched for 1 m 0 s; 0 died, 0 reaped; reaps exact (r).
    ");
}

#[test]
fn what_is_suppressed_is_shown_as_that_and_what_is_not_used_is_said() {
    let mut report = sample(vec![parent("python3", Verdict::NeverReaps)]);
    report.headline = "No leak beside what is suppressed: 1 parent.".into();
    report.parents[0].suppressed_by = Some("known".into());
    report.left_running = vec![left_running("server")];
    report.left_running[0].ended = Some(Ended::Killed);
    report.suppressions = vec![
        Suppression { name: "known".into(), parents: 1, children: 100, left_running: 0 },
        Suppression { name: "old".into(), parents: 0, children: 0, left_running: 0 },
    ];
    report.check = Some(Check { failed: false, failures: Vec::new(), exit_code: 9 });
    insta::assert_snapshot!(render(&report, 80), @r#"
    No leak beside what is suppressed: 1 parent.

    VERDICT         PID COMMAND             DIED  REAPED     LEFT    OLDEST      P99
    suppressed     4242 python3              100       0      100      41 s        -

    python3 (pid 4242, worker-manager.service)
      suppressed by "known": never reaps
      why: never waits: it made no wait call while 100 children died on it
      now: `reapwatch reap 1` has the process reap them without a restart
      fix: call waitpid for each child

    Left running (1):
      77 server --serve, started by sh (1): ended by SIGKILL

    Suppressed by "known": 1 parent with 100 dead children.
    note: the suppression "old" was not used: delete it

    Watched for 1 m 0 s; 100 died, 0 reaped, 100 unreaped; reaps exact (r).
    Check passed.
    "#);
}

#[test]
fn what_became_of_one_that_was_left_running_is_shown_however_long_its_command_line_is() {
    let mut report = sample(vec![parent("python3", Verdict::Healthy)]);
    let mut long = left_running("sh");
    long.command_line = vec!["sh".into(), "-c".into(), "trap '' TERM; while :; do sleep 1; done; ".repeat(9)];
    long.ended = Some(Ended::Killed);
    let mut suppressed = left_running("server");
    suppressed.suppressed_by = Some("the server of the tests is meant to stay behind".into());
    report.left_running = vec![long, suppressed];
    let text = render(&report, 80);
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("Left running")).collect();
    assert_eq!(
        lines[1..4],
        [
            "  77 sh -c trap '' TERM; while :; do sleep…, started by sh (1): ended by SIGKILL",
            "  77 server --serve, started by sh (1), suppressed by \"the server of the",
            "       tests is meant to stay behind\"",
        ]
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
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
            report.headline = "b\u{1b}[31m\n\u{202e} has not reaped any of 漢字漢字".repeat(4);
            report.complete = false;
            report.lost.events = 1204;
            report.suppressions = vec![
                Suppression {
                    name: "\u{1b}[2J\n漢字".repeat(40), parents: 1, children: 2, left_running: 3
                },
                Suppression { name: "old \u{202e}".repeat(20), parents: 0, children: 0, left_running: 0 },
            ];
            report.parents[0].suppressed_by = Some("\u{1b}[2J\n漢字".repeat(40));
            report.check = Some(Check {
                failed: true,
                failures: vec![CheckFailure::Leak, CheckFailure::LeftRunning],
                exit_code: 9,
            });
            report.left_running = vec![LeftRunning {
                pid: 7,
                ns_pid: Some(3),
                comm: "x\u{7}".into(),
                command_line: vec!["\u{1b}]0;owned\u{7}".repeat(40)],
                spawned_by: Named { pid: 1, ns_pid: None, comm: "y\r".into() },
                ended: Some(Ended::NotPermitted),
                ..left_running("x")
            }];
            report.look_dead = vec![LookingDead {
                kind: LookingDeadKind::NamespaceEndBlocked,
                pid: 7,
                ns_pid: Some(1),
                comm: "x\u{7}".into(),
                command_line: vec!["\u{1b}]0;owned\u{7}".into()],
                parent: Named { pid: 1, ns_pid: None, comm: "y\r".into() },
                since_ns: u64::MAX,
                at_least: true,
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
    assert_eq!(escape("a\n"), "a\\x0a");
    assert_eq!(escape("a\u{1b}[0m\n\u{202e}\\é"), "a\\x1b[0m\\x0a\\u{202e}\\\\é");
    assert_eq!(cut("漢字漢字", 5), "漢字…");
}
