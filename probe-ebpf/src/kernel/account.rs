//! Who a process was that dies, and what it has used: what the kernel's process accounting reads at this moment. Must not
//! know who asks.

use probe_common::wire::{Account, TTY_LEN};

use crate::{
    kernel::memory::read,
    settings::{has_member, offset, setting},
};

/// So many threads are added up that have exited and are not released yet: as many as exit at once on so many CPUs.
const THREADS_MAX: u32 = 128;
/// So often the sum is begun again because a thread was released meanwhile.
const TRIES: u32 = 3;

/// Writes what is known of the process of which `leader` is the main thread and whose threads share `signal`; both are
/// addresses. Leaf function, see `verifier`.
///
/// # Safety
/// `account` must be ours to write.
#[inline(never)]
pub unsafe fn write_account(account: *mut Account, leader: u64, signal: u64) {
    // SAFETY: the caller's; written by the word, as the layout says.
    unsafe {
        (*account).cgroup_id = cgroup_id(leader);
        (*account).cpu_ns = group_cpu_ns(signal);
        (*account).peak_rss_pages =
            if has_member!(signal_maxrss) { read(signal, offset!(signal_maxrss)) } else { 0 };
        (*account).uid = if has_member!(task_real_cred) && has_member!(cred_uid) {
            read(read(leader, offset!(task_real_cred)), offset!(cred_uid))
        } else {
            Account::UID_UNKNOWN
        };
        (*account).session = if has_member!(signal_session) {
            read(read(signal, offset!(signal_session)), offset!(pid_numbers) + offset!(upid_nr))
        } else {
            0
        };
        let name = (&raw mut (*account).tty).cast::<u64>();
        let has_name = has_member!(signal_tty) && has_member!(tty_name);
        let tty: u64 = if has_name { read(signal, offset!(signal_tty)) } else { 0 };
        // Of no terminal there is nothing to read, which reads as zero.
        let at = if tty == 0 { 0 } else { tty + offset!(tty_name) };
        for word in 0..TTY_LEN / size_of::<u64>() {
            name.add(word).write_volatile(read(at, 8 * word as u64));
        }
    }
}

/// The id of its cgroup in the unified hierarchy; 0: this kernel does not say.
#[inline(always)]
fn cgroup_id(task: u64) -> u64 {
    if !(has_member!(task_cgroups) && has_member!(css_set_cgroup) && has_member!(cgroup_node)) {
        return 0;
    }
    let set: u64 = read(task, offset!(task_cgroups));
    let cgroup: u64 = read(set, offset!(css_set_cgroup));
    let node: u64 = read(cgroup, offset!(cgroup_node));
    read(node, offset!(node_id))
}

/// What the threads of a process have run, those that are released already and those that are not, as the scheduler has
/// booked it: of the thread that runs now, up to its last tick. As `thread_group_cputime` adds it up.
/// Global function, see `verifier`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn group_cpu_ns(signal: u64) -> u64 {
    let is_known =
        has_member!(task_run_ns) && has_member!(signal_run_ns) && has_member!(signal_stats_sequence);
    // Where nothing is streamed the verifier shall not follow what nobody calls.
    if setting!(stream_all) == 0
        || !is_known
        || !has_member!(signal_threads)
        || !has_member!(task_thread_node)
    {
        return Account::CPU_UNKNOWN;
    }
    let head = signal + offset!(signal_threads);
    for _ in 0..TRIES {
        let began: u32 = read(signal, offset!(signal_stats_sequence));
        let mut sum_ns: u64 = read(signal, offset!(signal_run_ns));
        let mut link: u64 = read(head, offset!(list_next));
        let mut is_whole = false;
        for _ in 0..THREADS_MAX {
            if link == head || link == 0 {
                is_whole = link != 0;
                break;
            }
            let thread = link - offset!(task_thread_node);
            sum_ns += read::<u64>(thread, offset!(task_run_ns));
            link = read(link, offset!(list_next));
        }
        let ended: u32 = read(signal, offset!(signal_stats_sequence));
        // Odd while a thread is being released.
        if is_whole && began == ended && began & 1 == 0 {
            return sum_ns;
        }
    }
    Account::CPU_UNKNOWN
}
