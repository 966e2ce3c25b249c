//! Parents for which the kernel reaps: every death is counted, and no child is ever a zombie.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use serde_json::Value;

use super::{support::run, trace_all};

fn autoreaped(scenario: &str, count: u64) {
    let ran = run(&[scenario]);
    ran.expect(
        &ran.truth["pid"],
        &[
            ("forked", count),
            ("exited", count),
            ("autoreaped", count),
            ("reaped", 0),
            ("unreaped", 0),
            ("abandoned", 0),
        ],
    );
    assert_eq!(ran.own()["verdict"], "healthy");
    let zombies: Vec<Value> = trace_all(&ran)
        .into_iter()
        .filter(|line| line["event"] == "zombie" && line["parent"]["pid"] == ran.truth["pid"])
        .collect();
    assert!(zombies.is_empty(), "an autoreaped child is never a zombie: {zombies:#?}");
}

#[test]
fn sigchld_ignored_is_autoreap() {
    autoreaped("sigchld-ignored", 20);
}

#[test]
fn sa_nocldwait_is_autoreap() {
    autoreaped("sa-nocldwait", 20);
}

#[test]
fn a_dead_leader_under_ignored_sigchld_is_autoreap() {
    autoreaped("dead-leader-ignored", 1);
}
