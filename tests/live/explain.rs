//! `explain` on one process: the verdict and the cause of `watch`, and of a recording; who only looks dead; what a zombie
//! holds. Part of the live tests.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::support::{
    GRACE, Telling, Watching, check_refused, parent_in, reapwatch, require_root, signal, until,
    until_it_watches, validate, workload,
};

fn ran(arguments: &[&str]) -> Output {
    require_root();
    reapwatch().arg("explain").args(arguments).stdin(Stdio::null()).output().expect("reapwatch")
}

fn page(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let page: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("explain", &page);
    page
}

/// Explains it in a window that is long enough for what was there before.
fn explained(pid: &Value) -> Value {
    page(&ran(&["--format", "json", "--grace", GRACE, &pid.to_string()]))
}

/// The same, as text in one line.
fn explained_as_text(pid: &Value) -> String {
    let output = ran(&["--grace", GRACE, &pid.to_string()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn recorded(pid: &Value, recording: &Path) -> Value {
    page(&ran(&["--format", "json", &pid.to_string(), "--from", recording.to_str().expect("UTF-8")]))
}

/// An `explain` that watches. Killed if the test fails meanwhile.
struct Explaining(Option<Child>);

impl Explaining {
    fn start(pid: &Value) -> Self {
        let mut child = reapwatch()
            .args(["explain", "--format", "json", "--grace", GRACE, "--duration", "10m", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("reapwatch");
        until_it_watches(&mut child);
        Self(Some(child))
    }

    /// Ends it as Ctrl-C does; its page.
    fn end(mut self) -> Value {
        let child = self.0.take().expect("it is there once");
        signal(&child, libc::SIGINT);
        page(&child.wait_with_output().expect("our own child"))
    }
}

impl Drop for Explaining {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The verdict on a parent, and the kinds and reasons of its causes.
fn judged(parent: &Value) -> Value {
    let causes = parent["causes"].as_array().expect("causes").iter();
    let causes: Vec<_> = causes.map(|cause| json!([cause["kind"], cause["fix"], cause["now"]])).collect();
    json!([parent["verdict"], causes])
}

fn because(page: &Value) -> String {
    let because = page["because"].as_array().expect("because").iter();
    because.map(|one| one.as_str().expect("a sentence")).collect::<Vec<_>>().join(". ")
}

#[test]
fn a_leaker_is_judged_as_by_watch_and_by_a_recording() {
    require_root();
    let mut leaker = Telling::start(&[
        "leak-all",
        "--count",
        "4",
        "--wait-first",
        "1",
        "--tell-first",
        "1",
        "--hold-ms",
        "120000",
    ]);
    let pid = json!(leaker.child.id());
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let watching = Watching::start_recording(&recording);
    let explaining = Explaining::start(&pid);
    leaker.go_on();
    leaker.truth();
    // Part of the scenario: the grace passes, and it is looked at twice.
    std::thread::sleep(Duration::from_millis(1_800));
    let (live, report) = (explaining.end(), watching.end());
    assert_eq!(judged(&live["parent"]), judged(parent_in(&report, &pid)), "{live:#}");
    assert_eq!(live["parent"]["causes"][0]["kind"], "never_waits", "{live:#}");
    assert_eq!((&live["finding"], &live["parent"]["verdict"]), (&json!("leak"), &json!("never_reaps")));
    assert_eq!(live["process"]["state"], "running");
    let unreaped = live["unreaped"].as_array().expect("a list");
    assert_eq!(unreaped.len(), 4, "{live:#}");
    for child in unreaped {
        let (waited, exit) = (child["unreaped_ns"].as_u64(), &child["exit"]["code"]);
        assert_eq!((child["at_least"].as_bool(), exit), (Some(false), &json!(0)), "{child:#}");
        assert!(waited.is_some_and(|waited| waited >= 1_500_000_000), "{child:#}");
    }
    assert!(because(&live).contains("it reaped 0 of 4 dead children"), "{live:#}");

    let from = recorded(&pid, &recording);
    assert_eq!(judged(&from["parent"]), judged(&live["parent"]), "{from:#}");
    let pids = |page: &Value| {
        let unreaped = page["unreaped"].as_array().expect("a list").iter();
        unreaped.map(|child| json!([child["pid"], child["exit"]])).collect::<Vec<_>>()
    };
    assert_eq!(pids(&from), pids(&live));
    // One of its zombies leads to it, there too.
    let zombie = recorded(&unreaped[0]["pid"], &recording);
    assert_eq!((&zombie["process"]["state"], &zombie["parent"]["pid"]), (&json!("zombie"), &pid));
    let nobody = ran(&["2147483647", "--from", recording.to_str().expect("UTF-8")]);
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
}

#[test]
fn of_a_healthy_process_it_says_why() {
    require_root();
    let mut healthy = Telling::start(&["reaps-when-told", "--count", "5"]);
    let pid = healthy.truth()["pid"].clone();
    let explaining = Explaining::start(&pid);
    healthy.go_on();
    healthy.truth();
    let page = explaining.end();
    assert_eq!(
        (&page["parent"]["verdict"], &page["finding"]),
        (&json!("healthy"), &json!("none")),
        "{page:#}"
    );
    assert_eq!(page["unreaped"], json!([]));
    let because = because(&page);
    assert!(because.starts_with("it has no unreaped children. in the window of "), "{because}");
    assert!(because.contains("it reaped 5 of 5 dead children; the slowest reap took "), "{because}");
    let idle = explained(&pid);
    assert_eq!(idle["parent"]["verdict"], "healthy", "{idle:#}");
    assert_eq!(idle["parent"]["command_line"][1], "reaps-when-told", "{idle:#}");
    assert!(idle["because"][1].as_str().is_some_and(|text| text.starts_with("none of its children died")));
}

#[test]
fn a_zombie_holds_nothing_but_its_entry_and_its_parent_is_explained() {
    require_root();
    let mut holder = Telling::start(&["holder"]);
    let truth = holder.truth();
    assert_eq!(
        [&truth["holds_pipe"], &truth["holds_lock"], &truth["holds_port"]],
        [false, false, false],
        "{truth}"
    );
    let zombie = &truth["child"];
    let proc = Path::new("/proc").join(zombie.to_string());
    assert_eq!(fs::read_dir(proc.join("fd")).map_or(0, |entries| entries.count()), 0);
    let status = fs::read_to_string(proc.join("status")).expect("its entry");
    assert!(status.contains("State:\tZ") && !status.contains("VmRSS"), "{status}");
    assert_eq!(fs::read(proc.join("cmdline")).expect("its entry"), b"");
    let page = explained(zombie);
    let process = &page["process"];
    assert_eq!((&process["state"], &process["exit"]["code"]), (&json!("zombie"), &json!(7)), "{page:#}");
    assert_eq!((&process["must_reap"]["pid"], &page["parent"]["pid"]), (&truth["pid"], &truth["pid"]));
    assert!(
        process["at_least"] == true && process["since_ns"].as_u64().is_some_and(|ns| ns >= 2_000_000_000)
    );
    assert_eq!((&page["parent"]["verdict"], &page["unreaped"][0]["pid"]), (&json!("leaking"), zombie));
    let text = explained_as_text(zombie);
    for part in [
        "it exited with 7",
        "must reap it",
        "because 1 dead child of it is unreaped",
        "now: should they stay: `reapwatch reap",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    holder.go_on();
    assert_eq!(holder.truth()["status"], 7 << 8);
}

#[test]
fn a_main_thread_that_has_ended_holds_on_and_is_no_zombie() {
    require_root();
    let mut holder = Telling::start(&["holder", "--main-thread", "1"]);
    let truth = holder.truth();
    assert_eq!(
        [&truth["holds_pipe"], &truth["holds_lock"], &truth["holds_port"]],
        [true, true, true],
        "{truth}"
    );
    let page = explained(&truth["child"]);
    let process = &page["process"];
    assert_eq!((&process["state"], &process["threads_left"]), (&json!("dead_leader"), &json!(1)), "{page:#}");
    // Pipe, lock and port, and what it was started with.
    assert!(process["descriptors"].as_u64().is_some_and(|open| open >= 5), "{page:#}");
    assert_eq!((&page["parent"]["verdict"], &page["parent"]["pid"]), (&json!("healthy"), &truth["child"]));
    assert!(explained_as_text(&truth["child"]).contains("it is no zombie, though ps shows it as Z"));
    holder.go_on();
    assert_eq!(holder.truth()["status"], libc::SIGKILL);
}

#[test]
fn every_zombie_counts_against_the_limit_of_processes_until_it_is_reaped() {
    require_root();
    let mut limited = Telling::start(&["until-no-more"]);
    let truth = limited.truth();
    // Ten are allowed, and it is one itself.
    assert_eq!((&truth["dead"], &truth["errno"]), (&json!(9), &json!(libc::EAGAIN)), "{truth}");
    assert_eq!(truth["another"], true, "what is reaped makes room");
}

#[test]
fn one_that_is_stuck_in_its_exit_is_no_zombie_and_its_parent_not_to_blame_for_it() {
    require_root();
    let mut outside = Telling::start(&["stuck-init"]);
    let truth = outside.truth();
    let init = &truth["init"];
    let stat = format!("/proc/{init}/stat");
    until("it is ending", || {
        let text = fs::read_to_string(&stat).expect("it cannot end");
        let flags = text.rsplit(") ").next()?.split(' ').nth(6)?.parse::<u64>().ok()?;
        (flags & 4 != 0 && text.contains(") S ")).then_some(())
    });
    let page = explained(init);
    let process = &page["process"];
    assert_eq!((&process["state"], &process["exit"]), (&json!("ending"), &Value::Null), "{page:#}");
    assert!(process["since_ns"].as_u64().is_some_and(|ns| ns >= 2_000_000_000), "{page:#}");
    let about = process["about"].to_string();
    assert!(about.contains("it is stuck in its exit") && about.contains("is not to blame"), "{about}");
    // A kernel may not tell where it sleeps.
    let function = &process["kernel_function"];
    assert!(*function == "zap_pid_ns_processes" || function.is_null(), "{page:#}");
    assert_eq!(page["parent"]["pid"], *init);
    // What holds it up is a zombie of the one outside.
    let entered = explained(&truth["entered"]);
    assert_eq!((&entered["process"]["state"], &entered["parent"]["pid"]), (&json!("zombie"), &truth["pid"]));
    outside.go_on();
    assert_eq!(outside.truth()["status"], libc::SIGKILL);
}

#[track_caller]
fn refuses(arguments: &[&str], code: i32, message: &str) {
    check_refused(&ran(arguments), code, message);
}

#[test]
fn what_is_no_process_with_children_is_refused() {
    refuses(&["2147483647"], 1, "no process 2147483647");
    refuses(&["0"], 2, "PID");
    refuses(&["1", "--duration", "1s", "--from", "x.rec"], 2, "--from");
    refuses(&["1", "--from", "/nonexistent.rec"], 1, "/nonexistent.rec");
    // Kernel threads are children of process 2.
    if fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm == "kthreadd\n") {
        refuses(&["2"], 3, "kernel thread");
    }
    let mut child = Command::new(workload())
        .args(["blocked-threads"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the workload");
    let pid = child.id();
    let thread = until("its threads", || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        tasks.filter_map(|task| task.file_name().to_str()?.parse::<u32>().ok()).find(|tid| *tid != pid)
    });
    refuses(&[&thread.to_string()], 1, &format!("{thread} is a thread of process {pid}"));
    child.kill().and_then(|()| child.wait()).expect("our own child");
}
