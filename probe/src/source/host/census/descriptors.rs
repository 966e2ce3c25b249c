//! What a process has open: where its standard streams lead, which files it writes, its pipes and its sockets.
//!
//! Owns how many descriptors are looked at. Must not judge.

use std::{
    fs,
    io::ErrorKind,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
};

use crate::model::{Stream, USED_PATH_MAX, WRITES_MAX};

/// Most descriptors of a process that are looked at.
const DESCRIPTORS_MAX: usize = 4_096;
/// The bits of a descriptor's link that say what it may be used for.
const MAY_READ: u32 = 0o400;
const MAY_WRITE: u32 = 0o200;

/// The descriptors of a process.
#[derive(Debug, Default)]
pub struct Descriptors {
    pub streams: [Stream; 3],
    /// Paths of files, once each.
    pub writes: Vec<Vec<u8>>,
    /// Inodes of pipes that it could read from.
    pub reads_pipes: Vec<u64>,
    /// Inodes of its sockets.
    pub sockets: Vec<u64>,
}

/// The descriptors of the process with this number; `None` where they may not be read, or there are too many.
pub fn read(pid: u32) -> Option<Descriptors> {
    let directory = format!("/proc/{pid}/fd");
    let mut found = Descriptors::default();
    for (count, entry) in fs::read_dir(&directory).ok()?.enumerate() {
        if count >= DESCRIPTORS_MAX {
            return None;
        }
        let path = entry.ok()?.path();
        let (link, metadata) = match (fs::read_link(&path), fs::symlink_metadata(&path)) {
            (Ok(link), Ok(metadata)) => (link, metadata),
            // It may be closed meanwhile.
            (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::NotFound => continue,
            _ => return None,
        };
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<usize>().ok());
        found.add(number?, link.as_os_str().as_bytes(), metadata.permissions().mode());
    }
    Some(found)
}

impl Descriptors {
    fn add(&mut self, number: usize, link: &[u8], mode: u32) {
        let stream = stream(link);
        if let Some(standard) = self.streams.get_mut(number) {
            *standard = stream;
        }
        match stream {
            Stream::Pipe { inode, .. } if mode & MAY_READ != 0 => self.reads_pipes.push(inode),
            Stream::Socket => self.sockets.extend(inode(link, b"socket:[")),
            Stream::File if mode & MAY_WRITE != 0 => {
                let has_room = self.writes.len() < WRITES_MAX && link.len() <= USED_PATH_MAX;
                let is_new = has_room && !self.writes.iter().any(|path| path == link);
                // What is deleted has no path at which another process could find it.
                if is_new && !link.ends_with(b" (deleted)") {
                    self.writes.push(link.to_vec());
                }
            }
            _ => {}
        }
    }
}

/// What the link of a descriptor says.
pub fn stream(link: &[u8]) -> Stream {
    if link == b"/dev/null" {
        return Stream::Null;
    }
    if let Some(inode) = inode(link, b"pipe:[") {
        return Stream::Pipe { inode, has_reader: None };
    }
    let terminal = link.strip_prefix(b"/dev/pts/");
    if terminal.is_some_and(|rest| rest.ends_with(b" (deleted)")) {
        return Stream::DeadTerminal;
    }
    if terminal.is_some() || link.starts_with(b"/dev/tty") || link == b"/dev/console" {
        return Stream::Terminal;
    }
    match link {
        _ if link.starts_with(b"socket:[") => Stream::Socket,
        _ if link.starts_with(b"/memfd:") || link.starts_with(b"/dev/") => Stream::Other,
        [b'/', ..] => Stream::File,
        _ => Stream::Other,
    }
}

/// The number in a link such as `pipe:[4711]`.
fn inode(link: &[u8], kind: &[u8]) -> Option<u64> {
    std::str::from_utf8(link.strip_prefix(kind)?.strip_suffix(b"]")?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_stream_is_told_by_its_link() {
        for (link, expected) in [
            ("/dev/null", Stream::Null),
            ("/dev/pts/3", Stream::Terminal),
            ("/dev/pts/3 (deleted)", Stream::DeadTerminal),
            ("/dev/tty1", Stream::Terminal),
            ("/var/log/a", Stream::File),
            ("/dev/shm/a", Stream::Other),
            ("pipe:[7]", Stream::Pipe { inode: 7, has_reader: None }),
            ("pipe:[7", Stream::Other),
            ("socket:[8]", Stream::Socket),
            ("anon_inode:[eventfd]", Stream::Other),
        ] {
            assert_eq!(stream(link.as_bytes()), expected, "{link}");
        }
    }

    #[test]
    fn our_own_pipes_and_files_are_found() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let file = tempfile::NamedTempFile::new().expect("a file");
        let found = read(std::process::id()).expect("our own");
        let inode_of = |number: i32| {
            let link = fs::read_link(format!("/proc/self/fd/{number}")).expect("a link");
            inode(link.as_os_str().as_bytes(), b"pipe:[").expect("a pipe")
        };
        assert_eq!(inode_of(reader.as_raw_fd()), inode_of(writer.as_raw_fd()));
        assert_eq!(
            found.reads_pipes.iter().filter(|pipe| **pipe == inode_of(reader.as_raw_fd())).count(),
            1,
            "the end that writes does not count"
        );
        assert!(found.writes.iter().any(|path| path == file.path().as_os_str().as_bytes()));
    }
}
