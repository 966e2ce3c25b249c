//! Hostile names in every text, and findings that say the same.

use super::*;
use crate::{
    render::terminal::is_hidden,
    report::{Rfc3339, Workload, WorkloadKind, audit::*},
};

const HOSTILE: &str = "x\u{1b}[2J\n\u{202e}";

fn process(pid: u32) -> AuditProcess {
    AuditProcess {
        pid,
        start_time: Rfc3339::new(),
        age_ns: 3_600_000_000_000,
        comm: HOSTILE.into(),
        command_line: vec![HOSTILE.into(), HOSTILE.into()],
        executable: Some(HOSTILE.into()),
        user: Some(0),
        workload: Some(Workload {
            kind: WorkloadKind::Program,
            name: HOSTILE.into(),
            container: None,
            runtime: None,
        }),
        user_service: Some(HOSTILE.into()),
    }
}

fn finding(pid: u32) -> AuditFinding {
    AuditFinding {
        kind: GhostKind::Orphan,
        confidence: Confidence::Likely,
        inferred: true,
        process: process(pid),
        count: 20,
        related: [Role::Zombie, Role::Managed, Role::Descendant]
            .map(|role| Related { role, process: process(9) })
            .to_vec(),
        evidence: vec![HOSTILE.into()],
        commands: vec![Way { command: format!("kill {pid}"), does: "asks it to end" }],
    }
}

fn audit(findings: Vec<AuditFinding>) -> AuditReport {
    AuditReport {
        schema: SCHEMA,
        headline: HOSTILE.into(),
        time: Rfc3339::new(),
        looked_for_ns: 0,
        processes: 3,
        since_ns: None,
        findings,
        not_listed: 1,
        suppressed: 2,
        older: 3,
        not_seen: vec![HOSTILE.into()],
    }
}

fn text(audit: &AuditReport) -> String {
    let mut out = Vec::new();
    report(&mut out, audit, View { width: 80, colour: false }).expect("a Vec takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn every_text_from_outside_is_escaped() {
    let text = text(&audit(vec![finding(7)]));
    assert_eq!(text.chars().find(|one| *one != '\n' && is_hidden(*one)), None, "{text}");
    assert!(text.matches("x\\x1b[2J\\x0a\\u{202e}").count() >= 9, "{text}");
    assert!(text.contains("ORPHAN (likely)") && text.contains("kill 7   # asks it to end"), "{text}");
}

#[test]
fn findings_that_say_the_same_are_written_once_and_none_is_lost() {
    let mut findings: Vec<AuditFinding> = (100..119).map(finding).collect();
    let mut other = finding(200);
    other.kind = GhostKind::Stale;
    findings.push(other);
    let text = text(&audit(findings));
    assert_eq!(text.matches("ORPHAN").count(), 1, "{text}");
    assert!(text.contains("19 of them") && text.contains("and so on for the other 11"), "{text}");
    for pid in 100..119 {
        assert!(text.contains(&pid.to_string()), "{pid}: {text}");
    }
    assert!(text.contains("STALE (likely)"), "{text}");
    for note in ["1 more finding is", "2 findings are suppressed", "3 findings are on"] {
        assert!(text.contains(note), "{note}: {text}");
    }
}

#[test]
fn lines_fit_the_terminal() {
    let mut one = finding(7);
    one.evidence = vec!["a sentence of many words ".repeat(20)];
    one.process.command_line = vec!["word".into(); 200];
    let text = text(&audit(vec![one]));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
