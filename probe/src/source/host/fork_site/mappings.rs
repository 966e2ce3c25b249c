//! The code in a process's memory, as /proc/PID/maps lists it.
//!
//! Owns how much of the list is read. Must not open what is mapped.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use super::super::process_directory::part;

/// Longest list read: sixty thousand mappings.
const MAPS_MAX: usize = 8 << 20;
/// So many threads are tried.
const THREADS_MAX: usize = 64;
/// Most mappings of code kept.
const CODE_MAX: usize = 8_192;

/// A mapping of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub range: Range<u64>,
    /// Where in the file it begins.
    pub offset: u64,
    pub inode: u64,
    /// Empty where it is of no file.
    pub path: Vec<u8>,
}

/// The code of a process, and the directory in /proc that shows it: that of its main thread, or where that has ended, of another
/// one. `None` where it is gone.
pub fn of(process: &Process) -> Option<(PathBuf, Vec<Mapping>)> {
    let read = |thread: &Path| {
        let found = code(&part(process, thread.join("maps"), MAPS_MAX));
        (!found.is_empty()).then_some(found)
    };
    let directory = PathBuf::from(format!("/proc/{}", process.pid));
    if let Some(found) = read(Path::new("")) {
        return Some((directory, found));
    }
    let mut threads = process.tasks().ok()?.flatten().take(THREADS_MAX);
    threads.find_map(|thread| {
        let thread = Path::new("task").join(thread.tid.to_string());
        Some((directory.join(&thread), read(&thread)?))
    })
}

/// Those that may be run, by their addresses. A line that is no mapping is left out.
pub fn code(maps: &[u8]) -> Vec<Mapping> {
    let mut code: Vec<Mapping> =
        maps.split(|byte| *byte == b'\n').filter_map(mapping).take(CODE_MAX).collect();
    code.sort_by_key(|mapping| mapping.range.start);
    code
}

/// The one that holds this address.
pub fn at(code: &[Mapping], address: u64) -> Option<usize> {
    let place = code.partition_point(|mapping| mapping.range.start <= address).checked_sub(1)?;
    code[place].range.contains(&address).then_some(place)
}

fn mapping(line: &[u8]) -> Option<Mapping> {
    // Five fields, each followed by one space, and the path after more of them.
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let (start, end) = text()?.split_once('-')?;
    let permissions = text()?;
    let offset = u64::from_str_radix(text()?, 16).ok()?;
    let _device = text()?;
    let inode = text()?.parse().ok()?;
    let path = fields.next().unwrap_or_default().trim_ascii_start().to_vec();
    let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
    (permissions.contains('x') && !range.is_empty()).then_some(Mapping { range, offset, inode, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_by_address_and_nonsense_is_left_out() {
        let maps = b"7f0000001000-7f0000002000 r-xp 00002000 08:01 77         /usr/lib/a b.so\n\
            00400000-00401000 r--p 00000000 08:01 12 /bin/x\n\
            00401000-00402000 r-xp 00001000 08:01 12                         /bin/x\n\
            7f0000002000-7f0000003000 rwxp 00000000 00:00 0 \n\
            zz-yy r-xp 0 0 0 /nonsense\n\nffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
        let code = code(maps);
        assert_eq!(code.len(), 4);
        assert_eq!(code[0].path, b"/bin/x");
        assert_eq!(
            (code[1].path.as_slice(), code[1].offset, code[1].inode),
            (&b"/usr/lib/a b.so"[..], 0x2000, 77)
        );
        assert_eq!(at(&code, 0x401fff), Some(0));
        assert_eq!(at(&code, 0x7f0000002000), Some(2));
        assert_eq!((at(&code, 0x400fff), at(&code, 0x402000), at(&code, u64::MAX)), (None, None, None));
    }
}
