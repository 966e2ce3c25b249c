//! The maps, and how an event leaves. Sizes here are defaults; the collector may set others at load.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use probe_common::wire::{
    Event, ExecEvent, Followed, Life, LifeSlot, NsPid, ParentClaim, ParentKey, ParentRecord, Settled,
    TaskRef, WaitidCall, kind, loss,
};

use crate::{follow::asked, parent::key_of, setting};

/// Bytes pending at which the reader is woken before its timer.
const WAKE_AT_BYTES: u64 = 256 * 1024;
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;
const BPF_F_MMAPABLE: u32 = 1024;

#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(8 * 1024 * 1024, 0);
/// A life by the low bits of its tgid: no hash, and look-ups in arrays are part of the program.
#[map]
pub static LIFE_SLOTS: Array<LifeSlot> = Array::with_max_entries(1, 0);
/// By tgid, those whose slot is somebody else's; all where there are no slots.
#[map]
pub static LIVES: HashMap<u32, Life> = HashMap::with_max_entries(32_768, 0);
/// 1 once a life found no room: from then on its death, booked at the exit, must not be booked again.
#[map]
pub static LIVES_WERE_FULL: Array<u32> = Array::with_max_entries(1, 0);
#[map]
pub static NS_PIDS: HashMap<NsPid, u32> = HashMap::with_max_entries(16_384, 0);
/// Whose the records in PARENT_SLOTS are. The collector maps it into its memory, and finds those that are claimed.
#[map]
pub static PARENT_CLAIMS: Array<ParentClaim> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// A parent by the low bits of its tgid. Nobody maps it: but what can be mapped begins at a page, and so each record at a
/// cache line.
#[map]
pub static PARENT_SLOTS: Array<ParentRecord> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// Those whose slot is somebody else's; all where there are no slots. Preallocated, as all are: memory asked for in the
/// middle of a fork is refused now and then, far from any limit.
#[map]
pub static PARENTS: HashMap<ParentKey, ParentRecord> = HashMap::with_max_entries(8_192, 0);
/// Never written: the zeroed record that new parents are copied from (too big for the stack).
#[map]
pub static BLANK_PARENT: Array<ParentRecord> = Array::with_max_entries(1, 0);
/// What parents had that are gone and left nothing to tell.
#[map]
pub static SETTLED: PerCpuArray<Settled> = PerCpuArray::with_max_entries(1, 0);
/// The processes asked for, by tgid.
#[map]
pub static FOLLOWED: HashMap<u32, Followed> = HashMap::with_max_entries(32_768, 0);
#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(loss::REASONS, 0);
/// waitid calls under way, keyed by pid_tgid. LRU: a killed thread never returns.
#[map]
pub static WAITID_CALLS: LruHashMap<u64, WaitidCall> = LruHashMap::with_max_entries(4_096, 0);
/// The task `do_notify_parent` was entered with on this CPU (it runs with interrupts off), for the kretprobe.
#[map]
pub static NOTIFIED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The slot of lives with the low bits of `tgid`, where there are slots.
#[inline(always)]
pub fn slot_of(tgid: u32) -> Option<*mut LifeSlot> {
    let slots = setting!(life_slots);
    if slots == 0 {
        return None;
    }
    LIFE_SLOTS.get_ptr_mut(tgid & (slots - 1))
}

/// Has the cache line of `word` on its way before it is needed: what changes it atomically waits for it, and for all before.
///
/// # Safety
/// `word` must point into a map value.
#[inline(always)]
pub unsafe fn will_need<T: Copy>(word: *const T) {
    // SAFETY: the caller's; volatile, or nothing would be read.
    let _ = unsafe { word.read_volatile() };
}

/// Counts something that did not fit.
pub fn lose(reason: u32) {
    if let Some(count) = LOSSES.get_ptr_mut(reason) {
        // SAFETY: a per-CPU slot of this program's own map.
        unsafe { *count += 1 };
    }
}

fn wake_flag() -> u64 {
    if EVENTS.query(BPF_RB_AVAIL_DATA) >= WAKE_AT_BYTES { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }
}

/// One stage, as it is sent. Absent tasks are zero.
pub struct Stage<'a> {
    pub time_ns: u64,
    pub kind: u32,
    pub flags: u32,
    pub process: &'a TaskRef,
    pub parent: &'a TaskRef,
    pub other: Option<&'a TaskRef>,
    pub exit_ns: u64,
    pub zombie_ns: u64,
    pub status: u32,
}

/// Sends a stage or counts it as lost. Written in place, field by field: an [`Event`] does not fit the stack twice, and
/// copying one is a call with a byte loop, which costs the verifiers of older kernels hundreds of thousands of steps.
#[inline(always)]
pub fn send(stage: &Stage) {
    if (setting!(min_latency_ns) != 0 && stage.kind != kind::REAP)
        || !asked(&key_of(stage.process), &key_of(stage.parent))
    {
        return;
    }
    // SAFETY: a reserved Event of ours, written whole.
    send_event(|event| unsafe { write_stage(event, stage) });
}

/// Sends an event; `fill` writes it whole, in place.
#[inline(always)]
pub fn send_event(fill: impl FnOnce(*mut Event)) {
    match EVENTS.reserve::<Event>(0) {
        Some(mut entry) => {
            fill(entry.as_mut_ptr());
            entry.submit(wake_flag());
        }
        None => lose(loss::RING_FULL),
    }
}

/// Copies a task by the word: the compiler would call a loop over bytes.
///
/// # Safety
/// `to` must be ours to write.
#[inline(always)]
pub unsafe fn copy_task(to: *mut TaskRef, from: &TaskRef) {
    // SAFETY: the caller's; four words, as the layout says.
    unsafe {
        let (to, from) = (to.cast::<u64>(), (&raw const *from).cast::<u64>());
        for word in 0..size_of::<TaskRef>() / size_of::<u64>() {
            to.add(word).write_volatile(from.add(word).read_volatile());
        }
    }
}

/// Writes a task of which no more is known than who it is.
///
/// # Safety
/// `to` must be ours to write.
#[inline(always)]
pub unsafe fn name_task(to: *mut TaskRef, key: &ParentKey) {
    // SAFETY: the caller's.
    unsafe {
        (*to).start_boottime_ns = key.start_boottime_ns;
        (*to).tgid = key.tgid;
        (*to).ns_pid = 0;
        let comm = (&raw mut (*to).comm).cast::<u64>();
        comm.write_volatile(0);
        comm.add(1).write_volatile(0);
    }
}

/// Writes every field.
///
/// # Safety
/// `event` must be ours to write.
#[inline(always)]
pub unsafe fn write_stage(event: *mut Event, stage: &Stage) {
    // SAFETY: the caller's.
    unsafe {
        (*event).time_ns = stage.time_ns;
        (*event).kind = stage.kind;
        (*event).flags = stage.flags;
        (*event).process = *stage.process;
        (*event).parent = *stage.parent;
        (*event).other = match stage.other {
            Some(other) => *other,
            None => TaskRef::NONE,
        };
        (*event).exit_ns = stage.exit_ns;
        (*event).zombie_ns = stage.zombie_ns;
        (*event).status = stage.status;
        (*event).reserved = 0;
    }
}

/// Sends an exec; `fill` writes what follows the event, in place.
pub fn send_exec(fill: impl FnOnce(*mut ExecEvent)) {
    match EVENTS.reserve::<ExecEvent>(0) {
        Some(mut entry) => {
            fill(entry.as_mut_ptr());
            entry.submit(wake_flag());
        }
        None => lose(loss::RING_FULL),
    }
}

/// `*counter += by`, atomically: the target has no `fetch_add`.
///
/// # Safety
/// `counter` must point into a map value.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, by: u64) {
    // SAFETY: the caller's.
    unsafe { core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) by) };
}

/// Puts `new` where `expected` is; what was there. The target has no `compare_exchange`.
///
/// # Safety
/// `word` must point into a map value.
#[inline(always)]
pub unsafe fn exchange(word: *mut u64, expected: u64, new: u64) -> u64 {
    let mut found = expected;
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!("r0 = cmpxchg_64({0} + 0, r0, {1})", in(reg) word, in(reg) new, inlateout("r0") found)
    };
    found
}

/// The same for 32 bits.
///
/// # Safety
/// `counter` must point into a map value.
#[inline(always)]
pub unsafe fn add32(counter: *mut u32, by: u64) {
    // SAFETY: the caller's.
    unsafe { core::arch::asm!("lock *(u32 *)({0} + 0) += {1}", in(reg) counter, in(reg) by) };
}
