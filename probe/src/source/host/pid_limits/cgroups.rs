//! The limits of cgroups (`pids.max`), of the one that a process is in and of all above it: the lowest of them bites first,
//! whichever it is.
//!
//! A zombie stays charged to the cgroup that it died in. The kernel still counts it in those above once that one is removed.
//! Must not know processes: it is given the text of a cgroup file.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Component, Path},
};

use foldhash::{HashMap, HashMapExt};

use super::number;
use crate::{
    model::{CGROUP_PATH_MAX, PidLimit, PidScope},
    source::host::cgroup_mounts::{self, Mount, has},
};

/// Longest file of a cgroup that is read.
const FILE_MAX: u64 = 256;
/// Most cgroups read at a time.
const READ_MAX: usize = 512;
/// What the kernel appends to the path of a cgroup that was removed while a zombie was in it.
const REMOVED: &[u8] = b" (deleted)";

/// The hierarchies with a pids controller, and what was read of them this time.
#[derive(Debug, Default)]
pub struct Cgroups {
    unified: Option<Mount>,
    v1: Option<Mount>,
    read: HashMap<(bool, Vec<u8>), Option<PidLimit>>,
    left_out: u64,
}

impl Cgroups {
    pub fn learn() -> Self {
        Self::parse(&cgroup_mounts::mountinfo())
    }

    /// The first mount of each version that shows the whole hierarchy.
    fn parse(mountinfo: &[u8]) -> Self {
        let is_whole = |mount: &Mount| parts(&mount.root).all(|part| part == b"..");
        let (unified, v1) = cgroup_mounts::mounts(mountinfo, b"pids");
        Self {
            unified: unified.into_iter().find(is_whole),
            v1: v1.into_iter().find(is_whole),
            ..Self::default()
        }
    }

    /// Begins a reading.
    pub fn begin(&mut self) {
        (self.read, self.left_out) = (HashMap::new(), 0);
    }

    /// How many cgroups were not read, because there were too many.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The limits on the way up from the cgroup of a process with this cgroup file.
    pub fn of(&mut self, cgroup: &[u8]) -> Vec<PidLimit> {
        let mut limits = Vec::new();
        for line in cgroup.split(|byte| *byte == b'\n') {
            let mut fields = line.splitn(3, |byte| *byte == b':');
            let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let is_unified = id == b"0" && controllers.is_empty();
            if is_unified || has(controllers, b"pids") {
                self.on_the_way_up(is_unified, path, &mut limits);
            }
        }
        limits
    }

    fn on_the_way_up(&mut self, is_unified: bool, path: &[u8], limits: &mut Vec<PidLimit>) {
        let Some(mount) = (if is_unified { self.unified.clone() } else { self.v1.clone() }) else { return };
        let path = path.strip_suffix(REMOVED).unwrap_or(path);
        let Some(mut below) = below(&mount.root, path).filter(|below| below.len() <= CGROUP_PATH_MAX) else {
            return;
        };
        loop {
            let key = (is_unified, below.clone());
            if !self.read.contains_key(&key) {
                if self.read.len() >= READ_MAX {
                    self.left_out += 1;
                    return;
                }
                let limit = limit(&mount.at, &below);
                self.read.insert(key.clone(), limit);
            }
            limits.extend(self.read.get(&key).cloned().flatten());
            let Some(slash) = below.iter().rposition(|byte| *byte == b'/') else { return };
            below.truncate(slash);
        }
    }
}

/// The limit of a cgroup, if it has one. The root has none.
fn limit(mounted_at: &Path, below: &[u8]) -> Option<PidLimit> {
    let directory = mounted_at.join(OsStr::from_bytes(below.strip_prefix(b"/")?));
    let read = |name: &str| whole(&directory.join(name)).ok();
    let limit = number(&read("pids.max")?)?;
    let used = number(&read("pids.current")?)?;
    let events = read("pids.events").unwrap_or_default();
    let refused = events.split(|byte| *byte == b'\n').find_map(|line| number(line.strip_prefix(b"max ")?));
    Some(PidLimit { scope: PidScope::Cgroup(below.to_vec()), used, limit, refused })
}

fn whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// A path below the root of a mount, beginning with a slash; empty for the root itself. `None` where it is not below it.
fn below(root: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let mut rest = parts(path);
    if !parts(root).all(|part| rest.next() == Some(part)) {
        return None;
    }
    let mut below = Vec::new();
    for part in rest {
        // Only down from the mount point.
        if !matches!(Path::new(OsStr::from_bytes(part)).components().next(), Some(Component::Normal(_))) {
            return None;
        }
        below.push(b'/');
        below.extend_from_slice(part);
    }
    Some(below)
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hierarchy of files: cgroup, limit, use and refusals.
    fn hierarchy(cgroups: &[(&str, &str, &str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for (cgroup, max, current, events) in cgroups {
            let at = directory.path().join(cgroup);
            std::fs::create_dir_all(&at).expect("made");
            for (name, text) in [("pids.max", max), ("pids.current", current), ("pids.events", events)] {
                std::fs::write(at.join(name), text).expect("written");
            }
        }
        directory
    }

    fn in_words(limits: &[PidLimit]) -> Vec<String> {
        let word = |limit: &PidLimit| {
            let PidScope::Cgroup(path) = &limit.scope else { panic!("{limit:?}") };
            format!("{} {}/{} {:?}", String::from_utf8_lossy(path), limit.used, limit.limit, limit.refused)
        };
        limits.iter().map(word).collect()
    }

    #[test]
    fn every_level_with_a_limit_is_told_from_the_process_up_in_both_versions() {
        let directory = hierarchy(&[
            ("a.slice", "100\n", "7\n", "max 3\n"),
            ("a.slice/b.service", "max\n", "6\n", "max 0\n"),
            ("a.slice/b.service/c", "5\n", "5\n", "max 12\n"),
        ]);
        let mount = |root: &str| Mount { root: root.into(), at: directory.path().into() };
        let both = ["/a.slice/b.service/c 5/5 Some(12)", "/a.slice 7/100 Some(3)"];
        for (unified, v1, cgroup) in [
            (Some(mount("/")), None, "0::/a.slice/b.service/c\n"),
            (Some(mount("/")), None, "4:cpu:/x\n0::/a.slice/b.service/c (deleted)\n"),
            (None, Some(mount("/")), "8:cpu,pids:/a.slice/b.service/c\n0::/x\n"),
            (Some(mount("/../..")), None, "0::/../../a.slice/b.service/c\n"),
        ] {
            let mut cgroups = Cgroups { unified, v1, ..Cgroups::default() };
            assert_eq!(in_words(&cgroups.of(cgroup.as_bytes())), both, "{cgroup}");
            assert_eq!(cgroups.left_out(), 0);
        }
    }

    #[test]
    fn what_is_not_below_the_mount_or_has_no_such_files_gives_nothing() {
        let directory = hierarchy(&[("a", "100\n", "junk\n", ""), ("gone", "", "", "")]);
        let unified = Some(Mount { root: b"/../..".to_vec(), at: directory.path().into() });
        let mut cgroups = Cgroups { unified, ..Cgroups::default() };
        for cgroup in [
            "0::/../../a\n",
            "0::/../../gone\n",
            "0::/../../none\n",
            "0::/../../\n",
            "0::/a\n",
            "0::/../../../a\n",
            "0::/../../a/../a\n",
            "0::\n",
            "8:pids:/a\n",
            "",
        ] {
            assert_eq!(cgroups.of(cgroup.as_bytes()), [], "{cgroup}");
        }
    }

    #[test]
    fn only_mounts_of_a_whole_hierarchy_count_and_too_many_cgroups_are_counted() {
        let found = Cgroups::parse(
            b"1 2 0:3 /x /part rw - cgroup2 cgroup2 rw\n1 2 0:3 /../.. /whole rw - cgroup2 cgroup2 rw\n",
        );
        assert_eq!(found.unified.map(|mount| mount.at), Some("/whole".into()));
        let unified = Some(Mount { root: b"/".to_vec(), at: "/nonexistent".into() });
        let mut cgroups = Cgroups { unified, ..Cgroups::default() };
        for number in 0..READ_MAX + 10 {
            cgroups.of(format!("0::/{number}\n").as_bytes());
        }
        // The root is one of those that are read.
        assert_eq!(cgroups.left_out(), 11);
        cgroups.begin();
        assert_eq!(cgroups.left_out(), 0);
    }
}
