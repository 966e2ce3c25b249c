//! What the collector writes into the object before it is loaded: settings and struct offsets.
//!
//! The verifier takes both for constants and removes the branches that they rule out. Must not know where offsets come
//! from, nor what a setting is for.

use probe_common::{offsets::Offsets, settings::Settings};

/// Found by name and written by the collector.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = Offsets::NONE;
/// Found by name and written by the collector.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings::DEFAULT;

/// One of the collector's [`Settings`].
macro_rules! setting {
    ($name:ident) => {
        // SAFETY: our own constant; volatile, because the collector writes it after the compiler has seen it.
        unsafe { core::ptr::read_volatile(&raw const $crate::settings::SETTINGS.$name) }
    };
}
pub(crate) use setting;

/// Offset of a member, by the name of a field of [`Offsets`].
macro_rules! offset {
    ($field:ident) => {
        $crate::settings::constant(&raw const $crate::settings::OFFSETS.$field)
    };
}
pub(crate) use offset;

/// Whether this kernel has a member, by the name of a field of [`Offsets`].
macro_rules! has_member {
    ($field:ident) => {
        $crate::settings::offset!($field) != probe_common::offsets::MISSING as u64
    };
}
pub(crate) use has_member;

/// One of [`OFFSETS`].
#[inline(always)]
pub fn constant(field: *const u32) -> u64 {
    // SAFETY: points into our own constant; volatile, because the collector writes it after the compiler has seen it.
    u64::from(unsafe { core::ptr::read_volatile(field) })
}
