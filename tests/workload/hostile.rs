//! What a hostile or merely unusual program may do: odd exit signals, leaders that die, names that change, execs without
//! end, namespaces in namespaces, tracers. Each leaves or reaps an exactly known number.

use std::{
    ffi::CString,
    os::unix::ffi::OsStrExt,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::{prctl, signal::Signal},
};
use serde_json::{Value, json};

use crate::{Flags, hold::hold, process::*};

fn clone_with(flags: i32) -> Pid {
    // SAFETY: fork-like clone without sharing memory.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as Pid {
        -1 => panic!("clone: {}", std::io::Error::last_os_error()),
        pid => pid,
    }
}

fn truth(exited: u64, reaped: u64) -> Value {
    json!({"pid": own_pid(), "forked": exited, "exited": exited, "reaped": reaped, "left": exited - reaped})
}

/// Children with each of these exit signals, which the parent ignores where it is not SIGCHLD; `--reap 1`: seen by __WALL.
pub fn exit_signals(flags: &Flags) -> Value {
    // None, a usual one, the right one, a real-time one.
    let (signals, each) = ([0, libc::SIGUSR1, libc::SIGCHLD, 40], 3);
    let reap = flags.get("reap", 0) != 0;
    for signal in signals.iter().cycle().take(signals.len() * each) {
        if *signal != 0 && *signal != libc::SIGCHLD {
            // SAFETY: no handler of ours is called.
            unsafe { libc::signal(*signal, libc::SIG_IGN) };
        }
        let pid = clone_with(*signal);
        if pid == 0 {
            exit(0);
        }
        if reap {
            wait_with(pid, libc::__WALL);
        } else {
            until_dead_unasked(pid);
        }
    }
    hold(flags.get("hold-ms", 0));
    let count = (signals.len() * each) as u64;
    truth(count, if reap { count } else { 0 })
}

/// The leader dies over its children, and another thread of it lives on.
pub fn leader_dies_leaking(flags: &Flags) -> Value {
    let (count, hold_ms) = (flags.get("count", 5), flags.get("hold-ms", 0));
    for _ in 0..count {
        until_dead_unasked(fork(|| 0));
    }
    println!("{}", truth(count, 0));
    thread::spawn(move || {
        hold(hold_ms);
        exit(0);
    });
    // SAFETY: ends this thread only.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!()
}

/// Each thread leaves a child of its own; all belong to the process.
pub fn thread_leak(flags: &Flags) -> Value {
    let count = flags.get("count", 10);
    let threads: Vec<_> = (0..count).map(|_| thread::spawn(|| until_dead_unasked(fork(|| 0)))).collect();
    for one in threads {
        one.join().expect("a thread");
    }
    hold(flags.get("hold-ms", 0));
    truth(count, 0)
}

/// It changes its name, to ones made to do harm, all the while.
pub fn renaming(flags: &Flags) -> Value {
    let count = flags.get("count", 10);
    thread::spawn(|| {
        for name in [c"a\nb\x1b[31m\xff\xe2\x80\xae", c"other"].iter().cycle() {
            let comm = format!("/proc/{}/comm", own_pid());
            // The leader's name is the process's.
            std::fs::write(comm, name.to_bytes()).expect("its own name");
        }
    });
    for _ in 0..count {
        until_dead_unasked(fork(|| 0));
    }
    hold(flags.get("hold-ms", 0));
    truth(count, 0)
}

/// Children whose second thread calls exec beside three others.
pub fn thread_execs(flags: &Flags) -> Value {
    let count = flags.get("count", 10);
    for _ in 0..count {
        wait(fork(|| {
            for _ in 0..3 {
                thread::spawn(|| hold(60_000));
            }
            thread::spawn(|| exec_self(&["exit-now"])).join().expect("never returns");
            1
        }));
    }
    truth(count, count)
}

/// PID namespaces in each other; the init of the innermost reaps 3 and leaves 7.
pub fn nested_pidns(flags: &Flags) -> Value {
    let (levels, hold_ms) = (flags.get("levels", 5), flags.get("hold-ms", 0));
    let (read, write) = pipe();
    fn inner(levels: u64, hold_ms: u64, write: i32) {
        if levels > 0 {
            let pid = clone_with(libc::CLONE_NEWPID | libc::SIGCHLD);
            if pid == 0 {
                inner(levels - 1, hold_ms, write);
                exit(0);
            }
            wait(pid);
            return;
        }
        for at in 0..10 {
            let pid = fork(|| 0);
            until_dead_unasked(pid);
            if at < 3 {
                wait(pid);
            }
        }
        // What /proc was mounted by knows it by the pid of the first namespace.
        let own = std::fs::read_link("/proc/self").expect("/proc");
        let own: u64 = own.to_str().and_then(|pid| pid.parse().ok()).expect("a pid");
        send(write, own);
        hold(hold_ms);
    }
    let outermost = clone_with(libc::CLONE_NEWPID | libc::SIGCHLD);
    if outermost == 0 {
        inner(levels - 1, hold_ms, write);
        exit(0);
    }
    close(write);
    let init = receive(read).expect("the innermost init's pid");
    wait(outermost);
    json!({"pid": own_pid(), "init": init, "levels": levels, "exited": 10, "reaped": 3, "left": 7})
}

/// Runs itself anew by exec, again and again, and leaves a child every 50th time.
pub fn exec_loop(flags: &Flags) -> Value {
    let (count, left) = (flags.get("count", 200), flags.get("left", 0));
    let hold_ms = flags.get("hold-ms", 0);
    if count == 0 {
        hold(hold_ms);
        return truth(left, 0);
    }
    let leave = count.is_multiple_of(50);
    if leave {
        until_dead_unasked(fork(|| 0));
    }
    let number = |number: u64| number.to_string();
    let (count, left) = (number(count - 1), number(left + u64::from(leave)));
    exec_self(&["exec-loop", "--count", &count, "--left", &left, "--hold-ms", &number(hold_ms)])
}

/// Each forks the next and dies at once. Ends when all have.
pub fn chain(flags: &Flags) -> Value {
    let count = flags.get("count", 100);
    let (read, write) = pipe();
    let first = fork(|| {
        for _ in 1..count {
            if fork_or_be_forked() != 0 {
                break;
            }
        }
        0
    });
    close(write);
    wait(first);
    // Each of them has held the other end.
    assert_eq!(receive(read), None);
    json!({"pid": own_pid(), "forked": 1, "exited": 1, "reaped": 1, "births": count})
}

/// 0 in the child, which goes on with what its parent was at.
fn fork_or_be_forked() -> Pid {
    clone_with(libc::SIGCHLD)
}

/// Children that have their own parent trace them.
pub fn traced_by_parent(flags: &Flags) -> Value {
    let count = flags.get("count", 10);
    for _ in 0..count {
        wait(fork(|| {
            // SAFETY: no pointers are used.
            assert_eq!(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }, 0);
            0
        }));
    }
    truth(count, count)
}

/// A tracer dies while it holds a dead child of ours, which is then ours to reap.
pub fn tracer_dies(flags: &Flags) -> Value {
    let child = fork_sleeper();
    let (seized_read, seized_write) = pipe();
    let (go_read, go_write) = pipe();
    let tracer = fork(|| {
        close(go_write);
        // SAFETY: plain numbers; the child is our sibling.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SEIZE, child, 0, 0) }, 0, "seize");
        send(seized_write, 1);
        receive(go_read);
        0
    });
    receive(seized_read);
    kill(child, libc::SIGKILL);
    until_dead_unasked(child);
    hold(flags.get("hold-ms", 0));
    close(go_write);
    wait(tracer);
    wait(child);
    json!({"pid": own_pid(), "forked": 2, "exited": 2, "reaped": 2, "left": 0, "child": child, "tracer": tracer})
}

/// Children by vfork, none reaped.
pub fn vfork_leak(flags: &Flags) -> Value {
    let count = flags.get("count", 10);
    for _ in 0..count {
        let pid = clone_with(libc::CLONE_VFORK | libc::SIGCHLD);
        if pid == 0 {
            exit(0);
        }
        until_dead_unasked(pid);
    }
    let truth = truth(count, 0);
    if flags.get("tell-first", 0) != 0 {
        println!("{truth}");
    }
    hold(flags.get("hold-ms", 0));
    truth
}

/// A command line of two megabytes, made to do harm.
pub fn big_arguments(flags: &Flags) -> Value {
    let count = flags.get("count", 5);
    if flags.get("inner", 0) == 0 {
        let text = |text: &[u8]| CString::new(text).expect("no NUL");
        let hold_ms = flags.get("hold-ms", 0).to_string();
        let start: [&[u8]; 6] =
            [b"big", b"big-arguments", b"--inner", b"1", b"--hold-ms", hold_ms.as_bytes()];
        let long = (0..64).map(|at| text(&vec![b"A\n\x1b\xff"[at % 4]; 30_000]));
        let arguments: Vec<CString> = start.into_iter().map(text).chain(long).collect();
        let program = CString::new(std::path::Path::new("/proc/self/exe").as_os_str().as_bytes());
        let _ = nix::unistd::execv(&program.expect("no NUL"), &arguments);
        panic!("exec: {}", std::io::Error::last_os_error());
    }
    for _ in 0..count {
        until_dead_unasked(fork(|| 0));
    }
    hold(flags.get("hold-ms", 0));
    truth(count, 0)
}

/// Parents with two children each that die on two CPUs at the same instant, which both tell of to the same record. The
/// parents live on until the input ends.
pub fn same_instant(flags: &Flags) -> Value {
    let count = flags.get("count", 500);
    // SAFETY: an anonymous mapping of our own, a page long, which the children share; all zeroes are two counters.
    let ready: &[AtomicU32; 2] = unsafe {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let page =
            libc::mmap(std::ptr::null_mut(), 4096, rights, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        &*page.cast()
    };
    let (done_read, done_write) = pipe();
    let parents: Vec<Pid> = (0..count)
        .map(|_| {
            ready[0].store(0, Ordering::SeqCst);
            let parent = fork(|| {
                // However this process ends, none of a thousand stays behind.
                prctl::set_pdeathsig(Signal::SIGKILL).expect("a signal");
                for cpu in 0..2 {
                    fork(|| {
                        let mut cpus = CpuSet::new();
                        cpus.set(cpu).expect("a CPU's number");
                        // Where there is one CPU only, they die as close to each other as can be.
                        let _ = sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus);
                        ready[0].fetch_add(1, Ordering::SeqCst);
                        while ready[0].load(Ordering::SeqCst) < 2 {
                            std::hint::spin_loop();
                        }
                        0
                    });
                }
                wait(-1);
                wait(-1);
                send(done_write, 1);
                loop {
                    // SAFETY: no arguments.
                    unsafe { libc::pause() };
                }
            });
            receive(done_read);
            parent
        })
        .collect();
    println!("{}", json!({"pid": own_pid(), "parents": parents}));
    std::io::stdin().read_line(&mut String::new()).expect("the end of the input");
    for parent in &parents {
        kill(*parent, libc::SIGKILL);
        wait(*parent);
    }
    json!({"pid": own_pid(), "forked": count, "exited": count, "reaped": count})
}

/// `--per-second N` new parents for `--ms N`, each with a name made to do harm, in a cgroup of its own with a name that lies, and each with one
/// dead child that it does not reap. They live on until the input has a line; then all are ended.
pub fn leakers(flags: &Flags) -> Value {
    let (per_second, ms) = (flags.get("per-second", 760), flags.get("ms", 5_000));
    let groups = own_cgroups();
    let began_ns = now_ns();
    let mut parents: Vec<Pid> = Vec::new();
    while now_ns() < began_ns + ms * 1_000_000 {
        let due = (now_ns() - began_ns) * per_second / 1_000_000_000;
        if parents.len() as u64 >= due {
            thread::sleep(std::time::Duration::from_millis(1));
            continue;
        }
        let number = parents.len();
        let (read, write) = pipe();
        let parent = fork(|| {
            prctl::set_pdeathsig(Signal::SIGKILL).expect("a signal");
            let name = format!("{number}\"}} 1\n\x1b[2J");
            std::fs::write("/proc/self/comm", name).expect("its own name");
            for group in &groups {
                let lie = ["sshd.service", "docker-evil.scope"][number % 2];
                let own = group.join(format!("{number}-{lie}"));
                // A host may have room for fewer cgroups: then it stays where it is.
                if std::fs::create_dir(&own).is_ok() {
                    std::fs::write(own.join("cgroup.procs"), "0").expect("its own cgroup");
                }
            }
            until_dead_unasked(fork(|| 0));
            send(write, 1);
            loop {
                // SAFETY: no arguments.
                unsafe { libc::pause() };
            }
        });
        close(write);
        assert_eq!(receive(read), Some(1), "it has left a child");
        close(read);
        parents.push(parent);
    }
    println!("{}", json!({"pid": own_pid(), "parents": parents.len()}));
    std::io::stdin().read_line(&mut String::new()).expect("a line or the end of the input");
    for parent in &parents {
        kill(*parent, libc::SIGKILL);
        wait(*parent);
    }
    for (group, number) in
        groups.iter().flat_map(|group| (0..parents.len()).map(move |number| (group, number)))
    {
        for lie in ["sshd.service", "docker-evil.scope"] {
            let _ = std::fs::remove_dir(group.join(format!("{number}-{lie}")));
        }
    }
    json!({"pid": own_pid(), "forked": parents.len(), "exited": parents.len(), "reaped": parents.len(), "left": 0})
}

/// Its own cgroups in the hierarchies in which systemd keeps units.
fn own_cgroups() -> Vec<std::path::PathBuf> {
    let all = std::fs::read_to_string("/proc/self/cgroup").expect("/proc");
    let mut groups = Vec::new();
    for line in all.lines() {
        let (roots, path): (&[&str], _) = match line.splitn(3, ':').collect::<Vec<_>>()[..] {
            [_, "name=systemd", path] => (&["/sys/fs/cgroup/systemd"], path),
            ["0", "", path] => (&["/sys/fs/cgroup/unified", "/sys/fs/cgroup"], path),
            _ => continue,
        };
        let found = roots.iter().map(|root| std::path::PathBuf::from(format!("{root}{path}")));
        groups.extend(found.into_iter().find(|group| path != "/" && group.join("cgroup.procs").exists()));
    }
    groups
}
