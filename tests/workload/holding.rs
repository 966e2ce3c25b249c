//! What the dead hold and what they do not, and who only looks dead: told by whoever tries to get what they held.

use std::{fs::File, net::TcpListener, os::fd::AsRawFd, thread};

use serde_json::{Value, json};

use crate::{Flags, hold::hold, process::*};

/// Longer than any test.
const LONG_MS: u64 = 120_000;
/// No user of a host.
const NO_USER: u32 = 64_123;

/// Whether somebody else has a lock on this file, by a descriptor of its own.
fn is_locked(path: &str) -> bool {
    let file = File::open(path).expect("the file");
    // SAFETY: a descriptor of ours.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) != 0 }
}

/// Whether all writing ends of a pipe are closed.
fn is_at_its_end(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, ours to write.
    assert!(unsafe { libc::poll(&raw mut poll, 1, 0) } >= 0);
    poll.revents & libc::POLLHUP != 0
}

/// A child with a pipe, a lock and a port exits with 7, or with `--main-thread 1` its main thread alone.
pub fn holder(flags: &Flags) -> Value {
    let main_thread_alone = flags.get("main-thread", 0) != 0;
    // SAFETY: a name of ours.
    let memory = unsafe { libc::memfd_create(c"lock".as_ptr(), 0) };
    assert!(memory >= 0);
    let path = format!("/proc/self/fd/{memory}");
    let (told_read, told_write) = pipe();
    let (held_read, held_write) = pipe();
    let of_child = path.clone();
    let child = fork(move || {
        close(held_read);
        let locked = File::open(&of_child).expect("the file");
        // SAFETY: a descriptor of ours.
        assert_eq!(unsafe { libc::flock(locked.as_raw_fd(), libc::LOCK_EX) }, 0);
        let listener = TcpListener::bind(("0.0.0.0", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        std::mem::forget((locked, listener));
        if main_thread_alone {
            thread::spawn(move || {
                until_leader_is_dead();
                send(told_write, port.into());
                hold(LONG_MS);
            });
            // SAFETY: ends this thread alone.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        send(told_write, port.into());
        7
    });
    close(held_write);
    let port = receive(told_read).expect("a port") as u16;
    if !main_thread_alone {
        until_dead_unasked(child);
    }
    println!(
        "{}",
        json!({
            "pid": own_pid(),
            "child": child,
            "holds_pipe": !is_at_its_end(held_read),
            "holds_lock": is_locked(&path),
            "holds_port": TcpListener::bind(("0.0.0.0", port)).is_err(),
        })
    );
    std::io::stdin().read_line(&mut String::new()).expect("a line");
    kill(child, libc::SIGKILL);
    json!({"pid": own_pid(), "status": wait(child)})
}

/// A user that may have 10 processes starts children that end at once, and reaps none until it can start no more; then one.
pub fn until_no_more(_flags: &Flags) -> Value {
    let limit = libc::rlimit { rlim_cur: 10, rlim_max: 10 };
    // SAFETY: plain numbers and a structure of ours.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit), 0);
        assert_eq!((libc::setgid(NO_USER), libc::setuid(NO_USER)), (0, 0));
    }
    let mut dead = Vec::new();
    let errno = loop {
        // SAFETY: this process has one thread; the child leaves at once.
        match unsafe { libc::fork() } {
            0 => exit(0),
            -1 => break std::io::Error::last_os_error().raw_os_error(),
            pid => {
                until_dead_unasked(pid);
                dead.push(pid);
            }
        }
    };
    wait(dead[0]);
    let another = fork(|| 0);
    let truth = json!({"pid": own_pid(), "dead": dead.len(), "errno": errno, "another": another > 0});
    for pid in dead[1..].iter().chain([&another]) {
        wait(*pid);
    }
    truth
}

/// The init of a PID namespace cannot end as long as a process that came into it from outside is not reaped.
pub fn stuck_init(_flags: &Flags) -> Value {
    // SAFETY: plain numbers; children are born into the new namespace.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0, "unshare");
    let init = fork(|| {
        hold(LONG_MS);
        0
    });
    let entered = fork(|| 0);
    until_dead_unasked(entered);
    kill(init, libc::SIGKILL);
    println!("{}", json!({"pid": own_pid(), "init": init, "entered": entered}));
    std::io::stdin().read_line(&mut String::new()).expect("a line");
    wait(entered);
    json!({"pid": own_pid(), "status": wait(init)})
}

/// Starts and reaps children each time a line comes, and says so.
pub fn reaps_when_told(flags: &Flags) -> Value {
    let count = flags.get("count", 5);
    println!("{}", json!({"pid": own_pid()}));
    let mut reaped = 0;
    while std::io::stdin().read_line(&mut String::new()).expect("a line") > 0 {
        for _ in 0..count {
            wait(fork(|| 0));
            reaped += 1;
        }
        println!("{}", json!({"pid": own_pid(), "reaped": reaped}));
    }
    json!({"pid": own_pid(), "reaped": reaped})
}
