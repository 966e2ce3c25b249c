//! Every map of a handful of entries and a ring of one page, at once.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{
    alone, expect, leaker,
    support::{GRACE, Watching, check_invariants, reapwatch, workload},
};

const TINY: [&str; 6] = ["--max-unreaped", "4", "--max-parents", "4", "--ring-size", "4K"];
/// 8 threads, each with 100 parents one after another, each with one child.
const LOAD: [&str; 7] = ["load", "--threads", "8", "--parents", "1", "--count", "100"];
const LEFT: u64 = 20;

/// The leaker's are all found, what does not fit is told of, and the sum is the sum of what is shown.
fn check(report: &Value, leak: &Value) {
    check_invariants(report);
    expect(report, leak, &[("exited", LEFT), ("reaped", 0), ("unreaped", LEFT), ("abandoned", 0)]);
    let shown = report["parents"].as_array().expect("parents").iter();
    let unreaped: u64 = shown.map(|parent| parent["unreaped"].as_u64().expect("a number")).sum();
    assert_eq!(report["totals"]["unreaped"], unreaped, "{report:#}");
    assert_eq!(report["complete"], false, "{:#}", report["lost"]);
    assert!(report["lost"]["map_full"].as_u64() > Some(0), "{:#}", report["lost"]);
    for name in ["DEAD_CHILDREN", "PARENTS"] {
        let maps = report["tracer"]["maps"].as_array().expect("maps");
        let map = maps.iter().find(|map| map["name"] == name).expect("a map");
        assert!(map["refused"].as_u64() > Some(0), "{:#}", report["tracer"]);
    }
}

fn load() {
    let status = Command::new(workload()).args(LOAD).stdout(Stdio::null()).status();
    assert!(status.expect("the workload").success());
}

#[test]
fn everything_tiny_at_once_under_watch_finds_every_zombie_and_says_what_is_missing() {
    let _alone = alone();
    let (_before, old) = leaker(LEFT);
    let watching = Watching::start(&TINY);
    load();
    let (_amid, new) = leaker(LEFT);
    load();
    let report = watching.end();
    check(&report, &old);
    check(&report, &new);
}

#[test]
fn everything_tiny_at_once_under_run_finds_every_zombie_and_says_what_is_missing() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    nix::unistd::mkfifo(&directory.path().join("told"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    // The leaker is told of before the load begins, and outlives it.
    let script = format!(
        "\"$0\" leak-all --count {LEFT} --tell-first 1 --hold-ms 120000 >told & \
         read -r truth <told; echo \"$truth\"; exec \"$0\" {}",
        LOAD.join(" ")
    );
    let output = reapwatch()
        .current_dir(&directory)
        .args(TINY)
        .args(["run", "--grace", GRACE, "--format", "json", "--output"])
        .arg(&path)
        .args(["--", "sh", "-c", &script])
        .arg(workload())
        .stderr(Stdio::inherit())
        .output()
        .expect("reapwatch");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let truths: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("the workload's truths")).collect();
    let [leak, load] = &truths[..] else { panic!("two truths: {said}") };
    let pid = leak["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
    // SAFETY: the leaker started above, which lives on until this.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    check(&report, leak);
    assert_eq!(report["totals"]["unreaped"], LEFT, "{report:#}");
    // Each of its threads reaped a hundred; the shell it was before had the leaker, which lives.
    expect(&report, load, &[("exited", 800), ("reaped", 800), ("unreaped", 0), ("abandoned", 0)]);
}
