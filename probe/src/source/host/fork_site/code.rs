//! The code of one memory map: which file is where, and the rules by which its functions are unwound.
//!
//! Must not know stacks, nor names.

use std::sync::Arc;

use framehop::{ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Unwinder, UnwinderNative};

use super::{
    mappings::{self, Mapping},
    module::{Module, Modules},
};

/// The code of one memory map.
pub struct Code {
    pub mappings: Vec<Mapping>,
    /// The file of each mapping, and how far its own addresses are from where it is mapped.
    pub modules: Vec<Option<(u32, u64)>>,
    pub unwinder: UnwinderNative<Arc<[u8]>, MayAllocateDuringUnwind>,
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
