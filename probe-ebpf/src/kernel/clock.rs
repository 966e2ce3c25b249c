//! The clock of all times. Must not know what is timed.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

/// CLOCK_BOOTTIME, ns.
pub fn now_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}
