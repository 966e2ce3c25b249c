//! Wire bytes to model: the only place that knows both, with `account`. Refuses what is short or of an unknown kind.
//!
//! Must not know where the bytes come from.

use std::sync::Arc;

use probe_common::{
    fork_stack::ForkStack,
    interpreter::python,
    sent_signal::sender,
    wire::{self, DeadFlags, Event, EventFlags, ExecEvent, ExitEvent, TaskRef, kind, state},
};

use super::account::account;
use crate::{
    model::{
        Comm, Counters, DeadChild, Distribution, FinishedInCgroup, FinishedParents, Identity, Kill, Killer,
        LifecycleEvent, Precision, ProcessInfo, Readiness, ReapHow, Stage, Task, TaskEntry, TaskState,
        WaitCalls, WaitStatus,
    },
    source::host::{fork_site::Stack, process_info::split_args},
};

/// The types the kernel programs write: plain integers and byte arrays, without padding.
///
/// # Safety
/// Every bit pattern must be a valid value.
unsafe trait Wire: Copy {}
// SAFETY: integers and byte arrays only.
unsafe impl Wire for Event {}
// SAFETY: integers and byte arrays only.
unsafe impl Wire for ExecEvent {}
// SAFETY: integers and byte arrays only.
unsafe impl Wire for ExitEvent {}
// SAFETY: integers and byte arrays only.
unsafe impl Wire for wire::TaskEntry {}
// SAFETY: integers and byte arrays only.
unsafe impl Wire for wire::ParentEntry {}
// SAFETY: integers only.
unsafe impl Wire for wire::FinishedInCgroup {}
// SAFETY: integers and byte arrays only.
unsafe impl Wire for wire::DeadChild {}
// SAFETY: integers and byte arrays only.
unsafe impl Wire for wire::DeadChildSlot {}
// SAFETY: integers and byte arrays only.
unsafe impl Wire for ForkStack {}

fn read<T: Wire>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: long enough, any alignment is fine for read_unaligned, and any bits are a valid T.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// A process as the wire names it.
pub fn task(wire: &TaskRef) -> Task {
    Task {
        identity: Identity { tgid: wire.tgid, start_boottime_ns: wire.start_boottime_ns },
        ns_pid: wire.ns_pid,
        comm: Comm(wire.comm),
    }
}

fn present(wire: &TaskRef) -> Option<Task> {
    (wire.tgid != 0).then(|| task(wire))
}

/// One ring-buffer record.
pub fn event(bytes: &[u8]) -> Option<LifecycleEvent> {
    let event: Event = read(bytes)?;
    let stage = match event.kind {
        kind::FORK => Stage::Fork { parent: task(&event.parent), creator: task(&event.other) },
        kind::EXEC => Stage::Exec { info: Arc::new(program(&read::<ExecEvent>(bytes)?)) },
        kind::EXIT => Stage::Exit {
            parent: task(&event.parent),
            status: WaitStatus(event.status),
            autoreap: event.flags.contains(EventFlags::AUTOREAP),
            is_clone_child: event.flags.contains(EventFlags::CLONE_CHILD),
            account: Some(Arc::new(account(&read::<ExitEvent>(bytes)?.account))),
        },
        kind::ZOMBIE => Stage::Zombie {
            parent: task(&event.parent),
            held_by: if event.flags.contains(EventFlags::HELD) { present(&event.other) } else { None },
            exit_ns: event.exit_ns,
            again: event.flags.contains(EventFlags::AGAIN),
        },
        kind::REPARENT => Stage::Reparent {
            parent: task(&event.parent),
            from: task(&event.other),
            since_ns: event.zombie_ns,
        },
        kind::KILLED => Stage::Killed { kill: kill(&event)? },
        kind::ORPHAN => Stage::Orphan { from: task(&event.other) },
        kind::REAP => Stage::Reap {
            parent: task(&event.parent),
            reaper: task(&event.other),
            how: if event.flags.contains(EventFlags::AUTOREAP) { ReapHow::Auto } else { ReapHow::Wait },
            precision: if event.flags.contains(EventFlags::COARSE) {
                Precision::Coarse
            } else {
                Precision::Exact
            },
            exit_ns: event.exit_ns,
            zombie_ns: event.zombie_ns,
            readiness: readiness(event.flags),
        },
        _ => return None,
    };
    Some(LifecycleEvent { time_ns: event.time_ns, process: task(&event.process), stage })
}

fn kill(event: &Event) -> Option<Kill> {
    let by = match event.sender {
        sender::PROCESS => Killer::Process(task(&event.other)),
        sender::KERNEL => Killer::Kernel,
        sender::FAULT => Killer::Fault,
        sender::NAMESPACE_END => Killer::NamespaceEnd(task(&event.other)),
        sender::OUT_OF_MEMORY => Killer::OutOfMemory,
        _ => return None,
    };
    Some(Kill { signal: event.status, by })
}

fn readiness(flags: EventFlags) -> Readiness {
    if flags.contains(EventFlags::WAITED_FOR_IT) {
        Readiness::WaitingForIt
    } else if flags.contains(EventFlags::WAITED_OTHERWISE) {
        Readiness::WaitingOtherwise
    } else if flags.contains(EventFlags::WAITED) {
        Readiness::Waiting
    } else if flags.contains(EventFlags::NOBODY_WAITED) {
        Readiness::NotWaiting
    } else {
        Readiness::Unknown
    }
}

/// One record of the ring buffer of stacks.
pub fn fork_stack(bytes: &[u8]) -> Option<Stack> {
    let fork: ForkStack = read(bytes)?;
    let begins_at = ForkStack::begins_at(fork.sp);
    let copied = fork.stack.get(begins_at..begins_at.checked_add(fork.copied as usize)?)?;
    Some(Stack {
        time_ns: fork.time_ns,
        creator: task(&fork.creator),
        child: Identity { tgid: fork.child.tgid, start_boottime_ns: fork.child.start_boottime_ns },
        program: fork.program,
        ip: fork.ip,
        sp: fork.sp,
        fp: fork.fp,
        link: fork.link,
        third: fork.third,
        bytes: copied.to_vec(),
        python: fork.frames.get(..fork.frame_count as usize)?.to_vec(),
        is_python_cut: fork.python == python::CUT,
    })
}

fn program(exec: &ExecEvent) -> ProcessInfo {
    let end = exec.executable.iter().position(|byte| *byte == 0).unwrap_or(exec.executable.len());
    let args = &exec.args[..(exec.args_len as usize).min(exec.args.len())];
    ProcessInfo {
        command_line: split_args(args, exec.args_cut == 0),
        executable: exec.executable[..end].to_vec(),
        unit: Vec::new(),
        label: Vec::new(),
    }
}

/// One record of the task iterator.
pub fn seen_task(bytes: &[u8]) -> Option<TaskEntry> {
    let seen: wire::TaskEntry = read(bytes)?;
    let state = match seen.state {
        state::RUNNING => TaskState::Running,
        state::EXITING => TaskState::Exiting,
        state::DEAD_LEADER => TaskState::DeadLeader,
        state::ZOMBIE => TaskState::Zombie,
        _ => return None,
    };
    Some(TaskEntry {
        time_ns: seen.time_ns,
        process: task(&seen.process),
        parent: task(&seen.parent),
        state,
        tracer: present(&seen.tracer).map(Box::new),
        since_ns: seen.zombie_ns,
        traits: seen.traits,
    })
}

/// A death that is followed.
pub fn death(bytes: &[u8]) -> Option<DeadChild> {
    read::<wire::DeadChild>(bytes).map(|child| DeadChild {
        process: task(&child.process).identity,
        parent: Identity { tgid: child.parent.tgid, start_boottime_ns: child.parent.start_boottime_ns },
        autoreap: child.flags.contains(DeadFlags::AUTOREAP),
        counted: child.zombie_ns != 0,
    })
}

/// The same, of a slot; `None` where it is nobody's, or claimed and not written yet.
pub fn slot_death(bytes: &[u8]) -> Option<DeadChild> {
    let claim_ns = read::<wire::DeadChildSlot>(bytes)?.claim_ns;
    let death = death(bytes.get(core::mem::offset_of!(wire::DeadChildSlot, child)..)?)?;
    (claim_ns != 0 && claim_ns == death.process.start_boottime_ns).then_some(death)
}

/// The sum over parents whose entry was freed.
pub fn finished_parents(sum: &wire::FinishedParents) -> FinishedParents {
    FinishedParents { parents: sum.parents, counts: sum.counts }
}

/// A parent's record.
pub fn parent_record(bytes: &[u8]) -> Option<wire::ParentEntry> {
    read(bytes)
}

/// What a parent's record says.
pub fn counters(time_ns: u64, record: &wire::ParentEntry) -> Counters {
    let wire::ParentKey { tgid, start_boottime_ns, .. } = record.process;
    Counters {
        time_ns,
        parent: Task {
            identity: Identity { tgid, start_boottime_ns },
            ns_pid: record.ns_pid,
            comm: Comm(record.comm),
        },
        died_ns: record.dead_ns,
        retired: false,
        counts: record.counts(),
        untracked: record.untracked,
        exec_ns: record.exec_ns,
        reaped_before_exec: record.reaped_before_exec,
        waits: wait_calls(record),
        coalesced: Some(record.coalesced),
        reap_latency: distribution(&record.reap_latency),
        teardown: distribution(&record.teardown),
        cgroup_id: record.cgroup_id,
    }
}

/// What finished parents of a cgroup had; what it is part of is not known yet.
pub fn finished_in_cgroup(cgroup_id: u64, bytes: &[u8]) -> Option<FinishedInCgroup> {
    let sum: wire::FinishedInCgroup = read(bytes)?;
    Some(FinishedInCgroup {
        cgroup_id,
        finished: finished_parents(&sum.finished),
        reap_latency: wide_distribution(&sum.reap_latency),
        teardown: wide_distribution(&sum.teardown),
        ..FinishedInCgroup::default()
    })
}

fn wide_distribution(histogram: &wire::WideHistogram) -> Distribution {
    let first_index = |wide: usize| if wide == 0 { 0 } else { wire::WIDE_FROM + (wide - 1) * wire::WIDE };
    let buckets = histogram.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
    Distribution {
        count: histogram.buckets.iter().sum(),
        sum_ns: histogram.sum_ns,
        buckets: buckets.map(|(wide, count)| (first_index(wide) as u16, *count)).collect(),
        ..Distribution::default()
    }
}

fn wait_calls(record: &wire::ParentEntry) -> WaitCalls {
    let wire::WaitArguments { read, unread, group, absent, peeking, own_thread, clone_only } = record.calls;
    let (any, specific) = (record.waits_any, record.waits_specific);
    WaitCalls { any, specific, read, unread, group, absent, peeking, own_thread, clone_only }
}

fn distribution(histogram: &wire::Histogram) -> Distribution {
    Distribution {
        count: histogram.count,
        sum_ns: histogram.sum_ns,
        min_ns: histogram.min_ns,
        max_ns: histogram.max_ns,
        buckets: (0u16..)
            .zip(histogram.buckets)
            .filter(|(_, n)| *n > 0)
            .map(|(i, n)| (i, u64::from(n)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_record_and_an_unknown_kind_are_refused() {
        assert_eq!(event(&[0; 8]), None);
        assert_eq!(event(&[0; 136]), None);
        assert_eq!(fork_stack(&[0; 136]), None);
        let mut record = vec![0; size_of::<ForkStack>()];
        assert_eq!(fork_stack(&record).map(|stack| stack.bytes.len()), Some(0));
        let copied = core::mem::offset_of!(ForkStack, copied);
        record[copied..copied + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(fork_stack(&record), None, "more than there is room for");
    }
}
