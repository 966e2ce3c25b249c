//! Where a signal handler returns to, and what it interrupted: the kernel has put the registers of that on the stack.
//!
//! Owns where they are, by architecture. Must not unwind.

use foldhash::HashMap;

use super::{
    code::Code,
    module::Modules,
    stack::{Registers, Stack},
};

/// The instructions to which a handler returns: they make the call rt_sigreturn.
#[cfg(target_arch = "x86_64")]
const RETURNS: [&[u8]; 2] =
    [&[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05], &[0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05]];
#[cfg(target_arch = "aarch64")]
const RETURNS: [&[u8]; 1] = [&[0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4]];
/// How many bytes of them are looked at.
const RETURN_MAX: usize = 9;

/// Most addresses that are remembered.
const KNOWN_MAX: usize = 16_384;

/// Return addresses that were looked at: the file, the place in it, and whether a handler returns to it.
#[derive(Default)]
pub struct Known(HashMap<(u32, u64), bool>);

impl Known {
    /// Whether signal handlers return to this address. On arm64 most do to the kernel's own code, which is in no file: none
    /// of its functions calls one of a program.
    pub fn return_to(&mut self, code: &Code, modules: &Modules, address: u64) -> bool {
        let Some((number, bias)) = code.place(address) else {
            return cfg!(target_arch = "aarch64") && code.mapped(address).0 == b"[vdso]";
        };
        if self.0.len() >= KNOWN_MAX {
            self.0.clear();
        }
        *self.0.entry((number, address.wrapping_sub(bias))).or_insert_with(|| {
            let bytes = code.module_at(address, modules).and_then(|(module, offset)| module.bytes(offset));
            bytes.is_some_and(|bytes: [u8; RETURN_MAX]| RETURNS.iter().any(|one| bytes.starts_with(one)))
        })
    }
}

/// The registers of what was interrupted; `sp`: the stack pointer after the handler has returned. `None` where they were not
/// copied: the handler has a stack of its own (sigaltstack), or they are too far up.
pub fn interrupted(stack: &Stack, sp: u64) -> Option<Registers> {
    let at = |offset: u64| stack.word(sp.checked_add(offset)?);
    // struct rt_sigframe of the architecture.
    if cfg!(target_arch = "aarch64") {
        return Some(Registers { ip: at(568)?, sp: at(560)?, fp: at(544)?, link: at(552)? });
    }
    Some(Registers { ip: at(168)?, sp: at(160)?, fp: at(120)?, link: 0 })
}
