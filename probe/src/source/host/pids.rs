//! How many process numbers are taken, and how many there are.
//!
//! Must not judge whether that is many.

use std::fs;

/// Longest file read.
const LENGTH_MAX: usize = 128;

/// Tasks that have a number now, threads and zombies among them, and the sysctl `kernel.pid_max`; `None` where /proc does not
/// say. Both are those of the PID namespace that this /proc is of.
pub fn used_and_max() -> Option<(u64, u64)> {
    let used = used(&fs::read_to_string("/proc/loadavg").ok()?)?;
    let max = fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse().ok()?;
    Some((used, max))
}

/// Of `0.20 0.18 0.12 1/412 11206` the 412.
fn used(loadavg: &str) -> Option<u64> {
    let loadavg = loadavg.get(..loadavg.len().min(LENGTH_MAX))?;
    loadavg.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read_and_what_it_does_not_say_is_not() {
        assert_eq!(used("0.20 0.18 0.12 1/412 11206\n"), Some(412));
        for odd in ["", "0.2", "0.20 0.18 0.12 412 11206", "a b c 1/x d"] {
            assert_eq!(used(odd), None, "{odd}");
        }
        let (used, max) = used_and_max().expect("/proc is mounted");
        assert!(used > 0 && max >= 301, "{used} of {max}");
    }
}
