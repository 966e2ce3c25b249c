//! Who sends a signal, where that is certain. Must not know whom it concerns, nor what becomes of it.

use probe_common::sent_signal::sender;

use crate::{
    kernel::{
        memory::read,
        task::{SIGKILL, TaskPtr},
    },
    settings::offset,
};

/// What stands in the place of what a signal says: nothing is said; the kernel sends it.
const NO_INFO: u64 = 0;
const FROM_KERNEL: u64 = 1;
/// `si_code`, as system calls set it: kill, sigqueue and tgkill. Who calls them can set any other negative code, which the
/// kernel itself uses too, in the context of whoever is current. A code above zero it takes only from a thread for itself.
const SI_USER: i32 = 0;
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;
/// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
const FAULTS: u64 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 31;

/// The [`sender`] of a signal to the process `target`, in the context of the current task. `info`: the argument of that name of
/// `signal_generate`.
#[inline(always)]
pub fn sender_kind(signal: u32, info: u64, target: u32) -> u32 {
    let current = TaskPtr::current();
    let is_own = current.tgid() == target;
    if info == NO_INFO {
        // One that exits makes no call: the kernel sends what its children asked for at its end (PR_SET_PDEATHSIG). To whoever
        // is current it sends SIGPIPE and SIGXFSZ so. `cgroup.kill` sends SIGKILL.
        let is_kernel =
            current.is_kernel_thread() || (current.is_exiting() && !is_own) || (is_own && signal != SIGKILL);
        return if is_kernel { sender::KERNEL } else { sender::PROCESS };
    }
    if info == FROM_KERNEL {
        let leader = current.leader();
        let is_end_of_namespace =
            signal == SIGKILL && !is_own && current.is_exiting() && leader.is_init_of_namespace();
        return if is_end_of_namespace { sender::NAMESPACE_END } else { sender::KERNEL };
    }
    let code: i32 = read(info, offset!(siginfo_code));
    match code {
        SI_USER | SI_QUEUE | SI_TKILL if current.is_kernel_thread() => sender::KERNEL,
        SI_USER | SI_QUEUE | SI_TKILL => sender::PROCESS,
        ..SI_USER => sender::UNKNOWN,
        _ if is_own && FAULTS >> (signal & 63) & 1 != 0 => sender::FAULT,
        // A process may say so of a signal to itself.
        _ if is_own => sender::UNKNOWN,
        _ => sender::KERNEL,
    }
}
