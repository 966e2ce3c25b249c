//! Techniques that keep the programs cheap to verify and acceptable to every verifier from Linux 5.10 on.
//!
//! Verification is most of what start-up costs. The verifier follows every path; two paths that reach one instruction
//! are merged only if it knows no more of a value on the second than it knew on the first. What it knows too much of, it
//! checks again and again. Budget: `tests/data/verifier.json`, checked by `cargo xtask vm`.
//!
//! | Technique | Why | Where |
//! |---|---|---|
//! | [`forget`] | Paths that differ only in what is known of a number merge, so the code below is verified once. | after flags are computed from branches |
//! | [`forget`], of a number in a caller's stack | The verifier of 5.10 takes such a number for the one value it has seen there and rewrites branches for other values as never taken. The event would be wrong, with no error. | `lifecycle/notification.rs`, `send_zombie_event` |
//! | [`as_scalar`] | A global function takes numbers only, and arithmetic on a typed pointer is refused. | `TaskPtr::address`, `SignalPtr::number_at` |
//! | [`as_scalar`], of an argument that may be null | The verifier believes that no typed argument is null, and removes the branch for one. | `hook/kill.rs` |
//! | Global functions (`#[unsafe(no_mangle)] extern "C"`) | The verifier checks such a function once, for any arguments, not once for every state it is called with; afterwards it has forgotten what it learnt inside. They take and return numbers only. | rare paths: `create_parent`, `count_zombie`, `count_release`, `release_reused_pid`, `enter_unseen_death`, `notified_rarely`, `death_of_other_task`, `look_at_waiters`, `look_at_call`, `signal_merged`, `count_if_merged`, `group_cpu_ns` |
//! | Leaf functions (`#[inline(never)]`) | A whole call chain shares 512 bytes of stack. Large locals go into functions that are called one after the other, never one inside the other. | `enter_seen`, `send_zombie_event`, `released_by_kernel`, `describe_process`, `write_account` |
//! | [`opaque`] | The compiler replaces a value by an equal one that costs the verifier more. | `death_signalled`, `ledger::record_duration`, `cgroup_table` |
//! | `intersects` for one flag, not `contains` | `contains` compares with the flag, `intersects` with zero; from the latter the verifier learns less, and paths merge. | wherever flags are tested |
//! | Reads without a branch | A read that can fail yields zero. A branch for each failure would double the paths. | `kernel/memory.rs` |
//! | Few typed pointers | For each pointer that is loaded through an argument the verifier searches the names of all kernel types. | `kernel/typed.rs` |
//! | Every member by name | What a struct literal leaves to `..default()` is zeroed byte by byte, in a loop that is verified turn by turn. | `DeadChild` and `Event` literals |
//! | Copies by the word | The compiler turns a copy of a struct into a call of a byte loop. | `event::copy_task` |
//!
//! Inlining is a cost decision, not one of verification: where returns are guarded against speculation (retpolines), a
//! call costs 20 ns, so the common path calls as little as it can.
//!
//! Must not know what the values mean.

/// Hides `value` from the verifier: returns the same number, of which the verifier knows nothing. States that differ
/// only in what is known of `value` merge, so the code below is verified once. `any` must be unknown to the verifier.
#[inline(always)]
pub fn forget(value: u32, any: &u32) -> u32 {
    // SAFETY: a reference; volatile, or the compiler would see through it.
    let any = || unsafe { core::ptr::read_volatile(any) };
    value.wrapping_add(any()).wrapping_sub(any())
}

/// The same value, of which the compiler no longer knows where it came from: an instruction that moves nothing.
#[inline(always)]
pub fn opaque<T: Copy>(value: T) -> T {
    const { assert!(size_of::<T>() == size_of::<u64>()) };
    // SAFETY: eight bytes each way, of the same type.
    unsafe {
        let mut bits: u64 = core::mem::transmute_copy(&value);
        core::arch::asm!("{0} = {0}", inout(reg) bits, options(pure, nomem, nostack));
        core::mem::transmute_copy(&bits)
    }
}

/// A pointer as a mere number: the verifier does not follow a pointer through a negation.
#[inline(always)]
pub fn as_scalar(pointer: u64) -> u64 {
    let mut number = pointer;
    // SAFETY: arithmetic.
    unsafe { core::arch::asm!("{0} = -{0}", "{0} = -{0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}
