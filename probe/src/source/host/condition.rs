//! Whether a process lives, ends, or is dead, and what it still has, from /proc.
//!
//! Owns which pids are of no process that has children. Must not judge.

use std::{fs, io};

use caps::{CapSet, Capability};
use procfs::{ProcError, process::Process};

use super::{
    evidence::{tgid_and_ns_pid, wait_channel},
    process_directory::{Directories, field, number_field, part, start_ticks, stat},
};
use crate::model::{Condition, Task, TaskState, WAIT_CHANNEL_MAX, WaitStatus};

/// How much is read of a status file: the process of a thread is told in its first lines.
const STATUS_MAX: usize = 4_096;
/// Most threads looked at.
const THREADS_MAX: usize = 4_096;
/// Flags of a task (include/linux/sched.h): PF_EXITING and PF_KTHREAD.
const EXITING: u64 = 0x4;
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Why there is nothing to look at.
#[derive(Debug)]
pub enum NoProcess {
    /// None has this pid.
    None,
    /// It is the id of a thread of this process.
    Thread { process: u32 },
    /// It is a thread of the kernel.
    Kernel,
    /// It cannot be read.
    Hidden(io::Error),
}

/// A process at the first look, and when it started, in clock ticks since boot.
#[derive(Debug)]
pub struct Looked {
    pub condition: Condition,
    pub start_ticks: u64,
}

/// What a stat file says of one thread.
struct Thread {
    has_ended: bool,
    is_ending: bool,
    threads: u64,
}

/// Looks at the process with this pid.
pub fn look(pid: u32) -> Result<Looked, NoProcess> {
    let number = i32::try_from(pid).map_err(|_| NoProcess::None)?;
    let process = Process::new(number).map_err(|error| match error {
        ProcError::PermissionDenied(_) => NoProcess::Hidden(io::ErrorKind::PermissionDenied.into()),
        _ => NoProcess::None,
    })?;
    let stat = stat(&process).ok_or(NoProcess::None)?;
    let (tgid, _) = tgid_and_ns_pid(&part(&process, "status", STATUS_MAX)).ok_or(NoProcess::None)?;
    if tgid != pid {
        return Err(NoProcess::Thread { process: tgid });
    }
    if number_field(&stat, 9).ok_or(NoProcess::None)? & KERNEL_THREAD != 0 {
        return Err(NoProcess::Kernel);
    }
    let start_ticks = start_ticks(&stat).ok_or(NoProcess::None)?;
    let condition = condition(&process, &stat).ok_or(NoProcess::None)?;
    Ok(Looked { condition, start_ticks })
}

/// Looks at this very process again; `None` where it has gone.
pub fn look_again(task: &Task) -> Option<Condition> {
    let process = Directories::learn().open(task)?;
    condition(&process, &stat(&process)?)
}

/// How a zombie ended; `None` where it is none any more, or that may not be read.
pub fn status_of(directories: &Directories, zombie: &Task) -> Option<WaitStatus> {
    let process = directories.open(zombie)?;
    wait_status(&stat(&process)?)
}

fn condition(process: &Process, stat: &[u8]) -> Option<Condition> {
    let pid = process.pid.unsigned_abs();
    let main = Thread::parse(stat)?;
    let mut found = Condition {
        state: TaskState::Running,
        parent: u32::try_from(number_field(stat, 4)?).ok()?,
        status: None,
        threads_left: 0,
        kernel_function: Vec::new(),
        descriptors: None,
    };
    if main.has_ended && main.threads <= 1 {
        found.state = TaskState::Zombie;
        found.status = wait_status(stat);
        return Some(found);
    }
    if !main.has_ended && !main.is_ending {
        found.threads_left = main.threads;
        return Some(found);
    }
    let (mut living, mut ending) = (None, (!main.has_ended).then_some(pid));
    for tid in threads(pid) {
        let of_thread = part(process, format!("task/{tid}/stat"), STATUS_MAX);
        match Thread::parse(&of_thread) {
            Some(Thread { has_ended: false, is_ending: false, .. }) => {
                found.threads_left += 1;
                living.get_or_insert(tid);
            }
            Some(Thread { has_ended: false, .. }) => {
                ending.get_or_insert(tid);
            }
            _ => {}
        }
    }
    found.state = match living {
        Some(_) if main.has_ended => TaskState::DeadLeader,
        // Its main thread alone is about to end.
        Some(_) => return Some(found),
        None => TaskState::Exiting,
    };
    let Some(tid) = living.or(ending) else { return Some(found) };
    let count =
        fs::read_dir(format!("/proc/{pid}/task/{tid}/fd")).map(|entries| entries.flatten().count() as u64);
    if living.is_some() {
        found.descriptors = count.ok();
    } else {
        let channel = part(process, format!("task/{tid}/wchan"), WAIT_CHANNEL_MAX + 1);
        found.kernel_function = wait_channel(&channel);
        // The kernel takes the table of descriptors away first, and closes them then.
        found.descriptors = count.ok().filter(|count| *count > 0);
    }
    Some(found)
}

fn threads(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.take(THREADS_MAX).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The kernel shows 0 also to those who may not read it.
fn wait_status(stat: &[u8]) -> Option<WaitStatus> {
    let status = u32::try_from(number_field(stat, 52)?).ok()?;
    let may_read = || caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_PTRACE).unwrap_or(false);
    (status != 0 || may_read()).then_some(WaitStatus(status))
}

impl Thread {
    fn parse(stat: &[u8]) -> Option<Self> {
        Some(Self {
            has_ended: b"ZXx".contains(field(stat, 3)?.first()?),
            is_ending: number_field(stat, 9)? & EXITING != 0,
            threads: number_field(stat, 20)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::host::process_directory::tests::own_task;

    fn stat_of(state: char, flags: u64, threads: u64, status: u32) -> Vec<u8> {
        format!(
            "42 (a) Z 7 (b) {state} 7 42 42 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 {threads} 0 123456 0 0 0 0 0 0 0 0 0 \
             0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {status}\n"
        )
        .into_bytes()
    }

    #[test]
    fn a_thread_is_read_whatever_the_name() {
        let of = |stat: &[u8]| Thread::parse(stat).map(|one| (one.has_ended, one.is_ending, one.threads));
        assert_eq!(of(&stat_of('S', 0x0040_0000, 3, 0)), Some((false, false, 3)));
        assert_eq!(of(&stat_of('S', 0x0040_0004, 1, 0)), Some((false, true, 1)));
        assert_eq!(of(&stat_of('Z', 0x0040_000c, 1, 0)), Some((true, true, 1)));
        assert_eq!(of(b"42 (a) S 1"), None);
        assert_eq!(wait_status(&stat_of('Z', 4, 1, 7 << 8)), Some(WaitStatus(7 << 8)));
        assert_eq!(wait_status(&stat_of('Z', 4, 1, 7)[..40]), None);
    }

    #[test]
    fn we_ourselves_run_and_our_threads_are_no_processes() {
        let own = std::process::id();
        let looked = look(own).expect("we are here");
        assert_eq!(looked.condition.state, TaskState::Running);
        assert_eq!(looked.condition.parent, nix::unistd::getppid().as_raw() as u32);
        assert!(look_again(&own_task()).is_some_and(|found| found.state == TaskState::Running));
        let tid = nix::unistd::gettid().as_raw() as u32;
        assert_ne!(tid, own, "tests run in threads");
        assert!(matches!(look(tid), Err(NoProcess::Thread { process }) if process == own));
        assert!(matches!(look(u32::MAX), Err(NoProcess::None)));
    }

    #[test]
    fn a_child_of_ours_is_a_zombie_with_its_status_until_it_is_reaped() {
        let mut child = std::process::Command::new("false").spawn().expect("false");
        let found = loop {
            match look(child.id()) {
                Ok(Looked { condition, .. }) if condition.state == TaskState::Zombie => break condition,
                _ => std::thread::yield_now(),
            }
        };
        assert_eq!((found.parent, found.status), (std::process::id(), Some(WaitStatus(1 << 8))));
        assert_eq!((found.threads_left, found.descriptors), (0, None));
        child.wait().expect("our own child");
        assert!(matches!(look(child.id()), Err(NoProcess::None)));
    }
}
