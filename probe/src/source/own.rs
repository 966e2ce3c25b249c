//! What this process itself costs. Must not know anything else.

use nix::sys::resource::{UsageWho, getrusage};
use procfs::WithCurrentSystemInfo;

/// CPU time so far in ns, user and system, and resident memory in bytes; 0 where it cannot be read.
pub fn cost() -> (u64, u64) {
    let cpu_ns = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        let ns = |time: nix::sys::time::TimeVal| {
            time.tv_sec() as u64 * 1_000_000_000 + time.tv_usec() as u64 * 1_000
        };
        ns(usage.user_time()) + ns(usage.system_time())
    });
    let resident_bytes = procfs::process::Process::myself()
        .and_then(|own| own.stat())
        .map_or(0, |stat| stat.rss_bytes().get());
    (cpu_ns, resident_bytes)
}
