//! One process by its /proc directory, held open: whatever is read through it is of that process, though its pid be given
//! out again.
//!
//! Owns how stat and status files are read for the ways out. Must not decide anything by them.

use std::{fs, io, io::Read};

use procfs::process::Process as Directory;

/// Longest stat file read: some fifty numbers and a name.
const STAT_MAX: usize = 2_048;
/// Longest status file read: its list of groups is up to 700 kB long.
const STATUS_MAX: usize = 1 << 20;
/// Longest command line read, in bytes.
const COMMAND_LINE_MAX: usize = 4_096;
/// Longest name of a function of the kernel that is read.
const WAIT_CHANNEL_MAX: usize = 512;
/// Kernel threads have this flag (PF_KTHREAD, include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What a stat file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub comm: String,
    /// One letter: `S` sleeps, `R` runs, `D` sleeps and cannot be woken, `T` is stopped, `Z` is dead.
    pub state: char,
    /// Pid of the real parent.
    pub parent: u32,
    /// The process group that it is in.
    pub group: u32,
    pub is_kernel_thread: bool,
    /// Clock ticks that it has run its own code.
    pub user_ticks: u64,
    /// Clock ticks that it has run in the kernel.
    pub kernel_ticks: u64,
    pub threads: u64,
    /// Clock ticks from boot to its start: with the pid, its identity.
    pub start_ticks: u64,
    /// How it ended, as wait4 gives it; 0 also where it may not be read.
    pub exit_status: i32,
}

/// A process that was there when it was opened.
#[derive(Debug)]
pub struct Process {
    pub pid: u32,
    pub start_ticks: u64,
    directory: Directory,
}

impl Process {
    /// Opens it. A pid of a thread is none of a process.
    pub fn open(pid: u32) -> io::Result<Self> {
        let none = || io::Error::from(io::ErrorKind::NotFound);
        let directory =
            Directory::new(i32::try_from(pid).map_err(|_| none())?).map_err(|error| match error {
                procfs::ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
                _ => none(),
            })?;
        let mut process = Self { pid, start_ticks: 0, directory };
        process.start_ticks = process.stat().ok_or_else(none)?.start_ticks;
        if number(&process.status(), "Tgid:") != Some(u64::from(pid)) {
            return Err(none());
        }
        Ok(process)
    }

    /// Its stat file; `None` once it has gone.
    pub fn stat(&self) -> Option<Stat> {
        parse_stat(&self.read("stat", STAT_MAX))
    }

    /// Whether it has gone, or is about to.
    pub fn has_ended(&self) -> bool {
        self.stat().is_none_or(|stat| is_dead(&stat))
    }

    /// Its status file; empty once it has gone.
    pub fn status(&self) -> String {
        String::from_utf8_lossy(&self.read("status", STATUS_MAX)).into_owned()
    }

    /// The stat file of one of its threads; `None` where that has gone or is none of its.
    pub fn thread_stat(&self, thread: u32) -> Option<Stat> {
        parse_stat(&self.read(&format!("task/{thread}/stat"), STAT_MAX))
    }

    /// The status file of one of its threads.
    pub fn thread_status(&self, thread: u32) -> String {
        String::from_utf8_lossy(&self.read(&format!("task/{thread}/status"), STATUS_MAX)).into_owned()
    }

    /// Which call one of its threads is blocked in, with its arguments; `running` where it is in none.
    pub fn thread_call(&self, thread: u32) -> String {
        String::from_utf8_lossy(&self.read(&format!("task/{thread}/syscall"), STAT_MAX)).into_owned()
    }

    /// The same, to be read again and again.
    pub fn open_thread_call(&self, thread: u32) -> io::Result<fs::File> {
        self.directory.open_relative(format!("task/{thread}/syscall")).map_err(io::Error::other)
    }

    /// The function of the kernel that one of its threads sleeps in; empty where the kernel does not say.
    pub fn thread_wait_channel(&self, thread: u32) -> String {
        let name = self.read(&format!("task/{thread}/wchan"), WAIT_CHANNEL_MAX);
        if name == b"0" { String::new() } else { String::from_utf8_lossy(&name).into_owned() }
    }

    /// Whether a timeout that one of its threads gave to a call is left as it was (a flag of the personality,
    /// STICKY_TIMEOUTS); true also where that cannot be read.
    pub fn thread_keeps_timeouts(&self, thread: u32) -> bool {
        const STICKY_TIMEOUTS: u32 = 0x0400_0000;
        let text = self.read(&format!("task/{thread}/personality"), STAT_MAX);
        let flags =
            std::str::from_utf8(&text).ok().and_then(|text| u32::from_str_radix(text.trim(), 16).ok());
        flags.is_none_or(|flags| flags & STICKY_TIMEOUTS != 0)
    }

    /// Whether one of its threads has children of its own; false also where the kernel cannot tell.
    pub fn thread_has_children(&self, thread: u32) -> bool {
        !self.read(&format!("task/{thread}/children"), 1).is_empty()
    }

    /// Ids of its threads, the main one first; empty once it has gone.
    pub fn threads(&self) -> Vec<u32> {
        let entries = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let mut threads: Vec<u32> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        threads.sort_by_key(|thread| (*thread != self.pid, *thread));
        threads
    }

    /// Its arguments, the beginning of a long command line.
    pub fn command_line(&self) -> Vec<String> {
        let bytes = self.read("cmdline", COMMAND_LINE_MAX);
        let arguments = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        if arguments.is_empty() {
            return Vec::new();
        }
        arguments.split(|byte| *byte == 0).map(|one| String::from_utf8_lossy(one).into_owned()).collect()
    }

    /// The first `most` bytes of one of its files; empty where it cannot be read.
    pub fn read(&self, name: &str, most: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read =
            self.directory.open_relative(name).map(|file| file.take(most as u64).read_to_end(&mut bytes));
        if !matches!(read, Ok(Ok(_))) {
            bytes.clear();
        }
        bytes
    }
}

/// Whether the whole process is dead, and not its main thread alone.
pub fn is_dead(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x') && stat.threads <= 1
}

/// Reads a stat file. The second field, the name, may hold spaces and parentheses.
pub fn parse_stat(stat: &[u8]) -> Option<Stat> {
    let text = String::from_utf8_lossy(stat);
    let (before, after) = text.rsplit_once(')')?;
    let comm = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        comm,
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        // Negative where it is of another PID namespace.
        group: field(5)?.parse::<i64>().ok()?.try_into().unwrap_or(0),
        is_kernel_thread: field(9)?.parse::<u64>().ok()? & KERNEL_THREAD != 0,
        user_ticks: field(14)?.parse().ok()?,
        kernel_ticks: field(15)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
        start_ticks: field(22)?.parse().ok()?,
        exit_status: field(52).and_then(|status| status.parse().ok()).unwrap_or(0),
    })
}

/// The text of a line of a status file. The name in it cannot pretend to be a line: the kernel escapes its newlines.
pub fn line<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// A decimal number of a status file.
pub fn number(status: &str, name: &str) -> Option<u64> {
    line(status, name)?.parse().ok()
}

/// A mask of signals of a status file: bit N-1 is signal N.
pub fn mask(status: &str, name: &str) -> Option<u64> {
    u64::from_str_radix(line(status, name)?, 16).ok()
}

/// Its pids in the PID namespaces from the reader's down to its own.
pub fn pids_by_namespace(status: &str) -> Vec<u32> {
    line(status, "NSpid:")
        .into_iter()
        .flat_map(str::split_ascii_whitespace)
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 123456 0 0 0 0 0 0 0 0 0 \
        0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 256";

    #[test]
    fn a_stat_file_is_read_whatever_the_name() {
        for name in ["sleep", "a b", ") R 1 (x)", "x) Z 7 ("] {
            let stat = parse_stat(format!("42 ({name}) S {TAIL}\n").as_bytes()).expect(name);
            assert_eq!((stat.comm.as_str(), stat.state, stat.parent), (name, 'S', 1));
            assert_eq!((stat.threads, stat.start_ticks, stat.exit_status), (3, 123_456, 256));
            assert_eq!((stat.user_ticks, stat.kernel_ticks), (5, 6));
            assert!(!stat.is_kernel_thread);
        }
        for cut in [&b""[..], b"42 (sleep", b"42 (sleep) S 1", b"42 (x)\xc3\xbf S 1"] {
            assert_eq!(parse_stat(cut), None);
        }
    }

    #[test]
    fn we_ourselves_are_read() {
        let own = Process::open(std::process::id()).expect("we are here");
        let stat = own.stat().expect("we are here");
        assert_eq!(
            (stat.start_ticks, stat.parent),
            (own.start_ticks, nix::unistd::getppid().as_raw() as u32)
        );
        assert!(own.threads().contains(&own.pid));
        assert_eq!(pids_by_namespace(&own.status()).first(), Some(&own.pid));
        assert_eq!(own.command_line().first(), std::env::args().next().as_ref());
        assert_eq!(own.thread_stat(1).map(|stat| stat.state), None, "a thread of another");
        assert_eq!(
            Process::open(u32::MAX).map_err(|error| error.kind()).err(),
            Some(io::ErrorKind::NotFound)
        );
    }

    #[test]
    fn lines_of_a_status_file() {
        let status =
            "Name:\tSeccomp:\\n\nTgid:\t7\nTracerPid:\t12\nNSpid:\t7\t3\t1\nSigBlk:\t0000000000010000\n";
        assert_eq!(number(status, "TracerPid:"), Some(12));
        assert_eq!(number(status, "Seccomp:"), None);
        assert_eq!(mask(status, "SigBlk:"), Some(1 << 16));
        assert_eq!(pids_by_namespace(status), [7, 3, 1]);
        assert!(pids_by_namespace("").is_empty());
    }
}
