//! The directories of processes in /proc: opened by identity, and read in bounded pieces.
//!
//! Owns whose directory it is, and how much is read. Must not know what the files mean.

use std::{fs::File, io::Read, os::unix::fs::FileExt, path::Path};

use procfs::process::Process;

use super::namespace;
use crate::model::Task;

/// Longest stat file read: some fifty numbers and a name.
const STAT_MAX: usize = 2_048;

/// How this host's /proc names processes, and what it counts their starts in.
#[derive(Clone, Copy)]
pub struct Directories {
    pub tick_ns: u64,
    number: fn(&Task) -> u32,
}

impl Directories {
    pub fn learn() -> Self {
        let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
        Self { tick_ns, number: namespace::number_in_proc() }
    }

    /// Under which number /proc has a process.
    pub fn number(&self, task: &Task) -> u32 {
        (self.number)(task)
    }

    /// Its directory. It stays that process's: once the process has gone, reading fails, though its pid be given out
    /// again. So it is enough to know once whose directory it is.
    pub fn open(&self, task: &Task) -> Option<Process> {
        let process = Process::new(i32::try_from(self.number(task)).ok()?).ok()?;
        self.is(&process, task).then_some(process)
    }

    /// Whether this is the directory of that process. In clock ticks: /proc knows no finer.
    pub fn is(&self, process: &Process, task: &Task) -> bool {
        stat(process)
            .and_then(|stat| start_ticks(&stat))
            .is_some_and(|started| (task.identity.start_boottime_ns / self.tick_ns).abs_diff(started) <= 1)
    }

    /// Whether the numbers in this /proc are the pids of the initial PID namespace.
    pub fn has_initial_pids(&self) -> bool {
        let probe = Task { ns_pid: 2, ..Task::default() };
        self.number(&probe) != probe.ns_pid
    }
}

/// Its stat file; `None` where it has gone.
pub fn stat(process: &Process) -> Option<Vec<u8>> {
    Some(part(process, "stat", STAT_MAX)).filter(|stat| !stat.is_empty())
}

/// When a process started, in clock ticks since boot, by its stat file: the 22nd field, of which the second, its name, may
/// hold spaces and parentheses. procfs panics where the rest is not as it expects.
pub fn start_ticks(stat: &[u8]) -> Option<u64> {
    number_field(stat, 22)
}

/// A field that is a number; see [`field`].
pub fn number_field(stat: &[u8], place: usize) -> Option<u64> {
    std::str::from_utf8(field(stat, place)?).ok()?.parse().ok()
}

/// A field of a stat file after the second, counted from 1 as in proc_pid_stat(5).
pub fn field(stat: &[u8], place: usize) -> Option<&[u8]> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(name_end + 1..)?.trim_ascii_end().split(|byte| *byte == b' ').nth(place.checked_sub(2)?)
}

/// The beginning of a file of its; empty where it cannot be read.
pub fn part(process: &Process, name: impl AsRef<Path>, most: usize) -> Vec<u8> {
    process.open_relative(name).map(|file| beginning(file, most)).unwrap_or_default()
}

/// So many bytes of the memory that a thread of it sees, from an address on; empty where not all of them can be read.
pub fn memory(process: &Process, tid: u32, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let file = process.open_relative(format!("task/{tid}/mem"));
    match file.map(|file| file.read_exact_at(&mut bytes, address)) {
        Ok(Ok(())) => bytes,
        _ => Vec::new(),
    }
}

/// The beginning of any file; empty where it cannot be read.
pub fn bounded(path: &Path, most: usize) -> Vec<u8> {
    File::open(path).map(|file| beginning(file, most)).unwrap_or_default()
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
pub mod tests {
    use super::*;
    use crate::model::Identity;

    /// The process that runs the tests.
    pub fn own_task() -> Task {
        let own = Process::myself().expect("/proc");
        let ticks = own.stat().expect("our own").starttime;
        let start_boottime_ns = ticks * (1_000_000_000 / procfs::ticks_per_second());
        let identity = Identity { tgid: own.pid as u32, start_boottime_ns };
        Task { identity, ns_pid: own.pid as u32, ..Task::default() }
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
    fn memory_is_read_whole_or_not_at_all() {
        let (process, known) = (Process::myself().expect("/proc"), *b"sixteen bytes...");
        let own = process.pid.unsigned_abs();
        let read = |address, length| memory(&process, own, address, length);
        assert_eq!(read(known.as_ptr() as u64, known.len()), known);
        assert_eq!(
            [read(0, 16), read(u64::MAX, 16), memory(&process, u32::MAX, 1, 1)],
            [const { Vec::<u8>::new() }; 3]
        );
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
}
