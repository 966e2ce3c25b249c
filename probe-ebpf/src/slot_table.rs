//! Values in array slots by the low bits of a tgid; a hash takes those whose slot is taken.
//!
//! A slot is claimed by one compare-and-exchange, so on the common path nothing is inserted, searched or deleted. Each slot
//! counts the values with its low bits that are in the hash (its overflow): while that is 0, a value that is not in the slot is
//! nowhere. All functions are inlined. Must not know what the values are.

use core::mem::offset_of;

use probe_common::wire::{DeadChildSlot, ParentClaim};

use crate::atomic::{add32, compare_exchange};

/// Flag of a map update: fails if the key is there.
pub const BPF_NOEXIST: u64 = 1;

/// Index of the slot of `tgid` among `slots`, a power of two; none where there are no slots.
#[inline(always)]
pub fn index_of(tgid: u32, slots: u32) -> Option<u32> {
    if slots == 0 { None } else { Some(tgid & (slots - 1)) }
}

/// What every slot begins with.
#[repr(C)]
struct Head {
    claim: u64,
    overflow_count: u32,
}

const _: () = {
    assert!(offset_of!(Head, claim) == offset_of!(DeadChildSlot, claim_ns));
    assert!(offset_of!(Head, overflow_count) == offset_of!(DeadChildSlot, overflow_count));
    assert!(offset_of!(Head, claim) == offset_of!(ParentClaim, claim));
    assert!(offset_of!(Head, overflow_count) == offset_of!(ParentClaim, overflow_count));
};

/// A slot. One address, so that the programs keep it in one register. `P` says where the value is.
#[derive(Clone, Copy)]
pub struct Slot<P: Copy> {
    head: *mut Head,
    pub place: P,
}

impl<P: Copy> Slot<P> {
    /// # Safety
    /// `slot` must be a value of our own map that begins with a [`Head`].
    #[inline(always)]
    pub unsafe fn new<S>(slot: *mut S, place: P) -> Self {
        Self { head: slot.cast(), place }
    }

    /// Address of the whole slot.
    #[inline(always)]
    pub fn address<S>(self) -> *mut S {
        self.head.cast()
    }

    /// Who claims it; 0: nobody.
    #[inline(always)]
    pub fn claim(self) -> u64 {
        // SAFETY, here and below: a value of our own map, says `new`.
        unsafe { (*self.head).claim }
    }

    /// Replaces the claim if it is `from`. Returns what it was.
    #[inline(always)]
    pub fn compare_exchange(self, from: u64, to: u64) -> u64 {
        unsafe { compare_exchange(&raw mut (*self.head).claim, from, to) }
    }

    /// Whether the hash has values with these low bits.
    #[inline(always)]
    pub fn has_overflow(self) -> bool {
        unsafe { (*self.head).overflow_count != 0 }
    }

    /// Counts values in the hash: 1 before one is inserted, so that a reader between looks there; `u64::MAX` (minus one) after
    /// one is gone.
    #[inline(always)]
    pub fn add_overflow(self, by: u64) {
        unsafe { add32(&raw mut (*self.head).overflow_count, by) };
    }
}
