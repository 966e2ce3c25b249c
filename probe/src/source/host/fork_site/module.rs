//! Files with code: opened once, by the inode that is mapped, and read in bounded pieces.
//!
//! Owns which files are opened, and how much of each is kept. A file can be cut short by its owner while it is read, so it
//! is never mapped into our memory here. Must not know processes, nor what is looked up.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    ops::Range,
    os::{
        fd::AsRawFd,
        unix::{
            ffi::OsStrExt,
            fs::{FileExt, MetadataExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use foldhash::HashMap;
use nix::{libc, sys::memfd};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SegmentFlags, elf::PF_X, read::ReadCache};

/// Most files kept open.
const FILES_MAX: usize = 256;
/// Most bytes of unwind information kept: of a file, and of all.
const SECTION_MAX: u64 = 32 << 20;
const SECTIONS_MAX: u64 = 256 << 20;
/// Largest file that is copied before it is searched for names, because somebody else could cut it short meanwhile.
const COPIED_MAX: u64 = 128 << 20;

/// A section: where it is in the file's own addresses, and what is in it.
pub type Section = (Range<u64>, Option<Arc<[u8]>>);

/// A file with code.
pub struct Module {
    file: File,
    /// As the process calls it that was first seen with it.
    pub path: Vec<u8>,
    /// Of each segment of code, whose first page may hold the end of another segment too: where it is in the file, how long, and its own address.
    segments: Vec<(u64, u64, u64)>,
    pub text: Option<Range<u64>>,
    pub got: Option<Range<u64>>,
    pub eh_frame: Option<Section>,
    pub eh_frame_hdr: Option<Section>,
    pub debug_frame: Option<Arc<[u8]>>,
    /// Where to look for names.
    pub names: PathBuf,
    /// What `names` leads to, if that is a copy.
    _copy: Option<File>,
}

impl Module {
    /// How far the file's own addresses are from where it is mapped, given a mapping of it.
    pub fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        let page = 4_095;
        let (at, _, address) = (self.segments.iter())
            .find(|(at, length, _)| (*at & !page) <= offset && offset < at.saturating_add(*length))?;
        Some(start.wrapping_sub(offset).wrapping_add(*at).wrapping_sub(*address))
    }

    pub fn has_unwind_information(&self) -> bool {
        self.eh_frame.is_some() || self.debug_frame.is_some()
    }

    /// Address of a symbol that the file offers to others, as its own addresses have it.
    pub fn symbol(&self, name: &[u8]) -> Option<u64> {
        let cache = ReadCache::new(self.file.try_clone().ok()?);
        let object = object::File::parse(&cache).ok()?;
        let found = object.dynamic_symbols().find(|symbol| symbol.name_bytes() == Ok(name))?;
        Some(found.address())
    }

    /// Bytes of the file; `None` where it ends before.
    pub fn bytes<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, offset).ok().map(|()| bytes)
    }
}

/// Device, inode, length and time of the last change.
type FileIdentity = (u64, u64, u64, i64, i64);

/// All files that were opened. One that cannot be used is remembered as such.
#[derive(Default)]
pub struct Modules {
    known: HashMap<FileIdentity, Option<u32>>,
    modules: Vec<Module>,
    section_bytes: u64,
}

impl Modules {
    pub fn get(&self, number: u32) -> Option<&Module> {
        self.modules.get(number as usize)
    }

    /// The number of the file at the first of these paths that has this inode. `path`: the same file for us, by which
    /// separate debug information is found, if it is there.
    pub fn open(&mut self, ways: &[PathBuf], inode: u64, path: &Path) -> Option<u32> {
        let (file, metadata) = ways.iter().find_map(|way| open_regular(way, inode))?;
        let identity =
            (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if let Some(known) = self.known.get(&identity) {
            return *known;
        }
        if self.modules.len() >= FILES_MAX || self.known.len() >= 16 * FILES_MAX {
            return None;
        }
        let number = self.read(file, &metadata, path).map(|module| {
            self.modules.push(module);
            self.modules.len() as u32 - 1
        });
        self.known.insert(identity, number);
        number
    }

    fn read(&mut self, file: File, metadata: &std::fs::Metadata, path: &Path) -> Option<Module> {
        let cache = ReadCache::new(file.try_clone().ok()?);
        let object = object::File::parse(&cache).ok()?;
        let segments: Vec<_> = (object.segments())
            .filter(|segment| matches!(segment.flags(), SegmentFlags::Elf { p_flags } if p_flags & PF_X != 0))
            .map(|segment| (segment.file_range().0, segment.file_range().1, segment.address()))
            .collect();
        let range = |name: &str| {
            let section = object.section_by_name(name)?;
            Some(section.address()..section.address().checked_add(section.size())?)
        };
        let mut left = SECTIONS_MAX.saturating_sub(self.section_bytes).min(SECTION_MAX);
        let mut section = |name: &str| {
            let (offset, length) = object.section_by_name(name)?.file_range()?;
            left = left.checked_sub(length)?;
            let mut bytes = vec![0; usize::try_from(length).ok()?];
            file.read_exact_at(&mut bytes, offset).ok()?;
            self.section_bytes += length;
            Some(Arc::<[u8]>::from(bytes))
        };
        let with_place = |range: Option<Range<u64>>, bytes| range.map(|range| (range, bytes));
        let eh_frame = section(".eh_frame").and_then(|bytes| with_place(range(".eh_frame"), Some(bytes)));
        let eh_frame_hdr =
            section(".eh_frame_hdr").and_then(|bytes| with_place(range(".eh_frame_hdr"), Some(bytes)));
        let debug_frame = if eh_frame.is_none() { section(".debug_frame") } else { None };
        let (text, got) = (range(".text"), range(".got"));
        let (names, copy) = names(&file, metadata, path);
        let path = path.as_os_str().as_bytes().to_vec();
        Some(Module {
            file,
            path,
            segments,
            text,
            got,
            eh_frame,
            eh_frame_hdr,
            debug_frame,
            names,
            _copy: copy,
        })
    }
}

/// The file at this path, if it is a regular one and has this inode. A pipe in its place is not waited for.
fn open_regular(path: &Path, inode: u64) -> Option<(File, std::fs::Metadata)> {
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && metadata.ino() == inode).then_some((file, metadata))
}

/// Where names of this file can be looked for. Who looks maps the file into our memory, where a file that is cut short
/// meanwhile would end us: so one that anybody but root and we can write is copied. Nowhere, where it is too large for that.
fn names(file: &File, metadata: &std::fs::Metadata, path: &Path) -> (PathBuf, Option<File>) {
    let own = nix::unistd::geteuid().as_raw();
    let is_ours = metadata.uid() == 0 || metadata.uid() == own;
    if is_ours && metadata.mode() & 0o022 == 0 {
        let is_same =
            |other: std::fs::Metadata| (other.dev(), other.ino()) == (metadata.dev(), metadata.ino());
        let path = if path.metadata().is_ok_and(is_same) { path.to_owned() } else { descriptor(file) };
        return (path, None);
    }
    match copy(file, metadata.len()) {
        Some(copy) => (descriptor(&copy), Some(copy)),
        None => (PathBuf::new(), None),
    }
}

fn descriptor(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn copy(file: &File, length: u64) -> Option<File> {
    if length > COPIED_MAX {
        return None;
    }
    let mut copy = File::from(memfd::memfd_create(c"reapwatch", memfd::MFdFlags::MFD_CLOEXEC).ok()?);
    let mut from = file.try_clone().ok()?;
    from.seek(SeekFrom::Start(0)).ok()?;
    std::io::copy(&mut from.take(length), &mut copy).ok()?;
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_opened_by_its_inode_once_and_nonsense_is_none() {
        let mut modules = Modules::default();
        let own = std::env::current_exe().expect("a path");
        let inode = own.metadata().expect("our own").ino();
        let number = modules.open(&["/nowhere".into(), own.clone()], inode, &own).expect("ELF");
        assert_eq!(modules.open(std::slice::from_ref(&own), inode, &own), Some(number));
        let module = modules.get(number).expect("it is kept");
        assert!(module.has_unwind_information() && module.eh_frame_hdr.is_some());
        assert_eq!(module.bytes(1), Some(*b"ELF"));
        let (at, _, address) = module.segments[0];
        assert_eq!(module.bias(0x5000 + at, at), Some((0x5000 + at).wrapping_sub(address)));
        assert_eq!(modules.open(std::slice::from_ref(&own), inode + 1, &own), None, "another inode");
        let text = tempfile::NamedTempFile::new().expect("a file");
        let inode = text.path().metadata().expect("it is there").ino();
        assert_eq!(modules.open(&[text.path().into()], inode, text.path()), None, "no ELF");
        let null = Path::new("/dev/null");
        assert_eq!(modules.open(&[null.into()], null.metadata().expect("it").ino(), null), None);
    }

    #[test]
    fn a_file_that_others_can_write_is_copied_before_it_is_searched() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"before").expect("written");
        let names_of = || {
            let opened = File::open(file.path()).expect("it is there");
            names(&opened, &opened.metadata().expect("it is there"), file.path())
        };
        assert_eq!(names_of().0, file.path());
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o666)).expect("ours");
        let (path, copy) = names_of();
        assert!(copy.is_some());
        std::fs::write(file.path(), b"").expect("cut short");
        assert_eq!(std::fs::read(path).expect("a copy"), b"before");
    }
}
