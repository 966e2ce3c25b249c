//! What a live command refuses, and what it does without: missing privileges, kernel types, hooks, disk space, a reader. A
//! clear message, the documented exit code, never a panic. Needs root.

use std::{
    fs,
    io::Read,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Stdio},
};

use super::{
    fails, ran,
    support::{binary, reapwatch, require_root, until, validate, workload},
};

#[test]
fn without_root_it_is_exit_code_3_with_the_remedy() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let copy = directory.path().join("reapwatch");
    fs::copy(binary(), &copy).expect("a copy others can run");
    let as_nobody = |arguments: &[&str]| {
        Command::new(&copy).args(arguments).uid(65_534).gid(65_534).output().expect("reapwatch")
    };
    let refused = as_nobody(&["watch", "--duration", "1s"]);
    fails(&refused, 3, "run as root");
    // Which map the kernel refuses first differs; what is missing does not, and comes first.
    fails(&refused, 3, "reapwatch: needs root (or CAP_BPF and CAP_PERFMON): ");
    let recording = directory.path().join("host.rec");
    fs::write(&recording, "secret").expect("a file");
    fs::set_permissions(&recording, fs::Permissions::from_mode(0o600)).expect("chmod");
    let unread = as_nobody(&["replay", recording.to_str().expect("UTF-8")]);
    fails(&unread, 1, "only its owner may read a recording (mode 0600)");
    let unwritten = Command::new(&copy)
        .args(["profile", "--duration", "1s"])
        .current_dir(directory.path())
        .uid(65_534)
        .gid(65_534)
        .output()
        .expect("reapwatch");
    fails(&unwritten, 1, "name another file with --output");
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
    fails(&ran(&["run", "--", "/tmp"]), 1, "cannot run /tmp: it is a directory");
}

#[test]
fn a_process_that_does_not_exist_is_not_waited_for() {
    require_root();
    let mut child = Command::new(workload()).arg("exit-now").spawn().expect("the workload");
    child.wait().expect("our own child");
    let gone = child.id().to_string();
    fails(&ran(&["trace", "--pid", &gone]), 1, &format!("there is no process {gone}"));
    let profile = ran(&["profile", "--pid", &gone, "--duration", "100ms", "--output", "/dev/null"]);
    fails(&profile, 1, &format!("there is no process {gone}"));
    let own = std::process::id().to_string();
    assert_eq!(ran(&["trace", "--pid", &own, "--duration", "100ms"]).status.code(), Some(0));
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
