//! Faults that a tester found by trying to break it, each with its kind.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    alone,
    support::{
        GRACE, Telling, Watching, binary, check_invariants, parent_in, reapwatch, require_root, signal,
        until, until_it_watches, workload,
    },
};

/// A line for the shell, with `$RW` and `$WORKLOAD`, in this directory.
fn shell(directory: &Path, line: &str) -> Output {
    require_root();
    let mut command = Command::new("sh");
    command.current_dir(directory).args(["-c", line]).env("RW", binary()).env("WORKLOAD", workload());
    command.stdin(Stdio::null()).output().expect("sh")
}

#[track_caller]
fn fails(output: &Output, code: i32, because: &str) {
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(because), "{said}");
}

#[test]
fn a_leaker_that_is_born_and_dies_while_events_are_lost_is_in_the_report_of_run() {
    let _alone = alone();
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let line = "read line; \"$0\" load --parents 1 --count 300; \
                \"$0\" leak-until-told --reaped 0 --left 20 --hold-ms 700; echo over; read line; true";
    let mut child = reapwatch()
        .args(["--ring-size", "4K", "run", "--grace", GRACE, "--format", "json", "--output"])
        .arg(&path)
        .args(["--", "sh", "-c", line])
        .arg(workload())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut child);
    signal(&child, libc::SIGSTOP);
    let mut stdin = child.stdin.take().expect("piped");
    // For the shell, and for the leaker.
    stdin.write_all(b"\n\n").expect("a command that reads");
    let mut truth = Value::Null;
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line = line.expect("a line");
        if line == "over" {
            break;
        }
        let said: Value = serde_json::from_str(&line).expect("JSON");
        if said["left"] == 20 {
            truth = said;
        }
    }
    signal(&child, libc::SIGCONT);
    drop(stdin);
    assert!(until("it ends", || child.try_wait().expect("our own child")).success());
    let report: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("a JSON report");
    check_invariants(&report);
    assert!(report["lost"]["events"].as_u64() > Some(0), "{:#}", report["lost"]);
    let leaker = parent_in(&report, &truth["pid"]);
    assert_eq!((&leaker["exited"], &leaker["abandoned"]), (&json!(20), &json!(20)), "{leaker:#}");
    assert_ne!(report["finding"], "none");
}

#[test]
fn no_cause_rests_on_forks_that_nobody_counted() {
    let _alone = alone();
    let watching = Watching::start(&["--max-parents", "1"]);
    let mut leaker =
        Telling::start(&["leak-all", "--count", "5", "--tell-first", "1", "--hold-ms", "120000"]);
    let truth = leaker.truth();
    std::thread::sleep(Duration::from_millis(600));
    let report = watching.end();
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!(parent["unreaped"], 5, "{parent:#}");
    for cause in parent["causes"].as_array().expect("causes") {
        assert_ne!(cause["kind"], "subreaper_does_not_reap_orphans", "{parent:#}");
    }
}

#[test]
fn a_file_size_limit_is_a_write_that_fails() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    let line = "ulimit -f 1; \"$RW\" run --format json --output r.json -- \"$WORKLOAD\" leak-all --count 3; \
                code=$?; test -z \"$(ls -A)\" || exit 99; exit $code";
    fails(&shell(directory.path(), line), 1, "File too large");
    // The command has the signal as it was.
    let line = "ulimit -f 1; \"$RW\" run -- sh -c 'head -c 100000 /dev/zero > big'";
    let output = shell(directory.path(), line);
    assert_eq!(output.status.code(), Some(128 + libc::SIGXFSZ), "{output:?}");
}

#[test]
fn a_closed_standard_output_takes_nothing_and_that_is_said() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    for command in ["watch --duration 100ms", "trace --duration 100ms", "doctor"] {
        let output = shell(directory.path(), &format!("exec \"$RW\" {command} >&-"));
        fails(&output, 1, "standard output is closed");
    }
    let output = shell(directory.path(), "exec \"$RW\" run -- true 2>&-");
    assert_eq!(output.status.code(), Some(1), "a report that went nowhere");
    let output = shell(directory.path(), "exec \"$RW\" run --output r.txt -- true >&- 2>&-");
    assert_eq!(output.status.code(), Some(0), "nothing was to go there");
}

#[test]
fn in_a_time_namespace_it_refuses_and_says_where_to_run_it() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    for command in ["run -- touch started", "watch --duration 1s", "trace --duration 1s"] {
        let output = shell(directory.path(), &format!("unshare --time --boottime 86400 \"$RW\" {command}"));
        fails(&output, 3, "nsenter --time=/proc/1/ns/time");
    }
    assert!(!directory.path().join("started").exists());
}

#[test]
fn a_pipe_in_place_of_btf_is_refused_at_once() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    let began = Instant::now();
    let output = shell(directory.path(), "mkfifo f; exec timeout 30 \"$RW\" --btf f run -- touch started");
    fails(&output, 3, "it is a pipe");
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for a writer");
}

#[test]
fn a_sibling_is_left_running_by_whoever_cloned_it() {
    let _alone = alone();
    let ran = super::support::run(&["clone-parent", "--leave-ms", "1500"]);
    let left = ran.report["left_running"].as_array().expect("what was left running");
    let sibling = left.iter().find(|process| process["pid"] == ran.truth["sibling"]).expect("the sibling");
    assert_eq!(sibling["spawned_by"]["pid"], ran.truth["creator"], "{left:#?}\n{:#}", ran.truth);
}
