//! The code of one memory map: which file is where, and the rules by which its functions are unwound.
//!
//! Must not know stacks, nor names.

use std::{cell::RefCell, sync::Arc};

use foldhash::HashSet;
use framehop::{
    CacheNative, Error, ExplicitModuleSectionInfo, FrameAddress, MayAllocateDuringUnwind, UnwindRegsNative,
    Unwinder, UnwinderNative,
};

use super::{
    mappings::{self, Mapping},
    module::{Module, Modules},
    sections::Sections,
};

/// The code of one memory map.
pub struct Code {
    pub mappings: Vec<Mapping>,
    /// The file of each mapping, and how far its own addresses are from where it is mapped.
    pub modules: Vec<Option<(u32, u64)>>,
    rules: RefCell<Rules>,
}

/// The rules of the files that stacks have had functions of.
#[derive(Default)]
struct Rules {
    unwinder: UnwinderNative<Arc<[u8]>, MayAllocateDuringUnwind>,
    /// The mappings that it has.
    placed: HashSet<usize>,
}

impl Code {
    /// `modules`: the file of each mapping.
    pub fn new(mappings: Vec<Mapping>, files: &[Option<u32>], modules: &Modules) -> Self {
        let placed: Vec<Option<(u32, u64)>> = (mappings.iter().zip(files))
            .map(|(mapping, number)| {
                let number = (*number)?;
                Some((number, modules.get(number)?.bias(mapping.range.start, mapping.offset)?))
            })
            .collect();
        Self { mappings, modules: placed, rules: RefCell::default() }
    }

    /// The caller of the function at an address, as framehop finds it. The rules of the file are read when they are first needed.
    pub fn unwind_frame(
        &self,
        modules: &Modules,
        at: FrameAddress,
        registers: &mut UnwindRegsNative,
        cache: &mut CacheNative<MayAllocateDuringUnwind>,
        read: &mut impl FnMut(u64) -> Result<u64, ()>,
    ) -> Result<Option<u64>, Error> {
        if let Some(place) = mappings::at(&self.mappings, at.address_for_lookup()) {
            self.place_rules(place, modules);
        }
        self.rules.borrow().unwinder.unwind_frame(at, registers, cache, read)
    }

    fn place_rules(&self, place: usize, modules: &Modules) {
        let Some((number, bias)) = self.modules[place] else { return };
        let Rules { unwinder, placed } = &mut *self.rules.borrow_mut();
        if !placed.insert(place) {
            return;
        }
        if let Some(module) = modules.get(number) {
            let range = self.mappings[place].range.clone();
            let info = sections(module, modules.sections(number).as_deref().unwrap_or(&Sections::NONE));
            unwinder.add_module(framehop::Module::new(String::new(), range, bias, info));
        }
    }

    /// The files that it is of.
    pub fn files(&self) -> impl Iterator<Item = u32> {
        self.modules.iter().flatten().map(|(number, _)| *number)
    }

    /// Gives the rules back: they are read again when they are needed.
    pub fn forget_rules(&self) {
        *self.rules.borrow_mut() = Rules::default();
    }

    /// The file whose code is at an address, and how far its own addresses are from those in memory.
    pub fn place(&self, address: u64) -> Option<(u32, u64)> {
        self.modules[mappings::at(&self.mappings, address)?]
    }

    /// The path of the file that is mapped at an address, empty where none is, and the byte of the file there.
    pub fn mapped(&self, address: u64) -> (&[u8], u64) {
        mappings::at(&self.mappings, address).map_or((&[], 0), |place| {
            let mapping = &self.mappings[place];
            (&mapping.path, (address - mapping.range.start).wrapping_add(mapping.offset))
        })
    }

    /// Whether a Java virtual machine is in it.
    pub fn is_java(&self) -> bool {
        self.mappings.iter().any(|mapping| mapping.path.ends_with(b"/libjvm.so"))
    }

    pub fn is_code(&self, address: u64) -> bool {
        mappings::at(&self.mappings, address).is_some()
    }

    /// The file whose code is at an address, and the place in the file.
    pub fn module_at<'a>(&self, address: u64, modules: &'a Modules) -> Option<(&'a Module, u64)> {
        let place = mappings::at(&self.mappings, address)?;
        let (number, _) = self.modules[place]?;
        let mapping = &self.mappings[place];
        Some((modules.get(number)?, (address - mapping.range.start).wrapping_add(mapping.offset)))
    }
}

fn sections(module: &Module, sections: &Sections) -> ExplicitModuleSectionInfo<Arc<[u8]>> {
    let Sections { eh_frame, eh_frame_hdr, debug_frame } = sections;
    ExplicitModuleSectionInfo {
        base_svma: 0,
        text_svma: module.text.clone(),
        text: None,
        stubs_svma: None,
        stub_helper_svma: None,
        got_svma: module.got.clone(),
        unwind_info: None,
        eh_frame_svma: eh_frame.as_ref().map(|(range, _)| range.clone()),
        eh_frame: eh_frame.as_ref().map(|(_, bytes)| bytes.clone()),
        eh_frame_hdr_svma: eh_frame_hdr.as_ref().map(|(range, _)| range.clone()),
        eh_frame_hdr: eh_frame_hdr.as_ref().map(|(_, bytes)| bytes.clone()),
        debug_frame: debug_frame.clone(),
        text_segment_svma: None,
        text_segment: None,
    }
}
