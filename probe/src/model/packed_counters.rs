//! Counters in as few bytes as they need: of tens of thousands of parents, most have small numbers, and they are kept twice,
//! as the last reading had them and as the next one waits for its turn.
//!
//! Owns the order of the bytes, which leave this process by no way. Must not know what the counters mean.

use probe_common::bucket;

use super::{ChildCounts, Comm, Counters, Distribution, Identity, Task, WaitCalls};

const RETIRED: u8 = 1;
const COALESCED_KNOWN: u8 = 2;

/// How a distribution is packed.
const EMPTY: u64 = 0;
/// One duration.
const ONE: u64 = 1;
const ANY: u64 = 2;

/// [`Counters`], packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedCounters(Box<[u8]>);

/// What is often asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountersHead {
    pub counts: ChildCounts,
    pub untracked: u64,
    pub cgroup_id: u64,
}

impl PackedCounters {
    /// When they were read.
    pub fn time_ns(&self) -> u64 {
        self.0.first_chunk().map_or(0, |time| u64::from_le_bytes(*time))
    }

    /// See [`Counters::retired`].
    pub fn is_retired(&self) -> bool {
        self.0.get(8).is_some_and(|flags| flags & RETIRED != 0)
    }

    /// Its counts alone.
    pub fn head(&self) -> CountersHead {
        head(&mut self.numbers())
    }

    /// All of it.
    pub fn unpack(&self) -> Counters {
        let flags = self.0.get(8).copied().unwrap_or(0);
        let from = &mut self.numbers();
        let CountersHead { counts, untracked, cgroup_id } = head(from);
        let identity = Identity { tgid: number(from) as u32, start_boottime_ns: number(from) };
        let ns_pid = number(from) as u32;
        let mut comm = Comm::default();
        let length = (number(from) as usize).min(comm.0.len());
        if let Some((name, rest)) = from.split_at_checked(length) {
            comm.0[..length].copy_from_slice(name);
            *from = rest;
        }
        let [died_ns, exec_ns, reaped_before_exec, coalesced] = std::array::from_fn(|_| number(from));
        let [any, specific, read, unread, group, absent, peeking, own_thread, clone_only] =
            std::array::from_fn(|_| number(from));
        Counters {
            time_ns: self.time_ns(),
            parent: Task { identity, ns_pid, comm },
            died_ns,
            retired: flags & RETIRED != 0,
            counts,
            untracked,
            exec_ns,
            reaped_before_exec,
            waits: WaitCalls { any, specific, read, unread, group, absent, peeking, own_thread, clone_only },
            coalesced: (flags & COALESCED_KNOWN != 0).then_some(coalesced),
            reap_latency: distribution(from),
            teardown: distribution(from),
            cgroup_id,
        }
    }

    fn numbers(&self) -> &[u8] {
        self.0.get(9..).unwrap_or_default()
    }
}

impl From<&Counters> for PackedCounters {
    fn from(counters: &Counters) -> Self {
        let Counters {
            time_ns,
            parent: Task { identity, ns_pid, comm },
            died_ns,
            retired,
            counts: ChildCounts { forked, exited, adopted, reaped, autoreaped, coarse },
            untracked,
            exec_ns,
            reaped_before_exec,
            waits: WaitCalls { any, specific, read, unread, group, absent, peeking, own_thread, clone_only },
            coalesced,
            reap_latency,
            teardown,
            cgroup_id,
        } = counters;
        let mut out = Vec::with_capacity(256);
        out.extend(time_ns.to_le_bytes());
        let retired = if *retired { RETIRED } else { 0 };
        out.push(retired | if coalesced.is_some() { COALESCED_KNOWN } else { 0 });
        for count in [forked, exited, adopted, reaped, autoreaped, coarse, untracked, cgroup_id] {
            put(&mut out, *count);
        }
        put(&mut out, identity.tgid.into());
        put(&mut out, identity.start_boottime_ns);
        put(&mut out, (*ns_pid).into());
        let length = comm.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        put(&mut out, length as u64);
        out.extend(&comm.0[..length]);
        for count in [died_ns, exec_ns, reaped_before_exec, &coalesced.unwrap_or(0)] {
            put(&mut out, *count);
        }
        for count in [any, specific, read, unread, group, absent, peeking, own_thread, clone_only] {
            put(&mut out, *count);
        }
        put_distribution(&mut out, reap_latency);
        put_distribution(&mut out, teardown);
        Self(out.as_slice().into())
    }
}

fn head(from: &mut &[u8]) -> CountersHead {
    let [forked, exited, adopted, reaped, autoreaped, coarse, untracked, cgroup_id] =
        std::array::from_fn(|_| number(from));
    let counts = ChildCounts { forked, exited, adopted, reaped, autoreaped, coarse };
    CountersHead { counts, untracked, cgroup_id }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(from: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = from.split_first() {
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 || shift >= u64::BITS {
            break;
        }
    }
    number
}

fn one(duration_ns: u64) -> Distribution {
    Distribution {
        count: 1,
        sum_ns: duration_ns,
        min_ns: duration_ns,
        max_ns: duration_ns,
        buckets: vec![(bucket::index(duration_ns) as u16, 1)],
    }
}

fn put_distribution(out: &mut Vec<u8>, distribution: &Distribution) {
    let Distribution { count, sum_ns, min_ns, max_ns, buckets } = distribution;
    if *distribution == Distribution::default() {
        return put(out, EMPTY);
    }
    if *count == 1 && *buckets == [(bucket::index(*sum_ns) as u16, 1)] && [min_ns, max_ns] == [sum_ns; 2] {
        put(out, ONE);
        return put(out, *sum_ns);
    }
    put(out, ANY);
    for number in [*count, *sum_ns, *min_ns, *max_ns, buckets.len() as u64] {
        put(out, number);
    }
    for (index, count) in buckets {
        put(out, (*index).into());
        put(out, *count);
    }
}

fn distribution(from: &mut &[u8]) -> Distribution {
    match number(from) {
        EMPTY => Distribution::default(),
        ONE => one(number(from)),
        _ => {
            let [count, sum_ns, min_ns, max_ns, buckets] = std::array::from_fn(|_| number(from));
            let buckets = (0..buckets).map(|_| (number(from) as u16, number(from))).collect();
            Distribution { count, sum_ns, min_ns, max_ns, buckets }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![0..300u64, any::<u64>()]
    }

    fn durations() -> impl Strategy<Value = Distribution> {
        let buckets = prop::collection::vec((any::<u16>(), count()), 0..240);
        let any = (count(), count(), count(), count(), buckets).prop_map(
            |(count, sum_ns, min_ns, max_ns, buckets)| Distribution {
                count,
                sum_ns,
                min_ns,
                max_ns,
                buckets,
            },
        );
        prop_oneof![Just(Distribution::default()), count().prop_map(one), any]
    }

    prop_compose! {
        fn counters()(
            numbers in prop::collection::vec(count(), 24),
            (tgid, ns_pid, comm) in (any::<u32>(), any::<u32>(), any::<[u8; 16]>()),
            (retired, is_short) in (any::<bool>(), any::<bool>()),
            coalesced in prop::option::of(count()),
            (reap_latency, teardown) in (durations().boxed(), durations().boxed()),
        ) -> Counters {
            let mut numbers = numbers.into_iter();
            let mut next = || numbers.next().expect("there are enough");
            let mut comm = Comm(comm);
            if is_short {
                comm.0[7..].fill(0);
            }
            Counters {
                time_ns: next(),
                parent: Task { identity: Identity { tgid, start_boottime_ns: next() }, ns_pid, comm },
                died_ns: next(),
                retired,
                counts: ChildCounts {
                    forked: next(),
                    exited: next(),
                    adopted: next(),
                    reaped: next(),
                    autoreaped: next(),
                    coarse: next(),
                },
                untracked: next(),
                exec_ns: next(),
                reaped_before_exec: next(),
                waits: WaitCalls {
                    any: next(),
                    specific: next(),
                    read: next(),
                    unread: next(),
                    group: next(),
                    absent: next(),
                    peeking: next(),
                    own_thread: next(),
                    clone_only: next(),
                },
                coalesced,
                reap_latency,
                teardown,
                cgroup_id: next(),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(counters in counters()) {
            let packed = PackedCounters::from(&counters);
            let Counters { counts, untracked, cgroup_id, .. } = counters;
            prop_assert_eq!(packed.head(), CountersHead { counts, untracked, cgroup_id });
            prop_assert_eq!((packed.time_ns(), packed.is_retired()), (counters.time_ns, counters.retired));
            prop_assert_eq!(packed.unpack(), counters);
        }
    }

    #[test]
    fn a_parent_with_a_child_takes_less_than_a_hundred_bytes() {
        let start_boottime_ns = 40_000_000_000_000;
        let counters = Counters {
            time_ns: start_boottime_ns + 1,
            parent: Task {
                identity: Identity { tgid: 32_000, start_boottime_ns },
                ns_pid: 32_000,
                comm: Comm::from(&b"a-usual-name"[..]),
            },
            counts: ChildCounts { forked: 1, exited: 1, reaped: 1, ..ChildCounts::default() },
            exec_ns: start_boottime_ns,
            waits: WaitCalls { any: 1, read: 1, ..WaitCalls::default() },
            coalesced: Some(0),
            reap_latency: one(10_000_000),
            teardown: one(1_000_000),
            cgroup_id: 5_000,
            ..Counters::default()
        };
        assert!(PackedCounters::from(&counters).0.len() < 100);
    }
}
