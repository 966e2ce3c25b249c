//! What scripts rely on: exit codes of `run`, lines of `trace`, and that a killed tracer leaves nothing attached.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    HEAVY,
    support::{
        GRACE, HOLD_MS, alone, check_invariants, loaded_programs, parent_in, reapwatch, require_root, until,
        validate, workload,
    },
};

#[test]
fn the_exit_code_is_the_commands_or_the_leaks() {
    require_root();
    let code = |arguments: &[&str]| {
        reapwatch()
            .args(["run", "--grace", GRACE])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("reapwatch")
            .code()
    };
    let workload = workload();
    let workload = workload.to_str().expect("UTF-8");
    assert_eq!(code(&["--", workload, "exit-now", "--code", "7"]), Some(7));
    assert_eq!(code(&["--", workload, "exit-now", "--signal", "15"]), Some(128 + 15));
    assert_eq!(code(&["--error-exitcode", "9", "--", workload, "reap-wait4", "--count", "3"]), Some(0));
    assert_eq!(code(&["--error-exitcode", "9", "--", workload, "leak-all", "--hold-ms", HOLD_MS]), Some(9));
    assert_eq!(
        code(&["--error-exitcode", "9", "--", workload, "parent-dies-zombies", "--hold-ms", HOLD_MS]),
        Some(9)
    );
    // A tracer's doing, and what was left running, are no leak of the command's.
    assert_eq!(code(&["--error-exitcode", "9", "--", workload, "traced", "--hold-ms", HOLD_MS]), Some(0));
    assert_eq!(code(&["--error-exitcode", "9", "--", workload, "double-fork", "--child-ms", "500"]), Some(0));
}

#[test]
fn a_parent_that_dies_over_a_child_that_has_just_died_is_undecided_and_so_is_the_exit_code() {
    require_root();
    let output = reapwatch()
        .args(["run", "--grace", "60s", "--error-exitcode", "9", "--format", "json", "--"])
        .arg(workload())
        .arg("parent-dies-zombies")
        .output()
        .expect("reapwatch");
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stderr).expect("a report");
    check_invariants(&report);
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let middle = parent_in(&report, &truth["middle"]);
    assert_eq!((&middle["verdict"], &middle["abandoned"]), (&json!("undecided"), &json!(6)), "{middle:#}");
    assert_eq!(report["finding"], "undecided");
}

/// How many BPF programs, maps and links a process holds open.
fn our_programs(pid: u32) -> usize {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    entries
        .flatten()
        .filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().contains("bpf"))
        })
        .count()
}

#[test]
fn killed_in_full_flow_it_leaves_a_whole_report_or_none_and_nothing_attached() {
    require_root();
    let _heavy = alone(&HEAVY);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGKILL] {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, recording) = (directory.path().join("r.json"), directory.path().join("f.rec"));
        let mut tracer = reapwatch()
            .args(["run", "--format", "json", "--output"])
            .arg(&path)
            .arg("--record")
            .arg(&recording)
            .arg("--")
            .arg(workload())
            .args(["storm", "--count", "3000"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("reapwatch");
        let full_flow = || std::fs::metadata(&recording).is_ok_and(|file| file.len() > 60_000).then_some(());
        until("the recording grows", full_flow);
        let before = loaded_programs();
        let pid = tracer.id();
        assert!(our_programs(pid) > 5);
        // SAFETY: our own child.
        unsafe { libc::kill(pid as i32, signal) };
        let status = tracer.wait().expect("our own child");
        let mut errors = String::new();
        tracer.stderr.take().expect("piped").read_to_string(&mut errors).expect("UTF-8");
        assert!(!errors.contains("panicked"), "{errors}");
        let report = std::fs::read_to_string(&path).unwrap_or_default();
        if signal == libc::SIGKILL {
            assert_eq!(report, "");
        } else {
            assert_eq!(status.code(), Some(128 + signal), "{errors}");
            assert!(report.ends_with("}\n"), "half a report");
            check_invariants(&serde_json::from_str(&report).expect("a whole report"));
        }
        let replayed =
            reapwatch().args(["replay", "--format", "json"]).arg(&recording).output().expect("replay");
        assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
        check_invariants(&serde_json::from_slice(&replayed.stdout).expect("a report"));
        // Other tests come and go; the programs loaded when this one was killed must all go.
        until("every program is gone", || {
            let now = loaded_programs();
            let mine = before.iter().filter(|id| now.contains(id)).count();
            (mine == 0 || mine < before.len().saturating_sub(5)).then_some(())
        });
    }
}

#[test]
fn trace_gives_valid_lines_in_order_of_time() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("t.rec");
    let mut tracer = reapwatch()
        .args(["trace", "--format", "json", "--duration", "60s", "--record"])
        .arg(&recording)
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    // The recording is created once the programs are attached.
    until("attached", || recording.exists().then_some(()));
    let output =
        Command::new(workload()).args(["reap-wait4", "--count", "5"]).output().expect("the workload");
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let mut lines = BufReader::new(tracer.stdout.take().expect("piped")).lines();
    let mut reaps = 0;
    let mut last = String::new();
    while reaps < 5 {
        let line: Value = serde_json::from_str(&lines.next().expect("a line").expect("UTF-8")).expect("JSON");
        validate("event", &line);
        let time = line["time"].as_str().expect("a time").to_owned();
        assert!(time >= last, "{time} after {last}");
        last = time;
        reaps += u64::from(line["event"] == "reap" && line["reaper"]["pid"] == truth["pid"]);
    }
    drop(lines);
    // The reader has gone: a normal end, as soon as something happens.
    until("the end", || {
        Command::new(workload()).arg("exit-now").status().expect("the workload");
        tracer.try_wait().expect("our own child")
    });
    assert_eq!(tracer.wait().expect("our own child").code(), Some(0));
}
