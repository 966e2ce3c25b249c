//! Init processes, of containers and of the host: those that reap orphans and those that do not.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use serde_json::Value;

use super::{
    case::{Case, Expected, GRACE, HOLD_MS, Seen, needed, told},
    healthy, leaks,
    support::{Watching, parent_in},
};

#[test]
fn bwraps_own_init_reaps_orphans() {
    needed("bwrap");
    healthy("bwrap_real.sh", &["init"], &[("reaped", 5)]);
}

#[test]
fn bwrap_makes_sleep_the_init() {
    needed("bwrap");
    Case::new("bwrap_real.sh").run(&["as-pid-1", HOLD_MS]).check(&Expected {
        came_to: &[("left", 3)],
        verdict: "never_reaps",
        causes: &["init_does_not_reap_orphans"],
        causes_afterwards: &[],
    });
}

/// What the host's PID 1, which lives, is said to have done while a program ran.
fn init_while(program: &str) -> (Value, Seen) {
    let watching = Watching::start_graced("10m", GRACE);
    let seen = Case::new(program).run(&[]);
    let report = watching.end();
    let init = parent_in(&report, &1.into()).clone();
    assert_eq!(init["alive"], true, "{init:#}");
    assert_eq!(init["abandoned"], 0, "{init:#}");
    assert_eq!(seen.ran.report["totals"]["unreaped"], 0, "{:#}", seen.ran.report);
    (init, seen)
}

#[test]
fn orphans_of_the_host_are_reaped_by_its_init() {
    let (init, seen) = init_while("host_pid1_orphans.sh");
    // Others on this machine leave orphans too.
    assert!(init["exited"].as_u64() >= Some(5) && init["reaped"].as_u64() >= Some(5), "{init:#}");
    assert_eq!(seen.truth()["left"], 0, "its PID 1 reaps: {:?}", seen.truth());
    assert_eq!(seen.ran.report["totals"]["abandoned"], 0, "{:#}", seen.ran.report);
    let orphans = told("ORPHAN", &String::from_utf8_lossy(&seen.ran.output.stderr));
    assert_eq!(orphans.len(), 5);
    let events = seen.events();
    for orphan in orphans {
        let of = |event: &str| {
            let found =
                events.iter().find(|line| line["event"] == event && line["process"]["pid"] == orphan["pid"]);
            found.unwrap_or_else(|| panic!("no {event} of {orphan:?}"))["parent"]["pid"].clone()
        };
        assert_eq!((of("exit"), of("reap")), (1.into(), 1.into()), "{orphan:?}");
    }
}

#[test]
fn zombies_handed_on_to_the_hosts_init_are_abandoned_by_their_parents_and_reaped_by_it() {
    let (init, seen) = init_while("host_pid1_zombies_handed_on.sh");
    assert!(init["adopted"].as_u64() >= Some(200) && init["reaped"].as_u64() >= Some(200), "{init:#}");
    assert_eq!(seen.truth()["left"], 0, "its PID 1 reaps: {:?}", seen.truth());
    let (_, middles) = seen.truths.split_last().expect("truths");
    assert_eq!(middles.len(), 10);
    for middle in middles {
        seen.ran.expect(
            &middle["pid"].into(),
            &[("exited", 20), ("reaped", 0), ("abandoned", 20), ("adopted", 0)],
        );
    }
}

#[test]
fn node_as_init_reaps_its_browsers_and_not_their_helpers() {
    needed("node");
    needed("unshare");
    leaks(
        "node_pid1_browser.sh",
        &Expected {
            came_to: &[("reaped", 4), ("left", 12)],
            verdict: "leaking",
            causes: &["init_does_not_reap_orphans"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn an_init_that_set_up_before_its_exec_has_inherited_nothing() {
    needed("unshare");
    needed("nsenter");
    leaks(
        "pid1_entrypoint_setup.sh",
        &Expected {
            came_to: &[("reaped", 3), ("left", 5)],
            verdict: "never_reaps",
            causes: &["init_does_not_reap_orphans"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn tail_as_init_reaps_no_orphan() {
    needed("unshare");
    needed("nsenter");
    leaks(
        "pid1_tail_exec.sh",
        &Expected {
            came_to: &[("left", 6)],
            verdict: "never_reaps",
            causes: &["init_does_not_reap_orphans"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn a_subreaper_that_waits_for_its_own_child_leaves_the_orphan() {
    leaks(
        "subreaper_live_orphan.c",
        &Expected {
            came_to: &[("reaped", 1), ("left", 1)],
            verdict: "leaking",
            // It has waited for every child that it started.
            causes: &["subreaper_does_not_reap_orphans"],
            causes_afterwards: &["unknown"],
        },
    );
}

#[test]
fn tini_as_init_reaps_every_orphan() {
    needed("tini");
    needed("nsenter");
    let seen = healthy("tini_control.sh", &[], &[("reaped", 6)]);
    assert_eq!(seen.ran.report["totals"]["abandoned"], 0, "{:#}", seen.ran.report);
}

#[test]
fn an_init_that_cannot_end_for_a_zombie_of_its_shim_is_no_zombie() {
    let case = Case::new("zap_pid_ns.c");
    let seen = case.run(&[HOLD_MS]);
    seen.check(&Expected {
        came_to: &[("stuck", 1), ("reaped", 2)],
        verdict: "slow",
        causes: &["unknown"],
        causes_afterwards: &[],
    });
    let init = seen.truth()["init"];
    let reaps: Vec<Value> = seen
        .events()
        .into_iter()
        .filter(|line| line["event"] == "reap" && line["process"]["pid"] == init)
        .collect();
    let [reap] = &reaps[..] else { panic!("one reap: {reaps:#?}") };
    // It was stuck in its end, which is no fault of its parent's.
    let ns = |field: &str| reap[field].as_u64().expect("a duration");
    assert!(ns("teardown_ns") > ns("reap_latency_ns"), "{reap:#}");
    assert!(ns("teardown_ns") >= 1_500_000_000, "{reap:#}");
}
