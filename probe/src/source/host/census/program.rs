//! Whether the executable of a process, and the libraries that it maps, are still the files at their paths.
//!
//! Owns what counts as a library. Must not judge: files are deleted for good reasons too.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use foldhash::HashMap;
use nix::sys::stat::{major, minor};
use procfs::process::Process;

use super::root::Root;
use crate::{
    model::{AtPath, FileIdentity, LIBRARIES_MAX, Library, Program, USED_PATH_MAX, base_name},
    source::host::process_directory::part,
};

/// How much of the list of mappings is read.
const MAPPINGS_MAX: usize = 4 << 20;
/// What the kernel appends to the path of a file that was deleted.
const DELETED: &[u8] = b" (deleted)";
/// Libraries that talk to a display, by the beginnings of their names.
const OF_DISPLAYS: [&[u8]; 4] = [b"libX11.so", b"libX11-xcb.so", b"libxcb.so", b"libwayland-client.so"];
/// Most paths that are remembered.
const REMEMBERED_MAX: usize = 1 << 16;

/// What libraries there are at the paths of our own root: many processes map the same ones.
#[derive(Default)]
pub struct KnownLibraries(HashMap<Vec<u8>, Option<(u64, u64)>>);

/// The executable of a process.
pub(super) fn program(process: &Process, root: Option<&Root>) -> Option<Program> {
    let link = process.exe().ok()?;
    let (path, is_deleted) = without_mark(link.as_os_str().as_bytes());
    let metadata = fs::metadata(format!("/proc/{}/exe", process.pid)).ok()?;
    let file = FileIdentity { device: metadata.dev(), inode: metadata.ino() };
    let at_path = match root {
        Some(root) if path.starts_with(b"/") && !is_in_memory(path) => {
            match root.compare(Path::new(OsStr::from_bytes(path)), file) {
                // The path is said from where we are: in another root it may mean something else.
                AtPath::Other if !is_deleted && !root.is_ours => AtPath::Unknown,
                AtPath::Gone if !is_deleted => AtPath::Unknown,
                found => found,
            }
        }
        _ => AtPath::Unknown,
    };
    Some(Program { path: path.to_vec(), file, at_path })
}

/// What a process has mapped.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Libraries {
    /// Those that are not the files at their paths any more.
    pub changed: Vec<Library>,
    /// One of them talks to a display.
    pub shows_windows: bool,
}

/// The libraries of a process.
pub(super) fn libraries(
    process: &Process,
    root: Option<&Root>,
    executable: &[u8],
    known: &mut KnownLibraries,
) -> Libraries {
    let mut libraries = Libraries::default();
    let mappings = part(process, "maps", MAPPINGS_MAX);
    for mapping in mappings.split(|byte| *byte == b'\n').filter_map(Mapping::parse) {
        let (path, is_deleted) = without_mark(mapping.path);
        let name = base_name(path);
        libraries.shows_windows |= OF_DISPLAYS.iter().any(|known| name.starts_with(known));
        let found = &mut libraries.changed;
        if found.len() >= LIBRARIES_MAX || path == executable || found.iter().any(|one| one.path == path) {
            continue;
        }
        let Some(root) = root else { continue };
        let at_path = mapping.at_path(path, is_deleted, root, known);
        if matches!(at_path, AtPath::Other | AtPath::Gone) {
            found.push(Library { path: path.to_vec(), at_path });
        }
    }
    libraries
}

/// A mapping of a file that code is executed from.
#[derive(Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// Major and minor number, in one.
    device: u64,
    inode: u64,
    pub path: &'a [u8],
}

impl<'a> Mapping<'a> {
    /// A line such as `7f0-7f1 r-xp 00001000 fd:01 1234   /usr/lib/libc.so.6`.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let path = &line[line.iter().position(|byte| *byte == b'/')?..];
        let fields: Vec<&[u8]> =
            line.split(|byte| *byte == b' ').filter(|field| !field.is_empty()).take(5).collect();
        let text = |place: usize| std::str::from_utf8(fields.get(place)?).ok();
        let is_code = fields.get(1)?.contains(&b'x');
        let (major, minor) = text(3)?.split_once(':')?;
        let device = u64::from_str_radix(major, 16).ok()? << 32 | u64::from_str_radix(minor, 16).ok()?;
        let inode = text(4)?.parse().ok()?;
        (is_code && inode != 0 && path.len() <= USED_PATH_MAX && is_library(path)).then_some(Self {
            device,
            inode,
            path,
        })
    }

    fn at_path(&self, path: &[u8], is_deleted: bool, root: &Root, known: &mut KnownLibraries) -> AtPath {
        if !is_deleted && !root.is_ours {
            return AtPath::Unknown;
        }
        let there = match known.0.get(path) {
            Some(there) if root.is_ours => *there,
            _ => {
                let Ok(found) = root.look(Path::new(OsStr::from_bytes(path))) else { return AtPath::Unknown };
                let there =
                    found.map(|one| (major(one.file.device) << 32 | minor(one.file.device), one.file.inode));
                if root.is_ours && known.0.len() < REMEMBERED_MAX {
                    known.0.insert(path.to_vec(), there);
                }
                there
            }
        };
        match there {
            Some((_, inode)) if inode == self.inode => AtPath::Same,
            // Some file systems show other devices, and numbers of inodes, in mappings than in a look at the file.
            Some((device, _)) if is_deleted || device == self.device => AtPath::Other,
            None if is_deleted => AtPath::Gone,
            _ => AtPath::Unknown,
        }
    }
}

/// Shared objects, by their names: `libc.so.6`. Deleted and mapped for execution are also the buffers of just-in-time
/// compilers and of drivers.
fn is_library(path: &[u8]) -> bool {
    let (path, _) = without_mark(path);
    let name = base_name(path);
    let is_shared_object = name
        .windows(3)
        .enumerate()
        .any(|(place, part)| part == b".so" && matches!(name.get(place + 3), None | Some(b'.')));
    is_shared_object && !is_in_memory(path)
}

/// Files that never were in a directory, or in none that keeps files.
fn is_in_memory(path: &[u8]) -> bool {
    [&b"/memfd:"[..], b"/dev/", b"/SYSV", b"/proc/", b"/run/user/"]
        .iter()
        .any(|begin| path.starts_with(begin))
}

fn without_mark(path: &[u8]) -> (&[u8], bool) {
    path.strip_suffix(DELETED).map_or((path, false), |path| (path, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_of_code_is_read_and_no_other() {
        let line = |permissions: &str, path: &str| {
            format!(
                "7f0000000000-7f0000001000 {permissions} 00001000 fd:1f 1234                       {path}"
            )
        };
        let parsed = |permissions: &str, path: &str| {
            Mapping::parse(line(permissions, path).as_bytes())
                .map(|one| (one.device, one.inode, one.path.to_vec()))
        };
        let device = 0xfd << 32 | 0x1f;
        assert_eq!(
            parsed("r-xp", "/usr/lib/a b.so.6 (deleted)"),
            Some((device, 1234, b"/usr/lib/a b.so.6 (deleted)".to_vec()))
        );
        assert_eq!(parsed("r--p", "/usr/lib/libc.so.6"), None);
        for other in [
            "/memfd:x.so (deleted)",
            "/dev/zero (deleted)",
            "/SYSV0000 (deleted)",
            "/dev/shm/a.so",
            "/usr/bin/x (deleted)",
            "/tmp/perf-1.map",
            "/usr/lib/a.sort",
            "[vdso]",
            "",
        ] {
            assert_eq!(parsed("r-xp", other), None, "{other}");
        }
        for damaged in ["", "/", "x /a.so", "7f0-7f1 r-xp 0 fd:zz 1 /a.so", "7f0-7f1 r-xp 0 fd:01 x /a.so"] {
            assert_eq!(Mapping::parse(damaged.as_bytes()), None, "{damaged}");
        }
    }

    #[test]
    fn our_own_program_and_libraries_are_those_at_their_paths() {
        let own = Process::myself().expect("/proc");
        let root = Root::ours().expect("/");
        let program = program(&own, Some(&root)).expect("our own");
        assert_eq!(program.path, std::env::current_exe().expect("a path").as_os_str().as_bytes());
        assert_eq!(program.at_path, AtPath::Same);
        assert_eq!(
            libraries(&own, Some(&root), &program.path, &mut KnownLibraries::default()),
            Libraries::default()
        );
    }
}
