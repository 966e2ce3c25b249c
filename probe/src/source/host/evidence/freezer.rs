//! Whether a process's cgroup is frozen, in either version of cgroups.
//!
//! Believes the kernel's own state, which counts frozen ancestors too. Must not know processes: it is given the text of a
//! cgroup file.

use std::{
    ffi::OsStr,
    fs::File,
    io::{ErrorKind, Read},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use crate::source::host::{
    cgroup_mounts::{self, Mount, has},
    namespace,
};

/// Longest cgroup.events or freezer.state read.
const STATE_MAX: u64 = 256;

/// Where the two kinds of hierarchies are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freezers {
    unified: Option<PathBuf>,
    v1: Option<PathBuf>,
    /// Whether `/` is the root of the hierarchy, which cannot be frozen.
    sees_root: bool,
}

impl Freezers {
    pub fn learn() -> Self {
        let sees_root = namespace::is_initial("cgroup").unwrap_or(false);
        Self { sees_root, ..Self::parse(&cgroup_mounts::mountinfo()) }
    }

    /// The first mount of each kind that shows the hierarchy from its root on.
    pub fn parse(mountinfo: &[u8]) -> Self {
        let (unified, v1) = cgroup_mounts::mounts(mountinfo, b"freezer");
        let first =
            |mounts: Vec<Mount>| mounts.into_iter().find(|mount| mount.root == b"/").map(|mount| mount.at);
        Self { unified: first(unified), v1: first(v1), sees_root: false }
    }

    /// Whether the process with this cgroup file is frozen; `None` where that cannot be told.
    pub fn is_frozen(&self, cgroup: &[u8]) -> Option<bool> {
        let (mut unified, mut v1) = (Some(false), Some(false));
        if cgroup.is_empty() {
            return None;
        }
        for line in cgroup.split(|byte| *byte == b'\n') {
            let mut fields = line.splitn(3, |byte| *byte == b':');
            let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if id == b"0" && controllers.is_empty() {
                unified = self.state(self.unified.as_deref(), path, "cgroup.events", frozen_in_events);
            } else if has(controllers, b"freezer") {
                v1 = self.state(self.v1.as_deref(), path, "freezer.state", frozen_in_state);
            }
        }
        match (unified, v1) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    }

    fn state(
        &self,
        mount_point: Option<&Path>,
        path: &[u8],
        name: &str,
        is_frozen: fn(&[u8]) -> Option<bool>,
    ) -> Option<bool> {
        let is_root = path == b"/" && self.sees_root;
        if is_root {
            return Some(false);
        }
        // Only down from the mount point.
        let below = Path::new(OsStr::from_bytes(path.strip_prefix(b"/")?));
        if below.components().any(|part| !matches!(part, Component::Normal(_))) {
            return None;
        }
        let mut text = Vec::new();
        match File::open(mount_point?.join(below).join(name)) {
            Ok(file) => file.take(STATE_MAX).read_to_end(&mut text).ok()?,
            // The root of the hierarchy, seen from a namespace of ours, has no such file.
            Err(error) if error.kind() == ErrorKind::NotFound && path == b"/" => return Some(false),
            Err(_) => return None,
        };
        is_frozen(&text)
    }
}

/// By a cgroup.events file.
fn frozen_in_events(text: &[u8]) -> Option<bool> {
    text.split(|byte| *byte == b'\n').find_map(|line| match line {
        b"frozen 0" => Some(false),
        b"frozen 1" => Some(true),
        _ => None,
    })
}

/// By a freezer.state file.
fn frozen_in_state(text: &[u8]) -> Option<bool> {
    match text.trim_ascii() {
        b"THAWED" => Some(false),
        b"FROZEN" => Some(true),
        // Some of its processes may not be frozen yet.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        33 31 0:30 /docker/a /mnt/part rw shared:1 - cgroup2 cgroup2 rw\n\
        34 31 0:34 / /sys/fs/cgroup/freezer rw,relatime shared:2 master:1 - cgroup cgroup rw,freezer\n\
        35 31 0:34 / /sys/fs/cgroup/my\\040v2 rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n\
        36 31 0:34 / /second rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_mounts_that_begin_at_the_root_are_found() {
        let found = Freezers::parse(MOUNTINFO);
        assert_eq!(found.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/my v2")));
        assert_eq!(found.v1.as_deref(), Some(Path::new("/sys/fs/cgroup/freezer")));
        for damaged in [&b""[..], b"1 2 3\n", b"1 2 3 / /a - cgroup2", b"\\", b"1 2 3 / /a cgroup2 a rw"] {
            assert_eq!(Freezers::parse(damaged), Freezers::default());
        }
    }

    #[test]
    fn frozen_is_what_either_hierarchy_says_and_unknown_is_no_answer() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        for (cgroup, file, text) in [
            ("v2/frozen", "cgroup.events", "populated 1\nfrozen 1\n"),
            ("v2/free", "cgroup.events", "populated 1\nfrozen 0\n"),
            ("v1/frozen", "freezer.state", "FROZEN\n"),
            ("v1/freezing", "freezer.state", "FREEZING\n"),
            ("v1/free", "freezer.state", "THAWED\n"),
        ] {
            std::fs::create_dir_all(at(cgroup)).expect("made");
            std::fs::write(at(cgroup).join(file), text).expect("written");
        }
        let freezers = Freezers { unified: Some(at("v2")), v1: Some(at("v1")), sees_root: true };
        for (text, expected) in [
            ("0::/free\n", Some(false)),
            ("0::/frozen\n", Some(true)),
            ("0::/\n", Some(false)),
            ("3:cpu,freezer:/frozen\n0::/\n", Some(true)),
            ("3:freezer:/free\n0::/frozen\n", Some(true)),
            ("3:freezer:/freezing\n0::/free\n", None),
            ("0::/gone (deleted)\n", None),
            ("0::/free/../frozen\n", None),
            ("0::/../frozen\n", None),
            ("0::frozen\n", None),
            ("3:cpu:/\n", Some(false)),
            ("", None),
        ] {
            assert_eq!(freezers.is_frozen(text.as_bytes()), expected, "{text}");
        }
        let nothing_mounted = Freezers { sees_root: true, ..Freezers::default() };
        assert_eq!(nothing_mounted.is_frozen(b"0::/\n"), Some(false));
        assert_eq!(nothing_mounted.is_frozen(b"0::/free\n"), None);
        assert_eq!(Freezers::default().is_frozen(b"0::/\n"), None);
    }
}
