//! Parents that reap: at once, late, in batches, by every call there is.

use std::{mem::MaybeUninit, os::fd::AsRawFd, process::Command, thread};

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

/// CPU time of this process and of all it has waited for, in ns.
fn cpu_ns() -> u64 {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN]
        .iter()
        .map(|who| {
            let mut usage = MaybeUninit::<libc::rusage>::zeroed();
            // SAFETY: usage is ours to write; all zero is a valid rusage.
            let usage = unsafe {
                assert_eq!(libc::getrusage(*who, usage.as_mut_ptr()), 0);
                usage.assume_init()
            };
            [usage.ru_utime, usage.ru_stime]
                .iter()
                .map(|time| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000)
                .sum::<u64>()
        })
        .sum()
}

/// Lives as fast as they go, for benchmarks: `--exec 1`, `--vfork 1`, or bare forks; `--threads N` at once;
/// `--parents 1`: each life is the only child of a parent that lives as shortly.
pub fn load(flags: &Flags) -> Value {
    let each = flags.get("count", 2_000);
    let threads = flags.get("threads", 1);
    let (exec, vfork, parents) =
        (flags.get("exec", 0) != 0, flags.get("vfork", 0) != 0, flags.get("parents", 0) != 0);
    let one = move || {
        if vfork {
            // SAFETY: the child does nothing but exit.
            let pid = match unsafe {
                libc::syscall(libc::SYS_clone, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0)
            } {
                0 => exit(0),
                pid => pid as Pid,
            };
            wait(pid);
        } else if parents {
            wait(fork(|| {
                wait(fork(|| 0));
                0
            }));
        } else {
            wait(fork(|| if exec { exec_self(&["exit-now"]) } else { 0 }));
        }
    };
    let (began_ns, began_cpu_ns) = (now_ns(), cpu_ns());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || (0..each).for_each(|_| one()));
        }
    });
    let lives = each * threads * if parents { 2 } else { 1 };
    json!({"pid": own_pid(), "lives": lives, "took_ns": now_ns() - began_ns, "cpu_ns": cpu_ns() - began_cpu_ns})
}
