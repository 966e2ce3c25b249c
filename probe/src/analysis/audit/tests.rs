//! What the tests of the rules share, and the audit as a whole.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::model::{Asleep, Details, Program, Resident, Script, TimeAnchor, Workload};

/// Bytes as a hostile user chooses them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(b"pytest".to_vec()), Just(b"/usr/bin/python3".to_vec()), vec(any::<u8>(), 0..12)]
}

/// A process that /proc could show, and some that it could not: few pids, so that they meet.
fn any_resident() -> impl Strategy<Value = Resident> {
    let pids = (0..12u32, 0..12u32, 0..12u32, 0..12u32, 0..3u32);
    let times = (0..NOW_NS + 10, 0..3u64, any::<bool>(), any::<bool>());
    let texts = (vec(bytes(), 0..4), bytes(), bytes());
    let state = (prop::sample::select(b"SDZTRX".to_vec()), any::<bool>(), 0..3u64, any::<bool>());
    (pids, times, texts, state).prop_map(|(pids, times, texts, state)| Resident {
        identity: Identity { tgid: pids.0, start_boottime_ns: times.0 },
        comm: texts.1[..].into(),
        state: state.0,
        is_exiting: state.1,
        threads: state.2,
        parent: pids.1,
        group: pids.2,
        session: pids.3,
        terminal: pids.4 / 2,
        tracer: pids.4,
        switches: times.1,
        asleep: vec![Asleep { switches: times.1, ..Asleep::default() }],
        workload: times.2.then(|| Workload::Unit("bot.service".into())),
        command_line: texts.0,
        details: state.3.then(|| Details {
            program: Some(Program { path: texts.1.clone(), ..Program::default() }),
            directory: texts.2.clone(),
            writes: vec![texts.2.clone()],
            checkout: Some(pids.1 as usize),
            script: Some(Script { path: texts.2, modified_ns: times.0.into(), ..Script::default() }),
            ..Details::default()
        }),
        ..resident(pids.0, pids.1)
    })
}

proptest! {
    #[test]
    fn whatever_proc_shows_the_audit_ends_and_says_it_in_bounds(
        first in vec(any_resident(), 0..16),
        last in vec(any_resident(), 0..16),
        after_ns in 0..10_000_000_000u64,
    ) {
        let first = Census { residents: first, taken_ns: NOW_NS, ..Census::default() };
        let last = Census { residents: last, taken_ns: NOW_NS + after_ns, ..Census::default() };
        for (one, other) in [(&first, &first), (&first, &last)] {
            let _ = next_look_after_ns(one, other);
            let report = audit(one, other, Asked::default());
            for finding in &report.findings {
                prop_assert!(!finding.evidence.is_empty() && finding.count >= 1);
                prop_assert!(finding.related.len() <= scene::RELATED_MAX);
                // PID 1 is nobody's to end, and nobody is killed first of all.
                for way in &finding.commands {
                    prop_assert!(way.command != "kill 1" && way.command != "kill 0", "{way:?}");
                    prop_assert!(!way.command.starts_with("kill -9") && !way.command.contains("KILL"), "{way:?}");
                }
            }
        }
    }
}

/// When the censuses of tests are taken.
pub const NOW_NS: u64 = 1_000_000_000_000_000;
const START_NS: u64 = NOW_NS - 600_000_000_000;

/// A healthy process: a daemon in a session of its own.
pub fn resident(pid: u32, parent: u32) -> Resident {
    Resident {
        identity: Identity { tgid: pid, start_boottime_ns: START_NS },
        comm: (&b"bot"[..]).into(),
        state: b'S',
        threads: 1,
        parent,
        group: pid,
        session: pid,
        user: Some(0),
        command_line: vec![b"/srv/bot".to_vec(), b"run".to_vec()],
        details: Some(Details {
            program: Some(Program { path: b"/srv/bot".to_vec(), ..Program::default() }),
            directory: b"/".to_vec(),
            ..Details::default()
        }),
        ..Resident::default()
    }
}

/// These, and an init.
pub fn census(mut residents: Vec<Resident>) -> Census {
    residents.push(Resident { comm: (&b"systemd"[..]).into(), group: 1, session: 1, ..resident(1, 0) });
    Census {
        taken_ns: NOW_NS,
        anchor: TimeAnchor { realtime_minus_boottime_ns: 700_000_000_000_000_000 },
        residents,
        ..Census::default()
    }
}

/// The same when all that lasts has lasted long enough.
pub fn later(first: &Census) -> Census {
    after(first, LASTS_NS)
}

fn after(first: &Census, ns: u64) -> Census {
    Census { taken_ns: first.taken_ns + ns, ..first.clone() }
}

/// How many findings there are; fails if one is of another kind.
pub fn only(first: &Census, last: &Census, kind: GhostKind) -> usize {
    let report = audit(first, last, Asked::default());
    assert!(report.findings.iter().all(|one| one.kind == kind), "{:#?}", report.findings);
    report.findings.len()
}

fn zombie(pid: u32, parent: u32) -> Resident {
    Resident { state: b'Z', details: None, ..resident(pid, parent) }
}

#[test]
fn on_a_healthy_host_one_look_is_enough_and_shows_nothing() {
    let mut shell = resident(20, 10);
    shell.terminal = 34_816;
    let job = Resident { group: 21, session: 20, terminal: 34_816, ..resident(21, 20) };
    let service = Resident { workload: Some(Workload::Unit("bot.service".into())), ..resident(10, 1) };
    let healthy = census(vec![service, shell, job, resident(11, 10), resident(12, 10)]);
    assert_eq!(next_look_after_ns(&healthy, &healthy), None);
    let report = audit(&healthy, &healthy, Asked::default());
    assert_eq!((report.findings, report.looked_for_ns), (vec![], 0));
    assert_eq!(report.headline, "Nothing found among 6 processes.");
}

#[test]
fn what_may_be_over_soon_is_looked_at_again_and_what_has_to_last_once_more() {
    let stale = |mut one: Resident| {
        let program = one.details.as_mut().and_then(|details| details.program.as_mut()).expect("readable");
        program.at_path = crate::model::AtPath::Other;
        one
    };
    let first = census(vec![stale(resident(8, 1))]);
    let settled = after(&first, SETTLES_WITHIN_NS);
    assert_eq!(next_look_after_ns(&first, &first), Some(SETTLES_WITHIN_NS));
    assert_eq!(next_look_after_ns(&first, &settled), None);
    assert_eq!(audit(&first, &settled, Asked::default()).findings.len(), 1);
    for lasting in [zombie(8, 1), Resident { asleep: vec![Asleep::default()], ..resident(8, 1) }] {
        let first = census(vec![lasting]);
        let settled = after(&first, SETTLES_WITHIN_NS);
        assert_eq!(next_look_after_ns(&first, &settled), Some(LASTS_NS));
        assert!(audit(&first, &settled, Asked::default()).findings.is_empty());
        assert_eq!(next_look_after_ns(&first, &later(&first)), None);
        assert_eq!(audit(&first, &later(&first), Asked::default()).findings.len(), 1);
    }
}

#[test]
fn who_started_longer_ago_is_left_out_and_counted() {
    let first = census(vec![zombie(8, 1)]);
    let with = |since_s: u64| {
        let asked = Asked { since_ns: Some(since_s * 1_000_000_000), ..Asked::default() };
        let report = audit(&first, &later(&first), asked);
        (report.findings.len(), report.older)
    };
    assert_eq!((with(3_600), with(60)), ((1, 0), (0, 1)));
}

#[test]
fn what_cannot_be_seen_is_said() {
    let mut first = census(vec![]);
    first.unseen = Unseen { closed: 3, blocked: 1, beyond: 2, others_are_hidden: true, is_namespace: true };
    let said = audit(&first, &first, Asked::default()).not_seen;
    assert_eq!(said.len(), 5, "{said:?}");
    for part in ["3 processes", "reading 1 process blocks", "2 processes beyond", "hidepid", "container"] {
        assert!(said.iter().any(|sentence| sentence.contains(part)), "{part}: {said:?}");
    }
    assert!(audit(&census(vec![]), &census(vec![]), Asked::default()).not_seen.is_empty());
}

#[test]
fn a_circle_of_parents_which_a_reused_pid_can_make_is_no_endless_way() {
    let mut one = resident(8, 9);
    one.session = 77;
    let other = Resident { session: 78, ..resident(9, 8) };
    let first = census(vec![one, other]);
    assert!(audit(&first, &first, Asked::default()).findings.len() <= 2);
}
