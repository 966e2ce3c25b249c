//! Files by their paths as a process sees them: in its own root, which is another one in a container.
//!
//! Owns that no link leads out of that root, that nothing but regular files is read, and how much of them. Must not know what
//! is looked for. Whoever owns a directory may put anything there: links, pipes, endless files.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
};
use procfs::process::Process;

use crate::model::{AtPath, FileIdentity};

/// A root directory.
pub struct Root {
    directory: OwnedFd,
    /// It is ours: what the kernel says of paths is said from here.
    pub is_ours: bool,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub file: FileIdentity,
    pub is_regular: bool,
    pub is_directory: bool,
    pub modified_ns: i128,
}

impl Root {
    /// Ours.
    pub fn ours() -> Option<Self> {
        Some(Self { directory: File::open("/").ok()?.into(), is_ours: true })
    }

    /// That of a process in another mount namespace.
    pub fn of(process: &Process) -> Option<Self> {
        Some(Self { directory: process.open_relative("root").ok()?.into(), is_ours: false })
    }

    /// What is at this path; `None` where nothing is, and an error where that cannot be known.
    pub fn look(&self, path: &Path) -> Result<Option<Found>, Errno> {
        let opened = match self.open(path, OFlag::O_PATH) {
            Ok(opened) => opened,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = File::from(opened).metadata().map_err(|_| Errno::EIO)?;
        Ok(Some(Found {
            file: FileIdentity { device: metadata.dev(), inode: metadata.ino() },
            is_regular: metadata.is_file(),
            is_directory: metadata.is_dir(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        }))
    }

    /// How the file at this path compares with one that is in use.
    pub fn compare(&self, path: &Path, file: FileIdentity) -> AtPath {
        match self.look(path) {
            Ok(Some(found)) if found.file == file => AtPath::Same,
            Ok(Some(_)) => AtPath::Other,
            Ok(None) => AtPath::Gone,
            Err(_) => AtPath::Unknown,
        }
    }

    /// The first `most` bytes of a regular file.
    pub fn beginning(&self, path: &Path, most: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.regular(path)?.take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The last `most` bytes of a regular file, from the beginning of a line on.
    pub fn last_lines(&self, path: &Path, most: u64) -> Option<Vec<u8>> {
        let mut file = self.regular(path)?;
        let size = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(most))).ok()?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).ok()?;
        if size > most {
            let line = bytes.iter().position(|byte| *byte == b'\n')? + 1;
            bytes.drain(..line);
        }
        Some(bytes)
    }

    fn regular(&self, path: &Path) -> Option<File> {
        // Not to wait for whoever should write into a pipe.
        let file = File::from(self.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).ok()?);
        file.metadata().ok()?.is_file().then_some(file)
    }

    fn open(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.directory, path, how)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn root_at(path: &Path) -> Root {
        Root { directory: File::open(path).expect("a directory").into(), is_ours: false }
    }

    #[test]
    fn no_link_leads_out_and_no_pipe_holds_us_up() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("etc")).expect("a directory");
        fs::write(at("etc/passwd"), "inside").expect("a file");
        symlink("/etc/passwd", at("absolute")).expect("a link");
        symlink("../../../../../../etc/passwd", at("relative")).expect("a link");
        symlink("/proc/self/fd/0", at("magic")).expect("a link");
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let root = root_at(directory.path());
        for name in ["/etc/passwd", "/absolute", "/relative", "/../etc/passwd"] {
            assert_eq!(root.beginning(Path::new(name), 100).as_deref(), Some(&b"inside"[..]), "{name}");
        }
        for name in ["/magic", "/pipe", "/etc", "/nothing"] {
            assert_eq!(root.beginning(Path::new(name), 100), None, "{name}");
        }
        assert_eq!(root.look(Path::new("/nothing/at/all")), Ok(None));
        assert_eq!(root.look(Path::new("/etc/passwd/x")), Ok(None), "a file is no directory");
    }

    #[test]
    fn a_file_is_compared_with_the_one_at_its_path() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = root_at(directory.path());
        let path = Path::new("/program");
        fs::write(directory.path().join("program"), "1").expect("a file");
        let file = root.look(path).expect("readable").expect("there").file;
        assert_eq!(root.compare(path, file), AtPath::Same);
        fs::write(directory.path().join("new"), "2").expect("a file");
        fs::rename(directory.path().join("new"), directory.path().join("program")).expect("renamed");
        assert_eq!(root.compare(path, file), AtPath::Other);
        fs::remove_file(directory.path().join("program")).expect("removed");
        assert_eq!(root.compare(path, file), AtPath::Gone);
    }

    #[test]
    fn of_a_long_file_the_last_whole_lines_are_read() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("log"), "first\nsecond\nthird\n").expect("a file");
        let root = root_at(directory.path());
        let last = |most| root.last_lines(Path::new("/log"), most);
        assert_eq!(last(100).as_deref(), Some(&b"first\nsecond\nthird\n"[..]));
        assert_eq!(last(8).as_deref(), Some(&b"third\n"[..]));
        assert_eq!(last(3).as_deref(), Some(&b""[..]));
    }
}
