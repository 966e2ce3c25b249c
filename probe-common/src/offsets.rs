//! Where the running kernel keeps the members the programs read. Found in its BTF by the collector, handed over
//! as one read-only global. Must not know how they were found.

/// Offset of a member this kernel does not have.
pub const MISSING: u32 = u32::MAX;

/// What stands in the offset of a typed load in the object, for the collector to put the member's own offset there.
/// `member`: the number of a field of [`Offsets`]; `word`: which eight bytes of it.
pub const fn placeholder(member: usize, word: usize) -> i16 {
    PLACEHOLDERS + (member * WORDS + word) as i16
}

/// The (member, word) a placeholder stands for, if it is one.
pub const fn placed(offset: i16) -> Option<(usize, usize)> {
    if offset < PLACEHOLDERS || offset >= placeholder(Offsets::FIELDS, 0) {
        return None;
    }
    let number = (offset - PLACEHOLDERS) as usize;
    Some((number / WORDS, number % WORDS))
}

/// Beyond every member of the structures that are read, within what an instruction can hold.
pub const PLACEHOLDERS: i16 = 0x7000;
const WORDS: usize = 2;

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident : $path:literal),* $(,)?) => {
        /// Byte offsets; every field is [`MISSING`] where the kernel has no such member.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Offsets { $($(#[$doc])* pub $name: u32),* }

        impl Offsets {
            /// Nothing found yet.
            pub const NONE: Self = Self { $($name: MISSING),* };

            /// How many fields there are.
            pub const FIELDS: usize = [$($path),*].len();

            /// Every field with the BTF path it stands for (`struct.member.member`).
            pub fn paths(&mut self) -> [(&'static str, &mut u32); Self::FIELDS] {
                [$(($path, &mut self.$name)),*]
            }
        }
    };
}

offsets! {
    task_pid: "task_struct.pid",
    task_tgid: "task_struct.tgid",
    task_start_boottime: "task_struct.start_boottime",
    task_comm: "task_struct.comm",
    task_group_leader: "task_struct.group_leader",
    task_real_parent: "task_struct.real_parent",
    task_parent: "task_struct.parent",
    task_thread_pid: "task_struct.thread_pid",
    task_signal: "task_struct.signal",
    task_sighand: "task_struct.sighand",
    task_exit_code: "task_struct.exit_code",
    task_exit_signal: "task_struct.exit_signal",
    task_exit_state: "task_struct.exit_state",
    task_flags: "task_struct.flags",
    task_mm: "task_struct.mm",
    task_children: "task_struct.children",
    task_sibling: "task_struct.sibling",
    task_parent_exec_id: "task_struct.parent_exec_id",
    task_self_exec_id: "task_struct.self_exec_id",
    signal_live: "signal_struct.live",
    signal_nr_threads: "signal_struct.nr_threads",
    /// Its PIDTYPE_TGID: the leader's.
    signal_pid: "signal_struct.pids[1]",
    signal_flags: "signal_struct.flags",
    /// A bit field: bit 0 of this byte on every kernel so far, which `tests/frozen_btf.rs` checks.
    signal_is_child_subreaper: "signal_struct.is_child_subreaper",
    signal_group_exit_code: "signal_struct.group_exit_code",
    /// Not null from when the kernel chose it to end because memory ran out.
    signal_oom_mm: "signal_struct.oom_mm",
    task_ptrace: "task_struct.ptrace",
    sighand_sigchld_handler: "sighand_struct.action[16].sa.sa_handler",
    sighand_sigchld_flags: "sighand_struct.action[16].sa.sa_flags",
    pid_level: "pid.level",
    pid_numbers: "pid.numbers",
    upid_nr: "upid.nr",
    upid_ns: "upid.ns",
    upid_size: "upid",
    pidns_inum: "pid_namespace.ns.inum",
    siginfo_code: "kernel_siginfo.si_code",
    siginfo_pid: "kernel_siginfo._sifields._sigchld._pid",
    mm_arg_start: "mm_struct.arg_start",
    mm_arg_end: "mm_struct.arg_end",
    binprm_filename: "linux_binprm.filename",
    task_stack: "task_struct.stack",
    /// Signals to the process that no thread has taken: which, and the queue of what they say.
    signal_pending_set: "signal_struct.shared_pending.signal.sig",
    signal_pending_list: "signal_struct.shared_pending.list",
    /// The threads that wait for a child: the queue, its entries, and the arguments of a wait call that an entry is part of.
    signal_waiters: "signal_struct.wait_chldexit.head",
    waiter_task: "wait_queue_entry.private",
    waiter_list: "wait_queue_entry.entry",
    wait_call_entry: "wait_opts.child_wait",
    wait_call_type: "wait_opts.wo_type",
    wait_call_options: "wait_opts.wo_flags",
    wait_call_pid: "wait_opts.wo_pid",
    task_io_uring: "task_struct.io_uring",
    list_next: "list_head.next",
    sigqueue_list: "sigqueue.list",
    sigqueue_info: "sigqueue.info",
    siginfo_signo: "kernel_siginfo.si_signo",
    /// The first argument and the result of a function, in the registers of x86-64 or arm64.
    regs_argument: "pt_regs.di|user_pt_regs.regs",
    regs_result: "pt_regs.ax|user_pt_regs.regs",
    /// Number, third and fourth argument of a system call, the size of all.
    regs_syscall: "pt_regs.orig_ax|pt_regs.syscallno",
    regs_third: "pt_regs.dx|pt_regs.regs[2]",
    regs_fourth: "pt_regs.r10|pt_regs.regs[3]",
    regs_size: "pt_regs",
    /// Where a task went on in user space after the system call, its stack, and its frame.
    regs_ip: "pt_regs.ip|pt_regs.pc",
    regs_sp: "pt_regs.sp",
    regs_fp: "pt_regs.bp|pt_regs.regs[29]",
    /// Where vfork of glibc keeps its return address; the link register of arm64.
    regs_link: "pt_regs.di|pt_regs.regs[30]",
    /// What C's thread-local storage of a thread is found by.
    task_tls: "task_struct.thread.fsbase|task_struct.thread.uw.tp_value",
    /// Who a process was that dies, and what it has used.
    task_real_cred: "task_struct.real_cred",
    cred_uid: "cred.uid",
    /// Its PIDTYPE_SID.
    signal_session: "signal_struct.pids[3]",
    signal_tty: "signal_struct.tty",
    tty_name: "tty_struct.name",
    task_cgroups: "task_struct.cgroups",
    css_set_cgroup: "css_set.dfl_cgrp",
    cgroup_node: "cgroup.kn",
    node_id: "kernfs_node.id",
    /// The most memory that it had at once, in pages; the kernel writes it when the last thread begins to exit.
    signal_maxrss: "signal_struct.maxrss",
    /// What a thread has run, what all that are released have run, and the lock under which a thread goes from one to the other.
    task_run_ns: "task_struct.se.sum_exec_runtime",
    signal_run_ns: "signal_struct.sum_sched_runtime",
    signal_stats_sequence: "signal_struct.stats_lock.seqcount.seqcount.sequence",
    signal_threads: "signal_struct.thread_head",
    task_thread_node: "task_struct.thread_node",
    /// Not from BTF but from the tracepoint's format in tracefs.
    exit_wait4_ret: "syscalls:sys_exit_wait4.ret",
    exit_waitid_ret: "syscalls:sys_exit_waitid.ret",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_says_which_member_it_stands_for_and_nothing_else_is_one() {
        for member in 0..Offsets::FIELDS {
            for word in 0..WORDS {
                assert_eq!(placed(placeholder(member, word)), Some((member, word)));
            }
        }
        for other in [i16::MIN, -8, 0, 8, PLACEHOLDERS - 1, placeholder(Offsets::FIELDS, 0), i16::MAX] {
            assert_eq!(placed(other), None);
        }
    }
}
