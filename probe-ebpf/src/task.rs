//! Reads kernel memory: the only file that does. All offsets come from the running kernel's BTF.
//!
//! Must not know events or maps. A failed read yields zero, however it was made.

use core::{marker::PhantomData, mem::MaybeUninit};

use aya_ebpf::helpers::{
    bpf_get_current_task, bpf_probe_read_kernel_str_bytes, bpf_probe_read_user, bpf_probe_read_user_buf,
    generated::{bpf_get_current_task_btf, bpf_probe_read_kernel},
};
use probe_common::{
    offsets::{Offsets, placeholder},
    settings::Settings,
    wire::{ARGS_LEN, COMM_LEN, ExecEvent, ParentKey, TaskRef},
};

/// Set by the collector before loading.
#[unsafe(no_mangle)]
static OFFSETS: Offsets = Offsets::NONE;
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings::DEFAULT;

/// One of the collector's [`Settings`]. Volatile, because it is set before loading; a constant to the verifier.
#[macro_export]
macro_rules! setting {
    ($name:ident) => {
        // SAFETY: our own constant.
        unsafe { core::ptr::read_volatile(&raw const $crate::task::SETTINGS.$name) }
    };
}

const PF_EXITING: u32 = 4;
const SIGNAL_GROUP_EXIT: u32 = 4;
const SIG_IGN: u64 = 1;
const SA_NOCLDWAIT: u64 = 2;
const SIGCHLD: i32 = 17;

macro_rules! offset {
    ($field:ident) => {
        constant(&raw const OFFSETS.$field)
    };
}

#[inline(always)]
fn constant(field: *const u32) -> u64 {
    // SAFETY: points into our own constant; volatile because the collector rewrites it before loading.
    u64::from(unsafe { core::ptr::read_volatile(field) })
}

/// Reads a number at `base + offset`, or zero. Without a branch: each would double the paths the verifier follows.
#[inline(always)]
fn read<T: Copy + Default>(base: u64, offset: u64) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: value is as long as stated; probe_read checks the address itself, fails instead of faulting, and then
    // zeroes its target: written in either case, and every T here may be any bits.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, (base + offset) as *const _);
        value.assume_init()
    }
}

/// Zeroes what is there: the helper zeroes its target where it cannot read, and nothing can be read at address 0. One
/// call, where the compiler would store big things word by word.
///
/// # Safety
/// `target` must be a value of our own map.
#[inline(always)]
pub unsafe fn zero<T>(target: *mut T) {
    // SAFETY: the caller's; the size is the type's.
    unsafe { bpf_probe_read_kernel(target.cast(), size_of::<T>() as u32, core::ptr::null()) };
}

/// A pointer as a mere number: the verifier does not follow one through a negation.
#[inline(always)]
fn untyped(pointer: u64) -> u64 {
    let mut number = pointer;
    // SAFETY: arithmetic.
    unsafe { core::arch::asm!("{0} = -{0}", "{0} = -{0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}

/// `value`, of which the verifier forgets what it knows: from here on it follows one state instead of one for every way
/// the value came about. `any`: a number it knows nothing of.
#[inline(always)]
pub fn forgotten(value: u32, any: &u32) -> u32 {
    // SAFETY: a reference; volatile, or the compiler would see through it.
    let any = || unsafe { core::ptr::read_volatile(any) };
    value.wrapping_add(any()).wrapping_sub(any())
}

/// How a member is read.
pub trait Memory: Copy + PartialEq {
    /// Member number `MEMBER` of [`Offsets`] of what is at `base`; `WORD`: 1 for the eight bytes after its first.
    fn read<T: Copy + Default, const MEMBER: usize, const WORD: usize>(base: u64) -> T;
}

macro_rules! member {
    ($memory:ty, $base:expr, $field:ident) => {
        member!($memory, $base, $field, 0)
    };
    ($memory:ty, $base:expr, $field:ident, $word:literal) => {
        <$memory>::read::<_, { core::mem::offset_of!(Offsets, $field) / size_of::<u32>() }, $word>($base)
    };
}

/// Through a pointer whose type the verifier knows: one instruction, whose offset the collector writes into it before
/// loading, and none of a helper's cost. But for each *pointer* loaded through an argument, or through a `group_leader`
/// or `real_parent` loaded from one, the verifier goes through all names of the kernel's types up to four times
/// (`btf_nested_type_is_trusted`, 0.4 ms each on 6.18); not so through a `parent` or a `signal`. So these are what is
/// loaded from, each once; what is rarely needed is read [`Untyped`].
///
/// Where the pointer was itself loaded, a fault reads as zero; a program's own argument is trusted, and a load through
/// one that is NULL is a kernel oops: an argument that can be NULL must never become a typed task.
#[derive(Clone, Copy, PartialEq)]
pub struct Typed;

/// Through any number: a helper call.
#[derive(Clone, Copy, PartialEq)]
pub struct Untyped;

impl Memory for Typed {
    #[inline(always)]
    fn read<T: Copy + Default, const MEMBER: usize, const WORD: usize>(base: u64) -> T {
        let bits: u64;
        // SAFETY: the verifier follows the pointer by its type and refuses what is not a member; a load that faults
        // yields zero. The target is little endian: the low bytes of a register are the value's.
        unsafe {
            if size_of::<T>() == 8 {
                core::arch::asm!("{0} = *(u64 *)({1} + {2})", out(reg) bits, in(reg) base,
                    const placeholder(MEMBER, WORD));
            } else {
                const { assert!(size_of::<T>() == 8 || size_of::<T>() == 4) };
                core::arch::asm!("{0} = *(u32 *)({1} + {2})", out(reg) bits, in(reg) base,
                    const placeholder(MEMBER, WORD));
            }
            core::mem::transmute_copy(&bits)
        }
    }
}

impl Memory for Untyped {
    #[inline(always)]
    fn read<T: Copy + Default, const MEMBER: usize, const WORD: usize>(base: u64) -> T {
        // SAFETY: within OFFSETS, whose fields are all of that type.
        let field = unsafe { (&raw const OFFSETS).cast::<u32>().add(MEMBER) };
        read(base, constant(field) + 8 * WORD as u64)
    }
}

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
#[macro_export]
macro_rules! with_current {
    (|$current:ident| $body:expr) => {
        if $crate::setting!(typed_current) != 0 {
            let $current = $crate::task::TypedTask::current_typed();
            $body
        } else {
            let $current = $crate::task::TaskPtr::current();
            $body
        }
    };
}

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
        untyped(self.0)
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
    pub fn is_exiting(self) -> bool {
        let flags: u32 = member!(M, self.0, task_flags);
        flags & PF_EXITING != 0
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
    /// How `of`, a parent, sees this leader, which shares `signal` with its threads.
    #[inline(always)]
    pub fn as_seen_by<N: Memory>(self, of: TaskPtr<N>, signal: SignalPtr<M>) -> SeenAs {
        // A parent is never deeper than its child, whose own level is at hand.
        if signal.level() == 0 {
            return SeenAs { nr: self.tgid(), ns_inum: 0, by_init: of.tgid() == 1 };
        }
        let of_signal = of.signal();
        let level = of_signal.level();
        if level == 0 {
            return SeenAs { nr: self.tgid(), ns_inum: 0, by_init: of.tgid() == 1 };
        }
        let number = of_signal.number_at(level);
        SeenAs {
            nr: inner_pid(signal.number_at(level)),
            ns_inum: ns_inum(number),
            by_init: inner_pid(number) == 1,
        }
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
        leader.process_of_leader(leader.signal())
    }
    /// The same, of a leader and what it shares with its threads.
    #[inline(always)]
    pub fn process_of_leader(self, signal: SignalPtr<M>) -> TaskRef {
        let tgid = self.tgid();
        let level = signal.level();
        let ns_pid = if level == 0 { tgid } else { inner_pid(signal.number_at(level)) };
        TaskRef { start_boottime_ns: self.start_boottime_ns(), tgid, ns_pid, comm: self.comm() }
    }
    /// Two words: the verifier knows an array of bytes, read by the word, but no array at once.
    #[inline(always)]
    fn comm(self) -> [u8; COMM_LEN] {
        let words: [u64; 2] = [member!(M, self.0, task_comm), member!(M, self.0, task_comm, 1)];
        // SAFETY: any bits are bytes.
        unsafe { core::mem::transmute(words) }
    }
}

/// Evaluates `$body` with `$parent`, the real parent of `$task`, and `$told`, who is to be told of its death: the same but
/// for a traced child's, and then the first is in the form that costs the verifier least too.
#[macro_export]
macro_rules! with_real_parent {
    ($task:expr, |$parent:ident, $told:pat_param| $body:expr) => {{
        // In this order: of two equal values the compiler keeps the first.
        let told = $task.notified_parent();
        let real_parent = $task.real_parent().0;
        let $told = told;
        if told.0 == real_parent {
            let $parent = told;
            $body
        } else {
            let $parent = $crate::task::TaskPtr::<$crate::task::Untyped>::at(real_parent);
            $body
        }
    }};
}

/// A `struct signal_struct *`: what the threads of a process share.
#[derive(Clone, Copy)]
pub struct SignalPtr<M: Memory> {
    address: u64,
    memory: PhantomData<M>,
}

impl<M: Memory> SignalPtr<M> {
    /// Threads not yet through the start of `do_exit`.
    pub fn live_threads(self) -> i32 {
        member!(M, self.address, signal_live)
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
    fn level(self) -> u32 {
        member!(M, self.pid(), pid_level)
    }
    /// Address of its number at a level. At a variable distance: untyped from here on.
    fn number_at(self, level: u32) -> u64 {
        // 32 is the kernel's MAX_PID_NS_LEVEL; the mask keeps the verifier's arithmetic bounded.
        untyped(self.pid()) + offset!(pid_numbers) + u64::from(level & 63) * offset!(upid_size)
    }
    /// Inode of its PID namespace, 0 for the initial one.
    #[inline(always)]
    pub fn pid_ns_inum(self) -> u32 {
        let level = self.level();
        if level == 0 { 0 } else { ns_inum(self.number_at(level)) }
    }
}

/// What is rarely asked for, in a function of its own: what the verifier learns in it, it forgets at its end.
#[inline(always)]
pub fn process_of(task: TaskPtr<Untyped>) -> TaskRef {
    let mut process = TaskRef::NONE;
    describe_process(task, &mut process);
    process
}

#[inline(never)]
pub fn describe_process(task: TaskPtr<Untyped>, process: &mut TaskRef) {
    *process = task.process();
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
    let code = words[0] as i32;
    // CLD_EXITED, CLD_KILLED, CLD_DUMPED.
    if !(1..=3).contains(&code) {
        return None;
    }
    let distance = (offset!(siginfo_pid) - offset!(siginfo_code)) / 4;
    Some(words[(distance & 3) as usize])
}

/// `si_pid` of a siginfo that waitid filled in user memory, if it tells of a death.
pub fn waited_pid(infop: u64) -> Option<u32> {
    // SAFETY: probe_read_user checks the address and fails instead of faulting.
    let code: i32 = unsafe { bpf_probe_read_user((infop + offset!(siginfo_code)) as *const i32) }.ok()?;
    if !(1..=3).contains(&code) {
        return None;
    }
    // SAFETY: as above.
    unsafe { bpf_probe_read_user((infop + offset!(siginfo_pid)) as *const u32) }.ok()
}

/// Writes path and arguments of what `current` now runs.
///
/// # Safety
/// `record` must point to a reserved [`ExecEvent`].
pub unsafe fn write_program(record: *mut ExecEvent, current: TypedTask, binprm: u64) {
    let filename: u64 = read(binprm, offset!(binprm_filename));
    let mm: u64 = member!(Untyped, current.0, task_mm);
    let start: u64 = read(mm, offset!(mm_arg_start));
    let end: u64 = read(mm, offset!(mm_arg_end));
    // SAFETY: the caller's: record is ours to write, whole; probe_read checks what it reads.
    unsafe {
        (*record).executable[0] = 0;
        let _ = bpf_probe_read_kernel_str_bytes(filename as *const u8, &mut (*record).executable);
        let len = end.wrapping_sub(start);
        (*record).args_cut = u32::from(len > ARGS_LEN as u64);
        // A read of fixed size: argv is followed by the environment. Right at the end of the stack it fails.
        let args = &mut (*record).args;
        let read = bpf_probe_read_user_buf(start as *const u8, args).is_ok();
        (*record).args_len = if !read {
            0
        } else if len > ARGS_LEN as u64 {
            ARGS_LEN as u32
        } else {
            len as u32
        };
    }
}

/// What a program's context holds, as numbers. The places differ by architecture and kernel, the object does not.
pub mod record {
    use super::*;

    /// The first argument of the function a kprobe stands on.
    pub fn kprobe_argument(context: *const core::ffi::c_void) -> u64 {
        read(context as u64, offset!(regs_argument))
    }

    /// What the function a kretprobe stands on returns.
    pub fn kretprobe_result(context: *const core::ffi::c_void) -> u64 {
        read(context as u64, offset!(regs_result))
    }

    /// Where this has been on every kernel since there are such tracepoints; loaded in place there.
    const USUAL_EXIT_RET: u64 = 16;

    #[inline(always)]
    pub fn exit_wait4_ret(context: *const core::ffi::c_void) -> i64 {
        if offset!(exit_wait4_ret) == USUAL_EXIT_RET {
            // SAFETY: within the record, says the format; the verifier knows its size.
            return unsafe { context.byte_add(USUAL_EXIT_RET as usize).cast::<i64>().read_volatile() };
        }
        read(context as u64, offset!(exit_wait4_ret))
    }
    pub fn exit_waitid_ret(context: *const core::ffi::c_void) -> i64 {
        read(context as u64, offset!(exit_waitid_ret))
    }
    pub fn enter_waitid_infop(context: *const core::ffi::c_void) -> u64 {
        read(context as u64, offset!(enter_waitid_infop))
    }
    pub fn enter_waitid_options(context: *const core::ffi::c_void) -> u64 {
        read(context as u64, offset!(enter_waitid_options))
    }
}
