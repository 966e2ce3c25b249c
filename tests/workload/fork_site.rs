//! Children that are forked at places with known names, of which one leaves them.
//!
//! Must not know reapwatch.

use serde_json::{Value, json};

use crate::{Flags, hold::hold, process::*};

/// Leaves its children unreaped.
#[inline(never)]
fn careless_place(count: u64) -> u64 {
    for _ in 0..count {
        until_dead_unasked(fork(|| 0));
    }
    std::hint::black_box(count)
}

/// Reaps them.
#[inline(never)]
fn careful_place(count: u64) -> u64 {
    for _ in 0..count {
        wait(fork(|| 0));
    }
    std::hint::black_box(count)
}

/// Children of vfork, reaped: the C library keeps the return address in a register meanwhile.
#[inline(never)]
fn vforking_place(count: u64) -> u64 {
    for _ in 0..count {
        // SAFETY: the child leaves at once and touches nothing of ours.
        #[allow(deprecated, reason = "it is what is tried")]
        let pid = unsafe { libc::vfork() };
        if pid == 0 {
            // SAFETY: ends the child alone.
            unsafe { libc::_exit(0) };
        }
        wait(pid);
    }
    std::hint::black_box(count)
}

extern "C" fn handling_place(_signal: i32) {
    until_dead_unasked(fork(|| 0));
}

/// Receives signals whose handler leaves a child each.
#[inline(never)]
fn interrupted_place(count: u64) -> u64 {
    for _ in 0..count {
        // SAFETY: a signal to ourselves, which has a handler.
        unsafe { libc::raise(libc::SIGUSR1) };
    }
    std::hint::black_box(count)
}

pub fn in_handler(flags: &Flags) -> Value {
    let left = flags.get("left", 3);
    // SAFETY: the handler does what it does in a process of one thread that is at no lock.
    unsafe { libc::signal(libc::SIGUSR1, handling_place as *const () as libc::sighandler_t) };
    interrupted_place(left);
    hold(flags.get("hold-ms", 0));
    json!({"pid": own_pid(), "forked": left, "exited": left, "reaped": 0, "left": left})
}

pub fn places(flags: &Flags) -> Value {
    let (left, reaped) = (flags.get("left", 5), flags.get("reaped", 3));
    careful_place(reaped);
    vforking_place(2);
    careless_place(left);
    hold(flags.get("hold-ms", 0));
    let forked = left + reaped + 2;
    json!({"pid": own_pid(), "forked": forked, "exited": forked, "reaped": reaped + 2, "left": left})
}

/// Leaves a child each time, until it is killed.
pub fn for_ever(flags: &Flags) -> Value {
    println!("{}", json!({"pid": own_pid()}));
    loop {
        careless_place(1);
        hold(flags.get("every-ms", 100));
    }
}
