//! Parents that do not reap, adopters that do not, and what parents leave behind.

use serde_json::{Value, json};

use crate::{Flags, hold::hold, process::*};

/// So many children that have died.
pub fn zombies(count: u64) -> Vec<Pid> {
    let pids: Vec<Pid> = (0..count).map(|_| fork(|| 0)).collect();
    for pid in &pids {
        until_dead_unasked(*pid);
    }
    pids
}

/// With `--wait-first 1` once a line comes in.
pub fn all(flags: &Flags) -> Value {
    let count = flags.get("count", 10);
    if flags.get("wait-first", 0) != 0 {
        std::io::stdin().read_line(&mut String::new()).expect("a line");
    }
    zombies(count);
    let truth = json!({"pid": own_pid(), "forked": count, "exited": count, "reaped": 0, "left": count});
    if flags.get("tell-first", 0) != 0 {
        println!("{truth}");
    }
    hold(flags.get("hold-ms", 0));
    truth
}

/// The same, by a thread that outlives the main one.
pub fn without_leader(flags: &Flags) -> Value {
    let (count, hold_ms) = (flags.get("count", 3), flags.get("hold-ms", 0));
    std::thread::spawn(move || {
        until_leader_is_dead();
        zombies(count);
        println!(
            "{}",
            json!({"pid": own_pid(), "forked": count, "exited": count, "reaped": 0, "left": count})
        );
        hold(hold_ms);
        exit(0)
    });
    // SAFETY: ends this thread alone.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!()
}

pub fn some(flags: &Flags) -> Value {
    let reaped = flags.get("reaped", 7);
    let left = flags.get("left", 5);
    for pid in zombies(reaped) {
        wait(pid);
    }
    zombies(left);
    hold(flags.get("hold-ms", 0));
    json!({"pid": own_pid(), "forked": reaped + left, "exited": reaped + left, "reaped": reaped, "left": left})
}

/// Leaves all unreaped and says so; reaps some once a line comes in, says so, and leaves the others.
pub fn until_told(flags: &Flags) -> Value {
    let (reaped, left) = (flags.get("reaped", 7), flags.get("left", 5));
    let pids = zombies(reaped + left);
    let truth = |reaped: u64| {
        let all = pids.len() as u64;
        json!({"pid": own_pid(), "forked": all, "exited": all, "reaped": reaped, "left": all - reaped})
    };
    println!("{}", truth(0));
    std::io::stdin().read_line(&mut String::new()).expect("a line");
    for pid in &pids[..reaped as usize] {
        wait(*pid);
    }
    println!("{}", truth(reaped));
    hold(flags.get("hold-ms", 0));
    truth(reaped)
}

/// Starts children, then runs another program that does not know of them.
pub fn exec_leaker(flags: &Flags) -> Value {
    let count = flags.get("count", 10);
    zombies(count);
    // The truth first: the program after the exec says nothing.
    println!("{}", json!({"pid": own_pid(), "forked": count, "exited": count, "reaped": 0, "left": count}));
    let ms = flags.get("hold-ms", 0).to_string();
    exec_self(&["sit", "--ms", &ms])
}

/// A middle process dies over its zombies.
pub fn parent_dies_zombies(flags: &Flags) -> Value {
    let count = flags.get("count", 6);
    let hold_ms = flags.get("hold-ms", 0);
    let middle = fork(|| {
        zombies(count);
        hold(hold_ms);
        0
    });
    wait(middle);
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1, "middle": middle, "abandoned": count})
}

/// A middle process dies while its children run on, past the end of the workload itself.
pub fn parent_dies_running(flags: &Flags) -> Value {
    let count = flags.get("count", 3);
    let (read, write) = pipe();
    let ms = flags.get("child-ms", 4_000);
    let middle = fork(|| {
        for _ in 0..count {
            let pid = fork(|| {
                hold(ms);
                0
            });
            send(write, pid as u64);
        }
        0
    });
    close(write);
    wait(middle);
    let pids: Vec<u64> = (0..count).filter_map(|_| receive(read)).collect();
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1, "middle": middle, "running": pids})
}

/// A daemon's double fork with setsid: still a descendant.
pub fn double_fork(flags: &Flags) -> Value {
    let (read, write) = pipe();
    let ms = flags.get("child-ms", 4_000);
    let first = fork(|| {
        // SAFETY: no arguments.
        unsafe { libc::setsid() };
        let daemon = fork(|| {
            hold(ms);
            0
        });
        send(write, daemon as u64);
        0
    });
    wait(first);
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1, "first": first, "running": [receive(read)]})
}

/// Adopts grandchildren and never reaps them: as a subreaper.
pub fn subreaper(flags: &Flags) -> Value {
    let count = flags.get("count", 4);
    let hold_ms = flags.get("hold-ms", 0);
    let (read, write) = pipe();
    let adopter = fork(|| {
        // SAFETY: plain numbers.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
        orphan_and_hold(count, write);
        hold(hold_ms);
        0
    });
    close(write);
    let middle = receive(read);
    wait(adopter);
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1, "adopter": adopter, "middle": middle,
           "adopted_zombies": count, "adopted_running": count})
}

/// A middle process leaves `count` zombies and `count` running children, which die afterwards; the caller adopts all
/// and reaps only the middle. Sends the middle's pid once all is done.
fn orphan_and_hold(count: u64, done: i32) {
    let (alive_read, alive_write) = pipe();
    let (go_read, go_write) = pipe();
    let middle = fork(|| {
        close(go_write);
        for _ in 0..count {
            let pid = fork(|| {
                close(alive_read);
                // Until the middle is gone and the adopter closes the pipe.
                receive(go_read);
                0
            });
            assert!(pid > 0);
        }
        close(alive_write);
        zombies(count);
        0
    });
    close(go_read);
    close(alive_write);
    wait(middle);
    close(go_write);
    // Each running child holds the pipe's write end until it has died.
    assert_eq!(receive(alive_read), None);
    hold(50);
    send(done, middle as u64);
}

/// The same as PID 1 of a new PID namespace, `levels` deep.
pub fn pidns(flags: &Flags) -> Value {
    let count = flags.get("count", 4);
    let hold_ms = flags.get("hold-ms", 0);
    let levels = flags.get("levels", 1);
    let (read, write) = pipe();
    let outer = enter(levels, count, hold_ms, write);
    close(write);
    let middle = receive(read);
    wait(outer);
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1, "init": outer, "middle_ns_pid": middle,
           "levels": levels, "adopted_zombies": count, "adopted_running": count})
}

/// A child that is PID 1 of a new namespace; on the last level it adopts and does not reap.
fn enter(levels: u64, count: u64, hold_ms: u64, write: i32) -> Pid {
    // SAFETY: fork-like clone without sharing memory.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_NEWPID | libc::SIGCHLD, 0, 0, 0, 0) } as Pid;
    match pid {
        -1 => panic!("clone(CLONE_NEWPID): {}", std::io::Error::last_os_error()),
        0 => {
            if levels > 1 {
                wait(enter(levels - 1, count, hold_ms, write));
            } else {
                orphan_and_hold(count, write);
                hold(hold_ms);
            }
            exit(0)
        }
        _ => pid,
    }
}

/// A leaking parent and its children under names made to do harm.
pub fn hostile_names(flags: &Flags) -> Value {
    use std::os::unix::{ffi::OsStrExt, process::CommandExt};
    if flags.get("inner", 0) == 0 {
        let name = std::ffi::OsStr::from_bytes(b"\x1b[31m\"evil\n\xff\xe2\x80\xae");
        let error = std::process::Command::new("/proc/self/exe")
            .arg0(name)
            .args(["hostile-names", "--inner", "1", "--hold-ms", &flags.get("hold-ms", 0).to_string()])
            .exec();
        panic!("exec: {error}");
    }
    // SAFETY: a NUL-terminated string that lives on.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"\x1b]0;x\x07\"\n\xff\\".as_ptr()) };
    zombies(3);
    hold(flags.get("hold-ms", 0));
    json!({"pid": own_pid(), "forked": 3, "exited": 3, "reaped": 0, "left": 3})
}
