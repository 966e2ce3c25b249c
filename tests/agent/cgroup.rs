//! Cgroups of our own, with paths as systemd and runtimes make them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// A cgroup, which is removed when dropped, if nobody is in it.
pub struct Cgroup {
    directory: PathBuf,
    /// Directories that were made for it, the outermost first.
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// In the hierarchy in which systemd keeps its units.
    pub fn new(path: &str) -> Self {
        let mounted = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let root = mounted.iter().map(Path::new).find(|root| root.join("cgroup.procs").exists());
        let mut directory = root.expect("a cgroup hierarchy is mounted").to_owned();
        let mut made = Vec::new();
        for part in path.split('/') {
            directory.push(part);
            if !directory.exists() {
                fs::create_dir(&directory).expect("a cgroup");
                made.push(directory.clone());
            }
        }
        Self { directory, made }
    }

    /// A command that runs in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("sh");
        let enter = format!("echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"", self.directory.display());
        command.args(["-c", &enter]).arg(program);
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
