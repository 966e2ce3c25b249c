//! Forking, killing and waiting, with two clock readings around whatever is timed. Panics when the system refuses.

use std::mem::MaybeUninit;

pub type Pid = libc::pid_t;

/// CLOCK_BOOTTIME, ns.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: time is ours to write.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) }, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

pub fn own_pid() -> Pid {
    // SAFETY: no arguments.
    unsafe { libc::getpid() }
}

pub fn exit(code: i32) -> ! {
    // SAFETY: ends this process without running anything of its parent's.
    unsafe { libc::_exit(code) }
}

/// A child that runs `body` and exits with its result.
pub fn fork(body: impl FnOnce() -> i32) -> Pid {
    // SAFETY: the child only runs body and leaves by _exit.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => exit(body()),
        pid => pid,
    }
}

/// A child that lives until it is killed.
pub fn fork_sleeper() -> Pid {
    fork(|| {
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    })
}

pub fn kill(pid: Pid, signal: i32) {
    // SAFETY: plain numbers; only pids this workload started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "kill {pid}");
}

/// Blocks until the child is a zombie, and leaves it one.
pub fn until_dead(pid: Pid) {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: info is ours to write.
    let result =
        unsafe { libc::waitid(libc::P_PID, pid as u32, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) };
    assert_eq!(result, 0, "waitid {pid}: {}", std::io::Error::last_os_error());
}

/// Blocks until the child is dead, without any wait call of its parent's.
pub fn until_dead_unasked(pid: Pid) {
    // SAFETY: plain numbers; poll writes to an entry of ours; the descriptor is closed below.
    unsafe {
        let pidfd = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
        assert!(pidfd >= 0, "pidfd_open");
        let mut entry = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
        assert_eq!(libc::poll(&mut entry, 1, 20_000), 1, "{pid} did not die in time");
        libc::close(pidfd);
    }
}

/// Blocks until the main thread of this process has ended.
pub fn until_leader_is_dead() {
    let stat = || std::fs::read_to_string(format!("/proc/self/task/{}/stat", own_pid())).expect("our own");
    while !stat().rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
        std::thread::yield_now();
    }
}

/// Reaps it by wait4; the status.
pub fn wait(pid: Pid) -> i32 {
    wait_with(pid, 0)
}

pub fn wait_with(pid: Pid, options: i32) -> i32 {
    let mut status = 0;
    // SAFETY: status is ours to write.
    let got = unsafe { libc::waitpid(pid, &mut status, options) };
    assert!(got > 0, "waitpid {pid}: {}", std::io::Error::last_os_error());
    status
}

/// Reaps it by waitid.
pub fn wait_by_id(kind: libc::idtype_t, id: u32) {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: info is ours to write.
    let result = unsafe { libc::waitid(kind, id, info.as_mut_ptr(), libc::WEXITED) };
    assert_eq!(result, 0, "waitid: {}", std::io::Error::last_os_error());
}

/// A pipe: (read end, write end), both close-on-exec.
pub fn pipe() -> (i32, i32) {
    let mut ends = [0; 2];
    // SAFETY: ends is ours to write.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    (ends[0], ends[1])
}

pub fn close(fd: i32) {
    // SAFETY: a descriptor of ours.
    unsafe { libc::close(fd) };
}

/// Hands a number to whoever reads the pipe.
pub fn send(fd: i32, number: u64) {
    let bytes = number.to_ne_bytes();
    // SAFETY: bytes is alive and as long as stated.
    assert_eq!(unsafe { libc::write(fd, bytes.as_ptr().cast(), 8) }, 8);
}

/// The next number from the pipe; `None` at its end.
pub fn receive(fd: i32) -> Option<u64> {
    let mut bytes = [0u8; 8];
    // SAFETY: bytes is ours to write and as long as stated.
    (unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), 8) } == 8).then(|| u64::from_ne_bytes(bytes))
}

/// Replaces this process by the workload itself.
pub fn exec_self(args: &[&str]) -> ! {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new("/proc/self/exe").args(args).exec();
    panic!("exec: {error}");
}

/// Bounds of every latency, from clock readings around what happened.
#[derive(Default)]
pub struct Bounds {
    lower: Vec<u64>,
    upper: Vec<u64>,
}

impl Bounds {
    pub fn push(&mut self, lower_ns: u64, upper_ns: u64) {
        self.lower.push(lower_ns);
        self.upper.push(upper_ns);
    }

    pub fn json(&self) -> serde_json::Value {
        let mean = |all: &[u64]| all.iter().sum::<u64>() / (all.len() as u64).max(1);
        serde_json::json!({
            "count": self.lower.len(),
            "lower_min_ns": self.lower.iter().min(), "lower_max_ns": self.lower.iter().max(),
            "upper_min_ns": self.upper.iter().min(), "upper_max_ns": self.upper.iter().max(),
            "lower_mean_ns": mean(&self.lower), "upper_mean_ns": mean(&self.upper),
        })
    }
}
