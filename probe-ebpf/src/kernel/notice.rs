//! What the kernel says of a child's death: in a signal that it sends, and in what a wait returns. Must not know whom it
//! concerns.

use aya_ebpf::helpers::bpf_probe_read_user;

use crate::{
    kernel::{
        memory::read,
        task::{SIGCHLD, SignalPtr, TaskPtr},
        typed::{Memory, Untyped},
    },
    settings::offset,
};

/// Whether `signal` with `info` is the kernel's own notice of a child's death, sent by `current`: the child's pid in
/// the target's PID namespace. A dying task may send the `exit_signal` of its leader instead of SIGCHLD.
pub fn death_notice<M: Memory>(
    signal: i32,
    info: u64,
    current: TaskPtr<M>,
    leader: TaskPtr<M>,
) -> Option<u32> {
    // 0 and 1 stand for "no info" and "from the kernel".
    if info <= 2 {
        return None;
    }
    if signal != SIGCHLD && !(current.is_exiting() && leader.exit_signal() == signal) {
        return None;
    }
    // Code and pid in one read; `info` may be anything to the verifier, from 7.x on also a mere number.
    let words: [u32; 4] = read(info, offset!(siginfo_code));
    if !tells_of_death(words[0] as i32) {
        return None;
    }
    let distance = (offset!(siginfo_pid) - offset!(siginfo_code)) / 4;
    Some(words[(distance & 3) as usize])
}

/// CLD_EXITED, CLD_KILLED, CLD_DUMPED.
#[inline(always)]
fn tells_of_death(code: i32) -> bool {
    (1..=3).contains(&code)
}

/// So many signals are looked at: of most kinds one is pending at most, and few processes let any pend.
const QUEUED_LOOKED_AT: usize = 4;

/// What the first SIGCHLD says that is pending for a process: the pid of the child whose death it tells of, 0 where it
/// tells of something else. `None` where none is found among the first signals.
#[inline(always)]
pub fn first_queued(signal: SignalPtr<Untyped>) -> Option<u32> {
    let head = signal.pending_list();
    let mut entry: u64 = read(head, offset!(list_next));
    for _ in 0..QUEUED_LOOKED_AT {
        if entry == head {
            return None;
        }
        let info = entry - offset!(sigqueue_list) + offset!(sigqueue_info);
        let signal: i32 = read(info, offset!(siginfo_signo));
        if signal == SIGCHLD {
            let code: i32 = read(info, offset!(siginfo_code));
            let pid: u32 = read(info, offset!(siginfo_pid));
            return Some(if tells_of_death(code) { pid } else { 0 });
        }
        entry = read(entry, offset!(list_next));
    }
    None
}

/// `si_pid` of a siginfo that waitid filled in user memory, if it tells of a death.
pub fn waited_pid(infop: u64) -> Option<u32> {
    // SAFETY: probe_read_user checks the address and fails instead of faulting.
    let code: i32 = unsafe { bpf_probe_read_user((infop + offset!(siginfo_code)) as *const i32) }.ok()?;
    if !tells_of_death(code) {
        return None;
    }
    // SAFETY: as above.
    unsafe { bpf_probe_read_user((infop + offset!(siginfo_pid)) as *const u32) }.ok()
}
