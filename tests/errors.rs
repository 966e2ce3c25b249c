//! Bad input: a clear message, the documented exit code, never a panic.

mod support;

use std::{
    fs,
    io::Read,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Output, Stdio},
};

use support::{GRACE, reapwatch, require_root, until, validate, workload};

fn ran(arguments: &[&str]) -> Output {
    reapwatch().args(arguments).stdin(Stdio::null()).output().expect("reapwatch")
}

#[track_caller]
fn fails(output: &Output, code: i32, message: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(errors.contains(message), "{message:?} is not in {errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}

fn record(path: &Path) {
    require_root();
    let status = reapwatch()
        .args(["record", "--grace", GRACE, "--output"])
        .arg(path)
        .arg("--")
        .arg(workload())
        .args(["reap-wait4", "--count", "20"])
        .stdout(Stdio::null())
        .status()
        .expect("reapwatch");
    assert!(status.success());
}

#[test]
fn bad_usage_is_exit_code_2() {
    fails(&ran(&["--no-such-flag"]), 2, "--no-such-flag");
    fails(&ran(&["no-such-command"]), 2, "no-such-command");
    fails(&ran(&["run"]), 2, "CMD");
    fails(&ran(&["watch"]), 2, "--duration");
    fails(&ran(&["watch", "--duration", "fast"]), 2, "fast");
    fails(&ran(&["trace", "--pid", "0"]), 2, "0");
}

#[test]
fn help_version_and_the_bare_command_are_good() {
    for arguments in [&["--help"][..], &["--version"], &[], &["run", "--help"]] {
        let output = ran(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn recordings_that_are_none_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x");
    fails(&ran(&["replay", path.to_str().expect("UTF-8")]), 1, "No such file");
    fs::write(&path, "not a recording at all").expect("written");
    fails(&ran(&["replay", path.to_str().expect("UTF-8")]), 1, "not a reapwatch recording");
    fails(&ran(&["replay", "/"]), 1, "directory");
}

#[test]
fn a_torn_recording_gives_what_it_has_and_says_what_it_has_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("f.rec");
    record(&path);
    let whole = fs::read(&path).expect("a recording");
    fs::write(&path, &whole[..whole.len() - 40]).expect("written");
    let output = ran(&["replay", "--format", "json", path.to_str().expect("UTF-8")]);
    fails(&output, 0, "the end of the window is missing");
    support::check_invariants(&serde_json::from_slice(&output.stdout).expect("a report"));
    fs::write(&path, &whole[..14]).expect("written");
    fails(&ran(&["replay", path.to_str().expect("UTF-8")]), 1, "damaged");
}

#[test]
fn without_root_it_is_exit_code_3_with_the_remedy() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let copy = directory.path().join("reapwatch");
    fs::copy(support::binary(), &copy).expect("a copy others can run");
    let as_nobody = |arguments: &[&str]| {
        Command::new(&copy).args(arguments).uid(65_534).gid(65_534).output().expect("reapwatch")
    };
    fails(&as_nobody(&["watch", "--duration", "1s"]), 3, "run as root");
    let doctor = as_nobody(&["doctor", "--format", "json"]);
    assert_eq!(doctor.status.code(), Some(3));
    let doctor = serde_json::from_slice(&doctor.stdout).expect("JSON");
    validate("doctor", &doctor);
    assert_eq!(doctor["verdict"], "unusable");
}

#[test]
fn a_kernel_without_btf_is_exit_code_3_with_the_remedy() {
    require_root();
    fails(&ran(&["--btf", "/nonexistent", "watch", "--duration", "1s"]), 3, "CONFIG_DEBUG_INFO_BTF");
    let directory = tempfile::tempdir().expect("a directory");
    let garbage = directory.path().join("btf");
    fs::write(&garbage, [7u8; 4096]).expect("written");
    fails(&ran(&["--btf", garbage.to_str().expect("UTF-8"), "watch", "--duration", "1s"]), 3, "BTF");
}

#[test]
fn hooks_that_cannot_be_had_are_exit_code_3_or_work() {
    require_root();
    for hooks in ["fentry", "kprobe"] {
        let output = ran(&["--hooks", hooks, "watch", "--duration", "100ms"]);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    }
    assert_eq!(ran(&["--hooks", "tracepoint", "watch", "--duration", "100ms"]).status.code(), Some(0));
}

#[test]
fn the_doctor_says_what_works() {
    require_root();
    let output = ran(&["doctor", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let report = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("doctor", &report);
    assert_ne!(report["rung"], "none");
    let text = ran(&["doctor"]);
    assert!(String::from_utf8_lossy(&text.stdout).lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn a_command_that_cannot_run_is_exit_code_1() {
    require_root();
    fails(&ran(&["run", "--", "/no/such/program"]), 1, "/no/such/program");
}

#[test]
fn a_full_disk_is_told_of_and_the_measurement_goes_on() {
    require_root();
    fails(&ran(&["watch", "--duration", "100ms", "--output", "/dev/full"]), 1, "/dev/full");
    fails(&ran(&["watch", "--duration", "100ms", "--record", "/dev/full"]), 1, "No space");
    fails(
        &ran(&["watch", "--duration", "100ms", "--output", "/no/such/directory/r"]),
        1,
        "/no/such/directory",
    );
}

#[test]
fn a_closed_pipe_is_a_normal_end() {
    require_root();
    let mut tracer = reapwatch()
        .args(["trace", "--duration", "60s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    drop(tracer.stdout.take());
    let status = until("the end", || {
        Command::new(workload()).arg("exit-now").status().expect("the workload");
        tracer.try_wait().expect("our own child")
    });
    let mut errors = String::new();
    tracer.stderr.take().expect("piped").read_to_string(&mut errors).expect("UTF-8");
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}
