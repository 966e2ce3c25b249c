//! Parents with zombies that do something which must go on undisturbed: they sleep, wait, compute. Each prints a line once
//! its zombies are there, and then a line that says how what it did came to its end.
//!
//! Must not reap.

use std::{
    io::{Write, stdout},
    mem::zeroed,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{Flags, process::*};

/// Leaves `--count` zombies, the last one made by clone without a signal for its end, and says so.
fn leave_zombies(flags: &Flags, more: Value) {
    let count = flags.get("count", 50);
    for number in 1..count {
        until_dead_unasked(fork(move || number as i32 & 0x7f));
    }
    // SAFETY: fork-like clone without sharing memory; the child leaves at once.
    let silent = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) } as Pid;
    match silent {
        -1 => panic!("clone: {}", std::io::Error::last_os_error()),
        0 => exit(0),
        pid => until_dead_unasked(pid),
    }
    tell(&json!({"pid": own_pid(), "zombies": count, "more": more}));
}

fn tell(line: &Value) {
    println!("{line}");
    stdout().flush().expect("a reader");
}

/// What a call returned, its errno, and how long it took.
fn timed(call: impl FnOnce() -> i64) -> Value {
    let began = now_ns();
    let result = call();
    let errno = std::io::Error::last_os_error().raw_os_error().filter(|_| result == -1);
    json!({"pid": own_pid(), "result": result, "errno": errno, "lasted_ns": now_ns() - began})
}

fn timespec(ms: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ms / 1_000) as i64, tv_nsec: (ms % 1_000 * 1_000_000) as i64 }
}

/// clock_nanosleep; `--absolute 1` to a point in time.
pub fn sleep(flags: &Flags) -> Value {
    leave_zombies(flags, Value::Null);
    let ms = flags.get("ms", 3_000);
    timed(|| {
        let mut until = timespec(ms);
        let mut how = 0;
        // SAFETY: both times are ours.
        unsafe {
            if flags.get("absolute", 0) == 1 {
                how = libc::TIMER_ABSTIME;
                libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut until);
                until.tv_sec += (ms / 1_000) as i64;
            }
            i64::from(libc::clock_nanosleep(libc::CLOCK_MONOTONIC, how, &raw const until, ptr::null_mut()))
        }
    })
}

/// read of standard input, which is a pipe.
pub fn read(flags: &Flags) -> Value {
    leave_zombies(flags, Value::Null);
    let mut bytes = [0u8; 64];
    // SAFETY: bytes is ours to write and as long as stated.
    let mut truth = timed(|| unsafe { libc::read(0, bytes.as_mut_ptr().cast(), bytes.len()) } as i64);
    let got = truth["result"].as_i64().unwrap_or(0).max(0) as usize;
    truth["bytes"] = String::from_utf8_lossy(&bytes[..got]).into();
    truth
}

/// poll with a timeout, on a pipe that stays empty.
pub fn poll(flags: &Flags) -> Value {
    let (empty, _write) = pipe();
    leave_zombies(flags, Value::Null);
    let mut entry = libc::pollfd { fd: empty, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry of ours.
    timed(|| i64::from(unsafe { libc::poll(&raw mut entry, 1, flags.get("ms", 3_000) as i32) }))
}

/// epoll_wait without a timeout on standard input: a call that the kernel never restarts.
pub fn epoll(flags: &Flags) -> Value {
    // SAFETY: descriptors of ours, and an event of ours to read.
    let epoll = unsafe {
        let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 7 };
        assert_eq!(libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, 0, &raw mut event), 0);
        epoll
    };
    leave_zombies(flags, Value::Null);
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: one event of ours to write.
    let mut truth = timed(|| i64::from(unsafe { libc::epoll_wait(epoll, &raw mut event, 1, -1) }));
    truth["event"] = { event.u64 }.into();
    truth
}

/// A futex that nobody wakes, with a timeout.
pub fn futex(flags: &Flags) -> Value {
    leave_zombies(flags, Value::Null);
    let word = 5u32;
    let timeout = timespec(flags.get("ms", 3_000));
    // SAFETY: the word and the timeout are ours and live.
    timed(|| unsafe {
        libc::syscall(libc::SYS_futex, &raw const word, libc::FUTEX_WAIT, 5, &raw const timeout, 0, 0)
    })
}

/// Signals that its handler has counted.
static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_signal: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

fn handle(signal: i32, handler: extern "C" fn(i32), flags: i32) {
    // SAFETY: a zeroed sigaction is valid; the handlers are async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0);
    }
}

/// The own signal mask: bit N-1 is signal N.
fn mask() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("our own");
    status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("a mask").trim().to_owned()
}

/// sigsuspend: its mask is another one than before and after.
pub fn sigsuspend(flags: &Flags) -> Value {
    handle(libc::SIGUSR1, count_signal, 0);
    // SAFETY: sets of ours.
    let in_call = unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR2);
        set
    };
    let before = mask();
    leave_zombies(flags, Value::Null);
    // SAFETY: a set of ours.
    let mut truth = timed(|| i64::from(unsafe { libc::sigsuspend(&raw const in_call) }));
    truth["signals"] = SIGNALS.load(Ordering::Relaxed).into();
    truth["same_mask"] = (mask() == before).into();
    truth
}

/// Computes, with integers and floats, until the time is over: the same each round.
pub fn spin(flags: &Flags) -> Value {
    let expected = compute();
    leave_zombies(flags, Value::Null);
    let end = now_ns() + flags.get("ms", 3_000) * 1_000_000;
    let (mut rounds, mut wrong) = (0u64, 0u64);
    while now_ns() < end {
        rounds += 1;
        wrong += u64::from(compute() != expected);
    }
    json!({"pid": own_pid(), "rounds": rounds, "wrong": wrong})
}

#[inline(never)]
fn compute() -> (u64, u64) {
    let (mut state, mut sum) = (std::hint::black_box(88_172_645_463_325_252u64), 0f64);
    for _ in 0..100_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum = (sum + (state >> 40) as f64).sqrt() * 1.000_1;
    }
    (state, sum.to_bits())
}

/// How long the handler sleeps, in ms.
static HANDLER_MS: AtomicU64 = AtomicU64::new(0);

extern "C" fn sleep_in_handler(_signal: i32) {
    let time = timespec(HANDLER_MS.load(Ordering::Relaxed));
    // SAFETY: a time of ours; nanosleep is allowed in a handler.
    let result = unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
    SIGNALS.fetch_add(if result == 0 { 1 } else { 1_000 }, Ordering::Relaxed);
}

/// Sleeps in a signal handler.
pub fn in_handler(flags: &Flags) -> Value {
    HANDLER_MS.store(flags.get("ms", 3_000), Ordering::Relaxed);
    handle(libc::SIGUSR1, sleep_in_handler, 0);
    leave_zombies(flags, Value::Null);
    // SAFETY: a signal to this thread, which has a handler.
    let mut truth = timed(|| i64::from(unsafe { libc::raise(libc::SIGUSR1) }));
    truth["signals"] = SIGNALS.load(Ordering::Relaxed).into();
    truth
}

/// Sleeps while real-time signals come, which are queued and none of which is to be lost. Ends with standard input.
pub fn counting_signals(flags: &Flags) -> Value {
    handle(libc::SIGRTMIN(), count_signal, libc::SA_RESTART);
    leave_zombies(flags, Value::Null);
    let mut byte = 0u8;
    // SAFETY: one byte of ours.
    let mut truth = timed(|| unsafe { libc::read(0, (&raw mut byte).cast(), 1) } as i64);
    truth["signals"] = SIGNALS.load(Ordering::Relaxed).into();
    truth
}

/// The main thread waits for a vfork child, which ends with standard input; with `--threads 1`, another one sleeps.
pub fn vfork(flags: &Flags) -> Value {
    if flags.get("threads", 0) == 1 {
        thread::spawn(|| thread::sleep(Duration::from_secs(600)));
    }
    leave_zombies(flags, Value::Null);
    let mut byte = 0u8;
    let place = &raw mut byte;
    timed(|| {
        // SAFETY: vfork as a raw clone would need assembly; libc's is used, and the child only reads and leaves.
        #[allow(deprecated, reason = "the state that it puts its caller in is what is tested")]
        let child = unsafe { libc::vfork() };
        if child == 0 {
            // SAFETY: one byte of ours; ends this process without running anything of its parent's.
            unsafe {
                libc::read(0, place.cast(), 1);
                libc::_exit(0)
            }
        }
        i64::from(child > 0)
    })
}

/// Sleeps in a call of 32 bits, until it is killed.
pub fn in_32_bit_call(flags: &Flags) -> Value {
    leave_zombies(flags, Value::Null);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: pause, which takes no arguments; all that the instruction may change is named.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") 29 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    panic!("it came back")
}

/// Many threads that sleep; how many slept to their end.
pub fn threads(flags: &Flags) -> Value {
    let ms = flags.get("ms", 3_000);
    let sleepers: Vec<_> = (0..flags.get("threads", 40))
        .map(|_| {
            thread::spawn(move || {
                let time = timespec(ms);
                // SAFETY: a time of ours.
                unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) }
            })
        })
        .collect();
    leave_zombies(flags, Value::Null);
    let slept = sleepers.into_iter().filter_map(|one| one.join().ok()).filter(|result| *result == 0).count();
    json!({"pid": own_pid(), "slept": slept})
}

/// A filter kills this process for a wait4 call; ends with standard input.
pub fn under_seccomp(flags: &Flags) -> Value {
    let kill_wait4 = [
        libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 },
        libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: libc::SYS_wait4 as u32 },
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_KILL_PROCESS },
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
    ];
    let mut program = kill_wait4;
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a program of ours that lives through the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
    read(flags)
}

/// One more zombie is held by a tracer, which ends with standard input of its own: a pipe that this process holds.
pub fn held(flags: &Flags) -> Value {
    let (told_read, told_write) = pipe();
    let (stay_read, stay_write) = pipe();
    let child = fork_sleeper();
    let tracer = fork(move || {
        close(stay_write);
        // SAFETY: plain numbers; a process of ours.
        let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, child, 0usize, 0usize) };
        send(told_write, seized as u64);
        receive(stay_read);
        0
    });
    assert_eq!(receive(told_read), Some(0), "the tracer has it");
    kill(child, libc::SIGKILL);
    until_dead_unasked(child);
    leave_zombies(flags, json!({"held": child, "tracer": tracer}));
    let truth = read_on();
    close(stay_write);
    truth
}

/// A main thread of a child ends before the child's other thread, which ends with standard input: no zombie.
pub fn with_dead_leader(flags: &Flags) -> Value {
    let (told_read, told_write) = pipe();
    let child = fork(move || {
        thread::spawn(move || {
            until_leader_is_dead();
            send(told_write, 1);
            let mut byte = 0u8;
            // SAFETY: one byte of ours.
            unsafe { libc::read(0, (&raw mut byte).cast(), 1) };
            exit(0)
        });
        // SAFETY: ends this thread only.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        0
    });
    assert_eq!(receive(told_read), Some(1));
    leave_zombies(flags, json!({"dead_leader": child}));
    json!({"pid": own_pid(), "status": wait(child)})
}

/// read of standard input by a thread whose main thread has ended before.
pub fn without_leader(flags: &Flags) -> Value {
    let flags = flags.clone();
    thread::spawn(move || {
        until_leader_is_dead();
        tell(&read(&flags));
        exit(0)
    });
    // SAFETY: ends this thread only.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!()
}

/// One more child dies once a byte comes. Ends with the next.
pub fn with_late_zombie(flags: &Flags) -> Value {
    leave_zombies(flags, Value::Null);
    read_on();
    until_dead_unasked(fork(|| 0));
    tell(&json!({"late": true}));
    read_on()
}

extern "C" fn reap_all(_signal: i32) {
    // SAFETY: allowed in a handler.
    while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG | libc::__WALL) } > 0 {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
}

/// A handler that reaps is set too late: after the deaths. Ends with standard input.
pub fn with_late_handler(flags: &Flags) -> Value {
    leave_zombies_with_handler(flags);
    let truth = read_on();
    json!({"pid": own_pid(), "reaped": SIGNALS.load(Ordering::Relaxed), "read": truth})
}

fn leave_zombies_with_handler(flags: &Flags) {
    let count = flags.get("count", 50);
    for _ in 0..count {
        until_dead_unasked(fork(|| 0));
    }
    handle(libc::SIGCHLD, reap_all, libc::SA_RESTART);
    tell(&json!({"pid": own_pid(), "zombies": count}));
}

fn read_on() -> Value {
    let mut byte = 0u8;
    // SAFETY: one byte of ours.
    timed(|| unsafe { libc::read(0, (&raw mut byte).cast(), 1) } as i64)
}

/// Calls of a kind again and again, one after another, that a stop would cut short: `--kind` 0 is write to a pipe, 1 sendfile,
/// 2 getrandom, 3 read of /dev/zero, 4 fallocate; `--calls` of them, each for `--mib` MiB. How many came back with less. With
/// `--rest` ms it sleeps after each.
pub fn busy(flags: &Flags) -> Value {
    let (kind, calls, rest_ms) = (flags.get("kind", 0), flags.get("calls", 200), flags.get("rest", 0));
    let size = (flags.get("mib", 1) as usize) << 20;
    let mut bytes = vec![1u8; size];
    let (out, zero, file) = match kind {
        0 => (drained_pipe(), -1, -1),
        1 => (open(c"/dev/null"), -1, file(size)),
        3 => (-1, open(c"/dev/zero"), -1),
        4 => (-1, -1, file(0)),
        _ => (-1, -1, -1),
    };
    leave_zombies(flags, Value::Null);
    let mut short = Vec::new();
    let mut done = 0u64;
    // Until it is told to end, and so often at least: whoever reaps may take longer.
    while done < calls || !has_been_told() {
        let place = bytes.as_mut_ptr().cast::<libc::c_void>();
        // SAFETY: the place is ours and as long as stated, and the descriptors are ours.
        let result = unsafe {
            match kind {
                0 => libc::write(out, place, size) as i64,
                1 => {
                    let mut offset = 0;
                    libc::sendfile(out, file, &raw mut offset, size) as i64
                }
                2 => libc::getrandom(place, size, 0) as i64,
                3 => libc::read(zero, place, size) as i64,
                _ => {
                    libc::ftruncate(file, 0);
                    i64::from(libc::fallocate(file, 0, 0, size as i64)) + size as i64
                }
            }
        };
        if result != size as i64 {
            short.push(result);
        }
        done += 1;
        if rest_ms > 0 {
            let time = timespec(rest_ms);
            // SAFETY: a time of ours.
            unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
        }
    }
    json!({"pid": own_pid(), "calls": done, "short": short})
}

/// A pipe that a child reads all the time.
fn drained_pipe() -> i32 {
    let (read, write) = pipe();
    fork(move || {
        close(write);
        let mut bytes = vec![0u8; 1 << 16];
        // SAFETY: as long as stated.
        while unsafe { libc::read(read, bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
        0
    });
    close(read);
    write
}

fn open(path: &std::ffi::CStr) -> i32 {
    // SAFETY: a string that ends with zero.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    assert!(fd >= 0, "{path:?}: {}", std::io::Error::last_os_error());
    fd
}

/// A file in memory of this length.
fn file(length: usize) -> i32 {
    // SAFETY: a string that ends with zero; a descriptor of ours.
    unsafe {
        let fd = libc::memfd_create(c"file".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0 && libc::ftruncate(fd, length as i64) == 0);
        fd
    }
}

/// Whether standard input has something, or its end.
fn has_been_told() -> bool {
    let mut entry = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry of ours.
    unsafe { libc::poll(&raw mut entry, 1, 0) != 0 }
}

/// epoll_wait with a timeout of `--ms`, which would begin anew.
pub fn timed_epoll(flags: &Flags) -> Value {
    // SAFETY: no arguments that are memory.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    leave_zombies(flags, Value::Null);
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: one event of ours to write.
    timed(|| i64::from(unsafe { libc::epoll_wait(epoll, &raw mut event, 1, flags.get("ms", 3_000) as i32) }))
}

/// ppoll with a timeout: the kernel writes what is left of it.
pub fn ppoll(flags: &Flags) -> Value {
    leave_zombies(flags, Value::Null);
    let mut timeout = timespec(flags.get("ms", 3_000));
    // SAFETY: a timeout of ours, to write to.
    timed(|| unsafe { libc::syscall(libc::SYS_ppoll, 0usize, 0, &raw mut timeout, 0usize, 8) })
}

/// read of a terminal with a timer of `--ms`.
pub fn timed_terminal(flags: &Flags) -> Value {
    let (mut controller, mut terminal) = (0, 0);
    // SAFETY: descriptors of ours to write; the settings are read first.
    unsafe {
        assert_eq!(
            libc::openpty(&raw mut controller, &raw mut terminal, ptr::null_mut(), ptr::null(), ptr::null()),
            0
        );
        let mut set: libc::termios = zeroed();
        assert_eq!(libc::tcgetattr(terminal, &raw mut set), 0);
        libc::cfmakeraw(&raw mut set);
        set.c_cc[libc::VMIN] = 0;
        set.c_cc[libc::VTIME] = (flags.get("ms", 3_000) / 100) as u8;
        assert_eq!(libc::tcsetattr(terminal, libc::TCSANOW, &raw const set), 0);
    }
    leave_zombies(flags, Value::Null);
    let mut byte = 0u8;
    // SAFETY: one byte of ours.
    timed(|| unsafe { libc::read(terminal, (&raw mut byte).cast(), 1) } as i64)
}

/// A call of a child that a filter hands to this process, its supervisor (seccomp user notification). The zombies are the
/// child's. Once told, the supervisor answers; how often it was asked.
pub fn under_supervision(flags: &Flags) -> Value {
    /// linux/seccomp.h.
    const SECCOMP_RET_USER_NOTIF: u32 = 0x7fc0_0000;
    const NOTIF_RECV: u64 = 0xc050_2100;
    const NOTIF_SEND: u64 = 0xc018_2101;
    let (told_read, told_write) = pipe();
    let flags = flags.clone();
    let child = fork(move || {
        let mut program = [
            libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 },
            libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: libc::SYS_wait4 as u32 },
            libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: SECCOMP_RET_USER_NOTIF },
            libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
        ];
        leave_zombies(&flags, Value::Null);
        let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // SAFETY: a program of ours that lives through the call; wait4 without memory.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
            let listener = libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            );
            send(told_write, listener as u64);
            libc::syscall(libc::SYS_wait4, -1, 0, 0, 0) as i32
        }
    });
    let listener = receive(told_read).expect("a descriptor of the child's") as i32;
    // SAFETY: plain numbers.
    let own = unsafe {
        let pidfd = libc::syscall(libc::SYS_pidfd_open, child, 0) as i32;
        libc::syscall(libc::SYS_pidfd_getfd, pidfd, listener, 0) as i32
    };
    assert!(own >= 0, "{}", std::io::Error::last_os_error());
    let mut asked = 0;
    let mut entry = libc::pollfd { fd: own, events: libc::POLLIN, revents: 0 };
    // SAFETY: an entry of ours; a notification is 80 bytes long, its answer 24, and the id is the first of both.
    unsafe {
        let mut take = |timeout| {
            if libc::poll(&raw mut entry, 1, timeout) != 1 || entry.revents & libc::POLLIN == 0 {
                return false;
            }
            let mut notification = [0u64; 10];
            if libc::ioctl(own, NOTIF_RECV as _, notification.as_mut_ptr()) != 0 {
                return false;
            }
            asked += 1;
            tell(&json!({"asked": asked}));
            read_on();
            let mut answer = [notification[0], 7, 0];
            libc::ioctl(own, NOTIF_SEND as _, answer.as_mut_ptr());
            true
        };
        assert!(take(20_000), "it was never asked");
        while take(500) {}
    }
    json!({"pid": own_pid(), "asked": asked, "result": wait(child)})
}
