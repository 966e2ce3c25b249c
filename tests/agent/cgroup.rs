//! Cgroups of our own, with paths as systemd and runtimes make them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Where hierarchies may be mounted in which systemd keeps its units: its own, and the unified one beside it or alone.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// A cgroup in each hierarchy in which systemd would make it. Removed when dropped, if nobody is in it.
pub struct Cgroup {
    directories: Vec<PathBuf>,
    /// Directories that were made for it, the outermost first.
    made: Vec<PathBuf>,
}

impl Cgroup {
    pub fn new(path: &str) -> Self {
        let is_mounted = |root: &&Path| root.join("cgroup.procs").exists();
        let roots: Vec<&Path> = HIERARCHIES.iter().map(Path::new).filter(is_mounted).collect();
        assert!(!roots.is_empty(), "a cgroup hierarchy is mounted");
        Self::in_hierarchies(&roots, path)
    }

    /// In the hierarchy with the pids controller, with a limit for each of these cgroups, which are below the first part of the
    /// path.
    pub fn with_pids_max(path: &str, limits: &[(&str, &str)]) -> Self {
        let v1 = Path::new("/sys/fs/cgroup/pids");
        let is_v1 = v1.join("cgroup.procs").exists();
        let root = if is_v1 { v1 } else { Path::new("/sys/fs/cgroup") };
        let cgroup = Self::in_hierarchies(&[root], path);
        let first = root.join(path.split('/').next().expect("a name"));
        if !is_v1 {
            let has_inner = first != cgroup.directories[0];
            for parent in [root, &first].into_iter().take(1 + usize::from(has_inner)) {
                fs::write(parent.join("cgroup.subtree_control"), "+pids").expect("the pids controller");
            }
        }
        for (below, limit) in limits {
            fs::write(first.join(below).join("pids.max"), limit).expect("a limit");
        }
        cgroup
    }

    fn in_hierarchies(roots: &[&Path], path: &str) -> Self {
        let (mut directories, mut made) = (Vec::new(), Vec::new());
        for root in roots {
            let mut directory = root.to_path_buf();
            for part in path.split('/') {
                directory.push(part);
                if !directory.exists() {
                    fs::create_dir(&directory).expect("a cgroup");
                    made.push(directory.clone());
                }
            }
            directories.push(directory);
        }
        Self { directories, made }
    }

    /// A command that runs in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("sh");
        let enter = |directory: &PathBuf| format!("echo $$ > {}/cgroup.procs; ", directory.display());
        let enter: String = self.directories.iter().map(enter).collect();
        command.args(["-c", &format!("{enter}exec \"$0\" \"$@\"")]).arg(program);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A zombie that its parent's parent has still to reap is in it for a moment.
        let deadline = Instant::now() + Duration::from_secs(5);
        for directory in self.made.iter().rev() {
            while fs::remove_dir(directory).is_err() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
