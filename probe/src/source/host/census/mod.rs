//! The census: what /proc says of all processes at one moment, for `audit`.
//!
//! Owns the walk, and that it ends: reading the memory or the files of a process may block for ever (a dead file server, a
//! process that holds its own lock while it sleeps), so that is done by a thread that can be left behind. Must not judge.

pub mod checkout;
pub mod descriptors;
mod details;
pub mod ports;
pub mod process;
pub mod program;
mod root;
pub mod surroundings;

use std::{
    fs,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use foldhash::HashSet;
use procfs::process::Process;

use super::{cgroup::Viewpoint, clock, namespace, process_directory::Directories, process_info};
use crate::{
    model::{Census, Checkout, Details, RESIDENTS_MAX, Resident, Stream},
    source::SetupError,
};
use details::DetailReader;

/// Reading one process takes no longer, unless it blocks.
const ONE_TAKES: Duration = Duration::from_secs(3);
/// Threads that are left behind before the rest is given up.
const LEFT_BEHIND_MAX: usize = 4;

/// What the reading thread tells of a process: first what is read without blocking, then the rest.
enum Told {
    Resident {
        place: usize,
        resident: Box<Resident>,
    },
    Rest {
        place: usize,
        rest: Box<Rest>,
    },
    /// It has gone, or has nothing more.
    Done {
        place: usize,
    },
}

/// What may block.
struct Rest {
    /// It has gone meanwhile.
    is_gone: bool,
    command_line: Vec<Vec<u8>>,
    details: Option<Details>,
    reads_pipes: Vec<u64>,
    checkout: Option<Checkout>,
}

/// Looks at all processes once.
pub fn take() -> Result<Census, SetupError> {
    take_within(ONE_TAKES, work)
}

/// With another patience, and another way to read.
fn take_within(
    patience: Duration,
    work: impl Fn(Walk, SyncSender<Told>) + Clone + Send + 'static,
) -> Result<Census, SetupError> {
    let mut census = Census { taken_ns: clock::boottime_ns(), anchor: clock::anchor(), ..Census::default() };
    let mut pids = pids()?;
    census.unseen.beyond = pids.len().saturating_sub(RESIDENTS_MAX) as u64;
    pids.truncate(RESIDENTS_MAX);
    census.unseen.others_are_hidden = !pids.contains(&1);
    census.unseen.is_namespace = !namespace::is_initial("pid").unwrap_or(false);
    let mut gathered = Gathered { census, ..Gathered::default() };
    let (mut first, mut left_behind) = (0, 0);
    while first < pids.len() {
        let (tell, told) = sync_channel(64);
        let walk = Walk { pids: pids[first..].to_vec(), first };
        let work = work.clone();
        std::thread::Builder::new().name("census".into()).spawn(move || work(walk, tell)).map_err(
            |error| SetupError {
                what: format!("cannot start the thread that reads /proc: {error}"),
                remedy: "allow this user more processes (ulimit -u, TasksMax=)".into(),
            },
        )?;
        match gathered.listen(&told, patience, first) {
            None => break,
            Some(blocked) => {
                gathered.census.unseen.blocked += 1;
                left_behind += 1;
                first = blocked + 1;
                if left_behind == LEFT_BEHIND_MAX {
                    gathered.census.unseen.blocked += (pids.len() - first) as u64;
                    break;
                }
            }
        }
    }
    Ok(gathered.finish())
}

/// The processes that one thread reads.
struct Walk {
    pids: Vec<u32>,
    /// The place of the first of them.
    first: usize,
}

fn pids() -> Result<Vec<u32>, SetupError> {
    let entries = fs::read_dir("/proc").map_err(|error| SetupError {
        what: format!("cannot list the processes in /proc: {error}"),
        remedy: "mount the proc file system (mount -t proc proc /proc)".into(),
    })?;
    let mut pids: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}

fn work(walk: Walk, tell: SyncSender<Told>) {
    let directories = Directories::learn();
    let seen_from: Viewpoint = process_info::seen_from();
    let mut reader = DetailReader::open();
    for (place, pid) in walk.pids.into_iter().enumerate() {
        let place = walk.first + place;
        let process = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok());
        let resident = process.as_ref().and_then(|one| process::read(one, directories.tick_ns, &seen_from));
        let (Some(process), Some(resident)) = (process, resident) else {
            if tell.send(Told::Done { place }).is_err() {
                return;
            }
            continue;
        };
        let has_more = resident.lives();
        if tell.send(Told::Resident { place, resident: Box::new(resident) }).is_err() {
            return;
        }
        let last = if has_more {
            Told::Rest { place, rest: Box::new(reader.read(&process)) }
        } else {
            Told::Done { place }
        };
        if tell.send(last).is_err() {
            return;
        }
    }
}

/// What was told so far.
#[derive(Default)]
struct Gathered {
    census: Census,
    /// Pipes of which somebody has an end that can be read.
    read_pipes: HashSet<u64>,
}

impl Gathered {
    /// Listens until the thread is done; the place of the process at which it blocks, if it does.
    fn listen(&mut self, told: &Receiver<Told>, patience: Duration, first: usize) -> Option<usize> {
        let mut at = first;
        loop {
            match told.recv_timeout(patience) {
                Ok(Told::Resident { place, resident }) => {
                    at = place;
                    self.census.residents.push(*resident);
                }
                Ok(Told::Rest { place, rest }) => {
                    at = place + 1;
                    self.add(*rest);
                }
                Ok(Told::Done { place }) => at = place + 1,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => return Some(at),
            }
        }
    }

    /// Of the process that was told last.
    fn add(&mut self, rest: Rest) {
        let Rest { is_gone, command_line, mut details, reads_pipes, checkout } = rest;
        if is_gone {
            self.census.residents.pop();
            return;
        }
        if details.is_none() {
            self.census.unseen.closed += 1;
        }
        self.read_pipes.extend(reads_pipes);
        if let (Some(details), Some(checkout)) = (&mut details, checkout) {
            let known = self.census.checkouts.iter().position(|known| *known == checkout);
            details.checkout = Some(known.unwrap_or_else(|| {
                self.census.checkouts.push(checkout);
                self.census.checkouts.len() - 1
            }));
        }
        if let Some(resident) = self.census.residents.last_mut() {
            resident.command_line = command_line;
            resident.details = details;
        }
    }

    /// Says of every pipe whether it is read, which is known when all have been asked.
    fn finish(self) -> Census {
        let Self { mut census, read_pipes } = self;
        let saw_all = census.unseen.saw_every_descriptor();
        let streams = census.residents.iter_mut().filter_map(|one| one.details.as_mut());
        for stream in streams.flat_map(|details| &mut details.streams) {
            if let Stream::Pipe { inode, has_reader } = stream {
                *has_reader = if read_pipes.contains(inode) { Some(true) } else { saw_all.then_some(false) };
            }
        }
        census
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Command, Stdio},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[test]
    fn we_and_our_child_are_in_it() {
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sleep");
        let found = loop {
            let census = take().expect("/proc");
            let found =
                census.residents.into_iter().find(|one| one.identity.tgid == child.id()).expect("it lives");
            if found.command_line.first().is_some_and(|first| first == b"sleep") {
                break found;
            }
            std::thread::yield_now();
        };
        child.kill().and_then(|()| child.wait().map(drop)).expect("our own child");
        assert_eq!(found.parent, std::process::id());
        assert_eq!(found.command_line, [b"sleep".to_vec(), b"60".to_vec()]);
        let details = found.details.expect("ours to read");
        assert_eq!(details.streams[0], Stream::Null);
        assert!(
            matches!(details.streams[1], Stream::Pipe { has_reader: Some(true), .. }),
            "we can read it: {:?}",
            details.streams
        );
        assert!(!details.directory.is_empty());
    }

    #[test]
    fn a_pipe_is_unread_only_if_every_process_was_asked() {
        let has_reader = |closed: bool, read: &[u64]| {
            let mut gathered = Gathered::default();
            for place in 0..2 {
                gathered.census.residents.push(Resident::default());
                let mut details = Details::default();
                details.streams[1] = Stream::Pipe { inode: 7, has_reader: None };
                gathered.add(Rest {
                    is_gone: false,
                    command_line: vec![],
                    details: (place == 0 || !closed).then_some(details),
                    reads_pipes: read.to_vec(),
                    checkout: None,
                });
            }
            match gathered.finish().residents[0].details.as_ref().expect("readable").streams[1] {
                Stream::Pipe { has_reader, .. } => has_reader,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((has_reader(false, &[8]), has_reader(false, &[7])), (Some(false), Some(true)));
        assert_eq!((has_reader(true, &[8]), has_reader(true, &[7])), (None, Some(true)));
    }

    #[test]
    fn what_blocks_is_left_behind_and_counted_and_the_rest_is_read() {
        let held = Arc::new(Mutex::new(()));
        let lock = held.lock().expect("a lock");
        let other = Arc::clone(&held);
        let blocks_at_the_first = move |walk: Walk, tell: SyncSender<Told>| {
            if walk.first == 0 {
                let resident = Box::new(Resident::default());
                let _ = tell.send(Told::Resident { place: 0, resident });
                drop(other.lock());
            }
            work(walk, tell);
        };
        let census = take_within(Duration::from_millis(1_500), blocks_at_the_first).expect("/proc");
        drop(lock);
        assert_eq!(census.unseen.blocked, 1);
        assert!(census.residents[0].details.is_none());
        assert!(census.residents.iter().any(|one| one.identity.tgid == std::process::id()));
    }
}
