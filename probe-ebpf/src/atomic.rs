//! Atomic operations on map values, in assembly: the target has neither `fetch_add` nor `compare_exchange`.
//!
//! Must not know what the values mean.

/// `*counter += by`.
///
/// # Safety
/// `counter` must point into a map value.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, by: u64) {
    // SAFETY: the caller's.
    unsafe { core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) by) };
}

/// The same for 32 bits.
///
/// # Safety
/// `counter` must point into a map value.
#[inline(always)]
pub unsafe fn add32(counter: *mut u32, by: u64) {
    // SAFETY: the caller's.
    unsafe { core::arch::asm!("lock *(u32 *)({0} + 0) += {1}", in(reg) counter, in(reg) by) };
}

/// Writes `new` if the word is `expected`. Returns what was there before.
///
/// # Safety
/// `word` must point into a map value.
#[inline(always)]
pub unsafe fn compare_exchange(word: *mut u64, expected: u64, new: u64) -> u64 {
    let mut found = expected;
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!("r0 = cmpxchg_64({0} + 0, r0, {1})", in(reg) word, in(reg) new, inlateout("r0") found)
    };
    found
}

/// Starts to fetch the cache line of `word`. An atomic instruction waits for its line and for every load before it, so a
/// line that is fetched early costs less.
///
/// # Safety
/// `word` must point into a map value.
#[inline(always)]
pub unsafe fn prefetch<T: Copy>(word: *const T) {
    // SAFETY: the caller's; volatile, or the compiler would drop the load.
    let _ = unsafe { word.read_volatile() };
}
