//! What this process itself costs, and what of it can be given back. Must not know anything else.

use std::{collections::HashSet, ffi::c_void, fs, ptr::NonNull, time::Duration};

use nix::sys::{
    mman::{MmapAdvise, madvise},
    resource::{UsageWho, getrusage},
};
use procfs::{
    WithCurrentSystemInfo,
    process::{MMPermissions, MMapPath},
};

/// CPU time so far in ns, user and system, and resident memory in bytes; 0 where it cannot be read.
pub fn cost() -> (u64, u64) {
    let cpu_ns = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        let ns = |time: nix::sys::time::TimeVal| {
            time.tv_sec() as u64 * 1_000_000_000 + time.tv_usec() as u64 * 1_000
        };
        ns(usage.user_time()) + ns(usage.system_time())
    });
    let resident_bytes = procfs::process::Process::myself()
        .and_then(|own| own.stat())
        .map_or(0, |stat| stat.rss_bytes().get());
    (cpu_ns, resident_bytes)
}

/// What the maps and programs that this process has open take in the kernel, in bytes, as the kernel says of their descriptors;
/// 0 where it does not.
pub fn kernel_bytes() -> u64 {
    let descriptors = fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok())
        .filter_map(|info| {
            info.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse::<u64>().ok())
        })
        .sum()
}

/// Has the kernel take the pages of our code out of our memory: most were needed for the start alone. What is needed again comes
/// back from the page cache.
pub fn give_code_back() {
    let code = MMPermissions::READ | MMPermissions::EXECUTE | MMPermissions::PRIVATE;
    let maps = procfs::process::Process::myself().and_then(|own| own.maps());
    for map in maps.iter().flatten().filter(|map| map.perms == code) {
        let (from, to) = map.address;
        if let (MMapPath::Path(_), Some(start)) = (&map.pathname, NonNull::new(from as *mut c_void)) {
            // SAFETY: mapped from a file and never writable, so that it reads the same when it comes back.
            let _ = unsafe { madvise(start, (to - from) as usize, MmapAdvise::MADV_DONTNEED) };
        }
    }
}

/// Has the kernel take the pages of files that are mapped to be read out of our memory. What is needed again comes back from the
/// page cache.
pub fn give_mapped_files_back() {
    let maps = procfs::process::Process::myself().and_then(|own| own.maps());
    let maps = maps.map(|maps| maps.into_iter().collect::<Vec<_>>()).unwrap_or_default();
    let programs: HashSet<(i32, i32, u64)> = (maps.iter())
        .filter(|map| map.perms.contains(MMPermissions::EXECUTE))
        .map(|map| (map.dev.0, map.dev.1, map.inode))
        .collect();
    for map in maps {
        let is_program = programs.contains(&(map.dev.0, map.dev.1, map.inode));
        if map.inode == 0 || is_program || map.perms != MMPermissions::READ | MMPermissions::PRIVATE {
            continue;
        }
        let (from, to) = map.address;
        if let Some(start) = NonNull::new(from as *mut c_void) {
            // SAFETY: mapped from a file to be read. It is none of our code, whose data the loader has written before it
            // became unwritable; so it reads the same when it comes back.
            let _ = unsafe { madvise(start, (to - from) as usize, MmapAdvise::MADV_DONTNEED) };
        }
    }
}

/// Has the allocator give large pieces back as soon as they are freed. Left alone, glibc's keeps those that are as large
/// as one that it has given back before, up to 32 MB.
pub fn give_large_pieces_back() {
    #[cfg(target_env = "gnu")]
    {
        const LARGE_BYTES: nix::libc::c_int = 128 << 10;
        // SAFETY: sets a parameter of the allocator.
        unsafe { nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
    }
}

/// Has the allocator give back what has been freed in small pieces: it does so by itself only at the heap's end.
pub fn give_small_pieces_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: touches only what is free.
    unsafe {
        nix::libc::malloc_trim(0)
    };
}
/// How much CPU time this thread has had.
pub fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
