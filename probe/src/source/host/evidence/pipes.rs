//! Who holds the writing ends of pipes: one walk over the descriptors of all processes, for all pipes asked about.
//!
//! Owns how far the walk goes. Must not know suspects.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    time::Duration,
};

use foldhash::HashMap;
use procfs::process::Process;

use super::{
    Reader,
    descriptor::{Descriptor, pipe_mount},
    status::number,
};
use crate::{
    model::{Task, WRITERS_MAX},
    source::host::{
        process_directory::{bounded, stat},
        self_usage::thread_cpu_time,
    },
};

/// Most names of /proc that are listed.
const NAMES_MAX: usize = 1 << 17;
/// Most processes whose descriptors are looked through; those that have none do not count.
const PROCESSES_MAX: usize = 4_096;
/// Most descriptors of a process.
pub(super) const DESCRIPTORS_MAX: usize = 4_096;
/// How much is read of a descriptor's fdinfo: what is used stands first.
const DESCRIPTOR_MAX: usize = 256;
/// How often the time is looked at.
const DESCRIPTORS_PER_LOOK: usize = 64;
/// The longest walk, in CPU time: on a host without a free CPU nothing else would bound how much is seen.
const WALK_TAKES: Duration = Duration::from_millis(50);
/// A directory of threads has two links, and one more for each thread.
const LINKS_OF_ONE_THREAD: u64 = 3;
/// The bit of a descriptor's link that says it is open for writing.
const MAY_WRITE: u32 = 0o200;

/// Who holds the writing end of a pipe.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Writers {
    /// By pid.
    pub tasks: Vec<Task>,
    /// There may be more.
    pub is_cut: bool,
}

/// Why a process, or the walk, was not looked through to its end.
enum Stopped {
    /// Its other descriptors are not known.
    Here,
    TimeIsUp,
}

/// A walk under way.
struct Walk<'a> {
    reader: &'a Reader,
    found: HashMap<u64, Writers>,
    /// Where the kernel has its pipes mounted, 0: unknown.
    pipe_mount: u32,
    ends_at_cpu: Duration,
}

impl Reader {
    /// Who could write to these pipes. Those who read from them are looked through first: they may hold both ends.
    pub fn pipe_writers(&self, pipes: &[u64], readers: &[Task]) -> HashMap<u64, Writers> {
        let found = pipes.iter().map(|pipe| (*pipe, Writers::default())).collect();
        let mut walk = Walk {
            reader: self,
            found,
            pipe_mount: pipe_mount(),
            ends_at_cpu: thread_cpu_time() + WALK_TAKES,
        };
        let whole = walk.go(readers).unwrap_or(false);
        let mut found = walk.found;
        for writers in found.values_mut() {
            writers.is_cut |= !whole;
            writers.tasks.sort_unstable_by_key(|task| (task.identity, task.ns_pid));
        }
        found
    }
}

impl Walk<'_> {
    /// True if every process was looked through.
    fn go(&mut self, readers: &[Task]) -> io::Result<bool> {
        let mut pids: Vec<u32> = readers.iter().map(|task| self.reader.directories.number(task)).collect();
        let first = pids.len();
        let eldest = pids.iter().copied().min().unwrap_or_default();
        let names = fs::read_dir("/proc")?.take(NAMES_MAX).flatten();
        pids.extend(names.filter_map(|entry| number(entry.file_name().as_bytes())));
        // What a reader's children left behind was started after it: should the time be up, it has been looked through.
        let (before, since): (Vec<u32>, Vec<u32>) =
            pids.split_off(first).into_iter().partition(|pid| *pid < eldest);
        pids.extend(since.into_iter().chain(before));
        let mut whole = pids.len() < NAMES_MAX;
        let mut looked_through = 0;
        for (place, pid) in pids.iter().enumerate() {
            if place >= first && pids[..first].contains(pid) {
                continue;
            }
            if looked_through >= PROCESSES_MAX || thread_cpu_time() >= self.ends_at_cpu {
                return Ok(false);
            }
            match self.process(*pid) {
                Ok(has_descriptors) => looked_through += usize::from(has_descriptors),
                Err(Stopped::Here) => whole = false,
                Err(Stopped::TimeIsUp) => return Ok(false),
            }
        }
        Ok(whole)
    }

    /// Looks a process through; whether it has descriptors.
    fn process(&mut self, pid: u32) -> Result<bool, Stopped> {
        let threads = format!("/proc/{pid}/task");
        if self.descriptors(pid, &format!("/proc/{pid}/fd"))? {
            return Ok(true);
        }
        // Where the main thread has ended before the others, they have them.
        let Ok(links) = fs::metadata(&threads).map(|directory| directory.nlink()) else { return Ok(false) };
        if links <= LINKS_OF_ONE_THREAD {
            return Ok(false);
        }
        let Ok(entries) = fs::read_dir(&threads) else { return Err(Stopped::Here) };
        let mut others = entries.flatten().filter_map(|entry| number(entry.file_name().as_bytes()));
        let Some(other) = others.find(|tid| *tid != pid) else { return Ok(false) };
        self.descriptors(pid, &format!("{threads}/{other}/fd"))
    }

    /// Looks through the descriptors in this directory; whether there are any.
    fn descriptors(&mut self, pid: u32, directory: &str) -> Result<bool, Stopped> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if is_gone(&error) => return Ok(false),
            Err(_) => return self.descriptors_of_another_user(pid),
        };
        let mut is_any = false;
        for (place, entry) in entries.enumerate() {
            if place >= DESCRIPTORS_MAX {
                return Err(Stopped::Here);
            }
            if place % DESCRIPTORS_PER_LOOK == DESCRIPTORS_PER_LOOK - 1
                && thread_cpu_time() >= self.ends_at_cpu
            {
                return Err(Stopped::TimeIsUp);
            }
            let Ok(entry) = entry else { break };
            is_any = true;
            let path = entry.path();
            match pipe_at(&path) {
                Ok(Some(pipe)) if self.found.contains_key(&pipe) && may_write(&path) => {
                    let has_it = || matches!(pipe_at(&path), Ok(Some(still)) if still == pipe);
                    self.note(pid, pipe, has_it);
                }
                Err(error) if !is_gone(&error) => return self.descriptors_of_another_user(pid),
                _ => {}
            }
        }
        Ok(is_any)
    }

    /// The same where its links are hidden, as those of other users are from those without CAP_DAC_READ_SEARCH: what the
    /// kernel says of each descriptor is not.
    fn descriptors_of_another_user(&mut self, pid: u32) -> Result<bool, Stopped> {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return Err(Stopped::Here) };
        let mut is_any = false;
        for (place, entry) in entries.enumerate() {
            if place >= DESCRIPTORS_MAX {
                return Err(Stopped::Here);
            }
            if place % DESCRIPTORS_PER_LOOK == DESCRIPTORS_PER_LOOK - 1
                && thread_cpu_time() >= self.ends_at_cpu
            {
                return Err(Stopped::TimeIsUp);
            }
            let Ok(entry) = entry else { break };
            is_any = true;
            let path = entry.path();
            let read = || Descriptor::parse(&bounded(&path, DESCRIPTOR_MAX));
            let Some(descriptor) = read() else {
                // It has been closed, or is hidden too, or this kernel does not tell the inode.
                if path.symlink_metadata().is_ok() { return Err(Stopped::Here) } else { continue }
            };
            if descriptor.mount == self.pipe_mount && descriptor.may_write {
                self.note(pid, descriptor.inode, || read() == Some(descriptor));
            }
        }
        Ok(is_any)
    }

    /// Takes down who it is, once it is certain that this is its descriptor.
    fn note(&mut self, pid: u32, pipe: u64, has_it_still: impl Fn() -> bool) {
        let Some(writers) = self.found.get_mut(&pipe) else { return };
        let has = |task: &Task| self.reader.directories.number(task) == pid;
        if writers.tasks.iter().any(has) {
            return;
        }
        if writers.tasks.len() >= WRITERS_MAX {
            writers.is_cut = true;
            return;
        }
        let Ok(pid) = i32::try_from(pid) else { return };
        let Ok(process) = Process::new(pid) else { return };
        let Some(task) = self.reader.task(&process) else { return };
        // It has it still, and the pid is still its own.
        if has_it_still() && stat(&process).is_some() {
            writers.tasks.push(task);
        }
    }
}

/// The pipe that a descriptor's link leads to.
pub fn pipe_at(link: &Path) -> io::Result<Option<u64>> {
    fs::read_link(link).map(|target| pipe_in(target.as_os_str().as_bytes()))
}

/// `pipe:[INODE]`. A file cannot have this name: its path begins with a slash.
pub fn pipe_in(target: &[u8]) -> Option<u64> {
    let inode = target.strip_prefix(b"pipe:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inode).ok()?.parse().ok()
}

pub(super) fn may_write(link: &Path) -> bool {
    fs::symlink_metadata(link).is_ok_and(|link| link.mode() & MAY_WRITE != 0)
}

/// Whether a process or a descriptor has gone, which is no error.
fn is_gone(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

#[cfg(test)]
mod tests {
    use std::{io::PipeReader, os::fd::AsRawFd};

    use super::*;
    use crate::source::host::process_directory::tests::own_task;

    #[test]
    fn a_pipe_is_read_from_its_link() {
        assert_eq!(pipe_in(b"pipe:[4711]"), Some(4_711));
        for other in
            [&b""[..], b"pipe:[", b"pipe:[]", b"pipe:[-1]", b"/pipe:[1]", b"socket:[1]", b"pipe:[1] "]
        {
            assert_eq!(pipe_in(other), None);
        }
    }

    fn inode(pipe: &PipeReader) -> u64 {
        let link = format!("/proc/self/fd/{}", pipe.as_raw_fd());
        pipe_at(Path::new(&link)).expect("ours").expect("a pipe")
    }

    #[test]
    fn who_holds_the_writing_end_is_named_and_who_holds_the_other_is_not() {
        let reader = Reader::open();
        let (ours, writer) = io::pipe().expect("a pipe");
        let (closed, _) = io::pipe().expect("a pipe");
        let own = own_task();
        let pipes = [inode(&ours), inode(&closed)];
        let found = reader.pipe_writers(&pipes, &[own]);
        let pids =
            |pipe| found[pipe].tasks.iter().map(|task| reader.directories.number(task)).collect::<Vec<_>>();
        assert_eq!(pids(&pipes[0]), [std::process::id()]);
        assert_eq!(pids(&pipes[1]), [0u32; 0]);
        let named = found[&pipes[0]].tasks[0];
        assert!(reader.directories.is(&Process::myself().expect("/proc"), &named), "{named:?}");
        drop(writer);
        assert_eq!(reader.pipe_writers(&pipes[..1], &[])[&pipes[0]].tasks, []);
    }
}
