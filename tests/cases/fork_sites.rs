//! Where programs of other runtimes than C's and Python's fork: what is shown, and that no name is wrong.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    case::{Case, needed},
    support::{reapwatch, require_root},
};

/// The stacks of all forks of this command, outermost function first, a line each.
fn folded<S: AsRef<OsStr>>(command: impl IntoIterator<Item = S>) -> String {
    require_root();
    // Node leaves a file of its own where it runs.
    let directory = tempfile::tempdir().expect("a directory");
    let output = reapwatch()
        .args(["profile", "--format", "folded", "--sample", "forks", "--"])
        .args(command)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("reapwatch");
    let folded = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{folded}{}", String::from_utf8_lossy(&output.stderr));
    folded
}

/// One line has these parts, in this order.
#[track_caller]
fn has(folded: &str, parts: &[&str]) {
    let in_order = |line: &str| {
        let mut rest = line;
        parts.iter().all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    };
    assert!(folded.lines().any(in_order), "{parts:?} are not in\n{folded}");
}

#[test]
fn forks_of_go_are_named_and_without_symbols_placed() {
    let case = Case::new("fork_sites.go");
    let named = folded(case.command());
    has(&named, &[";main.main;main.startTool;", "os/exec.(*Cmd).Start;", "syscall.rawVforkSyscall"]);
    has(&named, &[";main.main.func1;main.forkExec;", "syscall.rawVforkSyscall"]);
    let stripped = case.directory().join("stripped");
    let done = Command::new("strip").arg("-o").arg(&stripped).arg(&case.command()[0]).status();
    assert!(done.expect("binutils").success());
    let placed = folded([&stripped]);
    has(&placed, &[";stripped+0x", ";stripped+0x", ";stripped+0x", ";stripped+0x"]);
    assert!(!placed.contains("main.") && !placed.contains("syscall."), "{placed}");
}

#[test]
fn forks_of_node_are_named_as_far_as_it_names_its_code() {
    let case = Case::new("fork_sites.js");
    let (node, script) = (&case.command()[0], &case.command()[1]);
    let named = folded([
        node,
        OsStr::new("--perf-basic-prof"),
        OsStr::new("--interpreted-frames-native-stack"),
        script,
    ]);
    has(&named, &["call ", "fork_sites.js:", "startTool ", "fork_sites.js:", "uv_spawn"]);
    has(&named, &["inTurn ", "fork_sites.js:", "uv_spawn"]);
    let plain = folded(case.command());
    has(&plain, &["uv_run", "uv_spawn"]);
    assert!(!plain.contains("startTool"), "{plain}");
}

#[test]
fn forks_of_a_static_program_of_musl_are_followed_to_main() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/fork_places.c");
    let program = directory.path().join("fork_places");
    let done = Command::new(needed("musl-gcc"))
        .args(["-O2", "-g", "-static", "-o"])
        .args([&program, &source])
        .status()
        .expect("musl-gcc");
    assert!(done.success());
    for (how, callers) in
        [("fork", &[";main;", "by_fork;"][..]), ("vfork", &[";main;", "by_vfork;"]), ("spawn", &["__clone"])]
    {
        let folded = folded([program.as_os_str(), OsStr::new(how)]);
        // posix_spawn has a large buffer on its stack: where pages of it were never touched, the copy ends.
        has(&folded, callers);
        // All that is said to be known is: musl's own functions say nothing of their callers.
        assert!(folded.lines().all(|line| line.contains('[')), "{folded}");
    }
}
