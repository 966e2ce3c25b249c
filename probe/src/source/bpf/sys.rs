//! What `bpf(2)` does and aya does not hand out. Must not know which programs and maps there are.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

use super::error::BpfError;

/// Has the kernel count runs and run time of all programs, as long as the descriptor is open.
pub fn count_runs() -> Result<OwnedFd, BpfError> {
    const BPF_ENABLE_STATS: nix::libc::c_long = 32;
    // `union bpf_attr` for that command: BPF_STATS_RUN_TIME.
    let mut attr: u32 = 0;
    // SAFETY: attr is ours, alive during the call, and its size is stated.
    let fd =
        unsafe { nix::libc::syscall(nix::libc::SYS_bpf, BPF_ENABLE_STATS, &raw mut attr, size_of::<u32>()) };
    if fd < 0 {
        return Err(BpfError::CountRuns(Errno::last()));
    }
    // SAFETY: a new descriptor of ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Reads the only value of an array. `value` is as long as the map says.
pub fn read_value(map: BorrowedFd<'_>, value: &mut [u8]) -> nix::Result<()> {
    const BPF_MAP_LOOKUP_ELEM: nix::libc::c_long = 1;
    #[repr(C)]
    struct Attr {
        map_fd: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    let key = 0u32;
    let mut attr = Attr {
        map_fd: map.as_raw_fd() as u32,
        key: (&raw const key) as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: attr and all it points to are ours, alive during the call, and as long as the map's sizes.
    let result = unsafe {
        nix::libc::syscall(nix::libc::SYS_bpf, BPF_MAP_LOOKUP_ELEM, &raw mut attr, size_of::<Attr>())
    };
    Errno::result(result).map(drop)
}

/// `bpf_prog_info` of a program, as far as this kernel fills it in.
pub fn program_info(fd: BorrowedFd<'_>) -> Option<aya_obj::generated::bpf_prog_info> {
    const BPF_OBJ_GET_INFO_BY_FD: nix::libc::c_long = 15;
    #[repr(C)]
    struct Attr {
        bpf_fd: u32,
        info_len: u32,
        info: u64,
    }
    // SAFETY: plain integers; all zero is a valid value.
    let mut info: aya_obj::generated::bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut attr = Attr {
        bpf_fd: fd.as_raw_fd() as u32,
        info_len: size_of_val(&info) as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: attr and info are ours, alive during the call, and their sizes are stated.
    let result = unsafe {
        nix::libc::syscall(nix::libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &raw mut attr, size_of::<Attr>())
    };
    (result == 0).then_some(info)
}
