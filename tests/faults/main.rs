//! What must not matter: a ring buffer far too small, a stopped collector, tens of thousands of zombies, a killed
//! predecessor. ProcessInfo may be lost and is said to be; totals are exact, by the workload's own truth.
//!
//! Must not know how reapwatch works: only its command line and JSON.

mod clock;
mod cpu;
mod ending;
mod files;
mod found;
mod inherited;
mod output;
mod overload;
mod restart;
mod scarce;
mod stopped;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod tiny;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;
use support::{
    GRACE, Telling, check_invariants, parent_in, reapwatch, require_root, signal, until, until_it_watches,
    workload,
};

/// Each of these tests loads the whole machine.
static MACHINE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    require_root();
    support::alone(&MACHINE)
}

/// The first child a process has.
fn child_of(parent: &Child) -> u64 {
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    until("it has a child", || std::fs::read_to_string(&children).ok()?.split(' ').next()?.parse().ok())
}

fn expect(report: &Value, truth: &Value, expected: &[(&str, u64)]) {
    let parent = parent_in(report, &truth["pid"]);
    for (field, number) in expected {
        assert_eq!(parent[field], *number, "{field} of {parent:#}, lost {:#}", report["lost"]);
    }
}

/// `run` on a storm; `meanwhile` gets the running reapwatch. Totals must be exact whatever was lost.
fn storm(count: u64, arguments: &[&str], meanwhile: impl FnOnce(&Child)) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let child = reapwatch()
        .args(arguments)
        .args(["run", "--format", "json", "--output"])
        .arg(&path)
        .arg("--")
        .arg(workload())
        .args(["storm", "--count", &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    meanwhile(&child);
    let output = child.wait_with_output().expect("our own child");
    assert!(output.status.success());
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    check_invariants(&report);
    let parent = parent_in(&report, &truth["pid"]);
    for (field, number) in
        [("forked", count), ("exited", count), ("reaped", count), ("unreaped", 0), ("abandoned", 0)]
    {
        assert_eq!(parent[field], number, "{field} of {report:#}");
    }
    assert_eq!(parent["reap_latency"]["count"], count);
    assert_eq!(report["complete"], report["lost"]["events"] == 0, "{report:#}");
    report
}

#[test]
fn a_ring_buffer_of_one_page_loses_detail_and_no_totals() {
    let _alone = alone();
    let report = storm(3_000, &["--ring-size", "4K"], |_| {});
    assert!(report["lost"]["events"].as_u64().is_some_and(|lost| lost > 1_000), "{report:#}");
}

#[test]
fn maps_of_a_handful_of_entries_lose_detail_and_no_totals() {
    let _alone = alone();
    let count: u64 = 3_000;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let status = reapwatch()
        .args(["--max-unreaped", "4", "--max-parents", "4", "run", "--format", "json", "--output"])
        .arg(&path)
        .arg("--")
        .arg(workload())
        .args(["load", "--threads", "8", "--count", &(count / 8).to_string()])
        .stdout(Stdio::null())
        .status()
        .expect("reapwatch");
    assert!(status.success());
    let report: Value = serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    check_invariants(&report);
    let parent = &report["parents"][0];
    for (field, number) in [("exited", count), ("reaped", count), ("unreaped", 0), ("abandoned", 0)] {
        assert_eq!(parent[field], number, "{field} of {report:#}");
    }
    assert_eq!(report["complete"], report["lost"]["map_full"] == 0, "{report:#}");
}

#[test]
fn zombies_beyond_the_maps_are_counted_and_found() {
    let _alone = alone();
    let (leaker, truth) = leaker(500);
    let report = watch_with(&["--max-unreaped", "8"]);
    drop(leaker);
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!((&parent["unreaped"], &parent["exited"]), (&500.into(), &500.into()), "{parent:#}");
    assert_eq!(report["complete"], false, "{:#}", report["lost"]);
    let refused =
        report["tracer"]["maps"].as_array().expect("maps").iter().find(|map| map["name"] == "DEAD_CHILDREN");
    assert!(refused.is_some_and(|map| map["refused"].as_u64() > Some(0)), "{:#}", report["tracer"]);
}

#[test]
fn a_collector_stopped_for_ten_seconds_loses_no_totals() {
    let _alone = alone();
    let report = storm(25_000, &["--ring-size", "64K"], |child| {
        child_of(child);
        signal(child, libc::SIGSTOP);
        // Not a wait for anything: the fault itself.
        std::thread::sleep(Duration::from_secs(10));
        signal(child, libc::SIGCONT);
    });
    assert!(report["lost"]["events"].as_u64().is_some_and(|lost| lost > 1_000), "{report:#}");
}

/// A parent with this many zombies, until it is dropped.
fn leaker(count: u64) -> (Telling, Value) {
    let mut leaker = Telling::start(&[
        "leak-all",
        "--count",
        &count.to_string(),
        "--hold-ms",
        "120000",
        "--tell-first",
        "1",
    ]);
    let truth = leaker.truth();
    (leaker, truth)
}

/// A parent that lives on, after so many children that it reaps at once. It tells when they are done.
fn lasting_storm(count: u64, more: &[&str]) -> Telling {
    let count = count.to_string();
    let storm = ["storm", "--count", &count, "--tell-first", "1", "--hold-ms", "120000"];
    Telling::start(&[&storm, more].concat())
}

fn end(mut child: Child) {
    child.kill().expect("our own child");
    child.wait().expect("our own child");
}

fn watch() -> Value {
    watch_with(&[])
}

fn watch_with(options: &[&str]) -> Value {
    let output = reapwatch()
        .args(options)
        .args(["watch", "--duration", "1s", "--grace", GRACE, "--format", "json"])
        .output()
        .expect("reapwatch");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_slice(&output.stdout).expect("a report");
    check_invariants(&report);
    report
}

#[test]
fn thirty_thousand_zombies_at_the_start_are_counted() {
    let _alone = alone();
    let (leaker, truth) = leaker(30_000);
    let report = watch();
    drop(leaker);
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!((&parent["unreaped"], &parent["exited"]), (&30_000.into(), &30_000.into()), "{parent:#}");
    assert_eq!(parent["verdict"], "leaking");
    assert_eq!(report["complete"], true, "{:#}", report["lost"]);
}

#[test]
fn one_killed_in_mid_storm_leaves_nothing_that_misleads_the_next() {
    let _alone = alone();
    let (leaker, truth) = leaker(50);
    let mut storm = Command::new(workload())
        .args(["storm", "--count", "6000"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the workload");
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let killed = reapwatch()
        .args(["watch", "--duration", "60s", "--record"])
        .arg(&recording)
        .stdout(Stdio::null())
        .spawn()
        .expect("reapwatch");
    until("it records", || std::fs::metadata(&recording).is_ok_and(|file| file.len() > 60_000).then_some(()));
    end(killed);
    let report = watch();
    drop(leaker);
    storm.wait().expect("our own child");
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!((&parent["unreaped"], &parent["exited"]), (&50.into(), &50.into()), "{parent:#}");
    assert_eq!(report["complete"], true, "{:#}", report["lost"]);
}

/// `trace`, once it watches.
fn trace_into(stdout: impl Into<Stdio>) -> Child {
    let mut child = reapwatch()
        .args(["trace", "--format", "json", "--duration", "5m"])
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut child);
    child
}

fn storm_alone(count: u64) -> Value {
    let output = Command::new(workload()).args(["storm", "--count", &count.to_string()]).output();
    serde_json::from_slice(&output.expect("the workload").stdout).expect("its truth")
}

fn ended(child: &mut Child) -> std::process::ExitStatus {
    until("it ends", || child.try_wait().expect("our own child"))
}

/// What it says on standard error, which is a pipe, until its end.
fn complaint(child: &mut Child) -> String {
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    said
}

#[test]
fn a_reader_that_stands_still_cannot_keep_it_from_ending() {
    let _alone = alone();
    for number in [libc::SIGINT, libc::SIGTERM] {
        let mut child = trace_into(Stdio::piped());
        storm_alone(12_000);
        signal(&child, number);
        assert_eq!(ended(&mut child).code(), Some(1));
        let said = complaint(&mut child);
        assert!(said.contains("stands still"), "{said}");
    }
}

#[test]
fn a_reader_that_goes_on_gets_whole_lines_and_is_told_how_many_it_missed() {
    let _alone = alone();
    let mut child = trace_into(Stdio::piped());
    // Four lines a life, some 250 bytes each: more than the pipe and the queue hold.
    storm_alone(20_000);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut missed = 0;
    let reader = std::thread::spawn(move || {
        let mut whole = 0u64;
        for line in &mut lines {
            let line: Value = serde_json::from_str(&line.expect("text")).expect("whole lines");
            // Not each: a reader as slow as that is left behind at the end.
            if whole < 100 || line["event"] == "lost" {
                support::validate("event", &line);
            }
            missed += line["lines"].as_u64().unwrap_or(0);
            whole += 1;
        }
        (whole, missed)
    });
    // Whatever dies once the reader goes on is told.
    for _ in 0..20 {
        storm_alone(10);
    }
    signal(&child, libc::SIGINT);
    let code = ended(&mut child).code();
    let (whole, missed) = reader.join().expect("the reader");
    assert!(missed > 0 && whole > 1_000, "{whole} whole, {missed} missed");
    assert_eq!(code, Some(1), "left out lines are a failure");
}

/// A file system of 64 KiB; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("tmpfs"), directory.path(), Some("tmpfs"), flags, Some("size=64k"))
            .expect("a tmpfs");
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = nix::mount::umount(self.0.path());
    }
}

#[test]
fn a_full_disk_under_a_recording_loses_neither_the_report_nor_what_was_recorded() {
    let _alone = alone();
    let disk = SmallDisk::new();
    let (recording, directory) = (disk.0.path().join("f.rec"), tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("r.json");
    let output = reapwatch()
        .args(["run", "--format", "json", "--output"])
        .arg(&path)
        .arg("--record")
        .arg(&recording)
        .arg("--")
        .arg(workload())
        .args(["storm", "--count", "2000"])
        .output()
        .expect("reapwatch");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("f.rec") && said.contains("No space left"), "{said}");
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    check_invariants(&report);
    assert_eq!(parent_in(&report, &truth["pid"])["reaped"], 2_000);
    let replayed = reapwatch().args(["replay", "--format", "json"]).arg(&recording).output().expect("replay");
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let part: Value = serde_json::from_slice(&replayed.stdout).expect("a report of the part");
    check_invariants(&part);
    assert!(
        part["totals"]["reaped"].as_u64().is_some_and(|reaped| (10..2_000).contains(&reaped)),
        "{part:#}"
    );
}

#[test]
fn two_at_once_see_the_same() {
    let _alone = alone();
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| storm(2_000, &[], |_| {}));
        let other = scope.spawn(|| storm(2_000, &[], |_| {}));
        (one.join().expect("the first"), other.join().expect("the second"))
    });
    assert_eq!((&one["complete"], &other["complete"]), (&true.into(), &true.into()));
}
