//! Where something has run out, or is refused: it works with less, or says what is missing and starts nothing.
//!
//! Must not know how reapwatch works: only its command line and JSON, and what the kernel says of the process.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
};

use super::support::{reapwatch, require_root};

/// Commands that take no time, and what the last one leaves where it was started.
const COMMANDS: [&[&str]; 4] = [
    &["watch", "--duration", "50ms", "--format", "json"],
    &["trace", "--duration", "50ms", "--format", "json"],
    &["record", "--duration", "50ms", "--output", "/dev/null"],
    &["run", "--format", "json", "--", "touch", "started"],
];

/// A system call that is refused with an error; with a number of its arguments, only where this has the bits.
#[derive(Clone, Copy)]
struct Refused {
    call: libc::c_long,
    error: i32,
    only_with: Option<(u32, u32)>,
}

fn all(call: libc::c_long, error: i32) -> Refused {
    Refused { call, error, only_with: None }
}

/// A filter of system calls, from now on and for good.
fn refuse(refused: &[Refused]) -> io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    let one = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut filter = Vec::with_capacity(64);
    for Refused { call, error, only_with } in refused {
        let error = libc::SECCOMP_RET_ERRNO | *error as u32;
        filter.push(one(LOAD, 0, 0, 0));
        if let Some((argument, bits)) = only_with {
            filter.push(one(EQUAL, *call as u32, 0, 3));
            // The lower half of an argument: seccomp_data has six of eight bytes from its sixteenth on.
            filter.push(one(LOAD, 16 + 8 * argument, 0, 0));
            filter.push(one(ANY_BIT, *bits, 0, 1));
        } else {
            filter.push(one(EQUAL, *call as u32, 0, 1));
        }
        filter.push(one(RETURN, error, 0, 0));
    }
    filter.push(one(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is ours and alive during the call; CAP_SYS_ADMIN stands for no_new_privs.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn ran(mut command: Command, before: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Output {
    // SAFETY: what is done before exec are system calls, and one allocation in a process of one thread.
    unsafe { command.pre_exec(before) };
    let output = command.stdin(Stdio::null()).output().expect("reapwatch");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    output
}

/// Runs every command with these calls refused; `check` gets its name, its output, and whether `run` started its own.
fn each(refused: &[Refused], check: impl Fn(&str, &Output, bool)) {
    require_root();
    for arguments in COMMANDS {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = reapwatch();
        command.current_dir(&directory).args(arguments);
        let refused = refused.to_vec();
        let output = ran(command, move || refuse(&refused));
        check(arguments[0], &output, directory.path().join("started").exists());
    }
}

#[track_caller]
fn works(name: &str, output: &Output, started: bool) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{name}: {said}");
    assert_eq!(started, name == "run");
    match name {
        "watch" => drop(serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("a report")),
        "run" => drop(serde_json::from_slice::<serde_json::Value>(&output.stderr).expect("a report")),
        _ => {}
    }
}

#[track_caller]
fn is_refused(name: &str, output: &Output, started: bool) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{name}: {said}");
    assert!(said.contains("to do:") && !said.contains("standard output"), "{name}: {said}");
    assert!(!started, "{name}: the command was started all the same");
}

/// As at `pids.max`, where only one process more fits, and no thread: clone3 falls back to clone.
fn no_threads() -> [Refused; 2] {
    let thread = Some((0, libc::CLONE_THREAD as u32));
    [
        all(libc::SYS_clone3, libc::ENOSYS),
        Refused { call: libc::SYS_clone, error: libc::EAGAIN, only_with: thread },
    ]
}

#[test]
fn without_a_single_thread_everything_works() {
    each(&no_threads(), works);
    each(&[all(libc::SYS_clone3, libc::EPERM)], works);
}

#[test]
fn without_a_single_process_everything_works_but_a_command_which_is_refused() {
    let none = [all(libc::SYS_clone3, libc::EAGAIN), all(libc::SYS_clone, libc::EAGAIN)];
    each(
        &none,
        |name, output, started| {
            if name == "run" { is_refused(name, output, started) } else { works(name, output, started) }
        },
    );
}

#[test]
fn without_threads_a_trace_tells_all_of_it() {
    require_root();
    let mut command = reapwatch();
    command.args(["trace", "--format", "json", "--duration", "1500ms"]);
    let mut storm = Command::new(super::support::workload());
    let storm = storm.args(["storm", "--count", "300", "--hold-ms", "4000"]).stdout(Stdio::null()).spawn();
    let pid = storm.as_ref().expect("the workload").id();
    let output = ran(command, move || refuse(&no_threads()));
    super::end(storm.expect("the workload"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let reaps = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("whole lines"))
        .filter(|line| line["event"] == "reap" && line["parent"]["pid"] == pid)
        .count();
    assert!(reaps <= 300, "{reaps}");
}

#[test]
fn refused_system_calls_are_done_without_or_told_of() {
    for error in [libc::EPERM, libc::EMFILE] {
        for call in [libc::SYS_timerfd_create, libc::SYS_timerfd_settime, libc::SYS_pidfd_open] {
            each(&[all(call, error)], works);
        }
        for call in [libc::SYS_epoll_create1, libc::SYS_epoll_wait, libc::SYS_eventfd2, libc::SYS_bpf] {
            each(&[all(call, error)], is_refused);
        }
        // Starting a command needs one; nothing else does.
        each(&[all(libc::SYS_socketpair, error)], |name, output, started| {
            if name == "run" && output.status.code() != Some(0) {
                is_refused(name, output, started);
            } else {
                works(name, output, started);
            }
        });
    }
}

#[test]
fn with_few_descriptors_it_works_or_says_so_before_the_command_starts() {
    require_root();
    let (mut worked, mut refused) = (0, 0);
    for most in (6..80).step_by(3) {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = reapwatch();
        command.current_dir(&directory).args(COMMANDS[3]);
        let output = ran(command, move || {
            let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
            // SAFETY: the limit is ours and alive during the call.
            match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
        let started = directory.path().join("started").exists();
        if output.status.code() == Some(0) {
            works("run", &output, started);
            worked += 1;
        } else {
            is_refused("run", &output, started);
            assert!(String::from_utf8_lossy(&output.stderr).contains("ulimit -n"), "{output:?}");
            refused += 1;
        }
    }
    assert!(worked > 0 && refused > 0, "{worked} {refused}");
}
