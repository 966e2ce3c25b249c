//! A CPU that leaves and comes back in the middle of a storm.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{
    fs,
    io::{self, Write},
};

use super::{
    alone, expect, lasting_storm, leaker, storm,
    support::{Watching, until},
};

const ONLINE: &str = "/sys/devices/system/cpu/cpu1/online";

/// Never creates the file: where it is missing, that is the reason.
fn set(state: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(ONLINE)?.write_all(state.as_bytes())
}

/// The CPU is away as long as this lives; it is brought back also in a panic.
struct Offline;

impl Offline {
    fn take() -> io::Result<Self> {
        set("0")?;
        let offline = Self;
        assert_eq!(fs::read_to_string(ONLINE)?.trim(), "0");
        Ok(offline)
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        let back = set("1");
        // A panic in a panic would hide the first.
        assert!(back.is_ok() || std::thread::panicking(), "CPU 1 STAYS OFFLINE: {back:?}");
    }
}

/// Births on this machine so far.
fn births() -> u64 {
    let stat = fs::read_to_string("/proc/stat").expect("/proc/stat");
    let line = stat.lines().find_map(|line| line.strip_prefix("processes ")).expect("processes");
    line.parse().expect("a number")
}

fn until_born(count: u64) {
    let goal = births() + count;
    until("the storm goes on", || (births() >= goal).then_some(()));
}

/// Past the test's own capture: it must be seen also where all is well.
fn say(what: &str) {
    writeln!(io::stderr(), "\nCPU HOT-PLUG WAS NOT TESTED: {what}\n").expect("standard error");
}

#[test]
fn a_cpu_that_leaves_and_comes_back_changes_no_totals() {
    let _alone = alone();
    // If it can leave, it is back at once: this only asks.
    let reason = Offline::take().err();
    if let Some(error) = &reason {
        match error.kind() {
            // The only CPU, one that cannot leave, or a kernel without hot-plug.
            io::ErrorKind::NotFound => assert!(!fs::exists(ONLINE).expect("/sys"), "{error}"),
            _ => assert_eq!(fs::read_to_string(ONLINE).expect("it is there").trim(), "1", "{error}"),
        }
        say(&format!("taking {ONLINE} to 0 is refused on this machine ({error}); the storm ran without it"));
    }
    let count = 3_000;
    let (_leaker, leak) = leaker(20);
    let watching = Watching::start(&[]);
    // A parent that `watch` still finds at its end, beside the one under `run`.
    let mut lasting = lasting_storm(count, &[]);
    let ran = storm(count, &[], |run| {
        let storming = super::child_of(run);
        for _ in 0..2 {
            let offline = reason.is_none().then(|| Offline::take().expect("it could leave before"));
            until_born(400);
            drop(offline);
            until_born(400);
        }
        let status = fs::read_to_string(format!("/proc/{storming}/stat")).expect("the storm's root");
        assert!(!status.contains(") Z"), "the storm ended before the CPU was back");
    });
    let truth = lasting.truth();
    let watched = watching.end();
    let all = [("forked", count), ("exited", count), ("reaped", count), ("unreaped", 0), ("abandoned", 0)];
    expect(&watched, &truth, &all);
    expect(&watched, &leak, &[("exited", 20), ("reaped", 0), ("unreaped", 20)]);
    for report in [&ran, &watched] {
        assert_eq!(report["complete"], true, "{:#}", report["lost"]);
    }
}
