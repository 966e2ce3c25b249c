//! From registers and a copied stack to the addresses of the functions on it.
//!
//! Must not know names, nor read the process.

use framehop::{CacheNative, Error, FrameAddress, MayAllocateDuringUnwind, UnwindRegsNative};

use super::{
    code::Code,
    module::{Module, Modules},
    signal_frame,
    stack::{Registers, Stack},
};
use crate::model::{Depth, FRAMES_MAX};

/// A chain that was found by looking for return addresses counts from so many frames on: a stale return address seldom has
/// two callers.
const SCANNED_LEAST: usize = 3;
/// With so few frames, even a chain that ends is doubted: the end of a thread alone takes as many.
const FEW: usize = 2;
/// Most places of a stack where a chain is tried.
const TRIES_MAX: usize = 256;

/// What one unwinding keeps for the next: where the rules of an address are, and to which a signal handler returns.
#[derive(Default)]
pub struct Rules {
    places: CacheNative<MayAllocateDuringUnwind>,
    handlers: signal_frame::Known,
}

/// The addresses, the innermost first, each within the call that it made; and how far they go.
pub fn unwind(code: &Code, modules: &Modules, rules: &mut Rules, stack: &Stack) -> (Vec<u64>, Depth) {
    if !code.is_code(stack.ip) {
        return (Vec::new(), Depth::NoUnwindInformation);
    }
    let mut found = Vec::new();
    let ip = match after_vfork(code, modules, stack) {
        Some(caller) => {
            found.push(stack.ip);
            caller - 1
        }
        None => stack.ip,
    };
    let mut depth = chain(code, modules, rules, stack, Registers { ip, ..stack.registers() }, &mut found);
    let is_doubtful = match depth {
        Depth::Whole => found.len() <= FEW,
        Depth::NoUnwindInformation => found.len() <= SCANNED_LEAST,
        _ => false,
    };
    if is_doubtful {
        match scan(code, modules, rules, stack) {
            Some(scanned) => {
                found.truncate(1);
                found.extend(scanned);
                found.truncate(FRAMES_MAX);
                depth = Depth::Scanned;
            }
            // Nothing is that short: it was followed by a frame pointer that is none.
            None => depth = Depth::NoUnwindInformation,
        }
    }
    // Compiled functions of Java may keep no frame pointer: one between two others is passed over unseen.
    if depth == Depth::Whole && code.is_java() && found.iter().any(|address| code.place(*address).is_none()) {
        depth = Depth::Scanned;
    }
    (found, depth)
}

/// Follows the callers of a function that is interrupted at these registers.
fn chain(
    code: &Code,
    modules: &Modules,
    rules: &mut Rules,
    stack: &Stack,
    from: Registers,
    found: &mut Vec<u64>,
) -> Depth {
    let mut read = |address| stack.word(address).ok_or(());
    let mut at = FrameAddress::InstructionPointer(from.ip);
    let mut registers = native(from);
    loop {
        let address = at.address_for_lookup();
        if !code.is_code(address) {
            return Depth::NoUnwindInformation;
        }
        if found.len() >= FRAMES_MAX {
            return Depth::TooDeep;
        }
        found.push(address);
        let caller = match code.unwind_frame(modules, at, &mut registers, &mut rules.places, &mut read) {
            Ok(Some(caller)) => caller,
            Ok(None) => return Depth::Whole,
            Err(Error::CouldNotReadStack(address)) if stack.ends_before(address) => return Depth::CopyEnded,
            Err(_) => return Depth::NoUnwindInformation,
        };
        if rules.handlers.return_to(code, modules, caller) {
            let Some(interrupted) = signal_frame::interrupted(stack, registers.sp()) else {
                return Depth::CopyEnded;
            };
            at = FrameAddress::InstructionPointer(interrupted.ip);
            registers = native(interrupted);
            continue;
        }
        let Some(caller) = FrameAddress::from_return_address(caller) else {
            return Depth::NoUnwindInformation;
        };
        at = caller;
    }
}

#[cfg(target_arch = "x86_64")]
fn native(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.ip, registers.sp, registers.fp)
}

#[cfg(target_arch = "aarch64")]
fn native(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.link, registers.sp, registers.fp)
}

/// The return address of vfork, which takes it from the stack into a register before it enters the kernel: the child,
/// which runs on the same stack, must not overwrite it. On x86-64 the instruction after the call pushes it back:
/// `push %rdi` in glibc, `push %rdx` in musl.
fn after_vfork(code: &Code, modules: &Modules, stack: &Stack) -> Option<u64> {
    const SYSCALL: [u8; 2] = [0x0f, 0x05];
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let (module, offset) = code.module_at(stack.ip, modules)?;
    let bytes: [u8; 3] = module.bytes(offset.checked_sub(2)?)?;
    let caller = match bytes {
        [a, b, 0x57] if [a, b] == SYSCALL => stack.link,
        [a, b, 0x52] if [a, b] == SYSCALL => stack.third,
        _ => return None,
    };
    (caller > 0 && code.is_code(caller - 1)).then_some(caller)
}

/// Looks through the stack for the first return address from which a chain of callers leads on.
fn scan(code: &Code, modules: &Modules, rules: &mut Rules, stack: &Stack) -> Option<Vec<u64>> {
    let mut tries = 0;
    for at in (0..stack.bytes.len()).step_by(8) {
        let place = stack.sp.wrapping_add(at as u64);
        let Some(word) = stack.word(place) else { break };
        let Some((module, offset)) = code.module_at(word, modules) else { continue };
        if !module.has_unwind_information() || !follows_a_call(module, offset) {
            continue;
        }
        tries += 1;
        if tries > TRIES_MAX {
            break;
        }
        let mut found = Vec::new();
        let from = Registers { ip: word - 1, sp: place.wrapping_add(8), ..stack.registers() };
        chain(code, modules, rules, stack, from, &mut found);
        if found.len() >= SCANNED_LEAST {
            return Some(found);
        }
    }
    None
}

/// Whether the instruction before this place is a call.
fn follows_a_call(module: &Module, offset: u64) -> bool {
    if cfg!(target_arch = "aarch64") {
        let Some(word) = offset.checked_sub(4).and_then(|at| module.bytes::<4>(at)) else { return false };
        let word = u32::from_le_bytes(word);
        return word & 0xfc00_0000 == 0x9400_0000 || word & 0xffff_fc1f == 0xd63f_0000;
    }
    let Some(before) = offset.checked_sub(7).and_then(|at| module.bytes::<7>(at)) else { return false };
    // call rel32; call through a register or memory, of two, three, six or seven bytes.
    let through = |at: usize| before[at] == 0xff && before[at + 1] >> 3 & 7 == 2;
    before[2] == 0xe8 || [5, 4, 1, 0].into_iter().any(through)
}
