//! A suspect is looked at closer: what its recording says of its signal masks is what the kernel says. Part of the live
//! tests.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use probe::{
    model::{Input, SignalMasks},
    recording::Reader,
};

use super::support::{GRACE, reapwatch, replayed, require_root, workload};

/// A leaker, started with SIGCHLD blocked or not; its zombies are there.
fn leaker(blocks_sigchld: bool) -> Child {
    let mut command = Command::new(workload());
    command.args(["leak-all", "--count", "3", "--hold-ms", "120000", "--tell-first", "1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    if blocks_sigchld {
        let block = || {
            // SAFETY: a set of signals may be zeroes, and these calls are allowed between fork and exec.
            let done = unsafe {
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&raw mut set);
                libc::sigaddset(&raw mut set, libc::SIGCHLD);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
            };
            if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: as above.
        unsafe { command.pre_exec(block) };
    }
    let mut child = command.spawn().expect("the workload");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    child
}

/// What the kernel says of it now.
fn masks(child: &Child) -> SignalMasks {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it lives");
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a mask");
        u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
    };
    SignalMasks { blocked: mask("SigBlk:"), ignored: mask("SigIgn:"), caught: mask("SigCgt:") }
}

#[test]
fn what_a_suspect_does_with_signals_is_recorded_once() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let (mut blocking, mut plain) = (leaker(true), leaker(false));
    let expected = [masks(&blocking), masks(&plain)];
    let sigchld = 1 << (libc::SIGCHLD - 1);
    assert_eq!(expected.map(|masks| masks.blocked & sigchld), [sigchld, 0]);
    assert_eq!(expected.map(|masks| masks.ignored & sigchld), [0, 0]);
    let output = reapwatch()
        .args(["record", "--grace", GRACE, "--duration", "7s", "--output"])
        .arg(&recording)
        .output()
        .expect("reapwatch");
    for child in [&mut blocking, &mut plain] {
        child.kill().and_then(|()| child.wait()).expect("our own child");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let recorded: Vec<(u32, SignalMasks)> = Reader::open(fs::File::open(&recording).expect("a recording"))
        .expect("a recording")
        .filter_map(|input| match input {
            Input::SignalMasks { identity, masks, .. } => Some((identity.tgid, masks)),
            _ => None,
        })
        .collect();
    for (child, expected) in [&blocking, &plain].into_iter().zip(expected) {
        let of_child: Vec<_> = recorded.iter().filter(|(pid, _)| *pid == child.id()).collect();
        assert_eq!(of_child, [&(child.id(), expected)], "once, as it does not change");
    }
    let report = replayed(&recording);
    assert_eq!(report["complete"], true, "{report:#}");
}
