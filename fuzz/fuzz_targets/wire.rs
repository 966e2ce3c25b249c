//! What the kernel programs write, and the engine on a stream of it.
#![no_main]

#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::wire(bytes));
