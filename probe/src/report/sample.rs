//! Reports made by hand, for the tests of their texts.
//!
//! Must not be in the program.

use super::*;

/// A life of which nothing is known but that it lasted a second.
pub fn life() -> Life<'static> {
    Life {
        reason: None,
        lifetime_ns: 1_000_000_000,
        cpu_ns: None,
        peak_rss_bytes: None,
        uid: None,
        session: None,
        tty: None,
        cgroup_id: None,
        workload: None,
        command_line: None,
    }
}

/// A living parent with 100 zombies and the given verdict.
pub fn parent(comm: &str, verdict: Verdict) -> Parent {
    Parent {
        pid: 4242,
        ns_pid: None,
        start_time: Rfc3339::from("2026-01-01T00:00:00.000000000Z").expect("it fits"),
        start_boottime_ns: 4_242,
        comm: comm.into(),
        command_line: vec!["python3".into(), "worker_manager.py".into()],
        executable: "/usr/bin/python3".into(),
        unit: Some("worker-manager.service".into()),
        workload: None,
        label: None,
        alive: true,
        ledger: Ledger { forked: 100, exited: 100, unreaped: 100, ..Ledger::default() },
        held: 0,
        held_by: None,
        older: 0,
        oldest_unreaped_ns: 41_000_000_000,
        oldest_at_least: false,
        reap_latency: LatencySummary::default(),
        slow_reaps: None,
        teardown: LatencySummary::default(),
        waits: Waits::default(),
        verdict,
        suppressed_by: None,
        causes: vec![Cause {
            now: "`reapwatch reap 1` has the process reap them without a restart".into(),
            kind: CauseKind::NeverWaits,
            evidence: vec!["it made no wait call while 100 children died on it".into()],
            fix: "call waitpid for each child".into(),
        }],
        fork_site: None,
        notes: Vec::new(),
    }
}

/// A report of one minute about these parents, without a headline.
pub fn sample(parents: Vec<Parent>) -> Report {
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
        headline: String::new(),
        grace_ns: 5_000_000_000,
        window: Window { start: Rfc3339::new(), end: Rfc3339::new(), duration_ns: 60_000_000_000 },
        scope: Scope::Host,
        coverage: Coverage::EveryEvent,
        not_covered: Vec::new(),
        hooks: HooksUsed {
            exit: "e".into(),
            zombie: "z".into(),
            reap: "r".into(),
            precision: Precision::Exact,
        },
        complete: true,
        lost: Lost::default(),
        totals: parents.first().map(|parent| parent.ledger).unwrap_or_default(),
        settled: Default::default(),
        other: Default::default(),
        tracer: Default::default(),
        parents,
        left_running: Vec::new(),
        look_dead: Vec::new(),
        pids: None,
        labels: Vec::new(),
        suppressions: Vec::new(),
        check: None,
    }
}

/// One that the command left running.
pub fn left_running(comm: &str) -> LeftRunning {
    LeftRunning {
        pid: 77,
        ns_pid: None,
        comm: comm.into(),
        command_line: vec![comm.into(), "--serve".into()],
        executable: format!("/usr/bin/{comm}"),
        start_boottime_ns: 77,
        label: None,
        spawned_by: Named { pid: 1, ns_pid: None, comm: "sh".into() },
        suppressed_by: None,
        ended: None,
    }
}

/// An alert about losses that says this.
pub fn alert(text: &str) -> alert::Alert {
    alert::Alert {
        schema: alert::SCHEMA,
        time: Rfc3339::from("2026-01-01T00:00:00.000000000Z").expect("it fits"),
        alert: alert::AlertKind::Loss,
        state: alert::AlertState::Found,
        id: "loss-1".into(),
        text: text.into(),
        parent: None,
        pid_limit: None,
        lost: Some(Lost::default()),
        lasted_ns: None,
    }
}

/// Where one child that is left was forked.
pub fn fork_site(frames: Vec<SiteFrame>) -> ForkSite {
    ForkSite {
        forks: 1,
        unreaped: 1,
        abandoned: 0,
        zombie_time_ns: 0,
        other_sites: 0,
        depth: SiteDepth::Whole,
        frames,
    }
}

/// An alert about the leak of a unit's parent, with its cause, that says this.
pub fn leak(comm: &str, text: &str) -> alert::Alert {
    let parent = parent(comm, Verdict::NeverReaps);
    alert::Alert {
        alert: alert::AlertKind::Leak,
        id: "leak-4242-4242".into(),
        parent: Some(alert::AlertParent {
            workload: Some(Workload {
                kind: WorkloadKind::Unit,
                name: "worker-manager.service".into(),
                container: None,
                runtime: None,
            }),
            pid: parent.pid,
            start_time: parent.start_time,
            comm: parent.comm,
            executable: parent.executable,
            command_line: parent.command_line,
            alive: true,
            verdict: parent.verdict,
            unreaped: parent.ledger.unreaped,
            oldest_unreaped_ns: parent.oldest_unreaped_ns,
            cause: parent.causes.into_iter().next(),
        }),
        lost: None,
        ..alert(text)
    }
}

/// Metrics of nothing, two hours after they began.
pub fn metrics() -> metrics::Metrics {
    metrics::Metrics {
        since: Rfc3339::from("2026-01-01T00:00:00.000000000Z").expect("it fits"),
        time: Rfc3339::from("2026-01-01T02:00:00.000000000Z").expect("it fits"),
        stale_after_ns: u64::MAX,
        workloads: Vec::new(),
        parents: Vec::new(),
        parents_beyond_limit: 0,
        pids: Vec::new(),
        pids_beyond_limit: 0,
        lost: Lost::default(),
        alerts: metrics::AlertCounts::default(),
        sinks: Vec::new(),
        cpu_ns: 0,
        resident_bytes: 0,
    }
}
