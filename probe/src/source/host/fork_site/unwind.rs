//! From registers and a copied stack to the addresses of the functions on it.
//!
//! Must not know names, nor read the process.

use std::sync::Arc;

use framehop::{
    CacheNative, Error, ExplicitModuleSectionInfo, MayAllocateDuringUnwind, UnwindRegsNative, Unwinder,
    UnwinderNative,
};

use super::{
    mappings::{self, Mapping},
    module::{Module, Modules},
    stack::Stack,
};
use crate::model::{Depth, FRAMES_MAX};

/// A chain that was found by looking for return addresses counts from so many frames on: a stale return address seldom has
/// two callers.
const SCANNED_LEAST: usize = 3;
/// With so few frames, even a chain that ends is doubted: the end of a thread alone takes as many.
const FEW: usize = 2;
/// Most places of a stack where a chain is tried.
const TRIES_MAX: usize = 256;

/// What one unwinding keeps for the next: where the rules of an address are.
#[derive(Default)]
pub struct Rules(CacheNative<MayAllocateDuringUnwind>);

/// The code of one memory map.
pub struct Code {
    pub mappings: Vec<Mapping>,
    /// The file of each mapping, and how far its own addresses are from where it is mapped.
    pub modules: Vec<Option<(u32, u64)>>,
    unwinder: UnwinderNative<Arc<[u8]>, MayAllocateDuringUnwind>,
}

impl Code {
    /// `modules`: the file of each mapping.
    pub fn new(mappings: Vec<Mapping>, files: &[Option<u32>], modules: &Modules) -> Self {
        let mut unwinder = UnwinderNative::new();
        let placed: Vec<Option<(u32, u64)>> = (mappings.iter().zip(files))
            .map(|(mapping, number)| {
                let number = (*number)?;
                let module = modules.get(number)?;
                let bias = module.bias(mapping.range.start, mapping.offset)?;
                let name = String::new();
                let info = sections(module);
                unwinder.add_module(framehop::Module::new(name, mapping.range.clone(), bias, info));
                Some((number, bias))
            })
            .collect();
        Self { mappings, modules: placed, unwinder }
    }

    /// The file whose code is at an address, and how far its own addresses are from those in memory.
    pub fn place(&self, address: u64) -> Option<(u32, u64)> {
        self.modules[mappings::at(&self.mappings, address)?]
    }

    /// The path of the file that is mapped at an address.
    pub fn path(&self, address: u64) -> &[u8] {
        mappings::at(&self.mappings, address).map_or(&[], |place| &self.mappings[place].path)
    }

    fn is_code(&self, address: u64) -> bool {
        mappings::at(&self.mappings, address).is_some()
    }

    /// The file whose code is at an address, and the place in the file.
    fn module_at<'a>(&self, address: u64, modules: &'a Modules) -> Option<(&'a Module, u64)> {
        let place = mappings::at(&self.mappings, address)?;
        let (number, _) = self.modules[place]?;
        let mapping = &self.mappings[place];
        Some((modules.get(number)?, address - mapping.range.start + mapping.offset))
    }
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
    let mut depth = chain(code, rules, stack, (ip, stack.sp, stack.fp), &mut found);
    let is_doubtful = match depth {
        Depth::Whole => found.len() <= FEW,
        Depth::NoUnwindInformation => found.len() <= SCANNED_LEAST,
        _ => false,
    };
    if is_doubtful && let Some(scanned) = scan(code, modules, rules, stack) {
        found.truncate(1);
        found.extend(scanned);
        found.truncate(FRAMES_MAX);
        depth = Depth::Scanned;
    }
    (found, depth)
}

/// Follows the callers; `from`: instruction pointer, stack pointer, frame pointer.
fn chain(
    code: &Code,
    rules: &mut Rules,
    stack: &Stack,
    from: (u64, u64, u64),
    found: &mut Vec<u64>,
) -> Depth {
    let (ip, sp, fp) = from;
    let mut read = |address| stack.word(address).ok_or(());
    let mut frames =
        code.unwinder.iter_frames(ip, registers(ip, sp, fp, stack.link), &mut rules.0, &mut read);
    loop {
        match frames.next() {
            Ok(Some(frame)) => {
                let address = frame.address_for_lookup();
                if !code.is_code(address) {
                    return Depth::NoUnwindInformation;
                }
                if found.len() >= FRAMES_MAX {
                    return Depth::TooDeep;
                }
                found.push(address);
            }
            Ok(None) => return Depth::Whole,
            Err(Error::CouldNotReadStack(address)) if stack.ends_before(address) => return Depth::CopyEnded,
            Err(_) => return Depth::NoUnwindInformation,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn registers(ip: u64, sp: u64, fp: u64, _link: u64) -> UnwindRegsNative {
    UnwindRegsNative::new(ip, sp, fp)
}

#[cfg(target_arch = "aarch64")]
fn registers(_ip: u64, sp: u64, fp: u64, link: u64) -> UnwindRegsNative {
    UnwindRegsNative::new(link, sp, fp)
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
        chain(code, rules, stack, (word - 1, place.wrapping_add(8), stack.fp), &mut found);
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

fn sections(module: &Module) -> ExplicitModuleSectionInfo<Arc<[u8]>> {
    ExplicitModuleSectionInfo {
        base_svma: 0,
        text_svma: module.text.clone(),
        text: None,
        stubs_svma: None,
        stub_helper_svma: None,
        got_svma: module.got.clone(),
        unwind_info: None,
        eh_frame_svma: module.eh_frame.as_ref().map(|(range, _)| range.clone()),
        eh_frame: module.eh_frame.as_ref().and_then(|(_, bytes)| bytes.clone()),
        eh_frame_hdr_svma: module.eh_frame_hdr.as_ref().map(|(range, _)| range.clone()),
        eh_frame_hdr: module.eh_frame_hdr.as_ref().and_then(|(_, bytes)| bytes.clone()),
        debug_frame: module.debug_frame.clone(),
        text_segment_svma: None,
        text_segment: None,
    }
}
