//! The cgroups of the unified hierarchy that root makes: which workload each is, by its id.
//!
//! Owns how far a walk goes. Must not know who asks for a cgroup, nor how names are read: `workload` does.

use std::{
    collections::HashMap,
    fs::{self, DirEntry},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirEntryExt, MetadataExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use probe_common::settings::cgroup_level;

use super::{cgroup_mounts, workload::workload_in};
use crate::model::Workload;

/// The kernel gives the root of a hierarchy this inode; the root of a cgroup namespace has another.
const ROOT_INODE: u64 = 1;
/// How long a walk takes at most, and how many cgroups it sees.
const WALK_TAKES: Duration = Duration::from_millis(100);
const CGROUPS_MAX: usize = 32_768;
/// No hierarchy that people use is deeper.
const LEVELS_MAX: usize = 32;
/// On this level a slice is that of a pod, and holds its containers.
const LEVEL_OF_PODS: usize = cgroup_level::USUAL as usize;

/// Where the hierarchy is mounted.
#[derive(Debug)]
pub struct CgroupTree {
    root: PathBuf,
}

/// What a walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// By id; `None`: of no workload that has a name.
    pub workloads: HashMap<u64, Option<Workload>>,
    /// Those directly below the root in which workloads are one level further down.
    pub deep: Vec<u64>,
    /// Every one was seen that is as far up as workloads are.
    pub is_whole: bool,
}

impl CgroupTree {
    /// `None` where the hierarchy cannot be seen from its root.
    pub fn open() -> Option<Self> {
        let (mounts, _) = cgroup_mounts::mounts(&cgroup_mounts::mountinfo(), b"");
        let is_root = |at: &PathBuf| fs::metadata(at).is_ok_and(|found| found.ino() == ROOT_INODE);
        mounts.into_iter().map(|mount| mount.at).find(is_root).map(|root| Self { root })
    }

    /// Looks at all that there are now as far up as workloads are.
    pub fn walk(&self) -> Cgroups {
        self.walk_levels(cgroup_level::DEEP as usize)
    }

    /// Looks at those below them too, which are part of the same workloads: a process may be in any.
    pub fn walk_all(&self) -> Cgroups {
        self.walk_levels(LEVELS_MAX)
    }

    fn walk_levels(&self, levels: usize) -> Cgroups {
        let (found, ends) = (Cgroups::default(), Instant::now() + WALK_TAKES);
        let mut walk = Walk { found, ends, levels, is_cut: false };
        walk.directory(&self.root, &mut Vec::new(), &mut Vec::new());
        Cgroups { is_whole: !walk.is_cut, ..walk.found }
    }
}

struct Walk {
    found: Cgroups,
    ends: Instant,
    /// How many levels below the root are looked at.
    levels: usize,
    is_cut: bool,
}

impl Walk {
    /// Everything in a directory. `names` and `ids`: of the cgroups on the way from the root to it.
    fn directory(&mut self, path: &Path, names: &mut Vec<Vec<u8>>, ids: &mut Vec<u64>) {
        // One that has been removed meanwhile is empty.
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if self.found.workloads.len() >= CGROUPS_MAX || Instant::now() >= self.ends {
                self.is_cut = true;
                return;
            }
            names.push(entry.file_name().as_bytes().to_vec());
            ids.push(entry.ino());
            self.cgroup(&entry, names, ids);
            names.pop();
            ids.pop();
        }
    }

    fn cgroup(&mut self, entry: &DirEntry, names: &mut Vec<Vec<u8>>, ids: &mut Vec<u64>) {
        let workload = workload_in(names.iter().map(Vec::as_slice).collect());
        self.found.workloads.insert(entry.ino(), workload);
        let has_pods = names.len() == LEVEL_OF_PODS && names[LEVEL_OF_PODS - 1].ends_with(b".slice")
            || names.len() == 1 && names[0] == b"kubepods";
        if has_pods && !self.found.deep.contains(&ids[0]) {
            self.found.deep.push(ids[0]);
        }
        if names.len() < self.levels {
            self.directory(&entry.path(), names, ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Runtime;

    /// A directory has an id too.
    fn made(root: &Path, path: &str) -> u64 {
        fs::create_dir_all(root.join(path)).expect("a directory");
        fs::metadata(root.join(path)).expect("it is there").ino()
    }

    #[test]
    fn each_cgroup_has_the_workload_that_its_path_tells_and_those_with_pods_are_deep() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        let (container_id, pod) = ("a".repeat(64), "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f");
        let service = made(root, "system.slice/nginx.service");
        let below_service = made(root, "system.slice/nginx.service/docker-x.scope");
        let container = made(root, &format!("system.slice/docker-{container_id}.scope"));
        let slice = format!(
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
            pod.replace('-', "_")
        );
        let in_pod = made(root, &format!("{slice}/cri-containerd-{container_id}.scope"));
        let too_deep = made(root, "user.slice/user-7.slice/user@7.service/app.slice/x.service");
        let deep = made(root, "kubepods.slice");
        fs::write(root.join("cgroup.procs"), "").expect("a file");
        let tree = CgroupTree { root: root.to_owned() };
        let all = tree.walk_all();
        assert_eq!(all.workloads[&too_deep], Some(Workload::Session { user: 7 }));
        let found = tree.walk();
        assert!(found.workloads.iter().all(|(id, workload)| all.workloads[id] == *workload));
        assert_eq!(found.workloads[&service], Some(Workload::Unit("nginx.service".into())));
        assert_eq!(found.workloads[&below_service], found.workloads[&service]);
        let docker = Workload::Container { runtime: Runtime::Docker, id: container_id.clone() };
        assert_eq!(found.workloads[&container], Some(docker));
        let of_pod = Workload::Pod { uid: pod.into(), container: Some(container_id) };
        assert_eq!(found.workloads[&in_pod], Some(of_pod));
        assert!(!found.workloads.contains_key(&too_deep));
        assert_eq!((found.deep, found.is_whole), (vec![deep], true));
    }
}
