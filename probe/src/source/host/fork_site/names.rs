//! Names, files and lines of native code, from its symbols and debug information.
//!
//! Owns how many are kept, and how much memory looking them up may take. Must not know processes.

use std::{
    borrow::Cow,
    os::unix::ffi::OsStrExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use blazesym::symbolize::{
    CodeInfo, Input, Symbolized, Symbolizer,
    source::{Elf, Source},
};
use foldhash::{HashMap, HashSet};

use super::debug_info::Weight;
use crate::{
    model::{Frame, FrameKind, NAME_MAX},
    source::host::self_usage,
};

/// Most places whose names are kept.
const KEPT_MAX: usize = 8_192;
/// Most bytes of memory that looking names up takes at a time, about. A file whose debug information would take more has names
/// and no lines; one whose symbols would has neither.
const MEMORY_MAX: u64 = 8 << 20;

/// Looks names up, each once.
#[derive(Default)]
pub struct Names {
    /// Made when a name is looked up: it takes megabytes, most of them debug information.
    symbolizer: Option<Loaded>,
    weights: HashMap<u32, Weight>,
    known: HashMap<(u32, u64), Vec<Frame>>,
}

/// A symbolizer, with what it has read.
struct Loaded {
    symbolizer: Symbolizer,
    used: Instant,
    files: HashSet<u32>,
    /// What they take.
    bytes: u64,
}

impl Loaded {
    fn new() -> Self {
        // Files are those that were opened: nobody replaces them behind our back.
        let symbolizer = Symbolizer::builder().enable_auto_reload(false).build();
        Self { symbolizer, used: Instant::now(), files: HashSet::default(), bytes: 0 }
    }
}

impl Names {
    /// The functions at an address of a file, the innermost first: one, and those that were compiled into it (inlined).
    /// `number`: the file's. `names`: where it is looked up. `module`: what it is called.
    pub fn of(&mut self, number: u32, names: &Path, module: &[u8], address: u64) -> Vec<Frame> {
        if let Some(known) = self.known.get(&(number, address)) {
            return known.clone();
        }
        let bare = Frame { kind: FrameKind::Native, module: short(module), address, ..Frame::default() };
        // A library that panics over a stranger's file must not end the measurement.
        let found =
            catch_unwind(AssertUnwindSafe(|| self.look_up(number, names, address, &bare))).ok().flatten();
        let found = found.unwrap_or_else(|| vec![bare]);
        if self.known.len() >= KEPT_MAX {
            self.known.clear();
        }
        self.known.insert((number, address), found.clone());
        found
    }

    /// Gives back the memory that looking up takes, if no name was looked up for so long. Names that are known are kept.
    pub fn rest(&mut self, unused_for: Duration) {
        if self.symbolizer.take_if(|loaded| loaded.used.elapsed() >= unused_for).is_some() {
            self_usage::give_small_pieces_back();
        }
    }

    /// Gives back the names in all files but these.
    pub fn forget_all_but(&mut self, files: &HashSet<u32>) {
        self.known.retain(|(number, _), _| files.contains(number));
        self.known.shrink_to_fit();
        self.weights.retain(|number, _| files.contains(number));
    }

    fn look_up(&mut self, number: u32, names: &Path, address: u64, bare: &Frame) -> Option<Vec<Frame>> {
        if names.as_os_str().is_empty() {
            return None;
        }
        let Weight { symbols, lines } = *self.weights.entry(number).or_insert_with(|| Weight::of(names));
        if symbols > MEMORY_MAX {
            return None;
        }
        let mut source = Elf::new(names);
        source.debug_syms = symbols.saturating_add(lines) <= MEMORY_MAX;
        let bytes = if source.debug_syms { symbols + lines } else { symbols };
        let is_full =
            |loaded: &mut Loaded| !loaded.files.contains(&number) && loaded.bytes + bytes > MEMORY_MAX;
        drop(self.symbolizer.take_if(is_full));
        let Loaded { symbolizer, used, files, bytes: taken } =
            self.symbolizer.get_or_insert_with(Loaded::new);
        *used = Instant::now();
        *taken += if files.insert(number) { bytes } else { 0 };
        let source = Source::Elf(source);
        let found = match symbolizer.symbolize_single(&source, Input::VirtOffset(address)) {
            Ok(Symbolized::Sym(found)) => found,
            Ok(Symbolized::Unknown(_)) => return None,
            Err(error) => {
                tracing::debug!(?names, %error, "no names");
                return None;
            }
        };
        let frame = |name: &str, at: Option<&CodeInfo>| {
            let file = at.map(|at| at.to_path().as_os_str().as_bytes().to_vec()).unwrap_or_default();
            Frame {
                function: short(plain(name).as_bytes()),
                file: short(&file),
                line: at.and_then(|at| at.line).unwrap_or(0),
                ..bare.clone()
            }
        };
        let mut frames = vec![frame(&found.name, found.code_info.as_deref())];
        frames.extend(found.inlined.iter().map(|one| frame(&one.name, one.code_info.as_ref())));
        frames.reverse();
        Some(frames)
    }
}

/// A name as the source has it. Only what begins as compilers of C++ and Rust have it is taken for a mangled one: to a
/// demangler, `f` is the type `float`.
fn plain(name: &str) -> Cow<'_, str> {
    if !name.starts_with("_Z") && !name.starts_with("_R") {
        return name.into();
    }
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}").into();
    }
    let cpp = cpp_demangle::Symbol::new(name).ok().and_then(|symbol| symbol.demangle().ok());
    cpp.map_or(name.into(), Cow::from)
}

/// As much of a text as is kept.
pub fn short(text: &[u8]) -> Vec<u8> {
    text[..text.len().min(NAME_MAX)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mangled_names_are_demangled() {
        for name in ["f", "i", "v", "Pc", "FvvE", "main", "_start", "__libc_start_main"] {
            assert_eq!(plain(name), name);
        }
        assert_eq!(plain("_ZN5agent9run_toolsEv"), "agent::run_tools()");
        assert_eq!(plain("_ZN4tool5spawn17h0123456789abcdefE"), "tool::spawn");
    }
}
