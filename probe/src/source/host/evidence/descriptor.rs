//! What the kernel says of an open descriptor in its fdinfo file.
//!
//! Must not know whose it is.

use std::{os::fd::AsRawFd, path::Path};

use crate::source::host::process_directory::bounded;

/// An open descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub may_write: bool,
    /// The mount that its file is in.
    pub mount: u32,
    pub inode: u64,
}

impl Descriptor {
    /// `None` where the text is no fdinfo, or one of a kernel before 5.14, which does not tell the inode.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let value = |name: &[u8]| {
            let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
            std::str::from_utf8(line.trim_ascii()).ok()
        };
        let access = u64::from_str_radix(value(b"flags:")?, 8).ok()? & 3;
        Some(Self {
            may_write: access == 1 || access == 2,
            mount: value(b"mnt_id:")?.parse().ok()?,
            inode: value(b"ino:")?.parse().ok()?,
        })
    }
}

/// The mount in which the kernel has all pipes; 0 where it cannot be told. Inodes of other mounts may have the same numbers.
pub fn pipe_mount() -> u32 {
    let of_ours = || {
        let (end, _other) = std::io::pipe().ok()?;
        let path = format!("/proc/self/fdinfo/{}", end.as_raw_fd());
        Descriptor::parse(&bounded(Path::new(&path), 256)).map(|descriptor| descriptor.mount)
    };
    of_ours().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_read_and_what_does_not_tell_all_is_none() {
        let text = |flags| format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t16\nino:\t105042\n");
        let parsed = |flags| Descriptor::parse(text(flags).as_bytes()).map(|one| one.may_write);
        assert_eq!(
            Descriptor::parse(text("02000001").as_bytes()).map(|one| (one.mount, one.inode)),
            Some((16, 105_042))
        );
        assert_eq!(
            ["02000000", "02000001", "02", "03", "8"].map(parsed),
            [Some(false), Some(true), Some(true), Some(false), None]
        );
        for old in [&b""[..], b"pos:\t0\nflags:\t01\nmnt_id:\t16\n", b"flags:\t01\nino:\t5\n"] {
            assert_eq!(Descriptor::parse(old), None);
        }
        assert_ne!(pipe_mount(), 0, "a kernel before 5.14?");
    }
}
