//! The records the programs keep of parents: those in slots, which are found by who has claimed them, and those in the
//! hash. Reads them, and gives back those that are done with.
//!
//! Must not know what the counts mean, but that those of one parent add up.

use std::{
    collections::{HashMap as Table, HashSet},
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, IterableMap, Map, MapData},
};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use probe_common::wire::{CLAIM_BUSY, Histogram, ParentClaim, ParentEntry, ParentKey};

use super::{super::decode, Plain, batch};

/// All records.
pub struct Parents {
    claims: Claims,
    slots: Array<MapData, Plain<ParentEntry>>,
    others: HashMap<MapData, Plain<ParentKey>, Plain<ParentEntry>>,
    /// How many were in the hash when it was last read.
    last_read: u64,
}

impl Parents {
    /// Takes the maps over. `slots`: how many slots the programs use.
    pub fn take(ebpf: &mut Ebpf, slots: u32) -> Result<Self, String> {
        let mut map = |name: &str| ebpf.take_map(name).ok_or_else(|| format!("the map {name} is missing"));
        let (claims, records, others) = (map("PARENT_CLAIMS")?, map("PARENT_SLOTS")?, map("PARENTS")?);
        let claims = match &claims {
            Map::Array(data) => Claims::map(data.fd().as_fd(), slots as usize),
            _ => return Err("the map PARENT_CLAIMS is no array".into()),
        };
        Ok(Self {
            claims: claims.map_err(|error| format!("PARENT_CLAIMS cannot be mapped: {error}"))?,
            slots: Array::try_from(records).map_err(|error| error.to_string())?,
            others: HashMap::try_from(others).map_err(|error| error.to_string())?,
            last_read: 0,
        })
    }

    /// Hands out every record that is there the whole time, one a parent. Those of which `leaves` says so are given back;
    /// `take` is told. True where all were read.
    pub fn read(
        &mut self,
        leaves: impl Fn(&ParentEntry) -> bool,
        mut take: impl FnMut(&ParentEntry, bool),
    ) -> bool {
        let mut read = 0;
        let (mut twins, mut leaving) = (Table::new(), HashSet::new());
        let complete = self.each_other(|record| {
            read += 1;
            let left = leaves(record);
            if left {
                leaving.insert(record.process);
            }
            if self.claims.has(&record.process) {
                twins.insert(record.process, *record);
            } else {
                take(record, left);
            }
        });
        self.last_read = read;
        for index in 0..self.claims.count {
            let claim = self.claims.claim(index);
            let whose = claim.load(Ordering::Acquire);
            let Some(mut record) = self.slot(index, whose) else { continue };
            // Nobody finds it any more, so what is read now is the last word.
            let left = leaves(&record)
                && claim.compare_exchange(whose, CLAIM_BUSY, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if left {
                record = self.record(index).unwrap_or(record);
                claim.store(0, Ordering::Release);
            } else if claim.load(Ordering::Acquire) != whose {
                continue;
            }
            if let Some(twin) = twins.remove(&record.process) {
                add(&mut record, &twin);
            }
            take(&record, left);
        }
        for twin in twins.into_values() {
            let left = leaving.contains(&twin.process);
            take(&twin, left);
        }
        for key in leaving {
            if self.others.remove(&Plain(key)).is_ok() {
                self.claims.one_less_in_overflow(&key);
            }
        }
        complete
    }

    /// How many records there are, about, without reading them: as the claims say, or where there are none, as was last
    /// read.
    pub fn taken(&self) -> u64 {
        if self.claims.count == 0 { self.last_read } else { self.claims.taken() }
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        let mut count = (0..self.claims.count)
            .filter(|index| self.claims.claim(*index).load(Ordering::Relaxed) != 0)
            .count() as u64;
        self.each_other(|_| count += 1);
        count
    }

    fn record(&self, index: usize) -> Option<ParentEntry> {
        self.slots.get(&(index as u32), 0).ok().map(|Plain(record)| record)
    }

    /// The record of a slot, if it is there and its claimer's.
    fn slot(&self, index: usize, whose: u64) -> Option<ParentEntry> {
        if whose == 0 || whose == CLAIM_BUSY {
            return None;
        }
        self.record(index).filter(|record| record.process.claim() == whose)
    }

    fn each_other(&self, mut take: impl FnMut(&ParentEntry)) -> bool {
        let fd = self.others.map().fd().as_fd();
        batch::entries("PARENTS", fd, size_of::<ParentKey>(), size_of::<ParentEntry>(), |_, record| {
            if let Some(record) = decode::parent_record(record) {
                take(&record);
            }
        })
    }
}

/// The PARENT_CLAIMS map, in our memory.
struct Claims {
    first: NonNull<ParentClaim>,
    count: usize,
    bytes: NonZeroUsize,
}

impl Claims {
    fn map(map: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        // Without slots the map has one entry all the same.
        let bytes = NonZeroUsize::new(count * size_of::<ParentClaim>()).unwrap_or(NonZeroUsize::MIN);
        // SAFETY: a new mapping, placed by the kernel.
        let first = unsafe {
            mmap(None, bytes, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, map, 0)
        }?;
        Ok(Self { first: first.cast(), count, bytes })
    }

    fn claim(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.count);
        // SAFETY: within the mapping, which lives as long as self; whoever else writes it does so atomically.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.first.as_ptr().add(index)).claim) }
    }

    fn index(&self, key: &ParentKey) -> Option<usize> {
        self.count.checked_sub(1).map(|mask| key.tgid as usize & mask)
    }

    /// How many records there are, in the slots and elsewhere.
    fn taken(&self) -> u64 {
        (0..self.count)
            .map(|index| {
                let claimed = self.claim(index).load(Ordering::Relaxed) != 0;
                u64::from(claimed) + u64::from(self.overflow_count(index).load(Ordering::Relaxed))
            })
            .sum()
    }

    fn overflow_count(&self, index: usize) -> &AtomicU32 {
        assert!(index < self.count);
        // SAFETY: as in `claim`.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.first.as_ptr().add(index)).overflow_count) }
    }

    /// Whether this parent has a slot.
    fn has(&self, key: &ParentKey) -> bool {
        self.index(key).is_some_and(|index| self.claim(index).load(Ordering::Acquire) == key.claim())
    }

    fn one_less_in_overflow(&self, key: &ParentKey) {
        if let Some(index) = self.index(key) {
            self.overflow_count(index).fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // SAFETY: the mapping made above, to which no reference is left.
        let _ = unsafe { munmap(self.first.cast(), self.bytes.get()) };
    }
}

/// Adds the books of one parent that were begun twice.
fn add(record: &mut ParentEntry, twin: &ParentEntry) {
    if record.comm[0] == 0 {
        (record.comm, record.ns_pid) = (twin.comm, twin.ns_pid);
    }
    if record.cgroup_id == 0 {
        record.cgroup_id = twin.cgroup_id;
    }
    record.dead_ns = record.dead_ns.max(twin.dead_ns);
    record.exec_ns = record.exec_ns.max(twin.exec_ns);
    for (sum, more) in [
        (&mut record.reaped_before_exec, twin.reaped_before_exec),
        (&mut record.forked, twin.forked),
        (&mut record.reaped, twin.reaped),
        (&mut record.coarse, twin.coarse),
        (&mut record.waits_any, twin.waits_any),
        (&mut record.waits_specific, twin.waits_specific),
        (&mut record.exited, twin.exited),
        (&mut record.adopted, twin.adopted),
        (&mut record.autoreaped, twin.autoreaped),
        (&mut record.untracked, twin.untracked),
        (&mut record.coalesced, twin.coalesced),
        (&mut record.calls.read, twin.calls.read),
        (&mut record.calls.unread, twin.calls.unread),
        (&mut record.calls.group, twin.calls.group),
        (&mut record.calls.absent, twin.calls.absent),
        (&mut record.calls.peeking, twin.calls.peeking),
        (&mut record.calls.own_thread, twin.calls.own_thread),
        (&mut record.calls.clone_only, twin.calls.clone_only),
    ] {
        *sum = sum.saturating_add(more);
    }
    add_histogram(&mut record.reap_latency, &twin.reap_latency);
    add_histogram(&mut record.teardown, &twin.teardown);
}

fn add_histogram(sum: &mut Histogram, twin: &Histogram) {
    if twin.count == 0 {
        return;
    }
    sum.min_ns = if sum.count == 0 { twin.min_ns } else { sum.min_ns.min(twin.min_ns) };
    sum.max_ns = sum.max_ns.max(twin.max_ns);
    sum.count = sum.count.saturating_add(twin.count);
    // These wrap in the kernel too.
    sum.sum_ns = sum.sum_ns.wrapping_add(twin.sum_ns);
    for (bucket, more) in sum.buckets.iter_mut().zip(twin.buckets) {
        *bucket = bucket.wrapping_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(forked: u64, latencies_ns: &[u64]) -> ParentEntry {
        // SAFETY: integers and byte arrays: any bits are a value.
        let mut record: ParentEntry = unsafe { std::mem::zeroed() };
        record.forked = forked;
        for latency_ns in latencies_ns {
            let histogram = &mut record.reap_latency;
            histogram.min_ns =
                if histogram.count == 0 { *latency_ns } else { histogram.min_ns.min(*latency_ns) };
            histogram.max_ns = histogram.max_ns.max(*latency_ns);
            histogram.count += 1;
            histogram.sum_ns += latency_ns;
            histogram.buckets[probe_common::bucket::index(*latency_ns)] += 1;
        }
        record
    }

    #[test]
    fn books_begun_twice_add_up() {
        let mut sum = record(2, &[5_000, 9_000]);
        add(&mut sum, &record(3, &[2_000]));
        let both = record(5, &[5_000, 9_000, 2_000]);
        assert_eq!((sum.forked, sum.reap_latency.count), (5, 3));
        assert_eq!((sum.reap_latency.min_ns, sum.reap_latency.max_ns), (2_000, 9_000));
        assert_eq!(sum.reap_latency.sum_ns, both.reap_latency.sum_ns);
        assert_eq!(sum.reap_latency.buckets, both.reap_latency.buckets);
        assert_eq!(sum.teardown.count, 0);
    }
}
