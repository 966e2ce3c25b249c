//! Truth about single reaps, to a few µs: each child's reap latency between two bounds, from clock readings around calls.
//!
//! Owns the bounds. Must not know what a tracer says of the same children.

use std::{hint, mem::MaybeUninit};

use serde_json::{Value, json};

use crate::{Flags, process::*};

/// `--count N` children, or as many as `--ms N` allow; each reaped `--delay-us N` after it was seen dead. `--tell-first
/// 1`: says its pid and begins when a line comes in.
pub fn latency(flags: &Flags) -> Value {
    if flags.get("tell-first", 0) != 0 {
        println!("{}", json!({"pid": own_pid()}));
        let _ = std::io::stdin().read_line(&mut String::new());
    }
    let ms = flags.get("ms", 0);
    let count = flags.get("count", if ms > 0 { u64::MAX } else { 500 });
    let delay_ns = flags.get("delay-us", 50) * 1_000;
    let end_ns = if ms > 0 { now_ns() + ms * 1_000_000 } else { u64::MAX };
    // The parent looks while the child dies: each needs a CPU of its own.
    let cpus = allowed_cpus();
    let own_cpu = cpus.first().copied().unwrap_or(0);
    let child_cpu = cpus.get(1).copied().unwrap_or(own_cpu);
    pin(own_cpu);
    let mut children: Vec<(Pid, u64, u64)> = Vec::new();
    while (children.len() as u64) < count && now_ns() < end_ns {
        let born_ns = now_ns();
        let pid = fork(|| {
            pin(child_cpu);
            0
        });
        let mut alive_ns = born_ns;
        let dead_ns = loop {
            let looked_ns = now_ns();
            if is_dead(pid) {
                break now_ns();
            }
            alive_ns = looked_ns;
        };
        while now_ns() < dead_ns + delay_ns {
            hint::spin_loop();
        }
        let waiting_ns = now_ns();
        wait(pid);
        let reaped_ns = now_ns();
        // It died after it was last seen alive and before it was first seen dead; it was reaped within the wait.
        children.push((pid, waiting_ns - dead_ns, reaped_ns - alive_ns));
    }
    json!({"pid": own_pid(), "children": children})
}

/// Whether it is a zombie; leaves it one, and does not block.
fn is_dead(pid: Pid) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: info is ours to write, and all zero, which waitid leaves where there is none, is a valid siginfo whose pid
    // is 0.
    unsafe {
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        assert_eq!(libc::waitid(libc::P_PID, pid as u32, info.as_mut_ptr(), options), 0, "waitid");
        info.assume_init().si_pid() != 0
    }
}

fn allowed_cpus() -> Vec<usize> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: set is ours to write and as long as stated; all zero is a valid set.
    let set = unsafe {
        assert_eq!(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()), 0);
        set.assume_init()
    };
    // SAFETY: within the set's size.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

fn pin(cpu: usize) {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: all zero is a valid, empty set; cpu came out of one; the call reads as much as stated.
    unsafe {
        libc::CPU_SET(cpu, &mut *set.as_mut_ptr());
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set.as_ptr());
    }
}
