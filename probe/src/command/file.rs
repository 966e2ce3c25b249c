//! The files that a command line names for output. A regular file is written under a temporary name in the same
//! directory and moved to its own name when it is complete, so that an older file stays until then. Pipes and devices
//! are written to directly.
//!
//! Owns what may be opened and how. Must not know what is written.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    errno::Errno,
    libc::{O_NOCTTY, O_NOFOLLOW, O_NONBLOCK},
    sys::statfs::{PROC_SUPER_MAGIC, statfs},
    unistd::geteuid,
};
use tempfile::{Builder, NamedTempFile, TempPath};

use super::signals;
use crate::{sink::paced::Paced, source::host::privileges};

/// Number of links that are followed before they count as a loop, as in the kernel.
const LINKS_MAX: u32 = 40;
/// Mode bits of a directory in which every user may make files (`S_IWOTH`), but only their owners may remove them
/// (`S_ISVTX`).
const STICKY_AND_OPEN: u32 = 0o1002;
const REPORT_MODE: u32 = 0o644;
/// Only the owner may read a recording, because it holds the command lines of all users.
const RECORDING_MODE: u32 = 0o600;

/// The kind of output.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Report,
    Recording,
}

/// A file that will be written.
pub struct OutputFile {
    path: PathBuf,
    kind: Kind,
    place: Place,
    identity: FileIdentity,
}

enum Place {
    /// A pipe, a device, or a descriptor of this process.
    Direct(File),
    Regular(Regular),
}

struct Regular {
    directory: PathBuf,
    name: OsString,
    /// The existing file, or one made early in a directory where nothing can be made after privileges are dropped.
    there: Option<File>,
    /// True if the file was made here and is still empty.
    made: bool,
}

/// Identifies a file whatever name it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// Device and inode; `None` for what may be used twice, such as a terminal or /dev/null.
    inode: Option<(u64, u64)>,
    /// Device and inode of the directory, and the name in it.
    place: Option<(u64, u64, OsString)>,
}

impl FileIdentity {
    /// The identity of an open file.
    pub fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let metadata = File::from(fd.try_clone_to_owned().ok()?).metadata().ok()?;
        Some(Self { inode: inode(&metadata), place: None })
    }

    /// The identity of a file that is read.
    pub fn at(path: &Path) -> Option<Self> {
        Some(Self { inode: inode(&fs::metadata(path).ok()?), place: None })
    }

    pub fn is(&self, other: &Self) -> bool {
        (self.inode.is_some() && self.inode == other.inode)
            || (self.place.is_some() && self.place == other.place)
    }
}

fn inode(metadata: &Metadata) -> Option<(u64, u64)> {
    (!metadata.file_type().is_char_device()).then(|| (metadata.dev(), metadata.ino()))
}

impl OutputFile {
    /// Opens it as far as possible without changing an existing file, so that errors show before the measurement.
    pub fn open(path: &Path, kind: Kind) -> io::Result<Self> {
        let (place, identity) = match find(path)? {
            Found::OurDescriptor(number) => {
                // SAFETY: only borrowed to be duplicated, which fails where it is not open.
                let file = File::from(unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?);
                let identity = FileIdentity { inode: inode(&file.metadata()?), place: None };
                (Place::Direct(file), identity)
            }
            Found::Other { path, is_magic } => {
                let file = open_special(&path, is_magic)?;
                let identity = FileIdentity { inode: inode(&file.metadata()?), place: None };
                (Place::Direct(file), identity)
            }
            Found::Regular { directory, name, exists } => {
                let mut regular = Regular { directory, name, there: None, made: false };
                let within = fs::metadata(&regular.directory)?;
                let mut inode_of = None;
                if exists {
                    let there = open_regular(&regular.path())?;
                    inode_of = inode(&there.metadata()?);
                    regular.there = Some(there);
                } else if kind == Kind::Report && !can_be_made_later(&regular.directory)? {
                    let mut options = OpenOptions::new();
                    regular.there =
                        Some(options.write(true).create_new(true).mode(REPORT_MODE).open(regular.path())?);
                    regular.made = true;
                } else {
                    // A test: errors show now.
                    drop(temporary(&regular.directory, RECORDING_MODE)?);
                }
                let place = Some((within.dev(), within.ino(), regular.name.clone()));
                (Place::Regular(regular), FileIdentity { inode: inode_of, place })
            }
        };
        Ok(Self { path: path.to_owned(), kind, place, identity })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    /// Writes a report: all of it, or nothing.
    pub fn write_whole(self, bytes: &[u8]) -> io::Result<()> {
        match self.place {
            Place::Direct(file) => Paced::new(file, signals::time_to_write).write_all(bytes),
            Place::Regular(mut regular) => match regular.write_beside(bytes) {
                Beside::Written => {
                    regular.made = false;
                    Ok(())
                }
                Beside::Failed(error) => Err(error),
                Beside::NotPossible(error) => regular.write_in_place(bytes, error),
            },
        }
    }

    /// The file to write output to as it comes, and the name that the file gets when everything has begun or is
    /// written.
    pub fn begin(self) -> io::Result<(File, Name)> {
        match self.place {
            Place::Direct(file) => Ok((file, Name { moves: None, kind: self.kind, path: self.path })),
            Place::Regular(regular) => {
                let mode = if self.kind == Kind::Report { REPORT_MODE } else { RECORDING_MODE };
                let (file, temporary) = temporary(&regular.directory, mode)?.into_parts();
                if let Some(there) = &regular.there {
                    // A recording is written even if its owner cannot be set.
                    let _ = keep_owner(&file, there);
                }
                Ok((
                    file,
                    Name { moves: Some((temporary, regular.path())), kind: self.kind, path: self.path },
                ))
            }
        }
    }
}

/// The name that a file will have. If it is dropped before [`Name::take`], it leaves no file behind.
pub struct Name {
    moves: Option<(TempPath, PathBuf)>,
    kind: Kind,
    path: PathBuf,
}

impl Name {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, which replaces an older report. An older recording is kept with `.old` behind its name: what it
    /// holds does not happen again. Returns whether there was one. On failure, returns the name that the file has instead.
    pub fn take(self) -> Result<bool, (PathBuf, io::Error)> {
        let Some((temporary, to)) = self.moves else { return Ok(false) };
        let kept = match self.kind {
            Kind::Recording => keep_older(&to),
            Kind::Report => Ok(None),
        };
        let at = temporary.to_path_buf();
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => {
                // Keeps the file under its temporary name, so that its contents are not lost.
                let _ = temporary.keep();
                return Err((at, error));
            }
        };
        match temporary.persist(&to) {
            Ok(()) => Ok(kept.is_some()),
            Err(refused) => {
                let _ = refused.path.keep();
                if let Some(kept) = kept {
                    let _ = fs::rename(kept, to);
                }
                Err((at, refused.error))
            }
        }
    }
}

/// Gives a file that holds something, and whose name is needed, the name with `.old` behind it, as `perf record` does. The
/// one that had that name is gone then.
fn keep_older(path: &Path) -> io::Result<Option<PathBuf>> {
    if !fs::symlink_metadata(path).is_ok_and(|there| there.is_file() && there.len() > 0) {
        return Ok(None);
    }
    let mut old = path.as_os_str().to_owned();
    old.push(".old");
    let old = PathBuf::from(old);
    fs::rename(path, &old).map_err(|error| {
        io::Error::new(error.kind(), format!("what is there cannot be kept as {}: {error}", old.display()))
    })?;
    Ok(Some(old))
}

/// The outcome of writing under a temporary name.
enum Beside {
    Written,
    /// The directory allows no new file or move, but the existing file may be writable.
    NotPossible(io::Error),
    Failed(io::Error),
}

impl Regular {
    fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    fn write_beside(&self, bytes: &[u8]) -> Beside {
        let mut file = match temporary(&self.directory, REPORT_MODE) {
            Ok(file) => file,
            Err(error) if self.there.is_some() && is_refusal(&error) => return Beside::NotPossible(error),
            Err(error) => return Beside::Failed(error),
        };
        if let Some(there) = &self.there {
            if let Err(error) = keep_owner(file.as_file(), there) {
                return Beside::NotPossible(error);
            }
            if let Ok(metadata) = there.metadata() {
                let mode = Permissions::from_mode(metadata.mode() & 0o777);
                let _ = file.as_file().set_permissions(mode);
            }
        }
        if let Err(error) = file.as_file_mut().write_all(bytes) {
            return Beside::Failed(error);
        }
        match file.persist(self.path()) {
            Ok(_) => Beside::Written,
            Err(refused) if self.there.is_some() && is_refusal(&refused.error) => {
                Beside::NotPossible(refused.error)
            }
            Err(refused) => Beside::Failed(refused.error),
        }
    }

    fn write_in_place(&mut self, bytes: &[u8], refused: io::Error) -> io::Result<()> {
        let Some(there) = &mut self.there else { return Err(refused) };
        there.set_len(0)?;
        self.made = false;
        there.write_all(bytes).inspect_err(|_| {
            // Part of a report is not a report.
            let _ = there.set_len(0);
        })
    }
}

impl Drop for Regular {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_file(self.path());
        }
    }
}

/// Whether the directory refuses a change that only its owner, or no user, may make.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EACCES | Errno::EPERM | Errno::EBUSY))
}

/// Makes a temporary file with a short name, because the name that was asked for may already have the maximum length.
fn temporary(directory: &Path, mode: u32) -> io::Result<NamedTempFile> {
    Builder::new()
        .prefix(".reapwatch-")
        .suffix(".tmp")
        .make_in(directory, |path| OpenOptions::new().write(true).create_new(true).mode(mode).open(path))
}

/// Whether a file can be made in the directory with the privileges that are left once the programs are attached.
fn can_be_made_later(directory: &Path) -> io::Result<bool> {
    match privileges::while_reduced(|| temporary(directory, REPORT_MODE).map(drop)) {
        Ok(()) => Ok(true),
        Err(error) if is_refusal(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives the file the owner of the existing file.
fn keep_owner(file: &File, there: &File) -> io::Result<()> {
    let (now, before) = (file.metadata()?, there.metadata()?);
    if (now.uid(), now.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid()))
}

/// What a path leads to.
enum Found {
    OurDescriptor(i32),
    Regular {
        directory: PathBuf,
        name: OsString,
        exists: bool,
    },
    /// A device, a FIFO, or a link of /proc whose target is not the path in its text.
    Other {
        path: PathBuf,
        is_magic: bool,
    },
}

/// Follows the links at the end of a path, one by one.
fn find(path: &Path) -> io::Result<Found> {
    let our_descriptors = fs::canonicalize("/proc/self/fd").ok();
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let ends_in_slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let Some(name) = path.file_name().filter(|_| !ends_in_slash).map(OsString::from) else {
            return Err(Errno::EISDIR.into());
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => fs::canonicalize(parent)?,
            _ => fs::canonicalize(".")?,
        };
        if Some(&directory) == our_descriptors.as_ref()
            && let Some(number) = name.to_str().and_then(|name| name.parse().ok())
        {
            return Ok(Found::OurDescriptor(number));
        }
        let place = directory.join(&name);
        let there = match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Found::Regular { directory, name, exists: false });
            }
            there => there?,
        };
        if there.is_dir() {
            return Err(Errno::EISDIR.into());
        }
        if !may_be_used(&fs::metadata(&directory)?, &there) {
            return Err(io::Error::other(
                "it belongs to another user, in a directory where everybody may make files; remove it, or write \
                 elsewhere",
            ));
        }
        if there.is_file() {
            return Ok(Found::Regular { directory, name, exists: true });
        }
        let is_magic = statfs(&directory).is_ok_and(|system| system.filesystem_type() == PROC_SUPER_MAGIC);
        if !there.is_symlink() || is_magic {
            return Ok(Found::Other { path: place, is_magic });
        }
        path = directory.join(fs::read_link(&place)?);
    }
    Err(Errno::ELOOP.into())
}

/// Applies the kernel's rule for `fs.protected_symlinks`, `protected_regular` and `protected_fifos`: in a sticky
/// directory where every user may make files, a file of another user is not used.
fn may_be_used(directory: &Metadata, there: &Metadata) -> bool {
    directory.mode() & STICKY_AND_OPEN != STICKY_AND_OPEN
        || there.uid() == geteuid().as_raw()
        || there.uid() == directory.uid()
}

fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).custom_flags(O_NOFOLLOW | O_NOCTTY | O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it was replaced meanwhile")) }
}

/// Opens a device or a FIFO. If no process reads the FIFO yet, waits for one until a signal comes.
fn open_special(path: &Path, is_magic: bool) -> io::Result<File> {
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    let follow = if is_magic { 0 } else { O_NOFOLLOW };
    loop {
        let opened = OpenOptions::new().write(true).custom_flags(follow | O_NOCTTY | O_NONBLOCK).open(path);
        match opened {
            Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) && is_fifo(path) => {
                if signals::first().is_some() {
                    return Err(io::Error::new(
                        io::ErrorKind::Interrupted,
                        "nobody reads it, and a signal asked to end",
                    ));
                }
                std::thread::sleep(LOOK_EVERY);
            }
            opened => return opened.and_then(blocking),
        }
    }
}

fn is_fifo(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo())
}

/// Makes the file blocking again: only opening it must not block.
fn blocking(file: File) -> io::Result<File> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_truncate(fcntl(file.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(file.as_fd(), FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK))?;
    Ok(file)
}
