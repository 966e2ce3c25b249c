//! How much memory it takes to look names up in a file: known before anything is looked up.
//!
//! Owns where separate debug information is expected. Must not look up names.

use std::{
    fs::File,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use object::{Object, ObjectSection, read::ReadCache};

/// Where separate debug information is.
const DIRECTORIES: [&str; 2] = ["/usr/lib/debug", "/lib/debug"];
/// Units of compilation take a third of the debug information that they have: measured, of programs in Rust and C.
const UNITS_SHARE: u64 = 3;

/// Bytes of memory that looking up takes, about; what is mapped from the file is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// For names of functions.
    pub symbols: u64,
    /// For files, lines and inlined functions, besides; 0: the file has none.
    pub lines: u64,
}

impl Weight {
    /// That of a file; nothing where it cannot be read.
    pub fn of(file: &Path) -> Self {
        Self::of_file(file).unwrap_or_default()
    }

    fn of_file(path: &Path) -> Option<Self> {
        let cache = ReadCache::new(File::open(path).ok()?);
        let object = object::File::parse(&cache).ok()?;
        let mut weight = Self { symbols: symbols(&object), lines: lines(&object) };
        if weight.lines == 0
            && let Some(separate) = separate(&object, path)
        {
            let cache = ReadCache::new(File::open(separate).ok()?);
            let object = object::File::parse(&cache).ok()?;
            weight = Self { symbols: weight.symbols.max(symbols(&object)), lines: lines(&object) };
        }
        Some(weight)
    }
}

/// One entry each of 24 bytes, here as in the file.
fn symbols<'data>(object: &impl Object<'data>) -> u64 {
    let size = |name: &str| object.section_by_name(name).map_or(0, |section| section.size());
    size(".symtab").saturating_add(size(".dynsym"))
}

fn lines<'data>(object: &impl Object<'data>) -> u64 {
    let mut bytes: u64 = 0;
    for section in object.sections() {
        let name = section.name_bytes().unwrap_or_default();
        if !name.starts_with(b".debug_") && !name.starts_with(b".zdebug_") {
            continue;
        }
        let length = section.compressed_file_range().map_or(0, |range| range.uncompressed_size);
        let is_unpacked = section.file_range().is_some_and(|(_, in_file)| in_file != length);
        if is_unpacked {
            bytes = bytes.saturating_add(length);
        }
        if name.ends_with(b"debug_info") {
            bytes = bytes.saturating_add(length / UNITS_SHARE);
        }
    }
    bytes
}

/// Where its debug information is, if it is in a file of its own.
fn separate<'data>(object: &impl Object<'data>, path: &Path) -> Option<PathBuf> {
    let by_id = object.build_id().ok().flatten().filter(|id| id.len() >= 8).map(|id| {
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        PathBuf::from(".build-id").join(digits(&id[..1])).join(format!("{}.debug", digits(&id[1..])))
    });
    let link = object.gnu_debuglink().ok().flatten();
    let link = link.map(|(name, _)| Path::new(std::ffi::OsStr::from_bytes(name)));
    let own = path.canonicalize().ok();
    let directory = own.as_deref().and_then(Path::parent);
    let below = directory.and_then(|directory| directory.strip_prefix("/").ok());
    let mut places: Vec<PathBuf> = Vec::new();
    for debug in DIRECTORIES.map(Path::new) {
        places.extend(by_id.as_ref().map(|by_id| debug.join(by_id)));
        places.extend(link.map(|link| debug.join(link)));
        places.extend(link.zip(below).map(|(link, below)| debug.join(below).join(link)));
    }
    places.extend(link.zip(directory).map(|(link, directory)| directory.join(link)));
    places.into_iter().find(|place| place.is_file() && own.as_deref() != Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_weighs_what_its_symbols_and_its_debug_information_will_take() {
        let own = std::env::current_exe().expect("a path");
        let weight = Weight::of(&own);
        // A test is built with debug information, and is some megabytes long.
        assert!(weight.symbols > 100_000 && weight.lines > 1_000_000, "{weight:?}");
        let length = own.metadata().expect("our own").len();
        assert!(weight.symbols + weight.lines < length, "{weight:?} of {length}");
        assert_eq!(Weight::of(Path::new("/dev/null")), Weight::default());
        assert_eq!(Weight::of(Path::new("")), Weight::default());
    }
}
