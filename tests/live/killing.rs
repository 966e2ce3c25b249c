//! Who killed the children that are left: by the workload's own truth.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};

use super::support::{
    GRACE, HOLD_MS, Ran, Telling, Watching, parent_in, reapwatch, require_root, run, run_command, signal,
    until, until_it_watches, validate, workload,
};

/// What the note on a parent says; empty where there is none.
fn said(parent: &Value) -> String {
    let notes = parent["notes"].as_array().into_iter().flatten();
    let note = notes.filter(|note| note["kind"] == "children_killed").map(|note| note["text"].as_str());
    note.map(|text| text.expect("a text")).collect()
}

/// The page about the workload of a run, from its recording.
fn explained(ran: &Ran) -> Value {
    let output = reapwatch()
        .args(["explain", "--format", "json", "--from"])
        .arg(ran.directory.path().join("f.rec"))
        .arg(ran.truth["pid"].to_string())
        .output()
        .expect("reapwatch");
    let page = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("explain", &page);
    page
}

#[test]
fn each_killer_of_abandoned_children_is_told_and_no_other() {
    let ran = run(&["killed", "--hold-ms", HOLD_MS]);
    let (note, truth) = (said(ran.own()), &ran.truth);
    let counts = format!("of its {} abandoned children, {} are known", truth["left"], truth["killed"]);
    for part in [
        &counts,
        "3 by SIGKILL from this process itself",
        "1 by SIGTERM from this process itself",
        "2 by SIGKILL from several processes named stranger",
        &format!("2 by SIGHUP from stranger (pid {})", truth["of_group"]),
        "1 by SIGABRT from the child itself",
        "1 by SIGSEGV from the kernel, for a fault of the child",
        "1 by SIGALRM from the kernel;",
        "1 by SIGPIPE from the kernel;",
        "Killing a child does not reap it",
    ] {
        assert!(note.replace(". Killing", ";. Killing").contains(part), "{part}: {note}");
    }
    for forged in ["SIGUSR1", "SIGVTALRM"] {
        assert!(!note.contains(forged), "its sender is forged: {note}");
    }
    assert!(!note.contains("SIGINT"), "which of two it took is not known: {note}");
    assert_eq!(note.matches("SIGTERM").count(), 1, "one was handled: {note}");
}

#[test]
fn each_unreaped_child_has_its_killer() {
    require_root();
    let mut killing = Telling::start(&["killed", "--wait-first", "1", "--hold-ms", "120000"]);
    let pid = killing.child.id();
    let mut explaining = reapwatch()
        .args(["explain", "--format", "json", "--grace", GRACE, "--duration", "1m", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut explaining);
    killing.go_on();
    let truth = killing.truth();
    signal(&explaining, libc::SIGINT);
    let output = explaining.wait_with_output().expect("our own child");
    let page: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("explain", &page);
    let children = page["unreaped"].as_array().expect("children");
    assert_eq!(children.len() as u64, truth["left"], "{page:#}");
    let told: Vec<(u64, String)> = children
        .iter()
        .filter_map(|child| {
            let by = child.get("killed_by")?;
            let killer = match &by["process"]["pid"] {
                killer if *killer == pid => "parent",
                killer if *killer == child["pid"] => "itself",
                killer if *killer == truth["of_group"] => "of_group",
                killer if truth["strangers"].as_array()?.contains(killer) => "stranger",
                Value::Null => "",
                other => panic!("{other}: {page:#}"),
            };
            let sender = by["sender"].as_str().expect("a sender");
            Some((child["exit"]["signal"].as_u64().expect("a signal"), format!("{sender} {killer}")))
        })
        .collect();
    let count =
        |signal: i32, by: &str| told.iter().filter(|one| **one == (signal as u64, by.to_owned())).count();
    assert_eq!(count(libc::SIGKILL, "process parent"), 3, "{told:?}");
    assert_eq!(count(libc::SIGTERM, "process parent"), 1, "{told:?}");
    assert_eq!(count(libc::SIGKILL, "process stranger"), 2, "{told:?}");
    assert_eq!(count(libc::SIGHUP, "process of_group"), 2, "{told:?}");
    assert_eq!(count(libc::SIGABRT, "process itself"), 1, "{told:?}");
    assert_eq!(count(libc::SIGSEGV, "fault "), 1, "{told:?}");
    assert_eq!(count(libc::SIGALRM, "kernel "), 1, "{told:?}");
    assert_eq!(count(libc::SIGPIPE, "kernel "), 1, "{told:?}");
    assert_eq!(told.len() as u64, truth["killed"], "{told:?}");
}

/// A watch, beside a parent that kills its children and has been a suspect for some time: and its pid.
fn watched_suspect() -> (Watching, Telling, Value) {
    require_root();
    let watching = Watching::start(&[]);
    let mut killing = Telling::start(&["kills-for-ever"]);
    let pid = killing.truth()["pid"].clone();
    // It is a suspect once a walk of the task list, 5 s apart, has found its zombies.
    std::thread::sleep(std::time::Duration::from_secs(8));
    (watching, killing, pid)
}

#[test]
fn watching_tells_who_killed_since_the_parent_was_a_suspect() {
    let (watching, _killing, pid) = watched_suspect();
    let report = watching.end();
    let parent = parent_in(&report, &pid);
    let note = said(parent);
    let known = note.split(", ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let known = known.unwrap_or_else(|| panic!("{parent:#}"));
    let unreaped = parent["unreaped"].as_u64().expect("a count");
    assert!(known > 3 && known < unreaped, "{known} of {unreaped}: {note}");
    assert!(note.contains(&format!("{known} by SIGKILL from this process itself")), "{note}");
}

#[test]
fn of_a_suspect_that_is_killed_it_is_said_that_it_may_have_come_to_its_children() {
    let (watching, killing, pid) = watched_suspect();
    drop(killing);
    let report = watching.end();
    let parent = parent_in(&report, &pid);
    assert_eq!(parent["alive"], false, "{parent:#}");
    assert_eq!(parent["causes"][0]["kind"], "never_waits", "{parent:#}");
    let evidence = parent["causes"][0]["evidence"].to_string();
    assert!(evidence.contains("so far: signal 9 killed it"), "{evidence}");
}

#[test]
fn a_child_that_dies_with_its_pid_namespace_was_killed_by_its_end() {
    let ran = run(&["killed-with-namespace", "--hold-ms", HOLD_MS]);
    let init = ran.truth["init"].as_u64().expect("a pid");
    let expected = format!(
        "by SIGKILL from the kernel, because workload (pid {init}, PID 1 of a PID namespace) ended, the init of the PID \
         namespace"
    );
    assert!(said(ran.own()).contains(&expected), "{:#}", ran.own());
}

#[test]
fn children_that_exit_were_killed_by_nobody() {
    let ran = run(&["leak-all", "--count", "3", "--hold-ms", HOLD_MS]);
    assert_eq!(ran.own()["abandoned"], 3);
    assert_eq!(said(ran.own()), "");
    assert!(explained(&ran)["unreaped"].as_array().expect("children").is_empty());
}

#[test]
fn a_signal_that_a_tracer_could_have_changed_has_no_known_sender() {
    let ran = run(&["killed-while-traced", "--hold-ms", HOLD_MS]);
    let expected =
        "of its 2 abandoned children, 1 is known to have been killed: 1 by SIGKILL from this process itself";
    assert!(said(ran.own()).starts_with(expected), "{:#}", ran.own());
}

/// A memory cgroup with little room; taken away at the end.
struct Small(std::path::PathBuf);

impl Small {
    fn new() -> Self {
        let (root, limit) = if Path::new("/sys/fs/cgroup/memory").exists() {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            ("/sys/fs/cgroup", "memory.max")
        };
        let directory = Path::new(root).join(format!("reapwatch-test-{}", std::process::id()));
        fs::create_dir(&directory).expect("a cgroup: the memory controller is needed");
        fs::write(directory.join(limit), "16777216").expect("a limit");
        // Where it can be swapped out, it takes longer.
        let _ = fs::write(directory.join("memory.swap.max"), "0");
        Self(directory)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        until("the cgroup is empty", || fs::remove_dir(&self.0).ok());
    }
}

#[test]
fn on_the_host_a_child_for_which_memory_runs_out_was_killed_for_that() {
    require_root();
    let small = Small::new();
    let variable = format!("WORKLOAD_CGROUP={}", small.0.join("cgroup.procs").display());
    let program = workload();
    let program = program.to_str().expect("UTF-8");
    let ran = run_command(&["env", &variable, program, "killed-for-memory", "--hold-ms", HOLD_MS]);
    let note = said(ran.own());
    assert!(
        note.contains("its abandoned child was killed: 1 by SIGKILL from the kernel, because memory ran out"),
        "{note}"
    );
    assert_eq!(json!(ran.own()["verdict"]), "never_reaps");
}
