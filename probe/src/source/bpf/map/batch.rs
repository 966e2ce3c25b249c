//! Reads maps in batches: one system call for many entries, where aya makes two for each.
//!
//! Must not know what the entries mean.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use nix::{errno::Errno, libc};

const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
/// Entries a call, to begin with.
const ENTRIES: usize = 64;
/// No bucket of a map holds more.
const ENTRIES_MAX: usize = 1 << 20;

/// `union bpf_attr` for that command (include/uapi/linux/bpf.h).
#[repr(C)]
struct Attr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Hands out key and value of every entry that is there the whole time; true where all were read, else it is said of the
/// map by its `name`. The sizes are the map's own, in bytes; a key is at least as long as the kernel's mark of where a
/// batch ended, a `u32`.
pub fn entries(
    name: &str,
    map: BorrowedFd<'_>,
    key_size: usize,
    value_size: usize,
    take: impl FnMut(&[u8], &[u8]),
) -> bool {
    let read = read(map, key_size, value_size, take);
    if let Err(error) = &read {
        tracing::warn!(map = name, %error, "cannot be read");
    }
    read.is_ok()
}

fn read(
    map: BorrowedFd<'_>,
    key_size: usize,
    value_size: usize,
    mut take: impl FnMut(&[u8], &[u8]),
) -> io::Result<()> {
    let mut room = ENTRIES;
    let (mut keys, mut values) = (vec![0u8; room * key_size], vec![0u8; room * value_size]);
    let (mut from, mut to) = (vec![0u8; key_size], vec![0u8; key_size]);
    let mut first = true;
    loop {
        let mut attr = Attr {
            in_batch: if first { 0 } else { from.as_ptr() as u64 },
            out_batch: to.as_mut_ptr() as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: room as u32,
            map_fd: map.as_raw_fd() as u32,
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: attr and all it points to are ours, alive during the call, and as long as the map's sizes times count.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, &raw mut attr, size_of::<Attr>()) };
        let outcome = Errno::result(result);
        match outcome {
            Ok(_) | Err(Errno::ENOENT) => {}
            // One bucket holds more than there is room for.
            Err(Errno::ENOSPC) if room < ENTRIES_MAX => {
                room *= 2;
                keys.resize(room * key_size, 0);
                values.resize(room * value_size, 0);
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let there = (attr.count as usize).min(room);
        for (key, value) in keys.chunks_exact(key_size).zip(values.chunks_exact(value_size)).take(there) {
            take(key, value);
        }
        if outcome.is_err() {
            return Ok(());
        }
        std::mem::swap(&mut from, &mut to);
        first = false;
    }
}
