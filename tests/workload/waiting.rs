//! Parents that wait in every way there is, few times each, and parents whose SIGCHLDs pend: each counts what it does
//! itself.

use std::{
    mem::MaybeUninit,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

use crate::process::*;

/// No process has it: the largest pid is 4,194,304.
const NOBODY: Pid = Pid::MAX;
/// linux/wait.h; by types of the C library's own.
const WNOTHREAD: i32 = libc::__WNOTHREAD;
const WALL: i32 = libc::__WALL;
const WCLONE: i32 = libc::__WCLONE;

/// What a parent did. `any` and `specific` are what the kernel's hook can tell apart: one who waits for nobody seems to wait
/// for any.
#[derive(Default)]
struct Truth {
    any: u64,
    specific: u64,
    read: u64,
    unread: u64,
    group: u64,
    absent: u64,
    peeking: u64,
    own_thread: u64,
    clone_only: u64,
    coalesced: u64,
}

impl Truth {
    fn json(&self, name: &str, pid: Pid) -> Value {
        json!({
            "name": name, "pid": pid, "any": self.any, "specific": self.specific, "read": self.read,
            "unread": self.unread, "group": self.group, "absent": self.absent, "peeking": self.peeking,
            "own_thread": self.own_thread, "clone_only": self.clone_only, "coalesced": self.coalesced,
        })
    }
}

/// Runs each parent to its end. They have no program of their own but the last, whose waits before its exec do not count.
pub fn kinds() -> Value {
    let calls = |any, specific| Truth { any, specific, read: any + specific, ..Truth::default() };
    let mut parents = vec![
        parent("targets", targets, Truth { group: 3, ..calls(2, 6) }),
        parent(
            "flags",
            flags,
            Truth { group: 1, absent: 2, peeking: 2, own_thread: 1, clone_only: 1, ..calls(5, 2) },
        ),
        // The first 8, and of those that 64, 128 and 192 went before.
        parent("many", many, Truth { read: 11, ..calls(0, 200) }),
        parent("announced", announced, calls(0, 5)),
        parent("blocked", blocked, Truth { coalesced: 19, read: 8, ..calls(0, 20) }),
        parent("stopped", stopped, Truth { coalesced: 1, ..calls(0, 1) }),
        parent("exec", executing, calls(1, 0)),
    ];
    if compat::is_there() {
        parents.push(parent("compat", compat::waiting, Truth { any: 1, unread: 1, ..Truth::default() }));
    }
    json!({"pid": own_pid(), "parents": parents})
}

fn parent(name: &str, body: fn(), truth: Truth) -> Value {
    let pid = fork(|| {
        body();
        0
    });
    assert_eq!(wait(pid), 0, "{name} fails");
    truth.json(name, pid)
}

/// The child a wait gets, -1 where it has none, 0 where none is dead.
fn wait_for(whom: Pid, options: i32) -> Pid {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(whom, ptr::null_mut(), options) }
}

fn wait_by(kind: libc::idtype_t, id: u32, options: i32) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: info is ours to write.
    unsafe { libc::waitid(kind, id, info.as_mut_ptr(), options) == 0 }
}

fn child() -> Pid {
    fork(|| 0)
}

/// For any, for one, for a group: by each call.
fn targets() {
    // SAFETY: no arguments, or plain numbers: a group of our own, which the children inherit.
    let group = unsafe {
        assert_eq!(libc::setpgid(0, 0), 0);
        libc::getpgrp()
    };
    child();
    assert!(wait_for(-1, 0) > 0);
    child();
    assert!(wait_by(libc::P_ALL, 0, libc::WEXITED));

    let pid = child();
    assert_eq!(wait_for(pid, 0), pid);
    assert!(wait_by(libc::P_PID, child() as u32, libc::WEXITED));
    // SAFETY: plain numbers; the descriptor is closed below.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, child(), 0) } as i32;
    assert!(wait_by(libc::P_PIDFD, pidfd as u32, libc::WEXITED));
    close(pidfd);

    child();
    assert!(wait_for(0, 0) > 0);
    child();
    assert!(wait_for(-group, 0) > 0);
    child();
    assert!(wait_by(libc::P_PGID, group as u32, libc::WEXITED));
}

/// Without taking, without seeing, for nobody.
fn flags() {
    let pid = child();
    assert!(wait_by(libc::P_PID, pid as u32, libc::WEXITED | libc::WNOWAIT));
    assert!(!wait_by(libc::P_ALL, 0, libc::WSTOPPED | libc::WNOHANG), "the dead do not stop");
    assert_eq!(wait_for(-1, libc::WNOHANG | WCLONE), -1, "it sends SIGCHLD");
    assert_eq!(wait_for(pid, WALL | WCLONE), pid);
    child();
    assert!(wait_for(-1, WNOTHREAD) > 0);
    assert_eq!(wait_for(NOBODY, 0), -1);
    assert_eq!(wait_for(-NOBODY, 0), -1);
}

fn many() {
    for _ in 0..200 {
        let pid = child();
        assert_eq!(wait_for(pid, 0), pid);
    }
}

/// SIGCHLDs that its handler has taken.
static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handle(_signal: i32) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

fn set_handler() {
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGCHLD, handle as *const () as libc::sighandler_t) };
}

fn block_sigchld() {
    // SAFETY: a set of signals may be zeroes; the calls write to it alone.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        assert_eq!(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()), 0);
    }
}

fn is_pending() -> bool {
    // SAFETY: a set of signals may be zeroes; the calls write to it alone.
    unsafe {
        let mut set = std::mem::zeroed();
        assert_eq!(libc::sigpending(&raw mut set), 0);
        libc::sigismember(&raw const set, libc::SIGCHLD) == 1
    }
}

/// The next dies when the handler has been told of the one before: none is merged.
fn announced() {
    set_handler();
    for told in 0..5 {
        let pid = fork_sleeper();
        kill(pid, libc::SIGKILL);
        while HANDLED.load(Ordering::SeqCst) == told {
            std::thread::yield_now();
        }
        assert_eq!(wait_for(pid, 0), pid);
    }
}

/// All die while SIGCHLD is blocked: all but one are merged into the first one's, which stays pending.
fn blocked() {
    block_sigchld();
    let children: Vec<Pid> = (0..20).map(|_| fork_sleeper()).collect();
    for pid in &children {
        kill(*pid, libc::SIGKILL);
    }
    for pid in &children {
        until_dead_unasked(*pid);
    }
    for pid in children {
        assert_eq!(wait_for(pid, 0), pid);
    }
}

/// The notice of its death is merged into the one that it stopped.
fn stopped() {
    block_sigchld();
    let pid = fork_sleeper();
    kill(pid, libc::SIGSTOP);
    while !is_pending() {
        std::thread::yield_now();
    }
    kill(pid, libc::SIGKILL);
    until_dead_unasked(pid);
    assert_eq!(wait_for(pid, 0), pid);
}

/// What the program before it did is not its own.
fn executing() {
    block_sigchld();
    for _ in 0..3 {
        let pid = child();
        until_dead_unasked(pid);
        assert_eq!(wait_for(pid, 0), pid);
    }
    until_dead_unasked(child());
    exec_self(&["wait-once"]);
}

/// The program after it.
pub fn once() {
    assert!(wait_for(-1, 0) > 0);
}

/// The way in of programs of 32 bits, which those of 64 bits have too where the kernel has it.
#[cfg(target_arch = "x86_64")]
mod compat {
    use super::*;

    const GETPID: i32 = 20;
    const WAIT4: i32 = 114;

    fn call(number: i32, first: i32) -> i32 {
        let result;
        // SAFETY: getpid, or a wait4 without a status and without usage; the kernel may clear what is named.
        unsafe {
            std::arch::asm!(
                "push rbx", "mov ebx, {first:e}", "int 0x80", "pop rbx",
                first = in(reg) first, inlateout("eax") number => result,
                in("ecx") 0, in("edx") 0, in("esi") 0,
                lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
            );
        }
        result
    }

    /// Where the kernel has it not, whoever tries is killed.
    pub fn is_there() -> bool {
        wait(fork(|| i32::from(call(GETPID, 0) != own_pid()))) == 0
    }

    pub fn waiting() {
        let pid = child();
        assert_eq!(call(WAIT4, -1), pid);
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod compat {
    pub fn is_there() -> bool {
        false
    }
    pub fn waiting() {}
}
