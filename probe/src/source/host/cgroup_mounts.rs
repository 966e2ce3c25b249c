//! Where the hierarchies of cgroups are mounted, by the text of a mountinfo file.
//!
//! Must not know what is looked for in a hierarchy.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::process_directory::bounded;

/// Longest mountinfo file read.
const MOUNTINFO_MAX: usize = 1 << 20;

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path, as /proc/PID/cgroup has it, of the cgroup at the mount point: `/`, or `/../..` where the whole hierarchy is
    /// mounted in a cgroup namespace.
    pub root: Vec<u8>,
    pub at: PathBuf,
}

/// Our own mountinfo file.
pub fn mountinfo() -> Vec<u8> {
    bounded(Path::new("/proc/self/mountinfo"), MOUNTINFO_MAX)
}

/// The mounts of the unified hierarchy, and of the one of version 1 that has this controller, in the order of the text.
pub fn mounts(mountinfo: &[u8], controller: &[u8]) -> (Vec<Mount>, Vec<Mount>) {
    let (mut unified, mut v1) = (Vec::new(), Vec::new());
    for line in mountinfo.split(|byte| *byte == b'\n') {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(root), Some(mount_point)) = (words.nth(3), words.next()) else { continue };
        let mut words = words.skip_while(|word| *word != b"-").skip(1);
        let (Some(kind), Some(_source), Some(options)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let mounts = match kind {
            b"cgroup2" => &mut unified,
            b"cgroup" if has(options, controller) => &mut v1,
            _ => continue,
        };
        let at = PathBuf::from(OsStr::from_bytes(&unescaped(mount_point)));
        mounts.push(Mount { root: unescaped(root), at });
    }
    (unified, v1)
}

/// Whether it is one of the words between commas.
pub fn has(list: &[u8], word: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|one| one == word)
}

/// A path of a mountinfo file, where `\` and three octal digits are a byte.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let byte = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        33 31 0:30 /docker/a /mnt/part rw shared:1 - cgroup2 cgroup2 rw\n\
        34 31 0:34 / /sys/fs/cgroup/pids rw,relatime shared:2 master:1 - cgroup cgroup rw,pids,cpu\n\
        35 31 0:34 /../.. /sys/fs/cgroup/my\\040v2 rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_mounts_of_both_versions_are_found_with_their_roots() {
        let (unified, v1) = mounts(MOUNTINFO, b"pids");
        let of = |mounts: &[Mount]| {
            let text =
                |mount: &Mount| format!("{} {}", String::from_utf8_lossy(&mount.root), mount.at.display());
            mounts.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(of(&unified), ["/docker/a /mnt/part", "/../.. /sys/fs/cgroup/my v2"]);
        assert_eq!(of(&v1), ["/ /sys/fs/cgroup/pids"]);
        assert_eq!(of(&mounts(MOUNTINFO, b"pid").1), [""; 0]);
        for damaged in [&b""[..], b"1 2 3\n", b"1 2 3 / /a - cgroup2", b"\\", b"1 2 3 / /a cgroup2 a rw"] {
            assert_eq!(mounts(damaged, b"pids"), (Vec::new(), Vec::new()));
        }
        assert_eq!(unescaped(b"a\\04\\0401\\777\\"), b"a\\04 1\\777\\");
    }
}
