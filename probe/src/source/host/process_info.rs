//! What a process runs, from /proc. A process that has gone is no error.
//!
//! Owns how much is read of texts that their owner makes as long as it likes. Must not decide whom to look up.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use super::{
    cgroup::{self, Viewpoint},
    namespace,
    process_directory::{Directories, bounded, part, stat},
    workload,
};
use crate::model::{COMMAND_LINE_MAX, Description, LABEL_MAX, ProcessInfo, Task, Workload, is_label};

/// Most arguments kept: a command line can be all empty ones.
const ARGUMENTS_MAX: usize = 128;
/// Longest cgroup file read: a line for each hierarchy, whose path the kernel keeps under 4 KiB.
const CGROUP_MAX: usize = 64 * 1_024;
/// How much of a status file is read to find the user: its tenth line or so.
const STATUS_MAX: usize = 1_024;
/// How much is read of an environment to find the label. Its owner makes it as long as it likes.
const ENVIRONMENT_MAX: usize = 128 * 1_024;
const LABEL: &[u8] = b"REAPWATCH_LABEL=";
/// Threads asked where the main one has ended before the others.
const THREADS_MAX: usize = 8;

/// Looks processes up.
pub struct Reader {
    directories: Directories,
    seen_from: Viewpoint,
}

impl Reader {
    /// Learns what this host's /proc counts in, and where its cgroup paths begin.
    pub fn open() -> Self {
        Self { directories: Directories::learn(), seen_from: seen_from() }
    }

    /// What this process runs and is part of; `None` where it has gone, or is hidden.
    pub fn read(&self, task: &Task) -> Option<Description> {
        let process = self.directories.open(task)?;
        let (command_line, executable) = program(&process);
        let cgroup = part(&process, "cgroup", CGROUP_MAX);
        let unit = cgroup::unit(&cgroup, &self.seen_from);
        let workload = workload::workload(&cgroup, &self.seen_from).or_else(|| {
            let user = real_user(&part(&process, "status", STATUS_MAX))?;
            Some(Workload::Program { user, executable: known_as(&executable, task) })
        });
        let label = label(&part(&process, "environ", ENVIRONMENT_MAX));
        let info = ProcessInfo { command_line: arguments(&command_line), executable, unit, label };
        Some(Description { info, workload })
    }

    /// Whether its program is called python.
    pub fn is_python(&self, task: &Task) -> bool {
        let executable = self.directories.open(task).and_then(|process| process.exe().ok());
        executable.is_some_and(|path| path.to_string_lossy().contains("python"))
    }
}

/// Where the paths of cgroup files begin on this host.
pub fn seen_from() -> Viewpoint {
    if namespace::is_initial("cgroup").unwrap_or(false) {
        return Viewpoint::Root;
    }
    Viewpoint::Below { init: bounded(Path::new("/proc/1/cgroup"), CGROUP_MAX) }
}

/// The label in an environment; empty where there is none, or one that cannot be a label. The first one counts, as for getenv.
fn label(environment: &[u8]) -> Vec<u8> {
    let label = environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(LABEL));
    label
        .map(|label| &label[..label.len().min(LABEL_MAX)])
        .filter(|label| is_label(label))
        .unwrap_or_default()
        .to_vec()
}

/// The path of a program, or as `ps` has it the name in brackets: of a kernel thread, or where the path is hidden from us.
fn known_as(executable: &[u8], task: &Task) -> Vec<u8> {
    if executable.is_empty() { format!("[{}]", task.comm.text()).into_bytes() } else { executable.to_vec() }
}

/// The real uid in a status file. A name cannot pretend to be this line: the kernel escapes newlines in it.
fn real_user(status: &[u8]) -> Option<u32> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    std::str::from_utf8(line).ok()?.split_whitespace().next()?.parse().ok()
}

/// Command line, as /proc has it, and path of the executable. A kernel thread has neither, and another user's path is
/// hidden from those without CAP_SYS_PTRACE.
fn program(process: &Process) -> (Vec<u8>, Vec<u8>) {
    let of = |one: &Process| {
        let executable = one.exe().map(|path| path.as_os_str().as_bytes().to_vec()).unwrap_or_default();
        (part(one, "cmdline", COMMAND_LINE_MAX + 1), executable)
    };
    let known = of(process);
    if known != Default::default() {
        return known;
    }
    // A main thread that has ended has no memory, and knows neither; the others do.
    let threads = PathBuf::from(format!("/proc/{}/task", process.pid));
    let Ok(entries) = threads.read_dir() else { return known };
    entries
        .flatten()
        .take(THREADS_MAX)
        .filter_map(|entry| Process::new_with_root(entry.path()).ok())
        // The pid is the process's own as long as it is there: then the thread is one of its.
        .filter(|_| stat(process).is_some())
        .map(|thread| of(&thread))
        .find(|found| *found != Default::default())
        .unwrap_or(known)
}

/// The arguments of a cmdline file, as many as are kept.
pub fn arguments(command_line: &[u8]) -> Vec<Vec<u8>> {
    let whole = command_line.len() <= COMMAND_LINE_MAX;
    let mut arguments = split_args(&command_line[..command_line.len().min(COMMAND_LINE_MAX)], whole);
    arguments.truncate(ARGUMENTS_MAX);
    arguments.shrink_to_fit();
    arguments
}

/// argv from its NUL-separated form.
pub fn split_args(bytes: &[u8], whole: bool) -> Vec<Vec<u8>> {
    let mut args: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    // Each argument ends in a NUL, so the last piece is empty, unless argv was cut in the middle of one.
    if args.last().is_some_and(|last| last.is_empty()) || (whole && bytes.is_empty()) {
        args.pop();
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Identity, source::host::process_directory::tests::own_task};

    #[test]
    fn a_process_is_known_by_its_start_and_not_by_its_pid_alone() {
        let reader = Reader::open();
        let own = own_task();
        let Description { info, workload } = reader.read(&own).expect("we are here");
        assert!(workload.is_some(), "in a cgroup, or a user's");
        let executable = std::env::current_exe().expect("a path");
        assert_eq!(info.executable, executable.as_os_str().as_bytes());
        assert_eq!(
            info.command_line.first().map(Vec::as_slice),
            std::env::args_os().next().as_deref().map(OsStrExt::as_bytes)
        );
        let is_unknown = |tgid, start_boottime_ns| {
            let task = Task { identity: Identity { tgid, start_boottime_ns }, ns_pid: tgid, ..own };
            assert_eq!(reader.read(&task), None, "{task:?}");
        };
        let Identity { tgid, start_boottime_ns } = own.identity;
        is_unknown(tgid, start_boottime_ns.saturating_sub(1_000_000_000));
        is_unknown(u32::MAX, start_boottime_ns);
        is_unknown(0, start_boottime_ns);
    }

    #[test]
    fn a_label_is_the_first_in_the_environment_and_nothing_that_is_none() {
        assert_eq!(label(b"A=1\0REAPWATCH_LABEL=suite one\0REAPWATCH_LABEL=two\0"), b"suite one");
        for none in [
            &b""[..],
            b"XREAPWATCH_LABEL=a\0",
            b"REAPWATCH_LABEL=\0",
            b"REAPWATCH_LABEL=\x1b[2J\0",
            b"REAPWATCH_LABEL=\xc3\xa9\0",
        ] {
            assert_eq!(label(none), b"", "{none:?}");
        }
        let long = [&b"REAPWATCH_LABEL="[..], &[b'x'; 1_000]].concat();
        assert_eq!(label(&long), [b'x'; LABEL_MAX]);
    }

    #[test]
    fn the_user_is_the_one_who_started_it_and_not_the_one_it_acts_as() {
        let status = b"Name:\tUid:\\n7\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n";
        assert_eq!(real_user(status), Some(1000));
        assert_eq!([&b""[..], b"Uid:", b"Uid:\tx\n"].map(real_user), [None; 3]);
    }

    #[test]
    fn a_command_line_is_kept_to_a_bounded_length_and_number_of_arguments() {
        assert_eq!(arguments(b"a\0b c\0\0"), [b"a".to_vec(), b"b c".to_vec(), b"".to_vec()]);
        assert_eq!(arguments(b""), Vec::<Vec<u8>>::new());
        assert_eq!(arguments(&[0; COMMAND_LINE_MAX + 1]).len(), ARGUMENTS_MAX);
        let long = arguments(&[b'x'; COMMAND_LINE_MAX + 1]);
        assert_eq!((long.len(), long[0].len()), (1, COMMAND_LINE_MAX));
    }

    #[test]
    fn arguments_are_split_at_their_ends_and_a_cut_one_is_kept() {
        assert_eq!(split_args(b"a\0b c\0", true), [b"a".to_vec(), b"b c".to_vec()]);
        assert_eq!(split_args(b"a\0\0b\0", true), [b"a".to_vec(), b"".to_vec(), b"b".to_vec()]);
        assert_eq!(split_args(b"a\0bcd", false), [b"a".to_vec(), b"bcd".to_vec()]);
        assert!(split_args(b"", true).is_empty());
    }
}
