//! The clock of all times. Must not know what is timed.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

/// ns from one reading to the other; 0 where the clock of another CPU was ahead. By its sign: a comparison of the two costs more.
#[inline(always)]
pub fn elapsed_ns(from_ns: u64, to_ns: u64) -> u64 {
    let ns = to_ns.wrapping_sub(from_ns) as i64;
    if ns < 0 { 0 } else { ns as u64 }
}

/// CLOCK_BOOTTIME, ns.
pub fn now_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}
