//! Who it is: every leaker that lives is named by command line, executable and unit, whenever it was born and began to leak;
//! and where reapwatch cannot see who it is, it says so.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nix::mount::{MsFlags, mount, umount};
use serde_json::{Value, json};

use super::support::{
    GRACE, HOLD_MS, Telling, Watching, binary, check_invariants, parent_in, reapwatch, require_root,
    validate, workload,
};

const LEAK: [&str; 7] = ["leak-all", "--count", "3", "--hold-ms", "120000", "--tell-first", "1"];

/// The command line by which a scenario is started.
fn command_line(scenario: &[&str]) -> Value {
    let program = workload();
    json!([&[program.to_str().expect("UTF-8")], scenario].concat())
}

#[track_caller]
fn is_named(report: &Value, truth: &Value, command_line: &Value) {
    let parent = parent_in(report, &truth["pid"]);
    assert_eq!(parent["alive"], true, "{parent:#}");
    assert_eq!(&parent["command_line"], command_line, "{parent:#}");
    assert_eq!(parent["executable"], workload().to_str().expect("UTF-8"), "{parent:#}");
    assert!(parent["comm"].as_str().is_some_and(|comm| !comm.is_empty()), "{parent:#}");
}

#[test]
fn whenever_a_leaker_was_born_and_began_to_leak_it_is_named() {
    require_root();
    let waiting = [&LEAK[..], &["--wait-first", "1"]].concat();
    let leaderless = ["leak-without-leader", "--hold-ms", "120000"];
    let mut with_old_zombies = Telling::start(&LEAK);
    let mut born_before = Telling::start(&waiting);
    let old = with_old_zombies.truth();
    let watching = Watching::start(&[]);
    let mut born_meanwhile = Telling::start(&LEAK);
    let mut without_leader = Telling::start(&leaderless);
    born_before.go_on();
    let (before, meanwhile, leader) = (born_before.truth(), born_meanwhile.truth(), without_leader.truth());
    let report = watching.end();
    is_named(&report, &old, &command_line(&LEAK));
    is_named(&report, &before, &command_line(&waiting));
    is_named(&report, &meanwhile, &command_line(&LEAK));
    is_named(&report, &leader, &command_line(&leaderless));
}

#[test]
fn a_leaker_is_named_by_the_program_it_runs_now() {
    let watching = Watching::start(&[]);
    let mut leaker = Telling::start(&["exec-leaker", "--count", "3", "--hold-ms", "120000"]);
    let truth = leaker.truth();
    let runs = format!("/proc/{}/cmdline", truth["pid"]);
    super::support::until("it runs the other program", || {
        fs::read(&runs).is_ok_and(|line| line.windows(3).any(|part| part == b"sit")).then_some(())
    });
    let report = watching.end();
    let parent = parent_in(&report, &truth["pid"]);
    assert_eq!(parent["command_line"][1], "sit", "{parent:#}");
}

#[test]
fn a_command_line_too_long_for_an_event_is_whole_where_its_process_lives() {
    let argument = "0".repeat(300);
    for (name, arguments) in [("watch", &["watch"][..]), ("record", &["record"])] {
        require_root();
        let directory = tempfile::tempdir().expect("a directory");
        let output = directory.path().join("out");
        let mut tracer = reapwatch()
            .args(arguments)
            .args(["--duration", "10m", "--grace", GRACE, "--output"])
            .arg(&output)
            .args(if name == "watch" { &["--format", "json"][..] } else { &[] })
            .spawn()
            .expect("reapwatch");
        super::support::until_it_watches(&mut tracer);
        let leak = [&LEAK[..], &["--ignored", &argument]].concat();
        let mut leaker = Telling::start(&leak);
        let truth = leaker.truth();
        super::support::signal(&tracer, libc::SIGINT);
        assert!(tracer.wait().expect("our own child").success());
        let bytes = match name {
            "watch" => fs::read(&output).expect("a report"),
            _ => {
                let replay = ["replay", "--format", "json"];
                reapwatch().args(replay).arg(&output).output().expect("reapwatch").stdout
            }
        };
        is_named(&serde_json::from_slice(&bytes).expect("JSON"), &truth, &command_line(&leak));
    }
}

/// A mount of the unified cgroup hierarchy, with a path of groups in it. All go when it is dropped.
struct Groups {
    directory: tempfile::TempDir,
    made: Vec<PathBuf>,
}

impl Groups {
    fn new(path: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        mount(Some("cgroup2"), directory.path(), Some("cgroup2"), MsFlags::empty(), None::<&str>)
            .expect("the unified hierarchy");
        let mut groups = Self { directory, made: Vec::new() };
        let mut at = groups.directory.path().to_owned();
        for part in path.split('/') {
            at.push(part);
            fs::create_dir(&at).expect("a group");
            groups.made.push(at.clone());
        }
        groups
    }

    fn innermost(&self) -> &Path {
        self.made.last().expect("a group")
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in self.made.iter().rev() {
            // A member that was just killed may still be on its way out.
            for _ in 0..1_000 {
                if fs::remove_dir(group).is_ok() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        let _ = umount(self.directory.path());
    }
}

#[test]
fn a_cgroup_that_a_user_names_like_a_unit_is_none() {
    require_root();
    // As systemd makes them, down to the unit that is the user's; what is below, the user makes.
    let name = format!("reapwatchtest{}.slice", std::process::id());
    let groups = Groups::new(&format!("{name}/user@1000.service/app.slice/sshd.service"));
    let watching = Watching::start(&[]);
    let members = groups.innermost().join("cgroup.procs");
    let mut command = Command::new(workload());
    command.arg0("/usr/sbin/sshd -D").args(LEAK);
    // SAFETY: writes a file between fork and exec.
    unsafe { command.pre_exec(move || fs::write(&members, "0")) };
    let mut leaker = Telling::start_command(command);
    let truth = leaker.truth();
    let report = watching.end();
    drop(leaker);
    let parent = parent_in(&report, &truth["pid"]);
    // Where systemd has a hierarchy of its own, that one counts, and we have left that as it was.
    let own = fs::read_to_string("/proc/self/cgroup").expect("ours");
    if own.lines().all(|line| !line.contains(":name=systemd:") || line.ends_with(":/")) {
        assert_eq!(parent["unit"], "user@1000.service", "{parent:#}");
    }
    assert_ne!(parent["unit"], "sshd.service", "{parent:#}");
    // However it calls itself, the program it runs is told.
    assert_eq!(parent["executable"], workload().to_str().expect("UTF-8"), "{parent:#}");
    drop(groups);
}

/// As in a container: PID 1 of a PID namespace of its own, with its own /proc.
fn in_pid_namespace(arguments: &[&str]) -> Output {
    require_root();
    Command::new(workload())
        .arg("in-pid-namespace")
        .arg(binary())
        .args(
            std::env::var_os("REAPWATCH_HOOKS")
                .iter()
                .flat_map(|hooks| ["--hooks".as_ref(), hooks.as_os_str()]),
        )
        .args(arguments)
        .output()
        .expect("the workload")
}

#[test]
fn from_a_pid_namespace_of_its_own_the_host_is_not_watched_and_it_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let recording = recording.to_str().expect("UTF-8");
    for command in [
        &["watch", "--duration", "1s"][..],
        &["trace", "--duration", "1s"],
        &["record", "--duration", "1s", "--output", recording],
    ] {
        let output = in_pid_namespace(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command:?}: {said}");
        assert!(said.contains("PID namespace of its own") && said.contains("--pid=host"), "{said}");
    }
    let output = in_pid_namespace(&["doctor", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let doctor: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("doctor", &doctor);
    assert_eq!((&doctor["verdict"], &doctor["pid_namespace"]["ok"]), (&json!("degraded"), &json!(false)));
    assert!(doctor["summary"].as_str().is_some_and(|text| text.contains("--pid=host")), "{doctor:#}");
    let output = reapwatch().args(["doctor", "--format", "json"]).output().expect("reapwatch");
    let doctor: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(doctor["pid_namespace"]["ok"], true, "{doctor:#}");
}

/// `run` from there; its report, and the workload's truth, whose pids are those of the namespace.
fn run_in_pid_namespace(scenario: &[&str]) -> (Value, Value) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (report, recording) = (path("r.json"), path("f.rec"));
    let program = workload();
    let run =
        ["run", "--grace", GRACE, "--format", "json", "--output", &report, "--record", &recording, "--"];
    let output = in_pid_namespace(&[&run[..], &[program.to_str().expect("UTF-8")], scenario].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = fs::read(&report).expect("a report");
    let replayed = reapwatch().args(["replay", "--format", "json", &recording]).output().expect("reapwatch");
    assert_eq!(replayed.stdout, bytes, "a replay, on the host, gives the same");
    let report = serde_json::from_slice(&bytes).expect("JSON");
    check_invariants(&report);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (report, said.lines().find_map(|line| serde_json::from_str(line).ok()).expect("a truth"))
}

/// The parent that has this pid in its namespace.
fn parent_known_as<'a>(report: &'a Value, pid: &Value) -> &'a Value {
    let parents = report["parents"].as_array().expect("parents");
    parents.iter().find(|parent| parent["ns_pid"] == *pid).unwrap_or_else(|| panic!("{report:#}"))
}

#[test]
fn a_command_is_watched_from_a_pid_namespace_of_its_own_as_from_the_host() {
    let scenario = ["leak-some", "--hold-ms", HOLD_MS];
    let (report, truth) = run_in_pid_namespace(&scenario);
    let parent = parent_known_as(&report, &truth["pid"]);
    for (field, number) in [("forked", 12), ("exited", 12), ("reaped", 7), ("abandoned", 5)] {
        assert_eq!(parent[field], number, "{field} of {parent:#}");
    }
    assert_eq!(parent["verdict"], "leaking");
    assert_eq!(parent["command_line"], command_line(&scenario));

    let (report, truth) = run_in_pid_namespace(&["subreaper", "--hold-ms", HOLD_MS]);
    let adopter = parent_known_as(&report, &truth["adopter"]);
    for (field, number) in [("exited", 5), ("adopted", 4), ("reaped", 1), ("abandoned", 8)] {
        assert_eq!(adopter[field], number, "{field} of {adopter:#}");
    }

    let (report, truth) = run_in_pid_namespace(&["reap-wait4", "--count", "50"]);
    let parent = parent_known_as(&report, &truth["pid"]);
    for (field, number) in [("exited", 50), ("reaped", 50), ("unreaped", 0), ("abandoned", 0)] {
        assert_eq!(parent[field], number, "{field} of {parent:#}");
    }
    assert_eq!(parent["verdict"], "healthy");

    let (report, truth) = run_in_pid_namespace(&["double-fork"]);
    let left = report["left_running"].as_array().expect("a list");
    assert_eq!(left.len(), 1, "{report:#}");
    assert_eq!(left[0]["ns_pid"], truth["running"][0]);
}
