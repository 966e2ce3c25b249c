//! Which findings rules suppress, what becomes of the finding, and when a check fails.

use super::*;
use crate::report::{
    Ended, SiteFrame, Verdict,
    sample::{fork_site, left_running, parent, sample},
};

fn rule(name: &str) -> Rule {
    Rule { name: name.into(), finding: None, command: None, executable: None, cause: None, function: None }
}

fn pattern(text: &str) -> Option<Pattern> {
    Some(Pattern::new(text).expect("a pattern"))
}

fn leaking() -> Report {
    let mut report = sample(vec![parent("python3", Verdict::NeverReaps), parent("sh", Verdict::Healthy)]);
    let frame = SiteFrame { function: Some("spawn_worker".into()), ..SiteFrame::default() };
    report.parents[0].fork_site = Some(fork_site(vec![frame]));
    report.left_running.push(left_running("gpg-agent"));
    report
}

#[test]
fn a_rule_suppresses_only_where_all_that_it_names_is_so() {
    let whole = Rule {
        finding: Some(Suppressible::NeverReaps),
        command: pattern("*worker_manager.py"),
        executable: pattern("/usr/bin/python*"),
        cause: Some(CauseKind::NeverWaits),
        function: pattern("spawn_*"),
        ..rule("known")
    };
    let named = |rule: Rule| {
        let mut report = leaking();
        suppress(&mut report, &[rule]);
        report.suppressions[0].is_used()
    };
    assert!(named(whole.clone()));
    assert!(named(Rule { command: pattern("python3"), ..whole.clone() }), "the short name too");
    for other in [
        Rule { finding: Some(Suppressible::Leaking), ..whole.clone() },
        Rule { command: pattern("worker_manager.py"), ..whole.clone() },
        Rule { executable: pattern("/usr/bin/node"), ..whole.clone() },
        Rule { cause: Some(CauseKind::Unknown), ..whole.clone() },
        Rule { function: pattern("main"), ..whole.clone() },
        Rule { command: pattern("sh"), ..rule("a healthy parent is nothing to suppress") },
    ] {
        assert!(!named(other.clone()), "{other:?}");
    }
}

#[test]
fn what_is_suppressed_stays_counted_and_leaves_finding_and_headline() {
    let mut report = leaking();
    let totals = report.totals;
    let rules = [
        Rule { command: pattern("python3"), ..rule("known") },
        Rule { command: pattern("x"), ..rule("old") },
    ];
    suppress(&mut report, &rules);
    assert_eq!(report.finding, Finding::None);
    assert_eq!(report.totals, totals);
    assert_eq!(report.parents[0].suppressed_by.as_deref(), Some("known"));
    assert_eq!(report.parents[0].verdict, Verdict::NeverReaps);
    let uses: Vec<_> =
        report.suppressions.iter().map(|one| (one.parents, one.children, one.is_used())).collect();
    assert_eq!(uses, [(1, 100, true), (0, 0, false)]);
    assert_eq!(report.headline, "No leak beside what is suppressed: 1 parent. 1 process was left running.");
    conclude(&mut report, LeftRunningRule::Ignore, 9);
    assert!(!report.check.expect("a check").failed);
}

#[test]
fn what_is_not_listed_cannot_be_suppressed() {
    let mut report = leaking();
    report.other.parents = 1;
    report.other.verdicts.leaking = 1;
    suppress(&mut report, &[Rule { command: pattern("*"), ..rule("all") }]);
    assert_eq!(report.finding, Finding::Leak);
}

#[test]
fn a_check_fails_for_leaks_and_for_what_it_was_told_to_fail_for() {
    let failures = |rule, change: fn(&mut Report)| {
        let mut report = leaking();
        suppress(&mut report, &[Rule { command: pattern("python3"), ..self::rule("known") }]);
        change(&mut report);
        conclude(&mut report, rule, 9);
        let check = report.check.expect("a check");
        assert_eq!(check.failed, !check.failures.is_empty());
        check.failures
    };
    use CheckFailure::{Leak, LeftRunning};
    let ended = |ended: Ended| move |report: &mut Report| report.left_running[0].ended = Some(ended);
    assert_eq!(failures(LeftRunningRule::Ignore, |_| ()), []);
    assert_eq!(failures(LeftRunningRule::Fail, |_| ()), [LeftRunning]);
    assert_eq!(failures(LeftRunningRule::Kill, |_| ()), [LeftRunning], "nobody ended it");
    assert_eq!(failures(LeftRunningRule::Fail, |report| report.finding = Finding::Leak), [Leak, LeftRunning]);
    assert_eq!(failures(LeftRunningRule::Fail, |report| report.left_running.clear()), []);
    let suppressed = |report: &mut Report| report.left_running[0].suppressed_by = Some("daemon".into());
    assert_eq!(failures(LeftRunningRule::Fail, suppressed), []);
    for (fate, fails) in [
        (Ended::ByItself, false),
        (Ended::Terminated, false),
        (Ended::Killed, false),
        (Ended::Survived, true),
        (Ended::NotPermitted, true),
    ] {
        let mut report = leaking();
        report.finding = Finding::None;
        ended(fate)(&mut report);
        conclude(&mut report, LeftRunningRule::Kill, 9);
        assert_eq!(report.check.expect("a check").failed, fails, "{fate:?}");
    }
}

#[test]
fn each_thing_that_was_found_gives_one_rule_that_suppresses_it() {
    let mut report = leaking();
    let mut other = report.parents[0].clone();
    other.pid = 4_343;
    report.parents.push(other.clone());
    other.executable = "/opt/*".repeat(50);
    report.parents.push(other);
    let suggestions = suggest(&report);
    let names: Vec<&str> = suggestions.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["python3: never reaps", "python3: never reaps (2)", "gpg-agent: left running"]);
    let rules: Vec<Rule> = suggestions
        .iter()
        .map(|one| Rule {
            finding: Some(one.finding),
            command: one.command.as_deref().and_then(pattern),
            executable: one.executable.as_deref().and_then(pattern),
            cause: one.cause,
            function: one.function.as_deref().and_then(pattern),
            ..rule(&one.name)
        })
        .collect();
    suppress(&mut report, &rules);
    assert!(report.suppressions.iter().all(Suppression::is_used), "{:?}", report.suppressions);
    assert_eq!(report.finding, Finding::None);
    assert!(suggest(&report).is_empty());
}

#[test]
fn a_rule_for_what_an_interpreter_runs_names_the_script_and_no_other_program() {
    let line = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (comm, executable, words, expected) in [
        ("python3", "/usr/bin/python3.11", "python3 -u /srv/agent/tools.py --fast", Some("*tools.py*")),
        ("python3", "/usr/bin/python3.11", "python3 -m pytest -x", Some("*pytest*")),
        ("python3", "/usr/bin/python3.11", "python3 -c pass", Some("python3")),
        ("sh", "/usr/bin/dash", "sh", Some("sh")),
        ("node", "", "node server.js", Some("*server.js*")),
        ("nginx", "/usr/sbin/nginx", "nginx -g x.py", Some("nginx")),
        ("", "/usr/sbin/nginx", "", None),
    ] {
        assert_eq!(command(comm, executable, &line(words)).as_deref(), expected, "{words}");
    }
    let too_long = format!("python3 {}.py", "x".repeat(TEXT_MAX));
    assert_eq!(command("python3", "", &line(&too_long)).as_deref(), Some("python3"));
}
