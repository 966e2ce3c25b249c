//! The kernel's own count of the time in BPF programs: switched on and off, and read. Must not know what for.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::{FromRawFd, OwnedFd},
    process::Command,
};

use serde_json::Value;

use super::sysctl::Sysctl;
use crate::shell::{Outcome, output};

/// Counting costs time itself: off until dropped, whatever it was.
pub fn off() -> Outcome<Sysctl> {
    Sysctl::set("/proc/sys/kernel/bpf_stats_enabled", "0")
}

/// On as long as the descriptor is open: the kernel sees to the off.
pub fn on() -> Outcome<OwnedFd> {
    // What linux/bpf.h calls BPF_ENABLE_STATS, and its only kind, BPF_STATS_RUN_TIME.
    let (command, kind) = (32, 0_u32);
    // SAFETY: the kernel reads as many bytes of `kind` as stated, and keeps no pointer to them.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const kind, size_of_val(&kind)) };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just opened it, for us alone.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(format!("cannot count the time in programs: {}", io::Error::last_os_error())),
    }
}

/// Time in each loaded program so far, and its runs, by id.
pub struct Counted(HashMap<u64, (u64, u64)>);

impl Counted {
    pub fn now() -> Outcome<Self> {
        let text = output(Command::new("bpftool").args(["-j", "prog", "show"]))?;
        let programs: Vec<Value> =
            serde_json::from_str(&text).map_err(|error| format!("bpftool: {error}"))?;
        let number = |one: &Value, field: &str| one[field].as_u64().unwrap_or(0);
        Ok(Self(
            programs
                .iter()
                .map(|one| (number(one, "id"), (number(one, "run_time_ns"), number(one, "run_cnt"))))
                .collect(),
        ))
    }

    /// Ids of the programs that were not there before.
    pub fn new_since(&self, before: &Self) -> HashSet<u64> {
        self.0.keys().filter(|id| !before.0.contains_key(id)).copied().collect()
    }

    /// Time in ns and runs since, in these programs.
    pub fn since(&self, before: &Self, programs: &HashSet<u64>) -> (f64, f64) {
        let mut sum = (0.0, 0.0);
        for (id, (time_ns, runs)) in &self.0 {
            if programs.contains(id) {
                let (time_before_ns, runs_before) = before.0.get(id).copied().unwrap_or_default();
                sum.0 += time_ns.saturating_sub(time_before_ns) as f64;
                sum.1 += runs.saturating_sub(runs_before) as f64;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_asked_for_are_counted() {
        let before = Counted([(1, (100, 10))].into());
        let started = Counted([(1, (200, 20)), (2, (5, 1))].into());
        let later = Counted([(1, (900, 90)), (2, (35, 4)), (3, (700, 70))].into());
        let programs = started.new_since(&before);
        assert_eq!(later.since(&started, &programs), (30.0, 3.0));
    }
}
