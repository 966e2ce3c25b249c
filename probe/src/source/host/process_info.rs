//! What a process runs, from /proc. A process that has gone is no error.
//!
//! Owns how much is read of texts that their owner makes as long as it likes. Must not decide whom to look up.

use std::{
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use super::{
    cgroup::{self, Viewpoint},
    namespace,
};
use crate::model::{COMMAND_LINE_MAX, ProcessInfo, SignalMasks, Task};

/// Most arguments kept: a command line can be all empty ones.
const ARGUMENTS_MAX: usize = 128;
/// Longest cgroup file read: a line for each hierarchy, whose path the kernel keeps under 4 KiB.
const CGROUP_MAX: usize = 64 * 1_024;
/// Longest stat file read: some fifty numbers and a name.
const STAT_MAX: usize = 2_048;
/// How much is read of a status file: its list of groups is up to 700 kB long, and stands before the masks.
const STATUS_MAX: usize = 1 << 20;
/// Threads asked where the main one has ended before the others.
const THREADS_MAX: usize = 8;

/// Looks processes up.
pub struct Reader {
    tick_ns: u64,
    seen_from: Viewpoint,
    number: fn(&Task) -> u32,
}

impl Reader {
    /// Learns what this host's /proc counts in, and where its cgroup paths begin.
    pub fn open() -> Self {
        let seen_from = if namespace::is_initial("cgroup").unwrap_or(false) {
            Viewpoint::Root
        } else {
            Viewpoint::Below { init: bounded(Path::new("/proc/1/cgroup"), CGROUP_MAX) }
        };
        let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
        Self { tick_ns, seen_from, number: namespace::number_in_proc() }
    }

    /// What this process runs; `None` where it has gone, or is hidden.
    pub fn read(&self, task: &Task) -> Option<ProcessInfo> {
        let process = self.open_process(task)?;
        let (command_line, executable) = program(&process);
        let unit = cgroup::unit(&part(&process, "cgroup", CGROUP_MAX), &self.seen_from);
        Some(ProcessInfo { command_line: arguments(&command_line), executable, unit })
    }

    /// Which signals its main thread blocks, ignores and catches; `None` where it has gone.
    pub fn signal_masks(&self, task: &Task) -> Option<SignalMasks> {
        let process = self.open_process(task)?;
        let masks = signal_masks(&part(&process, "status", STATUS_MAX));
        // It was there before the reading; and after?
        masks.filter(|_| self.is(&process, task))
    }

    /// Its directory. It stays that process's: once the process has gone, reading fails, though its pid be given out
    /// again. So it is enough to know once whose directory it is.
    fn open_process(&self, task: &Task) -> Option<Process> {
        let process = Process::new(i32::try_from((self.number)(task)).ok()?).ok()?;
        self.is(&process, task).then_some(process)
    }

    /// Whether this is the directory of that process. In clock ticks: /proc knows no finer.
    fn is(&self, process: &Process, task: &Task) -> bool {
        start_ticks(&part(process, "stat", STAT_MAX))
            .is_some_and(|started| (task.identity.start_boottime_ns / self.tick_ns).abs_diff(started) <= 1)
    }
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
        .filter(|_| start_ticks(&part(process, "stat", STAT_MAX)).is_some())
        .map(|thread| of(&thread))
        .find(|found| *found != Default::default())
        .unwrap_or(known)
}

/// When a process started, in clock ticks since boot, by its stat file: the 22nd field, of which the second, its name, may
/// hold spaces and parentheses. procfs panics where the rest is not as it expects.
pub fn start_ticks(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let field = stat.get(name_end + 1..)?.split(|byte| *byte == b' ').nth(20)?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The masks of a status file. The name in it cannot pretend to be a line of its own: the kernel escapes its newlines.
fn signal_masks(status: &[u8]) -> Option<SignalMasks> {
    let mask = |name: &[u8]| {
        let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(std::str::from_utf8(line.trim_ascii()).ok()?, 16).ok()
    };
    Some(SignalMasks { blocked: mask(b"SigBlk:")?, ignored: mask(b"SigIgn:")?, caught: mask(b"SigCgt:")? })
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

/// The beginning of a file of its; empty where it cannot be read.
fn part(process: &Process, name: &str, most: usize) -> Vec<u8> {
    process.open_relative(name).map(|file| beginning(file, most)).unwrap_or_default()
}

fn bounded(path: &Path, most: usize) -> Vec<u8> {
    std::fs::File::open(path).map(|file| beginning(file, most)).unwrap_or_default()
}

fn beginning(file: impl Read, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is thrown away with it: half a path would name another.
    if file.take(most as u64).read_to_end(&mut bytes).is_err() {
        bytes.clear();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Identity;

    fn own_task() -> Task {
        let own = Process::myself().expect("/proc");
        let ticks = own.stat().expect("our own").starttime;
        let start_boottime_ns = ticks * (1_000_000_000 / procfs::ticks_per_second());
        let identity = Identity { tgid: own.pid as u32, start_boottime_ns };
        Task { identity, ns_pid: own.pid as u32, ..Task::default() }
    }

    #[test]
    fn a_process_is_known_by_its_start_and_not_by_its_pid_alone() {
        let reader = Reader::open();
        let own = own_task();
        let info = reader.read(&own).expect("we are here");
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
    fn the_start_is_read_whatever_the_name() {
        let stat =
            |name: &str| format!("42 ({name}) S 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9 9\n");
        for name in ["sleep", "a b", ") R 1 (x)", ""] {
            assert_eq!(start_ticks(stat(name).as_bytes()), Some(123_456), "{name}");
        }
        let process = Process::myself().expect("/proc");
        let own = std::fs::read("/proc/self/stat").expect("our own");
        assert_eq!(start_ticks(&own), Some(process.stat().expect("our own").starttime));
        for cut in [&b""[..], b"42 (sleep", b"42 (sleep) S 1", b"42 (x)\xc3\xbf S 1"] {
            assert_eq!(start_ticks(cut), None);
        }
    }

    #[test]
    fn signal_masks_are_read_whatever_the_name_and_of_the_right_process_alone() {
        let status = b"Name:\tSigBlk:\\nSigBlk:\t7\nUmask:\t0022\nSigPnd:\t0000000000000001\nShdPnd:\t0\n\
            SigBlk:\t0000000000010000\nSigIgn:\t0000000000001000\nSigCgt:\tffffffff00000000\nCapInh:\t0\n";
        let masks = SignalMasks { blocked: 1 << 16, ignored: 1 << 12, caught: 0xffff_ffff_0000_0000 };
        assert_eq!(signal_masks(status), Some(masks));
        for damaged in [&b""[..], &status[..80], b"SigBlk:\tx\nSigIgn:\t0\nSigCgt:\t0\n"] {
            assert_eq!(signal_masks(damaged), None);
        }
        let (reader, own) = (Reader::open(), own_task());
        // Rust ignores SIGPIPE before main.
        assert_eq!(reader.signal_masks(&own).map(|masks| masks.ignored >> 12 & 1), Some(1));
        let start_boottime_ns = own.identity.start_boottime_ns.saturating_sub(1_000_000_000);
        let former = Task { identity: Identity { start_boottime_ns, ..own.identity }, ..own };
        assert_eq!(reader.signal_masks(&former), None);
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
    fn half_a_file_is_none() {
        struct Breaks(bool);
        impl Read for Breaks {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(std::io::ErrorKind::Other.into());
                }
                buffer[0] = b'/';
                Ok(1)
            }
        }
        assert!(beginning(Breaks(false), 10).is_empty());
        assert_eq!(beginning(&b"0123456789"[..], 4), b"0123");
    }

    #[test]
    fn arguments_are_split_at_their_ends_and_a_cut_one_is_kept() {
        assert_eq!(split_args(b"a\0b c\0", true), [b"a".to_vec(), b"b c".to_vec()]);
        assert_eq!(split_args(b"a\0\0b\0", true), [b"a".to_vec(), b"".to_vec(), b"b".to_vec()]);
        assert_eq!(split_args(b"a\0bcd", false), [b"a".to_vec(), b"bcd".to_vec()]);
        assert!(split_args(b"", true).is_empty());
    }
}
