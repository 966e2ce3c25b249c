//! What /proc says of a process: stat, cmdline, cgroup, status, syscall, wchan, fdinfo, mountinfo.
#![no_main]

#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::proc(bytes));
