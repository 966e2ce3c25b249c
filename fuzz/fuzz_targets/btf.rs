//! A BTF: its types, the offsets found in it, what programs attach to.
#![no_main]

#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::btf(bytes));
