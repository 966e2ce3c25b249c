//! Parents with one zombie that they leave, each doing something else meanwhile, until killed. Each says what it is about to
//! do, and its helpers die with it.

use std::thread;

use serde_json::{Value, json};

use crate::{hold::hold, leak::zombies, process::*};

/// Longer than any test.
const LONG_MS: u64 = 120_000;
/// A user that is not root.
const NOBODY: u32 = 65_534;

/// What a parent with a zombie does from now on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Stopped,
    BlocksInAllThreads,
    BlocksInOneThread,
    HasHandler,
    WaitsForAnother,
    WaitsForAny,
    WaitsForStopped,
    WaitsInThread,
    ReadsPipe,
    ReadsOwnPipe,
    ReadsPipeOfAnotherUser,
    Vfork,
    Traced,
    SignalWait,
    ManyThreads,
}

/// A child that lives until this process dies.
fn helper(body: impl FnOnce()) -> Pid {
    fork(|| {
        // SAFETY: plain numbers.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, 0);
        body();
        hold(LONG_MS);
        0
    })
}

fn set_of(signal: i32) -> libc::sigset_t {
    // SAFETY: a set of signals may be zeroes, and is ours to write.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        set
    }
}

fn block(signal: i32) {
    // SAFETY: the set is ours to read.
    let done = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set_of(signal), std::ptr::null_mut()) };
    assert_eq!(done, 0);
}

/// One that waits without end, and has done so when this returns.
fn holding_thread() {
    let (began, begins) = std::sync::mpsc::channel();
    thread::spawn(move || {
        began.send(()).expect("somebody waits");
        hold(LONG_MS);
    });
    begins.recv().expect("a thread");
}

extern "C" fn on_sigchld(_signal: i32) {}

pub fn suspect(doing: Doing) -> Value {
    let mut truth = json!({"pid": own_pid()});
    let mut tell = |name: &str, value: i64| truth[name] = value.into();
    if doing == Doing::WaitsForAny {
        // A child whose end sends no signal: a plain wait does not reap it.
        // SAFETY: fork-like clone without sharing memory.
        let pid = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) } as Pid;
        match pid {
            0 => exit(0),
            pid => until_dead_unasked(pid),
        }
    } else {
        zombies(1);
    }
    let mut fd = -1;
    let mut child = 0;
    match doing {
        Doing::BlocksInAllThreads => {
            block(libc::SIGCHLD);
            holding_thread();
        }
        Doing::BlocksInOneThread => {
            holding_thread();
            block(libc::SIGCHLD);
        }
        Doing::ManyThreads => {
            block(libc::SIGCHLD);
            for _ in 0..99 {
                holding_thread();
            }
        }
        Doing::HasHandler => {
            let handler = on_sigchld as extern "C" fn(i32) as libc::sighandler_t;
            // SAFETY: the handler does nothing.
            assert_ne!(unsafe { libc::signal(libc::SIGCHLD, handler) }, libc::SIG_ERR);
        }
        Doing::SignalWait => block(libc::SIGUSR1),
        Doing::WaitsForAnother | Doing::WaitsForAny | Doing::WaitsForStopped | Doing::WaitsInThread => {
            child = helper(|| ());
            tell("child", child.into());
        }
        Doing::ReadsPipe => {
            let (read, write) = pipe();
            let writer = helper(|| close(read));
            close(write);
            fd = read;
            tell("writer", writer.into());
            tell("fd", read.into());
        }
        Doing::ReadsPipeOfAnotherUser => {
            let (read, write) = pipe();
            // It forgets whose helper it is when it becomes another user: whoever reads the truth ends it.
            let writer = fork(|| {
                // SAFETY: plain numbers and descriptors of ours.
                unsafe {
                    assert!(libc::dup(write) >= 0);
                    assert_eq!(libc::setgid(NOBODY), 0);
                    assert_eq!(libc::setuid(NOBODY), 0);
                }
                close(read);
                exec_self(&["sit", "--ms", &LONG_MS.to_string()])
            });
            close(write);
            fd = read;
            tell("writer", writer.into());
            tell("fd", read.into());
        }
        Doing::ReadsOwnPipe => {
            let (read, write) = pipe();
            fd = read;
            tell("writer", own_pid().into());
            tell("fd", read.into());
            assert!(write > 0);
        }
        Doing::Traced => {
            let (read, write) = pipe();
            let parent = own_pid();
            let tracer = helper(|| {
                // SAFETY: plain numbers; it goes on running.
                assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SEIZE, parent, 0, 0) }, 0, "seize");
                send(write, 1);
            });
            receive(read);
            tell("tracer", tracer.into());
        }
        Doing::Stopped | Doing::Vfork => {}
    }
    println!("{truth}");
    match doing {
        Doing::Stopped => kill(own_pid(), libc::SIGSTOP),
        Doing::WaitsForAnother => drop(wait(child)),
        Doing::WaitsForAny => drop(wait(-1)),
        Doing::WaitsForStopped => {
            let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: info is ours to write.
            unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), libc::WSTOPPED) };
        }
        Doing::WaitsInThread => drop(thread::spawn(move || wait(child)).join()),
        Doing::ReadsPipe | Doing::ReadsOwnPipe | Doing::ReadsPipeOfAnotherUser => drop(receive(fd)),
        Doing::Vfork => {
            let parent = own_pid();
            // SAFETY: CLONE_VFORK without CLONE_VM: the child has its own memory.
            if unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0) } == 0 {
                // SAFETY: plain numbers.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                // SAFETY: no arguments.
                if unsafe { libc::getppid() } == parent {
                    hold(LONG_MS);
                }
                exit(0);
            }
        }
        Doing::SignalWait => {
            let mut signal = 0;
            // SAFETY: set and number are ours.
            unsafe { libc::sigwait(&set_of(libc::SIGUSR1), &mut signal) };
        }
        _ => {}
    }
    hold(LONG_MS);
    truth
}
