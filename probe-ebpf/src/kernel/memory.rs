//! Reads at any address, by helper. Must not know what is there.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

/// Reads a number at `base + offset`, or zero. Has no branch: each would double the paths that the verifier follows.
#[inline(always)]
pub fn read<T: Copy + Default>(base: u64, offset: u64) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: value is as long as stated; probe_read checks the address itself, fails instead of faulting, and then
    // zeroes its target: written in either case, and every T here may be any bits.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, (base + offset) as *const _);
        value.assume_init()
    }
}

/// Zeroes a map value by one call, where the compiler would store a large one word by word. The helper zeroes its target
/// if it cannot read its source, and nothing can be read at address 0.
///
/// # Safety
/// `target` must be a value of our own map.
#[inline(always)]
pub unsafe fn zero<T>(target: *mut T) {
    // SAFETY: the caller's; the size is the type's.
    unsafe { bpf_probe_read_kernel(target.cast(), size_of::<T>() as u32, core::ptr::null()) };
}
