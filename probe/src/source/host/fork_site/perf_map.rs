//! Names that a program gives to code which it made itself: /tmp/perf-PID.map, as Node and Java write it when asked to.
//!
//! Owns whose file is believed, and how much of it is read. Must not know who makes such code.

use std::{
    fs::OpenOptions,
    io::Read,
    ops::Range,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use nix::libc;
use procfs::process::Process;

use crate::{model::NAME_MAX, source::host::process_directory::part};

/// Largest file read.
const BYTES_MAX: u64 = 64 << 20;
/// Most functions kept.
const FUNCTIONS_MAX: usize = 1 << 20;

/// Functions by their addresses, sorted by where they begin. Code may be made twice at one address: the later line counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PerfMap {
    functions: Vec<(Range<u64>, Range<u32>)>,
    text: Vec<u8>,
}

impl PerfMap {
    /// Reads the file if it is a regular one that the owner of the process, or root, wrote: the directory is anybody's.
    pub fn read(path: &Path, owner: u32) -> Option<Self> {
        let open = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path);
        let file = open.ok()?;
        let metadata = file.metadata().ok()?;
        let is_theirs = metadata.uid() == owner || metadata.uid() == 0;
        if !metadata.is_file() || !is_theirs || metadata.len() > BYTES_MAX {
            return None;
        }
        let mut text = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut text).ok()?;
        Some(Self::parse(text))
    }

    /// That of a text. A line that is none is left out.
    pub fn parse(text: Vec<u8>) -> Self {
        let mut functions: Vec<(Range<u64>, Range<u32>)> = Vec::new();
        let mut at = 0;
        for line in text.split(|byte| *byte == b'\n').take(FUNCTIONS_MAX) {
            let end = at + line.len();
            if let Some((range, name)) = function(line) {
                let name_end = end.min(end - name + NAME_MAX);
                functions.push((range, (end - name) as u32..name_end as u32));
            }
            at = end + 1;
        }
        functions.sort_by_key(|(range, _)| range.start);
        Self { functions, text }
    }

    /// The name of the function at an address.
    pub fn name(&self, address: u64) -> Option<&[u8]> {
        let place = self.functions.partition_point(|(range, _)| range.start <= address).checked_sub(1)?;
        let (range, name) = &self.functions[place];
        range.contains(&address).then(|| &self.text[name.start as usize..name.end as usize])
    }
}

/// The map is in the temporary directory as the process sees it, and has its pid as the process sees it.
pub fn of_process(process: &Process) -> Option<PerfMap> {
    const STATUS_MAX: usize = 16 << 10;
    let status = part(process, "status", STATUS_MAX);
    let number = |field: &str| {
        let line =
            status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(field.as_bytes()))?;
        let mut numbers = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        Some((numbers.next()?.parse().ok()?, numbers.next_back().and_then(|last| last.parse::<u32>().ok())))
    };
    let (owner, _): (u32, _) = number("Uid:")?;
    let (pid, inner): (u32, _) = number("NSpid:")?;
    let path = format!("/proc/{}/root/tmp/perf-{}.map", process.pid, inner.unwrap_or(pid));
    PerfMap::read(path.as_ref(), owner)
}

/// Where a function is, and how long its name is: a line is address, size and name. Some write `0x` before the numbers.
fn function(line: &[u8]) -> Option<(Range<u64>, usize)> {
    let mut fields = line.splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let text = std::str::from_utf8(fields.next()?).ok()?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = fields.next()?.len();
    Some((start..start.checked_add(size)?, name)).filter(|(range, name)| !range.is_empty() && *name > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_nonsense_is_left_out() {
        let text =
            b"1000 20 JS:^startTool /srv/agent.js:2:19\n0x2000 0x10 java frame\nzz 1 x\n3000 0 empty\n\n\
            ffffffffffffffff 2 over\n1000 20 JS:*startTool";
        let map = PerfMap::parse(text.to_vec());
        assert_eq!(map.name(0x101f), Some(&b"JS:*startTool"[..]));
        assert_eq!(map.name(0x2000), Some(&b"java frame"[..]));
        for outside in [0, 0xfff, 0x1020, 0x3000, u64::MAX] {
            assert_eq!(map.name(outside), None);
        }
    }

    #[test]
    fn only_a_regular_file_of_the_processs_owner_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("perf-1.map");
        std::fs::write(&path, "10 10 x\n").expect("written");
        let own = path.metadata().expect("ours").uid();
        assert!(PerfMap::read(&path, own).is_some_and(|map| map.name(0x10).is_some()));
        let is_root = own == 0;
        assert_eq!(PerfMap::read(&path, own + 1).is_some(), is_root, "root's is believed");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert_eq!(PerfMap::read(&link, own), None);
        assert_eq!(PerfMap::read(directory.path(), own), None);
    }
}
