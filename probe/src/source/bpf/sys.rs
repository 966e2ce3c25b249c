//! What `bpf(2)` says of programs and aya does not hand out. Must not know which programs there are.

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
