//! A parent that leaves all its children unreaped until the kernel refuses another fork, at a steady rate.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::{Flags, hold::hold, process::*};

/// Forks `--per-second` children, each of which dies at once, until a fork fails or `--most` are there; then holds still. With
/// `--user` and `--nproc` it first becomes that user, who may have so many processes.
pub fn exhausting(flags: &Flags) {
    let (user, nproc) = (flags.get("user", 0), flags.get("nproc", 0));
    if user > 0 {
        become_user(user as u32, nproc);
    }
    let most = flags.get("most", u64::MAX);
    let pause = Duration::from_micros(1_000_000 / flags.get("per-second", 10));
    let began = std::time::Instant::now();
    let (mut forked, mut errno) = (0, 0);
    while forked < most {
        // SAFETY: the child leaves at once.
        match unsafe { libc::fork() } {
            -1 => {
                errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
                break;
            }
            0 => exit(0),
            _ => forked += 1,
        }
        // At a steady rate, however long a fork takes.
        std::thread::sleep((pause * forked as u32).saturating_sub(began.elapsed()));
    }
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let truth =
        json!({"pid": own_pid(), "forked": forked, "errno": errno, "unix_s": since_epoch.as_secs_f64()});
    println!("{truth}");
    hold(flags.get("hold-ms", 0));
}

/// Gives up every capability with it.
fn become_user(user: u32, nproc: u64) {
    let limit = libc::rlimit { rlim_cur: nproc, rlim_max: nproc };
    // SAFETY: a struct of ours, and plain numbers.
    let became = unsafe {
        libc::setrlimit(libc::RLIMIT_NPROC, &limit) == 0
            && libc::setresgid(user, user, user) == 0
            && libc::setresuid(user, user, user) == 0
    };
    assert!(became, "become user {user}: {}", std::io::Error::last_os_error());
}
