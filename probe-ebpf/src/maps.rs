//! The maps. Sizes here are defaults; the collector may set others at load. Must not know who uses them.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use probe_common::{
    interpreter::Interpreter,
    sent_signal::SentSignal,
    wire::{
        DeadChild, DeadChildSlot, DeepCgroups, FinishedInCgroup, FinishedParents, LIFE_SLOTS_MAX, NsPid,
        ParentClaim, ParentEntry, ParentKey, Target, loss,
    },
};

const BPF_F_MMAPABLE: u32 = 1024;

#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(8 * 1024 * 1024, 0);
/// A life by the low bits of its tgid. One global, in the map `.bss`: its address is part of the programs, so that there is no
/// look-up.
pub static mut DEAD_CHILD_SLOTS: [DeadChildSlot; LIFE_SLOTS_MAX as usize] =
    [DeadChildSlot::NONE; LIFE_SLOTS_MAX as usize];
/// By tgid, those whose slot is somebody else's; all where there are no slots.
#[map]
pub static DEAD_CHILDREN: HashMap<u32, DeadChild> = HashMap::with_max_entries(32_768, 0);
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
pub static PARENT_SLOTS: Array<ParentEntry> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// Those whose slot is somebody else's; all where there are no slots. Preallocated, as all are: memory asked for in the
/// middle of a fork is refused now and then, far from any limit.
#[map]
pub static PARENTS: HashMap<ParentKey, ParentEntry> = HashMap::with_max_entries(8_192, 0);
/// Never written: the zeroed record that new parents are copied from (too big for the stack).
#[map]
pub static BLANK_PARENT: Array<ParentEntry> = Array::with_max_entries(1, 0);
/// What parents had that are gone and left nothing to tell.
#[map]
pub static FINISHED_PARENTS: PerCpuArray<FinishedParents> = PerCpuArray::with_max_entries(1, 0);
/// The same by the cgroup that they were in. Holds nothing where that is not asked for.
#[map]
pub static FINISHED_IN_CGROUPS: HashMap<u64, FinishedInCgroup> = HashMap::with_max_entries(1, 0);
/// Never written: the zeroed sum that new ones are copied from (too big for the stack).
#[map]
pub static BLANK_CGROUP: Array<FinishedInCgroup> = Array::with_max_entries(1, 0);
/// Written by the collector.
#[map]
pub static DEEP_CGROUPS: Array<DeepCgroups> = Array::with_max_entries(1, 0);
/// Stacks of forks. Holds nothing where none are asked for.
#[map]
pub static FORK_STACKS: RingBuf = RingBuf::with_byte_size(4096, 0);
/// The processes that more is asked for of than of others, by tgid: where they fork, and who kills their children.
#[map]
pub static SUSPECTS: HashMap<u32, Target> = HashMap::with_max_entries(1, 0);
/// The Python interpreters that are known, by tgid. LRU: nobody says when one has gone.
#[map]
pub static INTERPRETERS: LruHashMap<u32, Interpreter> = LruHashMap::with_max_entries(1, 0);
/// By tgid. LRU: of one that dies while nobody asks, nobody takes it out.
#[map]
pub static SENT_SIGNALS: LruHashMap<u32, SentSignal> = LruHashMap::with_max_entries(1, 0);
/// The processes asked for, by tgid.
#[map]
pub static TARGETS: HashMap<u32, Target> = HashMap::with_max_entries(32_768, 0);
#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(loss::REASONS, 0);
/// The task `do_notify_parent` was entered with on this CPU (it runs with interrupts off), for the kretprobe.
#[map]
pub static NOTIFIED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
