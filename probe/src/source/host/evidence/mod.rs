//! Evidence of what a suspect is doing, from /proc.
//!
//! Owns which files are asked and when an answer counts: only of the process asked about, and only what may be read. Must not
//! judge, nor decide whom to look at and how often.

mod descent;
mod descriptor;
mod freezer;
mod pipes;
mod polled;
mod status;
mod syscall;

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{Duration, Instant},
};

use procfs::process::Process;

use super::process_directory::{Directories, part, start_ticks, stat};
use crate::model::{
    Blocked, Call, Comm, Evidence, Identity, PipeRead, THREADS_READ_MAX, Task, Tracer, WAIT_CHANNEL_MAX,
};

pub use descriptor::Descriptor;
pub use freezer::Freezers;
pub use pipes::{Writers, pipe_in};
pub use status::{Status, tgid_and_ns_pid};
pub use syscall::{InCall, Polled, in_call};

/// How much is read of a status file: its list of groups is up to 700 kB long, and stands before the masks.
const STATUS_MAX: usize = 1 << 20;
/// Longest cgroup file read: a line for each hierarchy, whose path the kernel keeps under 4 KiB.
const CGROUP_MAX: usize = 64 * 1_024;
/// Longest syscall file read: nine numbers.
const SYSCALL_MAX: usize = 256;
/// So many threads of one process are read however long that takes: who is preempted here still knows a small process whole.
const THREADS_READ_LEAST: u32 = 8;
/// How long more threads than those are read, at most.
const THREADS_TAKE: Duration = Duration::from_millis(20);
/// Where the parent of a vfork sleeps.
const CHANNELS_OF_VFORK: [&[u8]; 2] = [b"kernel_clone", b"wait_for_vfork_done"];
/// Where a thread in a wait call sleeps. The syscall file of another user's process may be hidden where its wait channel is not.
const CHANNEL_OF_WAIT: &[u8] = b"do_wait";

/// Looks suspects up.
pub struct Reader {
    directories: Directories,
    freezers: Freezers,
}

/// What is gathered over the threads that were read.
#[derive(Default)]
struct Threads {
    read: u32,
    /// Every one was read.
    is_whole: bool,
    blocked_by_all: Option<u64>,
    /// The first tracer that one has, 0: none.
    tracer_tid: u32,
    main: Blocked,
    /// What says the most, of another thread.
    other: Blocked,
    in_wait: u32,
    in_signal_wait: u32,
}

impl Reader {
    /// Learns how this host's /proc names processes, and where its cgroups are.
    pub fn open() -> Self {
        Self { directories: Directories::learn(), freezers: Freezers::learn() }
    }

    /// What this process is doing; `None` where it has died, or is hidden. Of a pipe that it reads from, the writers are not
    /// looked for: [`Self::pipe_writers`].
    pub fn look(&self, task: &Task) -> Option<Evidence> {
        let process = self.directories.open(task)?;
        let main = read_status(&process, "status")?;
        if main.has_ended() && main.threads <= 1 {
            return None;
        }
        let wait_channel = wait_channel(&part(&process, "wchan", WAIT_CHANNEL_MAX + 1));
        let threads = self.threads(&process, &main, &wait_channel);
        let is_frozen = self.freezers.is_frozen(&part(&process, "cgroup", CGROUP_MAX));
        let is_of_main = threads.main.weight() >= Blocked::Vfork.weight()
            || threads.main.weight() >= threads.other.weight();
        let evidence = Evidence {
            state: main.state,
            signals: main.signals,
            blocked_by_all: threads.blocked_by_all,
            switches: main.switches,
            pending: Some(main.pending),
            threads: main.threads,
            threads_read: threads.read,
            tracer: self.tracer(threads.tracer_tid),
            is_frozen,
            blocked: if is_of_main { threads.main } else { threads.other },
            is_of_main,
            threads_in_wait: threads.in_wait,
            threads_in_signal_wait: threads.in_signal_wait,
            wait_channel,
        };
        // It was there before the reading; and after, alive?
        let died_meanwhile =
            || !main.has_ended() && read_status(&process, "status").is_none_or(|status| status.has_ended());
        (self.directories.is(&process, task) && !died_meanwhile()).then_some(evidence)
    }

    fn threads(&self, process: &Process, main: &Status, wait_channel: &[u8]) -> Threads {
        let pid = process.pid.unsigned_abs();
        let mut threads = Threads::default();
        threads.add(process, pid, main, Some(wait_channel));
        threads.is_whole = true;
        if main.threads > 1 {
            let ends = Instant::now() + THREADS_TAKE;
            // The pid is the process's own as long as it is there, which is asked at the end.
            let entries = fs::read_dir(format!("/proc/{pid}/task"));
            threads.is_whole = entries.is_ok();
            for entry in entries.into_iter().flatten() {
                let tid = entry.ok().and_then(|entry| status::number(entry.file_name().as_bytes()));
                if tid == Some(pid) {
                    continue;
                }
                let is_late = threads.read >= THREADS_READ_LEAST && Instant::now() >= ends;
                if is_late || threads.read as usize >= THREADS_READ_MAX {
                    threads.is_whole = false;
                    break;
                }
                // One that has ended meanwhile blocks nothing.
                let Some(tid) = tid else { continue };
                if let Some(status) = read_status(process, &format!("task/{tid}/status")) {
                    threads.add(process, tid, &status, None);
                }
            }
        }
        // Of those that were not read, nothing is known but that some signal is open in another.
        threads.blocked_by_all = threads.blocked_by_all.filter(|by_all| threads.is_whole || *by_all == 0);
        threads
    }

    /// Who traces, by the thread that does.
    fn tracer(&self, tid: u32) -> Tracer {
        if tid == 0 {
            return Tracer::None;
        }
        let directory = |id: u32| Process::new(i32::try_from(id).ok()?).ok();
        let process_of = |tid| {
            let (tgid, _) = tgid_and_ns_pid(&part(&directory(tid)?, "status", STATUS_MAX))?;
            self.task(&directory(tgid)?)
        };
        process_of(tid).map_or(Tracer::Unknown, Tracer::By)
    }

    /// Who a process of /proc is. Its start is known to the tick.
    fn task(&self, process: &Process) -> Option<Task> {
        let stat = stat(process)?;
        let (from, to) =
            (stat.iter().position(|byte| *byte == b'(')?, stat.iter().rposition(|byte| *byte == b')')?);
        let comm = Comm::from(stat.get(from + 1..to)?);
        let start_boottime_ns = start_ticks(&stat)?.checked_mul(self.directories.tick_ns)?;
        let (tgid, ns_pid) = tgid_and_ns_pid(&part(process, "status", STATUS_MAX))?;
        Some(if self.directories.has_initial_pids() {
            Task { identity: Identity { tgid, start_boottime_ns }, ns_pid, comm }
        } else {
            Task { identity: Identity { tgid: 0, start_boottime_ns }, ns_pid: tgid, comm }
        })
    }
}

impl Threads {
    /// Takes in what one thread does; of the main one, the wait channel too.
    fn add(&mut self, process: &Process, tid: u32, status: &Status, of_main: Option<&[u8]>) {
        self.read += 1;
        if self.tracer_tid == 0 {
            self.tracer_tid = status.tracer_tid;
        }
        if status.has_ended() {
            return;
        }
        let by_others = self.blocked_by_all.unwrap_or(u64::MAX);
        self.blocked_by_all = Some(by_others & status.signals.blocked);
        // Which pipes one polls takes a look at all its descriptors: not where another one has said as much already.
        let says_what_it_polls =
            of_main.is_some() || self.other.weight() < Blocked::PipeRead(polled::UNTOLD).weight();
        let blocked = blocked(process, tid, status.state, of_main, says_what_it_polls);
        let is_in_hidden_wait = || {
            let channel = || match of_main {
                Some(channel) => channel.to_vec(),
                None => part(process, format!("task/{tid}/wchan"), WAIT_CHANNEL_MAX + 1),
            };
            status.state == b'S' && blocked == Blocked::Unknown && channel() == CHANNEL_OF_WAIT
        };
        self.in_wait += u32::from(matches!(blocked, Blocked::Wait(_)) || is_in_hidden_wait());
        self.in_signal_wait += u32::from(blocked == Blocked::Call(Call::SignalWait));
        if of_main.is_some() {
            self.main = blocked;
        } else if blocked.weight() > self.other.weight() {
            self.other = blocked;
        }
    }
}

/// What a thread in this state is blocked in.
fn blocked(
    process: &Process,
    tid: u32,
    state: u8,
    wait_channel: Option<&[u8]>,
    says_what_it_polls: bool,
) -> Blocked {
    // A stopped one is in no call that could end; one that runs is in none at all.
    if !b"SD".contains(&state) {
        return Blocked::Unknown;
    }
    let is_in_vfork = || {
        let text;
        let channel = match wait_channel {
            Some(channel) => channel,
            None => {
                text = part(process, format!("task/{tid}/wchan"), WAIT_CHANNEL_MAX + 1);
                &text
            }
        };
        state == b'D' && CHANNELS_OF_VFORK.contains(&channel)
    };
    match in_call(&part(process, format!("task/{tid}/syscall"), SYSCALL_MAX)) {
        Some(InCall::Wait(wait)) => Blocked::Wait(wait),
        Some(InCall::Read { fd }) => {
            let link = format!("/proc/{}/task/{tid}/fd/{fd}", process.pid);
            match pipes::pipe_at(Path::new(&link)) {
                Ok(Some(pipe)) => {
                    Blocked::PipeRead(PipeRead { fd, pipe, is_cut: true, ..PipeRead::default() })
                }
                Ok(None) => Blocked::Call(Call::Read),
                Err(_) => Blocked::Unknown,
            }
        }
        Some(InCall::Poll(call, polled)) => says_what_it_polls
            .then(|| polled::pipe(process, tid, polled))
            .flatten()
            .map_or(Blocked::Call(call), |(fd, pipe)| {
                Blocked::PipeRead(PipeRead { fd, pipe, ..polled::UNTOLD })
            }),
        Some(InCall::Vfork) if state == b'D' => Blocked::Vfork,
        Some(InCall::PerhapsVfork) if is_in_vfork() => Blocked::Vfork,
        Some(InCall::Vfork | InCall::PerhapsVfork) => Blocked::Call(Call::Other),
        Some(InCall::Other(call)) => Blocked::Call(call),
        // The syscall file of another user's process may be hidden where its wait channel is not.
        None if is_in_vfork() => Blocked::Vfork,
        None => Blocked::Unknown,
    }
}

fn read_status(process: &Process, name: &str) -> Option<Status> {
    Status::parse(&part(process, name, STATUS_MAX))
}

/// The name in a wchan file; empty where it is 0: running, ended, or not permitted.
pub fn wait_channel(text: &[u8]) -> Vec<u8> {
    let name = text.trim_ascii();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.".contains(byte);
    if name == b"0" || name.len() > WAIT_CHANNEL_MAX || !name.iter().all(is_name) {
        return Vec::new();
    }
    name.to_vec()
}

#[cfg(test)]
mod tests;
