//! Children whose user, session, terminal, CPU time and memory are known: what their wait4 says of them. Must not know
//! reapwatch.

use std::{fs, mem::MaybeUninit, os::unix::fs::MetadataExt, thread};

use serde_json::{Value, json};

use crate::{
    Flags,
    hold::hold,
    process::{Pid, exit, fork, now_ns, own_pid, pipe, receive, send},
};

/// What the children do that become another user.
const UID: u32 = 4_242;

/// CPU time of the calling thread, ns.
fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: time is ours to write.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Keeps this thread's CPU busy for so long, by its own clock.
fn burn(ms: u64) {
    let until = thread_cpu_ns() + ms * 1_000_000;
    while thread_cpu_ns() < until {
        std::hint::spin_loop();
    }
}

/// Sleeps, so that the scheduler books what this thread has run, and tells when it went on.
fn book(to: i32) {
    hold(2);
    send(to, now_ns());
}

/// Reaps it by wait4, whose usage is the truth. `woke`: where it has told when it began to end.
fn ended(name: &str, pid: Pid, woke: i32, expected: Value) -> Value {
    let woke_ns = receive(woke).expect("when it went on");
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both are ours to write; zeroed, a usage is a usage.
    let usage = unsafe {
        assert_eq!(libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()), pid);
        usage.assume_init()
    };
    // What it ran after it had been booked last, it ran in this time.
    let tail_ns = now_ns() - woke_ns;
    let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    json!({
        "name": name,
        "pid": pid,
        "cpu_ns": (us(usage.ru_utime) + us(usage.ru_stime)) * 1_000,
        "tail_ns": tail_ns,
        "peak_rss_bytes": usage.ru_maxrss as u64 * 1_024,
        "expected": expected,
    })
}

/// The inode of our cgroup in the unified hierarchy, where it can be seen.
fn cgroup_id() -> Option<u64> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let at = |root: &str| format!("{root}{path}/");
    let is_cgroup = |at: &String| fs::exists(format!("{at}cgroup.procs")).is_ok_and(|is_there| is_there);
    let found = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(at).into_iter().find(is_cgroup)?;
    Some(fs::metadata(found).ok()?.ino())
}

/// A terminal of its own for this child: its name without `/dev/`, if there is one to be had.
fn begin_session_on_terminal() -> Option<String> {
    let (mut master, mut slave) = (0, 0);
    let mut name = [0u8; 64];
    // SAFETY: name is longer than any, and the descriptors are ours to write.
    unsafe {
        let (settings, size) = (std::ptr::null_mut(), std::ptr::null_mut());
        if libc::openpty(&mut master, &mut slave, name.as_mut_ptr().cast(), settings, size) != 0 {
            return None;
        }
        libc::setsid();
        if libc::ioctl(slave, libc::TIOCSCTTY, 0) != 0 {
            return None;
        }
    }
    let name: Vec<u8> = name.into_iter().take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&name).strip_prefix("/dev/").map(str::to_owned)
}

/// Children of each kind, one after the other.
pub fn accounts(_flags: &Flags) -> Value {
    // SAFETY: plain numbers. Whoever descends from an init without a session is in none: 0.
    let session = Some(unsafe { libc::getsid(0) }).filter(|session| *session != 0);
    let inherited = json!({"uid": 0, "session": session});
    let mut children = Vec::new();
    {
        let (woke, tell) = pipe();
        let pid = fork(|| {
            burn(60);
            let mut memory = vec![0u8; 24 << 20];
            memory.iter_mut().step_by(4_096).for_each(|byte| *byte = 1);
            drop(std::hint::black_box(memory));
            // SAFETY: plain numbers.
            assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, UID, UID, UID) }, 0, "setresuid");
            book(tell);
            3
        });
        let expected = json!({"uid": UID, "session": session, "reason": "exit code 3"});
        children.push(ended("one thread, much memory, another user", pid, woke, expected));
    }
    {
        let (woke, tell) = pipe();
        let pid = fork(|| {
            let burners: Vec<_> = (0..3).map(|_| thread::spawn(|| burn(30))).collect();
            burners.into_iter().for_each(|burner| burner.join().expect("it burns"));
            book(tell);
            0
        });
        children.push(ended("threads that were joined", pid, woke, inherited.clone()));
    }
    {
        let (woke, tell) = pipe();
        let pid = fork(|| {
            burn(40);
            thread::spawn(move || {
                crate::process::until_leader_is_dead();
                burn(20);
                book(tell);
                exit(0)
            });
            // SAFETY: ends the calling thread alone, the main one.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
            0
        });
        children.push(ended("a main thread that ended first", pid, woke, inherited.clone()));
    }
    {
        let ((woke, tell), (named, name)) = (pipe(), pipe());
        let pid = fork(|| {
            let tty = begin_session_on_terminal();
            let bytes = tty.unwrap_or_default().into_bytes();
            send(name, bytes.len() as u64);
            bytes.iter().for_each(|byte| send(name, u64::from(*byte)));
            // The end of a session comes with SIGHUP for whoever is in it.
            book(tell);
            crate::process::kill(own_pid(), libc::SIGKILL);
            0
        });
        let len = receive(named).expect("how long its name is");
        let tty: Vec<u8> = (0..len).map(|_| receive(named).expect("a letter") as u8).collect();
        let tty = String::from_utf8(tty).expect("a name");
        let mut expected = json!({"uid": 0, "reason": "killed by SIGKILL"});
        if !tty.is_empty() {
            expected["tty"] = tty.into();
            expected["session"] = pid.into();
        }
        children.push(ended("killed, on a terminal of its own", pid, woke, expected));
    }
    json!({"pid": own_pid(), "cgroup_id": cgroup_id(), "children": children})
}
