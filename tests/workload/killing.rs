//! Children that are killed, and by whom, and that nobody reaps.

use serde_json::{Value, json};

use crate::{
    Flags,
    hold::hold,
    process::{
        Pid, close, exit, fork, fork_sleeper, kill, own_pid, pipe, receive, send, until_dead_unasked, wait,
    },
};

/// A child that says when it is ready to be killed: it has run `prepare`, and sleeps.
fn prepared(prepare: impl FnOnce()) -> Pid {
    prepared_then(prepare, || ())
}

/// The same, with what it does before it sleeps.
fn prepared_then(prepare: impl FnOnce(), then: impl FnOnce()) -> Pid {
    let (ready_read, ready_write) = pipe();
    let pid = fork(|| {
        prepare();
        send(ready_write, 1);
        then();
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    });
    close(ready_write);
    assert_eq!(receive(ready_read), Some(1));
    close(ready_read);
    pid
}

/// A child that gets a SIGINT from us, then a signal that it handles and a SIGINT from a stranger, and takes a SIGINT only then:
/// the one to its thread, which is ours.
fn interrupted_twice() -> Pid {
    let (go_on_read, go_on_write) = pipe();
    let pid = prepared_then(
        || {
            handle(libc::SIGUSR1, does_nothing);
            mask(libc::SIG_BLOCK, libc::SIGINT);
        },
        || {
            while receive(go_on_read).is_none() {}
            mask(libc::SIG_UNBLOCK, libc::SIGINT);
        },
    );
    // SAFETY: plain numbers.
    assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGINT) }, 0);
    by_stranger(|| {
        kill(pid, libc::SIGUSR1);
        kill(pid, libc::SIGINT);
    });
    send(go_on_write, 1);
    close(go_on_read);
    close(go_on_write);
    pid
}

fn mask(how: i32, signal: i32) {
    // SAFETY: a set of signals may be zeroes; it is alive, and nothing is read back.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut set, signal);
        assert_eq!(libc::sigprocmask(how, &raw const set, std::ptr::null_mut()), 0);
    }
}

extern "C" fn exits_with_3(_: i32) {
    exit(3);
}

extern "C" fn does_nothing(_: i32) {}

fn handle(signal: i32, handler: extern "C" fn(i32)) {
    // SAFETY: a handler that is async-signal-safe.
    unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
}

/// Has another process, named `stranger`, do it; reaps that one. Its pid.
fn by_stranger(act: impl FnOnce()) -> Pid {
    let stranger = fork(|| {
        // SAFETY: a NUL-terminated string that lives on.
        unsafe { libc::prctl(libc::PR_SET_NAME, c"stranger".as_ptr()) };
        act();
        0
    });
    assert_eq!(wait(stranger), 0);
    stranger
}

/// Sends a signal that says of itself that something else sent it.
fn forge(pid: Pid, signal: i32, code: i32) {
    let mut info = [0i32; 32];
    info[0] = signal;
    info[2] = code;
    // SAFETY: as long as a siginfo.
    let sent = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, info.as_ptr()) };
    assert_eq!(sent, 0);
}

/// Leaves children that died in every way; with `--wait-first 1` once a line comes in, and says at once that it has.
pub fn killed(flags: &Flags) -> Value {
    // Whoever started this may have it ignore SIGHUP (nohup).
    // SAFETY: plain numbers.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
    if flags.get("wait-first", 0) != 0 {
        std::io::stdin().read_line(&mut String::new()).expect("a line");
    }
    let mut left = Vec::new();
    for signal in [libc::SIGKILL, libc::SIGKILL, libc::SIGKILL, libc::SIGTERM] {
        let pid = fork_sleeper();
        kill(pid, signal);
        left.push(pid);
    }
    // A SIGTERM that is handled before is not what it dies of.
    let pid = prepared(|| handle(libc::SIGTERM, does_nothing));
    kill(pid, libc::SIGTERM);
    let strangers: Vec<Pid> = [pid, fork_sleeper()]
        .map(|pid| {
            left.push(pid);
            by_stranger(|| kill(pid, libc::SIGKILL))
        })
        .into();
    // One signal to a process group.
    let group: Vec<Pid> = {
        // SAFETY: no arguments.
        let leader = prepared(|| assert_eq!(unsafe { libc::setpgid(0, 0) }, 0));
        // SAFETY: plain numbers.
        let member = prepared(|| assert_eq!(unsafe { libc::setpgid(0, leader) }, 0));
        vec![leader, member]
    };
    let of_group = by_stranger(|| kill(-group[0], libc::SIGHUP));
    left.extend(&group);
    left.push(fork(|| {
        // SAFETY: ends this process.
        unsafe { libc::abort() }
    }));
    left.push(fork(|| {
        // SAFETY: meant to fault: nothing is ever mapped there.
        unsafe { std::ptr::without_provenance_mut::<u64>(8).write_volatile(1) };
        0
    }));
    left.push(fork(|| {
        let (read_end, write_end) = pipe();
        close(read_end);
        // SAFETY: plain numbers.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        send(write_end, 1);
        0
    }));
    left.push(fork(|| {
        let soon = libc::timeval { tv_sec: 0, tv_usec: 1_000 };
        let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: soon };
        // SAFETY: once is alive; nothing is written.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &once, std::ptr::null_mut()) };
        hold(20_000);
        0
    }));
    // These were not killed, or it is not known by whom.
    let pid = prepared(|| handle(libc::SIGTERM, exits_with_3));
    kill(pid, libc::SIGTERM);
    left.push(pid);
    left.push(fork(|| 0));
    let pid = fork_sleeper();
    forge(pid, libc::SIGUSR1, libc::SI_TIMER);
    left.push(pid);
    left.push(fork(|| {
        forge(own_pid(), libc::SIGVTALRM, libc::SI_KERNEL);
        0
    }));
    left.push(interrupted_twice());
    left.iter().for_each(|pid| until_dead_unasked(*pid));
    let truth = json!({"pid": own_pid(), "left": left.len(), "killed": left.len() - 5, "strangers": strangers,
                       "of_group": of_group});
    if flags.get("wait-first", 0) != 0 {
        println!("{truth}");
    }
    hold(flags.get("hold-ms", 0));
    truth
}

/// Leaves a child in a PID namespace whose init it kills.
pub fn with_namespace(flags: &Flags) -> Value {
    // SAFETY: a plain number.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0, "unshare");
    let (init, other) = (fork_sleeper(), fork_sleeper());
    kill(init, libc::SIGKILL);
    until_dead_unasked(other);
    hold(flags.get("hold-ms", 0));
    // The init ends once the other one is reaped.
    json!({"pid": own_pid(), "init": init, "left": other})
}

/// Leaves two children that it traces: one dies of a SIGTERM that it passes on, one of SIGKILL.
pub fn while_traced(flags: &Flags) -> Value {
    let traced = || {
        // SAFETY: no pointers are used.
        prepared(|| assert_eq!(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }, 0))
    };
    let (passed_on, killed) = (traced(), traced());
    kill(passed_on, libc::SIGTERM);
    assert!(libc::WIFSTOPPED(wait(passed_on)));
    // SAFETY: our own tracee, which has stopped; no pointers are used.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_CONT, passed_on, 0, libc::SIGTERM) }, 0);
    kill(killed, libc::SIGKILL);
    until_dead_unasked(passed_on);
    until_dead_unasked(killed);
    hold(flags.get("hold-ms", 0));
    json!({"pid": own_pid()})
}

/// Leaves a child for which memory runs out, in the cgroup whose list of processes is named by `WORKLOAD_CGROUP`.
pub fn out_of_memory(flags: &Flags) -> Value {
    let processes = std::env::var_os("WORKLOAD_CGROUP").expect("the cgroup");
    let pid = fork(|| {
        std::fs::write(processes, "0").expect("in the cgroup");
        let mut all = Vec::new();
        loop {
            all.push(vec![1u8; 1 << 20]);
        }
    });
    until_dead_unasked(pid);
    hold(flags.get("hold-ms", 0));
    json!({"pid": own_pid(), "left": pid})
}

/// Kills one child after the other, and reaps none, for ever.
pub fn for_ever(flags: &Flags) -> Value {
    println!("{}", json!({"pid": own_pid()}));
    loop {
        let pid = fork_sleeper();
        kill(pid, libc::SIGKILL);
        until_dead_unasked(pid);
        hold(flags.get("every-ms", 100));
    }
}
