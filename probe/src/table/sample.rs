//! A table made by hand, for tests.
//!
//! Must not be in the program.

use super::{Colours, Cost, Event, ParentId, Reading, Table};
use crate::report::{
    CauseKind, ExitDetail, LatencySummary, Ledger, Parent, Report, Rfc3339, Verdict, Workload, WorkloadKind,
    detail::ParentDetail,
    explain::UnreapedChild,
    metrics::Buckets,
    pids::{ExhaustedIn, PidLimit, PidPressure, PidScope},
    sample,
};

const SECOND_NS: u64 = 1_000_000_000;

fn of(pid: u32, comm: &str, verdict: Verdict, ledger: Ledger) -> Parent {
    let mut causes = match verdict {
        Verdict::Healthy | Verdict::Undecided => Vec::new(),
        _ => sample::parent(comm, verdict).causes,
    };
    for cause in &mut causes {
        cause.now = format!("`reapwatch reap {pid}` has the process reap them without a restart");
    }
    let reaped = ledger.reaped;
    Parent {
        pid,
        start_boottime_ns: u64::from(pid),
        command_line: vec![format!("/usr/sbin/{comm}"), "--config".into(), format!("/etc/{comm}.conf")],
        unit: Some(format!("{comm}.service")),
        ledger,
        causes,
        reap_latency: LatencySummary {
            count: reaped,
            p50_ns: Some(120_000),
            p99_ns: Some(4_200_000),
            ..LatencySummary::default()
        },
        oldest_unreaped_ns: if ledger.left() > 0 { 41 * SECOND_NS } else { 0 },
        ..sample::parent(comm, verdict)
    }
}

/// A host with two parents that leak, one that is slow, and healthy ones, after so many seconds.
pub fn report(second: u64) -> Report {
    let leaks = |per_second: u64, reaped: u64| Ledger {
        forked: per_second * second + reaped,
        exited: per_second * second + reaped,
        reaped,
        unreaped: per_second * second,
        ..Ledger::default()
    };
    let healthy = |died: u64| Ledger { forked: died, exited: died, reaped: died, ..Ledger::default() };
    let mut python = of(4242, "python3", Verdict::NeverReaps, leaks(4, 0));
    python.command_line = vec!["/usr/bin/python3".into(), "/srv/agent/worker_manager.py".into()];
    python.unit = Some("worker-manager.service".into());
    let mut node = of(977, "node", Verdict::Leaking, leaks(1, 310));
    node.unit = None;
    node.workload = Some(Workload {
        kind: WorkloadKind::Container,
        name: "0123456789abcdef0123456789abcdef".into(),
        container: None,
        runtime: Some("docker"),
    });
    node.causes[0].kind = CauseKind::WaitsOnlyForSpecificChildren;
    let slow = of(650, "cron", Verdict::Slow, healthy(12));
    let mut hostile = of(31_337, "a\u{1b}[2J\u{202e}漢", Verdict::Healthy, healthy(3));
    hostile.command_line = vec!["\u{1b}]0;owned\u{7}".into()];
    let nginx = of(800, "nginx", Verdict::Healthy, healthy(4_812));
    let mut gone = of(555, "make", Verdict::NeverReaps, Ledger::default());
    gone.alive = false;
    gone.ledger = Ledger { forked: 2, exited: 2, abandoned: 2, ..Ledger::default() };
    let mut report = sample::sample(vec![python, node, gone, slow, nginx, hostile]);
    report.window.duration_ns = second * SECOND_NS;
    report.window.end = Rfc3339::from("2026-01-01T00:00:41.000000000Z").expect("it fits");
    report.totals.unreaped = 5 * second;
    report.pids = Some(PidPressure {
        limits: vec![PidLimit {
            scope: PidScope::PidMax,
            name: String::new(),
            used: 412,
            limit: 4_194_304,
            zombies: Some(5 * second),
            most_zombies: None,
            refused: None,
            growth: None,
            has_too_few_readings: false,
            exhausted_in: Some(ExhaustedIn {
                earliest_ns: 9 * 86_400 * SECOND_NS,
                latest_ns: Some(12 * 86_400 * SECOND_NS),
            }),
        }],
        more: 0,
        left_out: 0,
    });
    report.hooks.reap = "fentry release_task".into();
    report.headline = format!(
        "python3 (pid 4242, worker-manager.service) has not reaped any of {} dead children; the oldest has waited 41 s.",
        4 * second
    );
    report
}

fn child(place: u32) -> UnreapedChild {
    UnreapedChild {
        pid: 5_000 + place,
        ns_pid: None,
        start_time: Rfc3339::new(),
        comm: "tool".into(),
        command_line: vec!["/usr/bin/tool".into(), "--job\n".into(), place.to_string()],
        unreaped_ns: u64::from(41 - place) * SECOND_NS,
        at_least: place == 0,
        exit: Some(ExitDetail { code: Some(0), signal: None, core_dumped: false }),
        first_parent: None,
        killed_by: None,
        held_by: None,
    }
}

fn detail() -> ParentDetail {
    let mut reap_latency = Buckets::default();
    reap_latency.counts[1..5].copy_from_slice(&[210, 90, 9, 1]);
    ParentDetail { children: (0..6).map(child).collect(), more_children: 158, reap_latency }
}

pub fn reading(second: u64) -> Reading {
    Reading {
        report: report(second),
        cost: Some(Cost { cpu_ns: second * 3_000_000, resident_bytes: 14 << 20 }),
    }
}

/// One that has been watched for 41 s.
pub fn table(colours: Colours, width: u16, height: u16) -> Table {
    let mut table = Table::new(colours);
    table.resize(width, height);
    for second in 30..=41 {
        table.take(reading(second));
    }
    let id = ParentId { pid: 4242, start_boottime_ns: 4242 };
    table.set_detail(id, detail());
    table.observe(Event {
        process: id,
        parent: None,
        text: "00:00:40.123 exec         4242 python3         /usr/bin/python3 worker_manager.py".into(),
    });
    table
}
