//! What only those may read who may trace a process, and what may block: its memory, its descriptors, files at its paths.
//!
//! Owns in which root paths are looked up, and what is remembered between processes. Must not judge.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use super::{
    Rest, checkout,
    descriptors::{self, Descriptors},
    ports::Ports,
    program::{self, KnownLibraries},
    root::Root,
    surroundings,
};
use crate::{
    model::{COMMAND_LINE_MAX, Checkout, Code, Details, Invocation, Script},
    source::host::{
        process_directory::{part, stat},
        process_info::arguments,
    },
};

/// Reads details.
pub struct DetailReader {
    ours: Option<Root>,
    our_mounts: PathBuf,
    libraries: KnownLibraries,
    ports: Ports,
}

impl DetailReader {
    pub fn open() -> Self {
        Self {
            ours: Root::ours(),
            our_mounts: fs::read_link("/proc/self/ns/mnt").unwrap_or_default(),
            libraries: KnownLibraries::default(),
            ports: Ports::default(),
        }
    }

    pub fn read(&mut self, process: &Process) -> Rest {
        let command_line = arguments(&part(process, "cmdline", COMMAND_LINE_MAX + 1));
        let mut rest =
            Rest { is_gone: false, command_line, details: None, reads_pipes: Vec::new(), checkout: None };
        self.fill(process, &mut rest);
        // Paths with the pid may have led to another process if this one has gone meanwhile.
        rest.is_gone = stat(process).is_none();
        rest
    }

    /// Leaves the details out where they may not be read.
    fn fill(&mut self, process: &Process, rest: &mut Rest) {
        let pid = process.pid.unsigned_abs();
        let (Some(open), Ok(directory)) = (descriptors::read(pid), process.cwd()) else { return };
        let Descriptors { streams, writes, reads_pipes, sockets } = open;
        let theirs;
        let mounts = fs::read_link(format!("/proc/{pid}/ns/mnt"));
        let root = if mounts.is_ok_and(|mounts| mounts == self.our_mounts) {
            self.ours.as_ref()
        } else {
            theirs = Root::of(process);
            theirs.as_ref()
        };
        let program = program::program(process, root);
        let executable = program.as_ref().map(|program| program.path.clone()).unwrap_or_default();
        let libraries = program::libraries(process, root, &executable, &mut self.libraries);
        let (script, checkout) = code(root, &executable, &rest.command_line, &directory);
        let ports = self.ports.of(process, &sockets);
        let origin = surroundings::read(process);
        rest.details = Some(Details {
            program,
            libraries: libraries.changed,
            shows_windows: libraries.shows_windows,
            directory: directory.as_os_str().as_bytes().to_vec(),
            streams,
            script,
            checkout: None,
            writes,
            ports,
            origin,
        });
        rest.reads_pipes = reads_pipes;
        rest.checkout = checkout;
    }
}

/// The script that an interpreter was told to run, and the checkout that its code is in.
fn code(
    root: Option<&Root>,
    executable: &[u8],
    command_line: &[Vec<u8>],
    directory: &Path,
) -> (Option<Script>, Option<Checkout>) {
    let Some(root) = root else { return (None, None) };
    match Invocation::parse(executable, command_line).code {
        Code::Script(name) => {
            let path = plain(&directory.join(OsStr::from_bytes(name)));
            let Some(found) = root.look(&path).ok().flatten().filter(|found| found.is_regular) else {
                return (None, None);
            };
            let script = Script {
                path: path.as_os_str().as_bytes().to_vec(),
                file: found.file,
                modified_ns: found.modified_ns,
                is_relative: !name.starts_with(b"/"),
            };
            (Some(script), checkout::of(root, checkout::Code::File(&path)))
        }
        Code::Module(name) => (None, checkout::of(root, checkout::Code::Module { directory, name })),
        Code::Native | Code::Unnamed => (None, None),
    }
}

/// Without `.` and `..`, which would keep a path from being found in the index of a checkout.
fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_found_from_the_directory_of_the_process() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("main.py"), "").expect("a file");
        let root = Root::ours();
        let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        let script = |line: &str| {
            code(root.as_ref(), b"/usr/bin/python3", &words(line), directory.path())
                .0
                .map(|one| one.is_relative)
        };
        assert_eq!(script("python3 ./x/../main.py --live"), Some(true));
        assert_eq!(script(&format!("python3 {}/main.py", directory.path().display())), Some(false));
        assert_eq!(script("python3 gone.py"), None);
        assert_eq!(script("python3 -c main.py"), None);
        assert_eq!(plain(Path::new("/a/./b/../../../c")), Path::new("/c"));
    }
}
