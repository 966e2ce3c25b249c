//! Files with code: opened by the inode that is mapped, and read in bounded pieces.
//!
//! Owns which files are open. What is known of a file stays when it is closed, so that it keeps its number. A file can be cut
//! short by its owner while it is read, so it is never mapped into our memory here. Must not know processes, nor what is
//! looked up.

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
    rc::Rc,
};

use foldhash::{HashMap, HashSet};
use nix::{libc, sys::memfd};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SegmentFlags, elf::PF_X, read::ReadCache};

use super::sections::{Kept, Places, Sections};

/// Most files open at a time, and most that are known.
const OPEN_MAX: usize = 512;
const FILES_MAX: usize = 4_096;
/// Largest file that is copied before it is searched for names, because somebody else could cut it short meanwhile.
const COPIED_MAX: u64 = 128 << 20;

/// A file with code.
pub struct Module {
    open: Option<Open>,
    /// As the process calls it that was first seen with it.
    pub path: Vec<u8>,
    /// Of each segment of code, whose first page may hold the end of another segment too: where it is in the file, how long, and its own address.
    segments: Vec<(u64, u64, u64)>,
    pub text: Option<Range<u64>>,
    pub got: Option<Range<u64>>,
    /// Where its unwind information is.
    unwind: Places,
}

/// What there is of a file as long as it is open.
struct Open {
    file: File,
    /// Where to look for names.
    names: PathBuf,
    /// What `names` leads to, if that is a copy.
    _copy: Option<File>,
}

impl Open {
    fn new(file: File, metadata: &std::fs::Metadata, path: &Path) -> Self {
        let (names, copy) = names(&file, metadata, path);
        Self { file, names, _copy: copy }
    }
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
        self.unwind.is_any()
    }

    /// Where to look for names: nowhere while it is closed.
    pub fn names(&self) -> &Path {
        self.open.as_ref().map_or(Path::new(""), |open| &open.names)
    }

    /// Address of a symbol that the file offers to others, as its own addresses have it.
    pub fn symbol(&self, name: &[u8]) -> Option<u64> {
        let cache = ReadCache::new(self.open.as_ref()?.file.try_clone().ok()?);
        let object = object::File::parse(&cache).ok()?;
        let found = object.dynamic_symbols().find(|symbol| symbol.name_bytes() == Ok(name))?;
        Some(found.address())
    }

    /// Bytes of the file; `None` where it ends before, or is closed.
    pub fn bytes<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.open.as_ref()?.file.read_exact_at(&mut bytes, offset).ok().map(|()| bytes)
    }
}

/// Device, inode, length and time of the last change.
type FileIdentity = (u64, u64, u64, i64, i64);

/// All files that were opened. One that cannot be used is remembered as such.
#[derive(Default)]
pub struct Modules {
    known: HashMap<FileIdentity, Option<u32>>,
    modules: Vec<Module>,
    open: usize,
    sections: Kept,
}

impl Modules {
    pub fn get(&self, number: u32) -> Option<&Module> {
        self.modules.get(number as usize)
    }

    /// The unwind information of a file; `None` where it has none, or there is no room for it.
    pub fn sections(&self, number: u32) -> Option<Rc<Sections>> {
        let module = self.get(number)?;
        let open = module.open.as_ref()?;
        self.sections.of(number, &open.file, &module.unwind)
    }

    /// Bytes of unwind information in memory.
    pub fn section_bytes(&self) -> u64 {
        self.sections.bytes()
    }

    /// Forgets the unwind information: it is read again when it is needed.
    pub fn forget_sections(&mut self) {
        self.sections = Kept::default();
    }

    /// Whether so many files are open that some should be closed.
    pub fn is_many(&self) -> bool {
        self.open >= OPEN_MAX / 2
    }

    /// Closes all files but these. Each is opened again with the memory map of a process that has it, and keeps its number.
    pub fn close_all_but(&mut self, files: &HashSet<u32>) {
        self.sections.keep(files);
        for (number, module) in (0..).zip(&mut self.modules) {
            if !files.contains(&number) {
                module.open = None;
            }
        }
        self.open = self.modules.iter().filter(|module| module.open.is_some()).count();
    }

    /// The number of the file at the first of these paths that has this inode. `path`: the same file for us, by which
    /// separate debug information is found, if it is there.
    pub fn open(&mut self, ways: &[PathBuf], inode: u64, path: &Path) -> Option<u32> {
        let (file, metadata) = ways.iter().find_map(|way| open_regular(way, inode))?;
        let identity =
            (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if let Some(known) = self.known.get(&identity) {
            let number = (*known)?;
            let module = self.modules.get_mut(number as usize)?;
            if module.open.is_none() {
                if self.open >= OPEN_MAX {
                    return None;
                }
                module.open = Some(Open::new(file, &metadata, path));
                self.open += 1;
            }
            return Some(number);
        }
        if self.open >= OPEN_MAX || self.modules.len() >= FILES_MAX || self.known.len() >= 16 * FILES_MAX {
            return None;
        }
        let number = Module::read(file, &metadata, path).map(|module| {
            self.modules.push(module);
            self.open += 1;
            self.modules.len() as u32 - 1
        });
        self.known.insert(identity, number);
        number
    }
}

impl Module {
    fn read(file: File, metadata: &std::fs::Metadata, path: &Path) -> Option<Self> {
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
        let in_file = |name: &str| object.section_by_name(name)?.file_range();
        let unwind = Places {
            eh_frame: range(".eh_frame").zip(in_file(".eh_frame")),
            eh_frame_hdr: range(".eh_frame_hdr").zip(in_file(".eh_frame_hdr")),
            debug_frame: in_file(".debug_frame"),
        };
        let (text, got) = (range(".text"), range(".got"));
        let bytes = path.as_os_str().as_bytes().to_vec();
        let open = Some(Open::new(file, metadata, path));
        Some(Self { open, path: bytes, segments, text, got, unwind })
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
        assert!(module.has_unwind_information());
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
    fn a_closed_file_keeps_its_number_and_is_opened_again_with_all_it_had() {
        let mut modules = Modules::default();
        let own = std::env::current_exe().expect("a path");
        let inode = own.metadata().expect("our own").ino();
        let open = |modules: &mut Modules| modules.open(std::slice::from_ref(&own), inode, &own);
        let number = open(&mut modules).expect("ELF");
        let read = modules.sections(number).expect("unwind information");
        assert!(read.eh_frame.is_some() && read.eh_frame_hdr.is_some());
        let bytes = modules.section_bytes();
        assert!(bytes > 0);
        modules.close_all_but(&HashSet::from_iter([number]));
        assert_eq!((modules.section_bytes(), modules.open), (bytes, 1));
        modules.close_all_but(&HashSet::default());
        assert_eq!((modules.section_bytes(), modules.open), (0, 0));
        let module = modules.get(number).expect("it is known");
        assert!(module.bytes::<4>(0).is_none() && module.names().as_os_str().is_empty());
        assert!(module.has_unwind_information(), "that it has some is known");
        assert!(modules.sections(number).is_none());
        assert_eq!(open(&mut modules), Some(number));
        assert!(modules.sections(number).is_some() && modules.section_bytes() == bytes);
        assert_eq!(modules.get(number).expect("open").names(), own);
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
