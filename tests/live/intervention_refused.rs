//! Where `reap` does nothing: it says why and what to do, with the documented exit code, and the process goes on.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    intervention::{Parent, ran, reap},
    support::{binary, check_refused, reapwatch, require_root, signal, until},
};

#[track_caller]
fn refuses(arguments: &[&str], code: i32, message: &str) {
    check_refused(&ran(arguments), code, message);
}

#[test]
fn what_is_no_parent_is_refused() {
    require_root();
    refuses(&["--yes", "1"], 3, "init of this host");
    refuses(&["--yes", "2147483647"], 1, "no process 2147483647");
    refuses(&["--yes", "0"], 2, "PID");
    // Kernel threads are children of process 2.
    if fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm == "kthreadd\n") {
        refuses(&["--yes", "2"], 3, "kernel thread");
    }
}

#[test]
fn without_a_terminal_it_asks_for_yes_and_a_dry_run_does_nothing() {
    let mut parent = Parent::start(&["blocked-read"]);
    refuses(&["--grace", "100ms", &parent.pid()], 2, "--yes");
    refuses(&["--yes", "--dry-run", &parent.pid()], 2, "cannot be used with");
    let output = ran(&["--dry-run", "--format", "json", "--grace", "100ms", &parent.pid()]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["dry_run"], true);
    assert_eq!([&report["past_grace"], &report["zombies_after"]], [&parent.first["zombies"]; 2]);
    assert_eq!(report["oldest"][0]["exit"]["code"], 1, "{report:#}");
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["workload (pid", "50 zombies", "ECHILD", "will stop thread"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    parent.tell(b"x");
    parent.truth();
}

#[test]
fn a_zombie_younger_than_the_grace_is_left_alone() {
    let mut parent = Parent::start(&["blocked-with-late-zombie"]);
    let mut reaping = reapwatch()
        .args(["reap", "--yes", "--format", "json", "--grace", "3s", &parent.pid()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    let mut said = String::new();
    let mut stderr = BufReader::new(reaping.stderr.take().expect("piped"));
    stderr.read_line(&mut said).expect("UTF-8");
    assert!(said.contains("waiting for the grace (3s)"), "{said}");
    parent.tell(b"x");
    assert_eq!(parent.next_line()["late"], true);
    stderr.read_to_string(&mut said).expect("UTF-8");
    let output = reaping.wait_with_output().expect("our own child");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let zombies = parent.first["zombies"].as_u64().expect("a number");
    assert_eq!((&report["zombies_before"], &report["reaped"]), (&json!(zombies + 1), &json!(zombies)));
    assert_eq!(report["zombies_after"], 1, "{report:#}");
    parent.tell(b"x");
    parent.truth();
}

#[test]
fn a_traced_parent_is_refused_and_its_tracer_named() {
    let mut parent = Parent::start(&["blocked-read"]);
    parent.until_state('S');
    // A tracer is one thread: this one.
    let tracee = nix::unistd::Pid::from_raw(parent.child.id() as i32);
    nix::sys::ptrace::seize(tracee, nix::sys::ptrace::Options::empty()).expect("root may");
    let by = format!("traced by process {}", std::process::id());
    refuses(
        &["--yes", "--grace", "100ms", &parent.pid()],
        3,
        &by[..by.len() - std::process::id().to_string().len()],
    );
    nix::sys::ptrace::interrupt(tracee).expect("it is ours");
    let stopped = nix::sys::wait::waitpid(tracee, None);
    assert!(stopped.is_ok(), "{stopped:?}");
    nix::sys::ptrace::detach(tracee, None).expect("it is stopped");
    parent.tell(b"x");
    assert_eq!(parent.truth()["bytes"], "x");
}

#[test]
fn a_parent_in_vfork_is_refused_and_another_thread_of_it_asked() {
    let mut alone = Parent::start(&["blocked-vfork"]);
    alone.until_state('D');
    refuses(&["--yes", "--grace", "100ms", &alone.pid()], 3, "state D");
    alone.tell(b"x");
    assert_eq!(alone.truth()["result"], 1);
    let mut threaded = Parent::start(&["blocked-vfork", "--threads", "1"]);
    threaded.until_state('D');
    let report = reap(&threaded, "100ms");
    assert_eq!(report["reaped"], threaded.first["zombies"], "{report:#}");
    assert_ne!(report["stops"][0]["thread"], threaded.child.id(), "{report:#}");
    threaded.tell(b"x");
    assert_eq!(threaded.truth()["result"], 1);
}

#[test]
fn a_filter_that_kills_for_wait4_is_suspended_or_the_parent_refused() {
    let mut parent = Parent::start(&["blocked-under-seccomp"]);
    parent.until_state('S');
    let output = ran(&["--yes", "--format", "json", "--grace", "100ms", &parent.pid()]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    match output.status.code() {
        Some(0) => assert_eq!(report["reaped"], parent.first["zombies"], "{report:#}"),
        code => {
            assert_eq!((code, &report["zombies_after"]), (Some(3), &parent.first["zombies"]), "{report:#}")
        }
    }
    parent.tell(b"x");
    assert_eq!(parent.truth()["bytes"], "x", "it was not killed");
}

#[test]
fn without_privileges_it_is_exit_code_3() {
    use std::os::unix::process::CommandExt;
    let mut parent = Parent::start(&["blocked-read"]);
    parent.until_state('S');
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let copy = directory.path().join("reapwatch");
    fs::copy(binary(), &copy).expect("a copy others can run");
    let as_nobody = |more: &[&str]| {
        let output = Command::new(&copy)
            .args(["reap", "--yes", "--grace", "100ms", &parent.pid()])
            .args(more)
            .uid(65_534)
            .gid(65_534)
            .output()
            .expect("reapwatch");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = as_nobody(&[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("CAP_SYS_PTRACE"), "{said}");
    parent.tell(b"x");
    assert_eq!(parent.truth()["bytes"], "x");
}

#[test]
fn a_nudge_is_refused_where_no_handler_would_run() {
    let mut parent = Parent::start(&["blocked-read"]);
    refuses(&["--yes", "--nudge", &parent.pid()], 3, "no handler for SIGCHLD");
    parent.tell(b"x");
    parent.truth();
    let mut parent = Parent::start(&["blocked-with-late-handler"]);
    parent.until_state('S');
    signal(&parent.child, libc::SIGSTOP);
    parent.until_state('T');
    refuses(&["--yes", "--nudge", &parent.pid()], 3, "is stopped");
    signal(&parent.child, libc::SIGCONT);
    parent.tell(b"x");
    parent.truth();
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_of_32_bits_is_left_alone_and_goes_on() {
    let parent = Parent::start(&["blocked-in-32-bit-call"]);
    parent.until_state('S');
    let output = ran(&["--yes", "--grace", "100ms", &parent.pid()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("is in a call of 32 bits"), "{said}");
    parent.until_state('S');
    let call = fs::read_to_string(format!("/proc/{}/syscall", parent.child.id())).expect("it lives");
    assert!(call.starts_with("29 ") || call.starts_with("0 "), "it is not in its call: {call}");
}

/// fork; the child ends, the parent pauses: `int $0x80` with the numbers of 32 bits.
#[cfg(target_arch = "x86_64")]
const CODE_32: [u8; 30] = [
    0xb8, 2, 0, 0, 0, 0xcd, 0x80, 0x85, 0xc0, 0x74, 9, 0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7, 0xb8, 1, 0,
    0, 0, 0x31, 0xdb, 0xcd, 0x80, 0x90,
];

#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_of_32_bits_is_refused() {
    require_root();
    const BASE: u32 = 0x0804_8000;
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    for word in [BASE + 84, 52, 0, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([52, 0, 32, 0, 1, 0, 40, 0, 0, 0, 0, 0]);
    for word in [1, 0, BASE, BASE, 114, 114, 5, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(CODE_32);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("small");
    fs::write(&path, elf).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    // A kernel without them does not run it, and then there is nothing to refuse.
    let Ok(mut child) = Command::new(&path).spawn() else { return };
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    until("its child", || fs::read_to_string(&children).is_ok_and(|text| !text.is_empty()).then_some(()));
    refuses(&["--yes", "--grace", "100ms", &child.id().to_string()], 3, "32 bits");
    child.kill().and_then(|()| child.wait()).expect("our own child");
}
