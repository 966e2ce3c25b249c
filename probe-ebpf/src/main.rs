//! The programs that run in the kernel. `hook`: one file a hook, from its context to one call; `lifecycle`: from death to
//! release; `ledger`: what is counted; `event`: what is sent; `killer`: who killed whom; `filter`: for whom;
//! `dead_child_table` and `parent_table` (on `slot_table`), `cgroup_table`: what is kept; `kernel`: the only folder that reads
//! kernel memory; below them `maps`, `loss`, `atomic`, `settings` and `verifier`, which explains the techniques.
//!
//! Must not know what the collector concludes. Every event that could not be sent is counted.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod cgroup_table;
mod dead_child_table;
mod event;
mod filter;
mod fork_site;
mod hook;
mod kernel;
mod killer;
mod ledger;
mod lifecycle;
mod loss;
mod maps;
mod parent_table;
mod settings;
mod slot_table;
mod verifier;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // SAFETY: the programs have no reachable panic; the verifier would refuse the loop.
    unsafe { core::hint::unreachable_unchecked() }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
