//! Tasks and what the kernel keeps of them. Must not know events or maps.

use core::marker::PhantomData;

use aya_ebpf::helpers::{bpf_get_current_task, generated::bpf_get_current_task_btf};
use probe_common::wire::{COMM_LEN, DeadFlags, ParentKey, TaskRef, TaskTraits};

use crate::{
    kernel::{
        memory::read,
        typed::{Memory, Typed, Untyped, member},
    },
    settings::{has_member, offset},
    verifier::as_scalar,
};

const PF_EXITING: u32 = 4;
const PF_KTHREAD: u32 = 0x0020_0000;
const SIGNAL_GROUP_EXIT: u32 = 4;
const SIG_IGN: u64 = 1;
const SA_NOCLDWAIT: u64 = 2;
pub const SIGCHLD: i32 = 17;
pub const SIGKILL: u32 = 9;

/// A `struct task_struct *`.
#[derive(Clone, Copy, PartialEq)]
pub struct TaskPtr<M: Memory>(pub u64, PhantomData<M>);

/// One that came as a typed argument.
pub type TypedTask = TaskPtr<Typed>;

impl TypedTask {
    /// The current task; only where [`Settings::typed_current`] says so.
    #[inline(always)]
    pub fn current_typed() -> Self {
        // SAFETY: a helper without arguments.
        Self::at(unsafe { bpf_get_current_task_btf() } as u64)
    }
}

impl TaskPtr<Untyped> {
    /// The current task, on every kernel.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: a helper without arguments.
        Self::at(unsafe { bpf_get_current_task() })
    }
}

/// Evaluates `$body` with `$current`, the current task, in the best form this kernel has.
macro_rules! with_current {
    (|$current:ident| $body:expr) => {
        if $crate::settings::setting!(typed_current) != 0 {
            let $current = $crate::kernel::task::TypedTask::current_typed();
            $body
        } else {
            let $current = $crate::kernel::task::TaskPtr::current();
            $body
        }
    };
}

pub(crate) use with_current;

impl<M: Memory> TaskPtr<M> {
    #[inline(always)]
    pub fn at(address: u64) -> Self {
        Self(address, PhantomData)
    }
    pub fn is_null(self) -> bool {
        self.0 == 0
    }
    /// Its address as a mere number, where the verifier insists on one.
    #[inline(always)]
    pub fn address(self) -> u64 {
        as_scalar(self.0)
    }
    /// The same task, for what is rarely read of it.
    #[inline(always)]
    pub fn untyped(self) -> TaskPtr<Untyped> {
        TaskPtr::at(self.0)
    }
    pub fn pid(self) -> u32 {
        member!(M, self.0, task_pid)
    }
    pub fn tgid(self) -> u32 {
        member!(M, self.0, task_tgid)
    }
    pub fn leader(self) -> Self {
        Self::at(member!(M, self.0, task_group_leader))
    }
    pub fn real_parent(self) -> Self {
        Self::at(member!(M, self.0, task_real_parent))
    }
    /// `task->parent`: the tracer while traced, else the real parent.
    pub fn notified_parent(self) -> Self {
        Self::at(member!(M, self.0, task_parent))
    }
    pub fn start_boottime_ns(self) -> u64 {
        member!(M, self.0, task_start_boottime)
    }
    pub fn exit_signal(self) -> i32 {
        member!(M, self.0, task_exit_signal)
    }
    pub fn exit_state(self) -> u32 {
        member!(M, self.0, task_exit_state)
    }
    /// Whether it has children. Those of a process are shared out among its threads, by which one forked them; a thread
    /// that exits leaves its own to another one.
    pub fn has_children(self) -> bool {
        let first: u64 = member!(M, self.0, task_children);
        // The verifier allows one pointer less another, and takes it for any number.
        first.wrapping_sub(self.0) != offset!(task_children)
    }
    /// Whether it has used io_uring, which may wait for children on its behalf.
    pub fn uses_io_uring(self) -> bool {
        let context: u64 =
            if has_member!(task_io_uring) { read(self.address(), offset!(task_io_uring)) } else { 0 };
        context != 0
    }
    pub fn is_exiting(self) -> bool {
        let flags: u32 = member!(M, self.0, task_flags);
        flags & PF_EXITING != 0
    }
    pub fn is_kernel_thread(self) -> bool {
        let flags: u32 = member!(M, self.0, task_flags);
        flags & PF_KTHREAD != 0
    }
    /// Whether somebody traces it, or this kernel does not say.
    pub fn may_be_traced(self) -> bool {
        if !has_member!(task_ptrace) {
            return true;
        }
        let traced: u32 = member!(M, self.0, task_ptrace);
        traced != 0
    }
    /// Whether this leader is the init of a PID namespace.
    pub fn is_init_of_namespace(self) -> bool {
        let signal = self.signal();
        inner_pid(signal.number_at(signal.level())) == 1
    }
    /// How deep the PID namespace of this task is, which is not released.
    pub fn level(self) -> u32 {
        let pid: u64 = member!(M, self.0, task_thread_pid);
        member!(M, pid, pid_level)
    }
    pub fn signal(self) -> SignalPtr<M> {
        SignalPtr { address: member!(M, self.0, task_signal), memory: PhantomData }
    }
    /// The status a wait would return: of a leader. As `wait_task_zombie` computes it.
    pub fn wait_status(self, signal: SignalPtr<M>) -> u32 {
        let flags: u32 = member!(M, signal.address, signal_flags);
        if flags & SIGNAL_GROUP_EXIT != 0 {
            member!(M, signal.address, signal_group_exit_code)
        } else {
            member!(M, self.0, task_exit_code)
        }
    }
    /// Whether this parent has the kernel reap its children: SIGCHLD ignored, or SA_NOCLDWAIT.
    pub fn autoreaps(self) -> bool {
        let sighand: u64 = member!(M, self.0, task_sighand);
        let handler: u64 = member!(M, sighand, sighand_sigchld_handler);
        let flags: u64 = member!(M, sighand, sighand_sigchld_flags);
        handler == SIG_IGN || flags & SA_NOCLDWAIT != 0
    }
    /// The same of a child of whose death it is sent SIGCHLD. If it ignores SIGCHLD, none is sent but of a child that it
    /// traces itself, and that one stays.
    pub fn autoreaps_though_signalled(self) -> bool {
        let sighand: u64 = member!(M, self.0, task_sighand);
        let handler: u64 = member!(M, sighand, sighand_sigchld_handler);
        let flags: u64 = member!(M, sighand, sighand_sigchld_flags);
        handler != SIG_IGN && flags & SA_NOCLDWAIT != 0
    }
    /// Whether `of`, a parent, calls this leader `nr`.
    #[inline(always)]
    pub fn is_seen_as(self, nr: u32, of: Self) -> bool {
        let signal = self.signal();
        // As above.
        let level = if signal.level() == 0 { 0 } else { of.signal().level() };
        let own = if level == 0 { self.tgid() } else { inner_pid(signal.number_at(level)) };
        own == nr
    }
    /// Who this task's process is, and no more.
    #[inline(always)]
    pub fn identity(self) -> ParentKey {
        self.leader().identity_of_leader()
    }
    /// The same, of a leader.
    #[inline(always)]
    pub fn identity_of_leader(self) -> ParentKey {
        ParentKey { tgid: self.tgid(), start_boottime_ns: self.start_boottime_ns(), reserved: 0 }
    }
    /// The process this task belongs to.
    #[inline(always)]
    pub fn process(self) -> TaskRef {
        let leader = self.leader();
        let signal = leader.signal();
        leader.process_of_leader(signal, signal.level())
    }
    /// The same, of a leader, what it shares with its threads, and how deep its PID namespace is.
    #[inline(always)]
    pub fn process_of_leader(self, signal: SignalPtr<M>, level: u32) -> TaskRef {
        let tgid = self.tgid();
        let ns_pid = if level == 0 { tgid } else { inner_pid(signal.number_at(level)) };
        TaskRef { start_boottime_ns: self.start_boottime_ns(), tgid, ns_pid, comm: self.comm() }
    }
    /// Writes its name by the word.
    ///
    /// # Safety
    /// `to` must be ours to write, at a multiple of eight.
    #[inline(always)]
    pub unsafe fn name(self, to: *mut [u8; COMM_LEN]) {
        let to = to.cast::<u64>();
        // SAFETY: the caller's.
        unsafe {
            to.write(member!(M, self.0, task_comm));
            to.add(1).write(member!(M, self.0, task_comm, 1));
        }
    }
    /// Two words: the verifier knows an array of bytes, read by the word, but no array at once.
    #[inline(always)]
    fn comm(self) -> [u8; COMM_LEN] {
        let words: [u64; 2] = [member!(M, self.0, task_comm), member!(M, self.0, task_comm, 1)];
        // SAFETY: any bits are bytes.
        unsafe { core::mem::transmute(words) }
    }
}

/// A `struct signal_struct *`: what the threads of a process share.
#[derive(Clone, Copy)]
pub struct SignalPtr<M: Memory> {
    address: u64,
    memory: PhantomData<M>,
}

impl<M: Memory> SignalPtr<M> {
    /// Its address as a mere number.
    #[inline(always)]
    pub fn address(self) -> u64 {
        as_scalar(self.address)
    }
    /// Whether all threads are on their way out.
    pub fn is_group_exit(self) -> bool {
        let flags: u32 = member!(M, self.address, signal_flags);
        flags & SIGNAL_GROUP_EXIT != 0
    }
    /// Where all threads are on their way out: whether that is because of this signal.
    pub fn is_dying_of(self, signal: u32) -> bool {
        let code: u32 = member!(M, self.address, signal_group_exit_code);
        code == signal
    }
    /// Whether the kernel chose it to end because memory ran out.
    pub fn is_chosen_for_memory(self) -> bool {
        let memory: u64 =
            if has_member!(signal_oom_mm) { member!(M, self.address, signal_oom_mm) } else { 0 };
        memory != 0
    }
    /// Threads not yet through the start of `do_exit`.
    pub fn live_threads(self) -> i32 {
        member!(M, self.address, signal_live)
    }
    /// Whether a SIGCHLD to the process is pending that no thread has taken.
    #[inline(always)]
    pub fn has_sigchld_pending(self) -> bool {
        let pending: u64 = member!(M, self.address, signal_pending_set);
        pending & 1 << (SIGCHLD - 1) != 0
    }
    /// Whether a thread is in a wait call, for whichever child; empty: this kernel does not say.
    #[inline(always)]
    pub fn readiness(self) -> DeadFlags {
        if !has_member!(signal_waiters) {
            return DeadFlags::empty();
        }
        let first: u64 = member!(M, self.address, signal_waiters);
        // As above.
        if first.wrapping_sub(self.address) == offset!(signal_waiters) {
            DeadFlags::NOBODY_WAITED
        } else {
            DeadFlags::WAITED
        }
    }
    /// Address of the list of the threads that are in a wait call, as a mere number.
    #[inline(always)]
    pub fn waiters(self) -> u64 {
        as_scalar(self.address) + offset!(signal_waiters)
    }
    /// Whether it is `other`'s: of two tasks with one, both are threads of one process.
    pub fn is<N: Memory>(self, other: SignalPtr<N>) -> bool {
        as_scalar(self.address) == as_scalar(other.address)
    }
    /// Address of the queue of what the pending signals say, as a mere number.
    pub fn pending_list(self) -> u64 {
        as_scalar(self.address) + offset!(signal_pending_list)
    }
    /// Threads not yet released.
    pub fn nr_threads(self) -> i32 {
        member!(M, self.address, signal_nr_threads)
    }
    /// The process's `struct pid *`.
    fn pid(self) -> u64 {
        member!(M, self.address, signal_pid)
    }
    /// How deep its PID namespace is.
    #[inline(always)]
    pub fn level(self) -> u32 {
        member!(M, self.pid(), pid_level)
    }
    /// How `of`, a parent with this tgid, sees `process`, whose threads share this, in a PID namespace as deep as `level`.
    #[inline(always)]
    pub fn seen_by<N: Memory>(self, process: &TaskRef, level: u32, of: TaskPtr<N>, of_tgid: u32) -> SeenAs {
        let in_initial = SeenAs { nr: process.tgid, ns_inum: 0, by_init: of_tgid == 1 };
        // A parent is never deeper than its child, whose own level is at hand.
        if level == 0 {
            return in_initial;
        }
        let of_signal = of.signal();
        let level = of_signal.level();
        if level == 0 {
            return in_initial;
        }
        let number = of_signal.number_at(level);
        SeenAs {
            nr: inner_pid(self.number_at(level)),
            ns_inum: ns_inum(number),
            by_init: inner_pid(number) == 1,
        }
    }
    /// Address of its number at a level. At a variable distance: untyped from here on.
    fn number_at(self, level: u32) -> u64 {
        // 32 is the kernel's MAX_PID_NS_LEVEL; the mask keeps the verifier's arithmetic bounded.
        as_scalar(self.pid()) + offset!(pid_numbers) + u64::from(level & 63) * offset!(upid_size)
    }
    /// Inode of its PID namespace, 0 for the initial one.
    #[inline(always)]
    pub fn pid_ns_inum(self) -> u32 {
        let level = self.level();
        if level == 0 { 0 } else { ns_inum(self.number_at(level)) }
    }
}

/// [`TaskPtr::process`] where it is rarely needed.
#[inline(always)]
pub fn process_of(task: TaskPtr<Untyped>) -> TaskRef {
    let mut process = TaskRef::NONE;
    describe_process(task, &mut process);
    process
}

/// Leaf function, see `verifier`.
#[inline(never)]
pub fn describe_process(task: TaskPtr<Untyped>, process: &mut TaskRef) {
    *process = task.process();
}

/// What a zombie and its parent say of each other. Leaf function, see `verifier`.
#[inline(never)]
pub fn traits_of(zombie: TaskPtr<Untyped>, parent: TaskPtr<Untyped>) -> u32 {
    let mut traits = TaskTraits::empty();
    if has_member!(task_parent_exec_id) && has_member!(task_self_exec_id) {
        let at_birth: u64 = read(zombie.0, offset!(task_parent_exec_id));
        let now: u64 = read(parent.0, offset!(task_self_exec_id));
        traits =
            traits.union(if at_birth == now { TaskTraits::SAME_PROGRAM } else { TaskTraits::OTHER_PROGRAM });
    }
    if zombie.exit_signal() != SIGCHLD {
        traits = traits.union(TaskTraits::CLONE_CHILD);
    }
    if has_member!(signal_is_child_subreaper) {
        let byte: u8 = read(parent.signal().address, offset!(signal_is_child_subreaper));
        if byte & 1 != 0 {
            traits = traits.union(TaskTraits::UNDER_SUBREAPER);
        }
    }
    traits.bits()
}

/// A dead process in the eyes of another, its parent.
pub struct SeenAs {
    /// Its pid in the other's PID namespace.
    pub nr: u32,
    /// Inode of that namespace; 0 for the initial one.
    pub ns_inum: u32,
    /// The other is that namespace's init.
    pub by_init: bool,
}

/// `upid.nr`.
#[inline(never)]
fn inner_pid(number: u64) -> u32 {
    read(number, offset!(upid_nr))
}

/// `upid.ns->ns.inum`.
#[inline(never)]
fn ns_inum(number: u64) -> u32 {
    let ns: u64 = read(number, offset!(upid_ns));
    read(ns, offset!(pidns_inum))
}
