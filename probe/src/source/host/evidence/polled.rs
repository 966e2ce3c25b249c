//! The pipe that a thread in poll, select or epoll_wait waits for.
//!
//! Owns how much is looked at. A pipe to which the process can write itself is none that somebody else could end: it wakes its
//! own loop by it. Must not know who else writes.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

use nix::sys::stat::{fstat, minor};
use procfs::process::Process;

use super::{
    Polled,
    pipes::{DESCRIPTORS_MAX, may_write, pipe_at},
};
use crate::{
    model::PipeRead,
    source::host::process_directory::{memory, part},
};

/// Most descriptors of a call that are looked at.
const POLLED_MAX: usize = 64;
/// Most bits of a set for select: as many as C libraries have.
const SET_BITS_MAX: usize = 1_024;
/// How much is read of what an epoll descriptor is for: a line of some 90 bytes each. Sockets are most of them, and are passed
/// over.
const EPOLL_MAX: usize = 256 * 1_024;
const POLLFD_LEN: usize = 8;
/// POLLIN and POLLRDNORM; those of epoll are the same.
const TO_READ: u32 = 0x41;

/// A pipe that is polled, of which nothing is known yet.
pub const UNTOLD: PipeRead =
    PipeRead { fd: 0, pipe: 0, is_polled: true, writers: Vec::new(), descendants: 0, is_cut: true };

/// A descriptor that is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    fd: u32,
    /// The inode that it had when it was given to epoll: its number may be another file's by now.
    inode: Option<u64>,
}

/// The first of the pipes which this thread waits to read from that its process cannot write to: its descriptor and inode. `None`
/// also where that cannot be told.
pub fn pipe(process: &Process, tid: u32, polled: Polled) -> Option<(u32, u64)> {
    let entries = match polled {
        Polled::Array { address, count } => {
            let count = POLLED_MAX.min(count as usize);
            in_array(&memory(process, tid, address, count * POLLFD_LEN))
        }
        Polled::Set { address, count } => {
            let bits = SET_BITS_MAX.min(count as usize);
            in_set(&memory(process, tid, address, bits.div_ceil(64) * 8), bits)
        }
        Polled::Epoll { fd } => {
            in_epoll(&part(process, format!("task/{tid}/fdinfo/{fd}"), EPOLL_MAX), device_of_sockets())
        }
    };
    let directory = PathBuf::from(format!("/proc/{}/task/{tid}/fd", process.pid));
    let mut pipes: Vec<(u32, u64)> = Vec::new();
    for Entry { fd, inode } in entries {
        if let Ok(Some(pipe)) = pipe_at(&directory.join(fd.to_string()))
            && inode.is_none_or(|inode| inode == pipe)
        {
            pipes.push((fd, pipe));
        }
    }
    without_own(&directory, &mut pipes)?;
    pipes.first().copied()
}

/// Takes out those to which a descriptor of this directory can write; `None` where not all of them could be looked at.
fn without_own(directory: &Path, pipes: &mut Vec<(u32, u64)>) -> Option<()> {
    if pipes.is_empty() {
        return None;
    }
    for (place, entry) in fs::read_dir(directory).ok()?.enumerate() {
        if place >= DESCRIPTORS_MAX || pipes.is_empty() {
            return None;
        }
        let path = entry.ok()?.path();
        // One that is closed meanwhile is no writer.
        let Ok(Some(own)) = pipe_at(&path) else { continue };
        if pipes.iter().any(|(_, pipe)| *pipe == own) && may_write(&path) {
            pipes.retain(|(_, pipe)| *pipe != own);
        }
    }
    Some(())
}

/// An array of `struct pollfd`: those that are asked for input.
fn in_array(bytes: &[u8]) -> Vec<Entry> {
    let (pollfds, _) = bytes.as_chunks::<POLLFD_LEN>();
    let to_read = |pollfd: &[u8; POLLFD_LEN]| {
        let [a, b, c, d, low, high, ..] = *pollfd;
        let asked = u32::from(u16::from_ne_bytes([low, high]));
        // A negative one is passed over.
        let fd = u32::try_from(i32::from_ne_bytes([a, b, c, d])).ok()?;
        (asked & TO_READ != 0).then_some(Entry { fd, inode: None })
    };
    pollfds.iter().filter_map(to_read).collect()
}

/// A set of bits in words of 64.
fn in_set(bytes: &[u8], bits: usize) -> Vec<Entry> {
    let (words, _) = bytes.as_chunks::<8>();
    let has =
        |fd: &usize| words.get(fd / 64).is_some_and(|word| u64::from_ne_bytes(*word) >> (fd % 64) & 1 == 1);
    (0..bits).filter(has).take(POLLED_MAX).map(|fd| Entry { fd: fd as u32, inode: None }).collect()
}

/// The device of which the kernel says that sockets are on it.
fn device_of_sockets() -> Option<u64> {
    let socket = UnixDatagram::unbound().ok()?;
    fstat(&socket).ok().map(|stat| minor(stat.st_dev))
}

/// The fdinfo of an epoll descriptor: a line for each descriptor that it is for. A line without its end is left out, and so are
/// those on the device of sockets.
fn in_epoll(text: &[u8], of_sockets: Option<u64>) -> Vec<Entry> {
    let entry = |line: &[u8]| {
        let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
        let rest = line.strip_prefix("tfd:")?;
        let (fd, rest) = rest.trim_start().split_once(' ')?;
        let (events, _) = rest.trim_start().strip_prefix("events:")?.trim_start().split_once(' ')?;
        let to_read = u32::from_str_radix(events, 16).ok()? & TO_READ != 0;
        let hexadecimal = |name: &str| {
            let (_, rest) = line.split_once(name)?;
            u64::from_str_radix(rest.split_whitespace().next()?, 16).ok()
        };
        let inode = hexadecimal(" ino:")?;
        let is_socket = of_sockets.is_some_and(|device| hexadecimal(" sdev:") == Some(device));
        (to_read && !is_socket).then_some(Entry { fd: fd.parse().ok()?, inode: Some(inode) })
    };
    text.split_inclusive(|byte| *byte == b'\n').filter_map(entry).take(POLLED_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{PipeReader, PipeWriter},
        os::fd::AsRawFd,
        process::{Command, Stdio},
    };

    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

    use super::*;

    fn fds(entries: &[Entry]) -> Vec<u32> {
        entries.iter().map(|entry| entry.fd).collect()
    }

    #[test]
    fn an_array_gives_those_that_are_asked_for_input() {
        let pollfd = |fd: i32, events: u16| {
            let mut bytes = fd.to_ne_bytes().to_vec();
            bytes.extend(events.to_ne_bytes());
            bytes.extend([0xff; 2]);
            bytes
        };
        let array =
            [pollfd(3, 1), pollfd(4, 4), pollfd(-1, 1), pollfd(5, 0x40), pollfd(6, 0), pollfd(7, 3)].concat();
        assert_eq!(fds(&in_array(&array)), [3, 5, 7]);
        assert_eq!(fds(&in_array(&array[..POLLFD_LEN + 5])), [3], "half a pollfd is none");
        assert_eq!(in_array(b""), []);
    }

    #[test]
    fn a_set_gives_its_bits_below_the_count_and_no_more_than_are_looked_at() {
        let set: Vec<u8> =
            [1u64 << 3 | 1 << 63, 1 | 1 << 5].iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(fds(&in_set(&set, 128)), [3, 63, 64, 69]);
        assert_eq!(fds(&in_set(&set, 69)), [3, 63, 64]);
        assert_eq!(fds(&in_set(&set[..8], 128)), [3, 63], "a set that could not be read whole");
        assert_eq!(in_set(b"", 64), []);
        assert_eq!(in_set(&[0xff; 128], SET_BITS_MAX).len(), POLLED_MAX);
    }

    #[test]
    fn epoll_gives_those_that_it_asks_for_input_with_their_inodes() {
        let text = b"pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t1058\n\
            tfd:        4 events:       19 data: ffffffff00000004  pos:0 ino:1f4a sdev:e\n\
            tfd:        5 events:       1c data:                5  pos:0 ino:1f4b sdev:e\n\
            tfd:       12 events: 80002001 data:                c  pos:0 ino:1f4c sdev:e\n\
            tfd:       15 events:       19 data:                f  pos:0 ino:1f4d sdev:8\n\
            tfd:       13 events:        1 data:                d  pos:0 ino:1f";
        let found = in_epoll(text, Some(8));
        assert_eq!(
            found,
            [Entry { fd: 4, inode: Some(0x1f4a) }, Entry { fd: 12, inode: Some(0x1f4c) }],
            "one that asks to write, a socket, and one that is cut, are none"
        );
        for damaged in
            [&b""[..], b"tfd:\n", b"tfd: 4 events: 1 data: 4 pos:0\n", b"tfd: -4 events: 1 data: 4 ino:1\n"]
        {
            assert_eq!(in_epoll(damaged, Some(8)), []);
        }
        assert_eq!(in_epoll(&b"tfd: 4 events: 1 data: 4 ino:1\n".repeat(500), None).len(), POLLED_MAX);
    }

    #[test]
    fn a_pipe_is_found_behind_more_sockets_than_are_looked_at() {
        let epoll = Epoll::new(EpollCreateFlags::empty()).expect("an epoll descriptor");
        let to_read = |fd: u64| EpollEvent::new(EpollFlags::EPOLLIN, fd);
        let sockets: Vec<UnixDatagram> =
            (0..2 * POLLED_MAX).map(|_| UnixDatagram::unbound().expect("a socket")).collect();
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        for socket in &sockets {
            epoll.add(socket, to_read(0)).expect("room");
        }
        epoll.add(&reader, to_read(0)).expect("room");
        let text = fs::read(format!("/proc/self/fdinfo/{}", epoll.0.as_raw_fd())).expect("ours");
        assert_eq!(fds(&in_epoll(&text, device_of_sockets())), [reader.as_raw_fd() as u32]);
    }

    #[test]
    fn a_pipe_to_which_the_process_can_write_itself_is_not_what_it_waits_for() {
        let (own, _own_writer): (PipeReader, PipeWriter) = std::io::pipe().expect("a pipe");
        let mut child =
            Command::new("sleep").arg("100").stdout(Stdio::piped()).spawn().expect("a program of every host");
        let others = child.stdout.take().expect("piped");
        let directory = Path::new("/proc/self/fd");
        let told = |fds: &[i32]| {
            let mut pipes: Vec<(u32, u64)> = fds
                .iter()
                .map(|fd| {
                    let pipe = pipe_at(&directory.join(fd.to_string())).expect("ours").expect("a pipe");
                    (*fd as u32, pipe)
                })
                .collect();
            without_own(directory, &mut pipes).and_then(|()| pipes.first().map(|(fd, _)| *fd))
        };
        let seen = [told(&[own.as_raw_fd(), others.as_raw_fd()]), told(&[own.as_raw_fd()]), told(&[])];
        child.kill().and_then(|()| child.wait()).expect("our own child");
        assert_eq!(seen, [Some(others.as_raw_fd() as u32), None, None]);
    }
}
