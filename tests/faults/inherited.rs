//! What a command of `run` and `record` is given: what reapwatch was given, and nothing of what it needs itself. And what
//! reapwatch keeps while it watches, in every thread.
//!
//! Must not know how reapwatch works: only its command line, and what the kernel says of processes.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use super::{
    storm_alone,
    support::{reapwatch, require_root, signal, until_it_watches},
};

/// Everything of itself that a process passes on. Its own files, and its directory of them, come last.
const TELL: &str = "grep -E '^(Sig(Blk|Ign)|Cap|NoNewPrivs|Seccomp:|Umask|Groups)' /proc/self/status; \
                    cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup; nice; \
                    for f in /proc/$$/fd/*; do echo ${f##*/}; done; env | grep -v '^_=' | sort; pwd";

/// With some signals ignored, some blocked, and a low limit on locked memory.
fn oddly(mut command: Command) -> Command {
    // SAFETY: only system calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            for number in [libc::SIGPIPE, libc::SIGINT, libc::SIGUSR1, libc::SIGHUP, libc::SIGCHLD] {
                libc::signal(number, libc::SIG_IGN);
            }
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGUSR2);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            let limit = libc::rlimit { rlim_cur: 65_536, rlim_max: 131_072 };
            libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit);
            Ok(())
        })
    };
    command
}

fn plainly(mut command: Command) -> Command {
    // SAFETY: as above. Rust's own runtime has ignored SIGPIPE in this test.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            Ok(())
        })
    };
    command
}

fn told(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("a command");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_command_is_given_what_it_would_have_without_reapwatch() {
    require_root();
    for set_up in [plainly as fn(Command) -> Command, oddly] {
        let mut alone = Command::new("sh");
        alone.args(["-c", TELL]);
        let alone = told(set_up(alone));
        assert!(alone.contains("Max locked memory") && alone.contains("SigIgn"), "{alone}");
        for arguments in
            [&["run", "--record", "/dev/null"][..], &["record", "--output", "/dev/null"], &["--stats", "run"]]
        {
            let mut under = reapwatch();
            under.args(arguments).args(["--", "sh", "-c", TELL]);
            assert_eq!(told(set_up(under)), alone, "{arguments:?}");
        }
    }
}

/// `CAP_SYS_PTRACE` and `CAP_BPF`.
const KEPT: u64 = 1 << 19 | 1 << 39;

/// What each thread may still do.
fn check_threads(child: &Child) {
    let mut threads = 0;
    for thread in std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("our own child") {
        let path = thread.expect("a thread").path().join("status");
        let status = std::fs::read_to_string(path).expect("a thread");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            u64::from_str_radix(line.trim(), 16).expect("a number")
        };
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(field(set) & !KEPT, 0, "{set} {status}");
        }
        assert_eq!(field("NoNewPrivs:"), 1, "{status}");
        threads += 1;
    }
    assert!(threads > 0);
}

#[test]
fn every_thread_has_given_up_its_privileges() {
    require_root();
    for arguments in [
        &["trace"][..],
        &["trace", "--record", "/dev/null", "--format", "json"],
        &["watch", "--duration", "5m"],
        &["watch", "--duration", "5m", "--record", "/dev/null"],
        &["record", "--output", "/dev/null"],
        &["record", "--output", "/dev/null", "--", "sleep", "60"],
        &["run", "--", "sleep", "60"],
    ] {
        let mut child = reapwatch()
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("reapwatch");
        until_it_watches(&mut child);
        // Whatever it does only once there is something to do has begun then.
        storm_alone(20);
        check_threads(&child);
        signal(&child, libc::SIGTERM);
        super::ended(&mut child);
    }
}
