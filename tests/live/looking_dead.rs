//! Who looks dead and is no zombie is listed, and nobody is blamed for it. Part of the live tests.

use std::fs;

use serde_json::{Value, json};

use super::support::{Telling, Watching, require_root, until};

/// Two walks of the task list are 5 s apart; the last one is at the end.
const WATCHED: &str = "2s";

fn listed<'a>(report: &'a Value, pid: &Value) -> &'a Value {
    let listed = report["look_dead"].as_array().and_then(|all| all.iter().find(|one| one["pid"] == *pid));
    listed.unwrap_or_else(|| panic!("{pid} is not listed in {report:#}"))
}

#[test]
fn an_init_that_cannot_end_is_listed_and_its_parent_not_blamed_for_it() {
    require_root();
    let mut outside = Telling::start(&["stuck-init"]);
    let truth = outside.truth();
    let stat = format!("/proc/{}/stat", truth["init"]);
    until("it is ending", || {
        let text = fs::read_to_string(&stat).expect("it cannot end");
        let flags = text.rsplit(") ").next()?.split(' ').nth(6)?.parse::<u64>().ok()?;
        (flags & 4 != 0).then_some(())
    });
    let report = Watching::start_for(WATCHED, &[]).report();
    let init = listed(&report, &truth["init"]);
    assert_eq!((&init["kind"], &init["ns_pid"]), (&json!("namespace_end_blocked"), &json!(1)), "{init:#}");
    assert_eq!((&init["parent"]["pid"], &init["at_least"]), (&truth["pid"], &json!(true)), "{init:#}");
    assert!(init["since_ns"].as_u64().is_some_and(|ns| ns >= 1_500_000_000), "{init:#}");
    // What it left is the one zombie that came in from outside.
    assert_eq!(super::support::parent_in(&report, &truth["pid"])["unreaped"], 1);
    outside.go_on();
    assert_eq!(outside.truth()["status"], libc::SIGKILL);
}

#[test]
fn a_main_thread_that_has_ended_is_listed_with_how_long_it_is_known() {
    require_root();
    let watching = Watching::start_for("7s", &[]);
    let mut holder = Telling::start(&["holder", "--main-thread", "1"]);
    let truth = holder.truth();
    let report = watching.report();
    let child = listed(&report, &truth["child"]);
    assert_eq!(
        (&child["kind"], &child["parent"]["pid"]),
        (&json!("dead_leader"), &truth["pid"]),
        "{child:#}"
    );
    // From the walk that found it, which is late on a busy host, to the last one.
    let since_ns = child["since_ns"].as_u64().expect("a duration");
    assert!((1..7_500_000_000).contains(&since_ns), "{child:#}");
    holder.go_on();
    assert_eq!(holder.truth()["status"], libc::SIGKILL);
}
