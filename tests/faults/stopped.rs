//! A collector that stands still while the kernel goes on, in `watch`: what it missed is healed by the next walk.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::time::Duration;

use serde_json::Value;

use super::{
    alone, expect, lasting_storm, leaker,
    support::{Telling, Watching, check_latency, parent_in, signal},
};

/// The fault itself, no wait for anything. The kernel has what happens meanwhile all to itself.
fn stand_still(watching: &Watching, duration: Duration, meanwhile: impl FnOnce()) {
    let began = std::time::Instant::now();
    signal(&watching.child, libc::SIGSTOP);
    meanwhile();
    std::thread::sleep(duration.saturating_sub(began.elapsed()));
    signal(&watching.child, libc::SIGCONT);
}

/// What `watch` is told of one by one, those past the grace, did not fit the ring: said, and nothing else is missing.
fn check_lost(report: &Value) {
    let lost = &report["lost"];
    assert!(lost["events"].as_u64() > Some(0), "{lost:#}");
    assert_eq!(
        (&report["complete"], &lost["map_full"], &lost["probe_missed"]),
        (&false.into(), &0.into(), &0.into())
    );
}

#[test]
fn a_watch_stopped_for_ten_seconds_under_load_counts_exactly() {
    let _alone = alone();
    let (_before, old_leak) = leaker(20);
    let watching = Watching::start(&["--ring-size", "4K"]);
    let count = 8_000;
    let mut storms = [lasting_storm(count, &[]), lasting_storm(count, &["--exec", "0"])];
    // 60 reaps past the grace, each told by an event: the ring holds 24.
    let mut slow: [Telling; 3] =
        std::array::from_fn(|_| Telling::start(&["reap-delayed", "--count", "20", "--delay-ms", "400"]));
    let mut new = None;
    stand_still(&watching, Duration::from_secs(10), || new = Some(leaker(500)));
    let (_new, new_leak) = new.expect("a leaker");
    let truths = storms.each_mut().map(Telling::truth);
    let slow = slow.each_mut().map(Telling::truth);
    let report = watching.end();
    for truth in &truths {
        let all =
            [("forked", count), ("exited", count), ("reaped", count), ("unreaped", 0), ("abandoned", 0)];
        expect(&report, truth, &all);
    }
    expect(&report, &old_leak, &[("exited", 20), ("reaped", 0), ("unreaped", 20)]);
    expect(&report, &new_leak, &[("forked", 500), ("exited", 500), ("reaped", 0), ("unreaped", 500)]);
    for truth in &slow {
        expect(&report, truth, &[("forked", 20), ("exited", 20), ("reaped", 20), ("unreaped", 0)]);
        check_latency(parent_in(&report, &truth["pid"]), truth);
    }
    check_lost(&report);
}

#[test]
fn what_was_left_in_a_fault_and_half_reaped_after_it_is_the_other_half() {
    let _alone = alone();
    let watching = Watching::start_for("8s", &["--ring-size", "4K"]);
    let mut parent = None;
    // Past the grace: what `watch` is told of one by one does not fit the ring.
    stand_still(&watching, Duration::from_secs(2), || {
        let mut telling =
            Telling::start(&["leak-until-told", "--reaped", "300", "--left", "300", "--hold-ms", "120000"]);
        assert_eq!(telling.truth()["left"], 600);
        parent = Some(telling);
    });
    let mut parent = parent.expect("a parent");
    parent.go_on();
    let truth = parent.truth();
    assert_eq!((&truth["reaped"], &truth["left"]), (&300.into(), &300.into()));
    let mut watching = watching;
    assert!(watching.child.try_wait().expect("our own child").is_none(), "the watch ended too early");
    let report = watching.report();
    let all = [("forked", 600), ("exited", 600), ("reaped", 300), ("unreaped", 300), ("abandoned", 0)];
    expect(&report, &truth, &all);
    assert_eq!(parent_in(&report, &truth["pid"])["verdict"], "leaking");
    check_lost(&report);
}
