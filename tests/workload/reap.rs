//! Parents that reap: at once, late, in batches, by every call there is.

use std::{os::fd::AsRawFd, process::Command, thread};

use serde_json::{Value, json};

use crate::{Flags, hold::hold, process::*};

#[derive(Clone, Copy)]
pub enum How {
    Wait4,
    Waitid,
    Pidfd,
}

fn healthy(count: u64, bounds: &Bounds) -> Value {
    json!({"pid": own_pid(), "forked": count, "exited": count, "reaped": count, "latency": bounds.json()})
}

/// Each child is told to die while its parent already waits.
pub fn at_once(flags: &Flags, how: How) -> Value {
    let count = flags.get("count", 50);
    let mut bounds = Bounds::default();
    for _ in 0..count {
        let before = now_ns();
        let pid = fork(|| 0);
        match how {
            How::Wait4 => {
                wait(pid);
            }
            How::Waitid => wait_by_id(libc::P_PID, pid as u32),
            How::Pidfd => {
                // SAFETY: plain numbers; the descriptor is closed below.
                let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
                assert!(pidfd >= 0, "pidfd_open");
                wait_by_id(libc::P_PIDFD, pidfd.as_raw_fd() as u32);
                close(pidfd);
            }
        }
        bounds.push(0, now_ns() - before);
    }
    healthy(count, &bounds)
}

/// posix_spawn, as the standard library does it.
pub fn spawned(flags: &Flags) -> Value {
    let count = flags.get("count", 20);
    let mut bounds = Bounds::default();
    for _ in 0..count {
        let before = now_ns();
        let mut child = Command::new("/proc/self/exe").arg("exit-now").spawn().expect("spawn");
        child.wait().expect("wait");
        bounds.push(0, now_ns() - before);
    }
    healthy(count, &bounds)
}

/// vfork by clone: the child dies before the parent runs on.
pub fn vforked(flags: &Flags) -> Value {
    let count = flags.get("count", 50);
    let mut bounds = Bounds::default();
    for _ in 0..count {
        let before = now_ns();
        // SAFETY: CLONE_VFORK without CLONE_VM: the child has its own memory and leaves at once.
        let pid =
            unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0) } as Pid;
        match pid {
            -1 => panic!("clone"),
            0 => exit(0),
            _ => {
                wait(pid);
            }
        }
        bounds.push(0, now_ns() - before);
    }
    healthy(count, &bounds)
}

/// Eight threads fork and wait at once, each its own children.
pub fn threads(flags: &Flags) -> Value {
    let each = flags.get("count", 50);
    let all = flags.get("threads", 8);
    let mut bounds = Bounds::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..all)
            .map(|_| {
                scope.spawn(move || {
                    (0..each)
                        .map(|_| {
                            let before = now_ns();
                            wait(fork(|| 0));
                            now_ns() - before
                        })
                        .collect::<Vec<u64>>()
                })
            })
            .collect();
        for worker in workers {
            for upper in worker.join().expect("thread") {
                bounds.push(0, upper);
            }
        }
    });
    healthy(each * all, &bounds)
}

/// Each child is a zombie for a while, then reaped.
pub fn delayed(flags: &Flags) -> Value {
    let count = flags.get("count", 5);
    let mut bounds = Bounds::default();
    for _ in 0..count {
        let pid = fork_sleeper();
        let before = now_ns();
        kill(pid, libc::SIGTERM);
        until_dead(pid);
        let dead = now_ns();
        hold(flags.get("delay-ms", 200));
        let waiting = now_ns();
        wait(pid);
        bounds.push(waiting - dead, now_ns() - before);
    }
    healthy(count, &bounds)
}

/// Every fifth death, five are reaped.
pub fn batch(flags: &Flags) -> Value {
    let count = flags.get("count", 25);
    let mut bounds = Bounds::default();
    let mut pending: Vec<(Pid, u64, u64)> = Vec::new();
    for _ in 0..count {
        let pid = fork_sleeper();
        let before = now_ns();
        kill(pid, libc::SIGTERM);
        until_dead(pid);
        pending.push((pid, before, now_ns()));
        hold(10);
        if pending.len() == 5 {
            for (pid, before, dead) in pending.drain(..) {
                let waiting = now_ns();
                wait(pid);
                bounds.push(waiting - dead, now_ns() - before);
            }
        }
    }
    assert!(pending.is_empty(), "a multiple of five");
    healthy(count, &bounds)
}

/// Batches of children that die at once, each reaped as a whole some time later, until it is killed. Says its pid when
/// the first is reaped.
pub fn batches(flags: &Flags) -> Value {
    let (count, ms) = (flags.get("count", 200), flags.get("ms", 30));
    for batch in 0u64.. {
        if batch == 1 {
            println!("{}", json!({"pid": own_pid()}));
        }
        let children: Vec<Pid> = (0..count).map(|_| fork(|| 0)).collect();
        hold(ms);
        for child in children {
            wait(child);
        }
        hold(ms);
    }
    unreachable!("it is killed")
}

/// Looks without reaping, reaps later.
pub fn wnowait(flags: &Flags) -> Value {
    delayed(flags)
}

/// A child with much memory: long teardown, short reap latency, for the parent waits all the while.
pub fn big_memory(flags: &Flags) -> Value {
    let bytes = (flags.get("mb", 512) << 20) as usize;
    let (read, write) = pipe();
    let (ready_read, ready_write) = pipe();
    let pid = fork(|| {
        close(write);
        // SAFETY: an anonymous private mapping of our own.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED);
        // Small pages: their teardown takes longest.
        // SAFETY: the mapping just made.
        unsafe { libc::madvise(memory, bytes, libc::MADV_NOHUGEPAGE) };
        for page in (0..bytes).step_by(4096) {
            // SAFETY: within the mapping.
            unsafe { memory.cast::<u8>().add(page).write_volatile(1) };
        }
        send(ready_write, 1);
        receive(read);
        0
    });
    close(read);
    receive(ready_read);
    let before = now_ns();
    close(write);
    wait(pid);
    let mut bounds = Bounds::default();
    bounds.push(0, now_ns() - before);
    healthy(1, &bounds)
}

/// fork + exec + exit + wait, as fast as it goes. `--tell-first 1 --hold-ms N`: says so, and lives on for a while.
pub fn storm(flags: &Flags) -> Value {
    let count = flags.get("count", 20_000);
    let exec = flags.get("exec", 1) != 0;
    let before = now_ns();
    for _ in 0..count {
        wait(fork(|| if exec { exec_self(&["exit-now"]) } else { 0 }));
    }
    let truth = json!({"pid": own_pid(), "forked": count, "exited": count, "reaped": count, "took_ns": now_ns() - before});
    if flags.get("tell-first", 0) != 0 {
        println!("{truth}");
    }
    hold(flags.get("hold-ms", 0));
    truth
}
