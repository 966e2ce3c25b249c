//! The programs that run in the kernel: one file a hook. What they share: `task` (the only file that reads kernel
//! memory), `life` (the death between exit and reap, and the per-parent counters), `maps`.
//!
//! Must not know what the collector concludes. Every event that could not be sent is counted.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod books;
mod exec;
mod exit;
mod follow;
mod fork;
mod life;
mod maps;
mod parent;
mod reap;
mod snapshot;
mod task;
mod wait;
mod zombie;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // SAFETY: the programs have no reachable panic; the verifier would refuse the loop.
    unsafe { core::hint::unreachable_unchecked() }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
