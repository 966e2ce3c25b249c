//! The two ways to read a member of a kernel structure. Must not know the structures.

use probe_common::offsets::placeholder;

use crate::{
    kernel::memory::read,
    settings::{OFFSETS, constant},
};

/// How a member is read.
pub trait Memory: Copy + PartialEq {
    /// Member number `MEMBER` of [`probe_common::offsets::Offsets`] of what is at `base`; `WORD`: 1 for the eight bytes after its first.
    fn read<T: Copy + Default, const MEMBER: usize, const WORD: usize>(base: u64) -> T;
}

/// Reads a member, by the name of a field of [`probe_common::offsets::Offsets`].
macro_rules! member {
    ($memory:ty, $base:expr, $field:ident) => {
        $crate::kernel::typed::member!($memory, $base, $field, 0)
    };
    ($memory:ty, $base:expr, $field:ident, $word:literal) => {
        <$memory as $crate::kernel::typed::Memory>::read::<
            _,
            { core::mem::offset_of!(probe_common::offsets::Offsets, $field) / size_of::<u32>() },
            $word,
        >($base)
    };
}
pub(crate) use member;

/// Through a pointer whose type the verifier knows: one instruction, without the cost of a helper. The collector writes
/// the member's offset into it before loading.
///
/// But for each *pointer* that is loaded through an argument, or through a `group_leader` or `real_parent` that was
/// loaded from one, the verifier searches all names of the kernel's types up to four times
/// (`btf_nested_type_is_trusted`, 0.4 ms each on 6.18). It does not for a `parent` or a `signal`, but a load through one of
/// these is checked when it runs: eight instructions on x86-64, where one through the current task, its `group_leader` or a
/// `real_parent` is one. So what is read of every life is read through the latter, and what is rarely needed [`Untyped`].
///
/// A load through a pointer that was itself loaded reads zero if it faults. A program's own argument is trusted, and a
/// load through one that is NULL is a kernel oops: an argument that can be NULL must never become a typed task.
#[derive(Clone, Copy, PartialEq)]
pub struct Typed;

/// Through any number: a helper call.
#[derive(Clone, Copy, PartialEq)]
pub struct Untyped;

impl Memory for Typed {
    #[inline(always)]
    fn read<T: Copy + Default, const MEMBER: usize, const WORD: usize>(base: u64) -> T {
        const { assert!(size_of::<T>() == 8 || size_of::<T>() == 4) };
        // SAFETY: the verifier follows the pointer by its type and refuses what is not a member; a load that faults
        // yields zero. Four bytes go to a register of that size, or the compiler would clear the upper half once more.
        unsafe {
            if size_of::<T>() == 8 {
                let bits: u64;
                core::arch::asm!("{0} = *(u64 *)({1} + {2})", out(reg) bits, in(reg) base,
                    const placeholder(MEMBER, WORD));
                core::mem::transmute_copy(&bits)
            } else {
                let bits: u32;
                core::arch::asm!("{0} = *(u32 *)({1} + {2})", out(wreg) bits, in(reg) base,
                    const placeholder(MEMBER, WORD));
                core::mem::transmute_copy(&bits)
            }
        }
    }
}

impl Memory for Untyped {
    #[inline(always)]
    fn read<T: Copy + Default, const MEMBER: usize, const WORD: usize>(base: u64) -> T {
        // SAFETY: within OFFSETS, whose fields are all of that type.
        let field = unsafe { (&raw const OFFSETS).cast::<u32>().add(MEMBER) };
        read(base, constant(field) + 8 * WORD as u64)
    }
}
