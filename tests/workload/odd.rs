//! What is easily taken for a leak and is none, and other corners of process life.

use std::{fs, thread};

use serde_json::{Value, json};

use crate::{Flags, hold::hold, process::*};

#[derive(Clone, Copy)]
pub enum Auto {
    Ignored,
    NoCldWait,
}

extern "C" fn on_child(_signal: i32) {}

fn set_sigchld(auto: Auto) {
    // SAFETY: a zeroed sigaction is valid; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        match auto {
            Auto::Ignored => action.sa_sigaction = libc::SIG_IGN,
            Auto::NoCldWait => {
                action.sa_sigaction = on_child as *const () as usize;
                action.sa_flags = libc::SA_NOCLDWAIT | libc::SA_RESTART;
            }
        }
        assert_eq!(libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()), 0);
    }
}

/// waitpid blocks until there are no children left, then says ECHILD.
fn until_childless() {
    let mut status = 0;
    loop {
        // SAFETY: status is ours to write.
        let got = unsafe { libc::waitpid(-1, &mut status, 0) };
        if got == -1 {
            let error = std::io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => continue,
                Some(libc::ECHILD) => return,
                _ => panic!("waitpid: {error}"),
            }
        }
        panic!("a child that should have been autoreaped was reaped: {got}");
    }
}

pub fn autoreap(flags: &Flags, auto: Auto) -> Value {
    let count = flags.get("count", 20);
    set_sigchld(auto);
    for _ in 0..count {
        fork(|| 0);
    }
    until_childless();
    json!({"pid": own_pid(), "forked": count, "exited": count, "reaped": 0, "autoreaped": count})
}

fn exit_thread() -> ! {
    // SAFETY: ends this thread only; the scenario's process goes on in its other thread.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!()
}

/// The main thread exits, another lives on for a while.
pub fn dead_leader(flags: &Flags, ignored: bool) -> Value {
    if ignored {
        set_sigchld(Auto::Ignored);
    }
    let ms = flags.get("thread-ms", 300);
    let (read, write) = pipe();
    let pid = fork(move || {
        thread::spawn(move || {
            hold(ms);
            send(write, now_ns());
            exit_thread();
        });
        exit_thread();
    });
    if ignored {
        until_childless();
        return json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 0, "autoreaped": 1, "child": pid});
    }
    wait(pid);
    let waited = now_ns();
    let upper_ns = waited - receive(read).expect("when the last thread ended");
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1, "child": pid, "upper_ns": upper_ns})
}

/// A thread that is not the leader calls exec: one process, one exit.
pub fn thread_exec(_flags: &Flags) -> Value {
    let pid = fork(|| {
        thread::spawn(|| exec_self(&["exit-now", "--code", "7"])).join().expect("never returns");
        1
    });
    let status = wait(pid);
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1, "child": pid, "code": libc::WEXITSTATUS(status)})
}

/// A child makes its own sibling.
pub fn clone_parent(flags: &Flags) -> Value {
    let leave_ms = flags.get("leave-ms", 0);
    let (read, write) = pipe();
    let creator = fork(|| {
        // SAFETY: fork-like clone without sharing memory; the child belongs to our parent.
        let sibling =
            unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) } as Pid;
        match sibling {
            -1 => panic!("clone(CLONE_PARENT)"),
            0 => {
                hold(leave_ms);
                exit(0)
            }
            _ => send(write, sibling as u64),
        }
        0
    });
    let sibling = receive(read).expect("the sibling's pid");
    wait(creator);
    if leave_ms != 0 {
        return json!({"pid": own_pid(), "creator": creator, "sibling": sibling});
    }
    wait(sibling as Pid);
    json!({"pid": own_pid(), "forked": 2, "exited": 2, "reaped": 2, "creator": creator, "sibling": sibling})
}

/// A clone without an exit signal: nobody is told, only a __WALL wait sees it.
pub fn no_exit_signal(_flags: &Flags) -> Value {
    // SAFETY: fork-like clone without sharing memory.
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) } as Pid;
    match pid {
        -1 => panic!("clone"),
        0 => exit(0),
        _ => wait_with(pid, libc::__WALL),
    };
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1})
}

/// Every way to end, with the status the wait returned.
pub fn endings(_flags: &Flags) -> Value {
    let directory = std::env::temp_dir().join(format!("reapwatch-core-{}", own_pid()));
    fs::create_dir(&directory).expect("a directory for the core");
    let killed = |signal| {
        let pid = fork_sleeper();
        kill(pid, signal);
        pid
    };
    let pids = [
        fork(|| 255),
        fork(|| 0),
        killed(libc::SIGKILL),
        killed(libc::SIGTERM),
        fork(|| {
            std::env::set_current_dir(&directory).expect("chdir");
            let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: limit is alive; abort ends this child with a core.
            unsafe {
                libc::setrlimit(libc::RLIMIT_CORE, &limit);
                libc::abort()
            }
        }),
    ];
    let endings: Vec<Value> = pids
        .iter()
        .map(|pid| {
            let status = wait(*pid);
            let signalled = libc::WIFSIGNALED(status);
            json!({
                "pid": pid,
                "code": if signalled { None } else { Some(libc::WEXITSTATUS(status)) },
                "signal": if signalled { Some(libc::WTERMSIG(status)) } else { None },
                "core_dumped": signalled && libc::WCOREDUMP(status),
            })
        })
        .collect();
    fs::remove_dir_all(&directory).expect("the core's directory");
    json!({"pid": own_pid(), "forked": 5, "exited": 5, "reaped": 5, "endings": endings})
}

/// A tracer that is not the parent holds a dead child. The middle process, its parent, outlives the workload.
pub fn traced(flags: &Flags) -> Value {
    let hold_ms = flags.get("hold-ms", 0);
    let after_ms = flags.get("after-ms", 2_000);
    let waits = flags.get("wait", 0) != 0;
    let (read, write) = pipe();
    let middle = fork(|| {
        let child = fork_sleeper();
        let (seized_read, seized_write) = pipe();
        let (let_go_read, let_go_write) = pipe();
        let tracer = fork(|| {
            // SAFETY: plain numbers; the child is our sibling.
            assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SEIZE, child, 0, 0) }, 0, "seize");
            send(seized_write, 1);
            hold(hold_ms + after_ms);
            send(let_go_write, now_ns());
            let _ = wait_with(child, libc::__WALL);
            0
        });
        receive(seized_read);
        kill(child, libc::SIGKILL);
        send(write, child as u64);
        send(write, tracer as u64);
        wait(child);
        let waited = now_ns();
        wait(tracer);
        if waits {
            send(write, waited - receive(let_go_read).expect("when the tracer let it go"));
        }
        0
    });
    let child = receive(read);
    let tracer = receive(read);
    hold(hold_ms);
    let upper_ns = waits.then(|| {
        wait(middle);
        receive(read)
    });
    json!({"pid": own_pid(), "middle": middle, "child": child, "tracer": tracer, "upper_ns": upper_ns.flatten()})
}

/// The same pid twice in a row.
pub fn pid_reuse(flags: &Flags) -> Value {
    let tries = flags.get("tries", 200);
    let mut forks = 0;
    let mut reused = None;
    for _ in 0..tries {
        let first = fork(|| 0);
        wait(first);
        fs::write("/proc/sys/kernel/ns_last_pid", (first - 1).to_string()).expect("ns_last_pid");
        let second = fork(|| 0);
        wait(second);
        forks += 2;
        if first == second {
            reused = Some(first);
            break;
        }
    }
    json!({"pid": own_pid(), "forked": forks, "exited": forks, "reaped": forks, "reused": reused})
}
