//! Reads payloads. It checks every length before it trusts it, and refuses values that no kernel can have measured, so
//! that arithmetic on inputs cannot overflow.
//!
//! Must not know frames or files.

use bytes::Buf;
use probe_common::bucket;

use super::{
    account::{decode_account, decode_cgroup},
    cgroups::decode_finished_in_cgroups,
    evidence::{decode_evidence, decode_signal_masks},
    fork_site::decode_fork_sites,
    kill::decode_killed,
    kind,
    pid_limits::decode_pid_limits,
    tracer_stats,
    workload::decode_workload,
};
use crate::model::{
    Begin, COMMAND_LINE_MAX, ChildCounts, Comm, Counters, Coverage, DeadChild, Distribution, FinishedParents,
    Hooks, Identity, Input, LABEL_MAX, LifecycleEvent, Losses, Precision, ProcessInfo, Readiness, ReapHow,
    Scope, Session, Snapshot, Stage, Task, TaskEntry, TaskState, TaskTraits, TimeAnchor, WaitCalls,
    WaitStatus, is_label,
};

/// All pids are smaller than this: the kernel's PID_MAX_LIMIT.
pub const PID_LIMIT: u32 = 4 << 20;
/// No time and no duration is larger: 146 years.
pub const TIME_MAX_NS: u64 = 1 << 62;
/// No count is larger: half a year at a million per second. The sum of a hundred thousand such counts does not
/// overflow.
pub const COUNT_MAX: u64 = 1 << 44;
/// Maximum length of a path, of a cgroup unit, and of the name of a hook, program or map.
pub(super) const TEXT_MAX: usize = 4096;
/// Maximum number of pids that are followed: as many as the programs have room for.
const PIDS_MAX: usize = 32_768;

/// Why a frame with a good checksum gives no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// A kind of a later version.
    UnknownKind,
    /// It has impossible values.
    Impossible,
}

/// At most `most` bytes.
pub(super) fn bytes(from: &mut &[u8], most: usize) -> Option<Vec<u8>> {
    let len = from.try_get_u32_le().ok()? as usize;
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    (len <= most).then(|| taken.to_vec())
}

pub(super) fn text(from: &mut &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes(from, TEXT_MAX)?).into_owned())
}

pub(super) fn flag(from: &mut &[u8]) -> Option<bool> {
    Some(from.try_get_u8().ok()? != 0)
}

pub(super) fn number(from: &mut &[u8], most: u64) -> Option<u64> {
    from.try_get_u64_le().ok().filter(|number| *number <= most)
}

pub(super) fn time(from: &mut &[u8]) -> Option<u64> {
    number(from, TIME_MAX_NS)
}

pub(super) fn tally(from: &mut &[u8]) -> Option<u64> {
    number(from, COUNT_MAX)
}

pub(super) fn pid(from: &mut &[u8]) -> Option<u32> {
    from.try_get_u32_le().ok().filter(|pid| *pid < PID_LIMIT)
}

/// A count of elements, each of which takes at least `least` bytes: never more than the payload can hold.
pub(super) fn count(from: &mut &[u8], least: usize) -> Option<usize> {
    let count = from.try_get_u32_le().ok()? as usize;
    (count.checked_mul(least)? <= from.len()).then_some(count)
}

pub(super) fn identity(from: &mut &[u8]) -> Option<Identity> {
    Some(Identity { tgid: pid(from)?, start_boottime_ns: time(from)? })
}

pub(super) fn task(from: &mut &[u8]) -> Option<Task> {
    let identity = identity(from)?;
    let ns_pid = pid(from)?;
    let mut comm = [0; 16];
    from.try_copy_to_slice(&mut comm).ok()?;
    Some(Task { identity, ns_pid, comm: Comm(comm) })
}

/// The identity of another process: no process is its own parent or traces itself.
fn other(from: &mut &[u8], than: &Task) -> Option<Task> {
    task(from).filter(|other| other.identity != than.identity)
}

fn optional_other(from: &mut &[u8], than: &Task) -> Option<Option<Task>> {
    Some(if flag(from)? { Some(other(from, than)?) } else { None })
}

fn info(from: &mut &[u8]) -> Option<ProcessInfo> {
    let args = count(from, 4)?;
    let mut command_line = Vec::new();
    // Each argument ends in a NUL unless it is cut off.
    let mut room = COMMAND_LINE_MAX + 1;
    for _ in 0..args {
        let arg = bytes(from, room.checked_sub(1)?)?;
        room -= arg.len() + 1;
        command_line.push(arg);
    }
    let (executable, unit) = (bytes(from, TEXT_MAX)?, bytes(from, TEXT_MAX)?);
    Some(ProcessInfo { command_line, executable, unit, label: Vec::new() })
}

/// Minimum, maximum and count need not agree with the buckets, because they are read while several CPUs write them.
pub(super) fn distribution(from: &mut &[u8]) -> Option<Distribution> {
    let (all, sum_ns, min_ns, max_ns) = (tally(from)?, number(from, u64::MAX)?, time(from)?, time(from)?);
    let mut buckets: Vec<(u16, u64)> = Vec::new();
    for _ in 0..count(from, 10)? {
        let (index, counted) = (from.try_get_u16_le().ok()?, tally(from)?);
        let ascends = buckets.last().is_none_or(|(last, _)| *last < index);
        if !ascends || usize::from(index) > bucket::LAST || counted == 0 {
            return None;
        }
        buckets.push((index, counted));
    }
    Some(Distribution { count: all, sum_ns, min_ns, max_ns, buckets })
}

/// The session, if the payload is one.
pub fn decode_session(mut from: &[u8]) -> Option<Session> {
    let from = &mut from;
    let anchor = TimeAnchor { realtime_minus_boottime_ns: from.try_get_i64_le().ok()? };
    let hooks = Hooks { exit: text(from)?, zombie: text(from)?, reap: text(from)?, exact: flag(from)? };
    let grace_ns = number(from, u64::MAX)?;
    Some(Session { anchor, hooks, grace_ns })
}

/// The pids that format 2 has in the session: those asked for; empty means all.
pub fn decode_pids_of_format_2(mut from: &[u8]) -> Option<Vec<u32>> {
    let from = &mut from;
    let _anchor = from.try_get_i64_le().ok()?;
    let _hooks = [text(from)?, text(from)?, text(from)?];
    let (_exact, _grace_ns, _tree) = (flag(from)?, number(from, u64::MAX)?, flag(from)?);
    pids(from)
}

/// The begin of the window in format 2, which does not say what was left out.
pub fn decode_begin_of_format_2(mut from: &[u8], pids: &[u32]) -> Result<Input, Unusable> {
    begin_of_format_2(&mut from, pids).map(Input::Begin).ok_or(Unusable::Impossible)
}

fn begin_of_format_2(from: &mut &[u8], pids: &[u32]) -> Option<Begin> {
    let (time_ns, has_root, root) = (time(from)?, flag(from)?, identity(from)?);
    let scope = match has_root {
        true => Scope::Tree(root),
        false if pids.is_empty() => Scope::Host,
        false => Scope::Pids(pids.to_vec()),
    };
    Some(Begin { time_ns, scope, coverage: Coverage::Unstated })
}

fn pids(from: &mut &[u8]) -> Option<Vec<u32>> {
    let pids = count(from, 4).filter(|pids| *pids <= PIDS_MAX)?;
    (0..pids).map(|_| from.try_get_u32_le().ok()).collect()
}

fn decode_begin(from: &mut &[u8]) -> Option<Begin> {
    let time_ns = time(from)?;
    let scope = match from.try_get_u8().ok()? {
        0 => Scope::Host,
        1 => Scope::Tree(identity(from)?),
        2 => Scope::Pids(pids(from)?),
        _ => return None,
    };
    let (coverage, limit_ns) = (from.try_get_u8().ok()?, number(from, u64::MAX)?);
    let coverage = match coverage {
        0 => Coverage::EveryEvent,
        1 => Coverage::Exceptions { slow_ns: limit_ns },
        2 => Coverage::LateReaps { min_latency_ns: limit_ns },
        3 => Coverage::Unstated,
        _ => return None,
    };
    Some(Begin { time_ns, scope, coverage })
}

/// The input of a payload.
pub fn decode(kind: u8, mut from: &[u8]) -> Result<Input, Unusable> {
    let from = &mut from;
    let input = match kind {
        // Only the first frame is a session.
        kind::SESSION => None,
        kind::BEGIN => decode_begin(from).map(Input::Begin),
        kind::LIFECYCLE => decode_lifecycle(from).map(Input::Lifecycle),
        kind::ORPHAN => decode_orphan(from).map(Input::Lifecycle),
        kind::KILLED => decode_killed(from).map(Input::Lifecycle),
        kind::DETAIL => decode_detail(from),
        kind::SIGNAL_MASKS => decode_signal_masks(from),
        kind::EVIDENCE => decode_evidence(from),
        kind::FORK_SITE | kind::SITE | kind::FORK_SITES_MISSED => decode_fork_sites(kind, from),
        kind::SNAPSHOT => decode_snapshot(from).map(Input::Snapshot),
        kind::COUNTERS => decode_counters(from).map(|counters| Input::Counters(Box::new(counters))),
        kind::UNFREED => decode_unfreed(from),
        kind::FINISHED_IN_CGROUPS => decode_finished_in_cgroups(from),
        kind::FINISHED_PARENTS => decode_finished_parents(from).map(Input::FinishedParents),
        kind::LOSSES => decode_losses(from),
        kind::PID_LIMITS => decode_pid_limits(from).map(|limits| Input::PidLimits(Box::new(limits))),
        kind::CGROUP => decode_cgroup(from),
        kind::UPKEEP => {
            tracer_stats::decode_upkeep(from).map(|tracer_stats| Input::TracerStats(Box::new(tracer_stats)))
        }
        kind::END => time(from).map(|time_ns| Input::End { time_ns }),
        _ => return Err(Unusable::UnknownKind),
    };
    input.ok_or(Unusable::Impossible)
}

fn decode_lifecycle(from: &mut &[u8]) -> Option<LifecycleEvent> {
    let time_ns = time(from)?;
    let process = task(from)?;
    Some(LifecycleEvent { time_ns, process, stage: decode_stage(from, &process)? })
}

fn decode_orphan(from: &mut &[u8]) -> Option<LifecycleEvent> {
    let (time_ns, process, parent) = (time(from)?, task(from)?, task(from)?);
    (process.identity != parent.identity).then_some(LifecycleEvent {
        time_ns,
        process,
        stage: Stage::Orphan { from: parent },
    })
}

fn decode_detail(from: &mut &[u8]) -> Option<Input> {
    let (identity, mut info) = (identity(from)?, info(from)?);
    let workload = decode_workload(from)?;
    // Before 3.7 there is none.
    if !from.is_empty() {
        info.label = bytes(from, LABEL_MAX).filter(|label| is_label(label))?;
    }
    Some(Input::ProcessInfo { identity, info, workload })
}

fn decode_snapshot(from: &mut &[u8]) -> Option<Snapshot> {
    let [began_ns, ended_ns, settle_after_ns] = [time(from)?, time(from)?, time(from)?];
    let tasks = count(from, 82)?;
    let mut tasks: Vec<TaskEntry> = (0..tasks).map(|_| decode_seen(from)).collect::<Option<_>>()?;
    // Since 3.2.
    for (task, traits) in tasks.iter_mut().zip(from.iter()) {
        task.traits = TaskTraits::from_bits_truncate(u32::from(*traits));
    }
    Some(Snapshot { began_ns, ended_ns, settle_after_ns, tasks })
}

fn decode_counters(from: &mut &[u8]) -> Option<Counters> {
    let mut counters = Counters {
        time_ns: time(from)?,
        parent: task(from)?,
        died_ns: time(from)?,
        counts: child_counts(from)?,
        untracked: tally(from)?,
        exec_ns: time(from)?,
        reaped_before_exec: tally(from)?,
        waits: WaitCalls { any: tally(from)?, specific: tally(from)?, ..WaitCalls::default() },
        coalesced: None,
        reap_latency: distribution(from)?,
        teardown: distribution(from)?,
        retired: flag(from)?,
        cgroup_id: 0,
    };
    // Appended in 3.2.
    if !from.is_empty() {
        counters.waits = wait_arguments(from, counters.waits)?;
        let known = flag(from)?;
        counters.coalesced = Some(tally(from)?).filter(|_| known);
        // Since 3.6.
        counters.cgroup_id = from.try_get_u64_le().unwrap_or(0);
    }
    Some(counters)
}

fn wait_arguments(from: &mut &[u8], calls: WaitCalls) -> Option<WaitCalls> {
    Some(WaitCalls {
        read: tally(from)?,
        unread: tally(from)?,
        group: tally(from)?,
        absent: tally(from)?,
        peeking: tally(from)?,
        own_thread: tally(from)?,
        clone_only: tally(from)?,
        ..calls
    })
}

fn decode_unfreed(from: &mut &[u8]) -> Option<Input> {
    let deaths = count(from, 26)?;
    let deaths = (0..deaths).map(|_| {
        let (process, parent) = (identity(from)?, identity(from)?);
        let (autoreap, counted) = (flag(from)?, flag(from)?);
        (process != parent).then_some(DeadChild { process, parent, autoreap, counted })
    });
    deaths.collect::<Option<_>>().map(Input::Unfreed)
}

fn child_counts(from: &mut &[u8]) -> Option<ChildCounts> {
    Some(ChildCounts {
        forked: tally(from)?,
        exited: tally(from)?,
        adopted: tally(from)?,
        reaped: tally(from)?,
        autoreaped: tally(from)?,
        coarse: tally(from)?,
    })
}

pub(super) fn decode_finished_parents(from: &mut &[u8]) -> Option<FinishedParents> {
    Some(FinishedParents { parents: tally(from)?, counts: child_counts(from)? })
}

fn decode_losses(from: &mut &[u8]) -> Option<Input> {
    let time_ns = time(from)?;
    let losses =
        Losses { events: tally(from)?, map_full: tally(from)?, probe_missed: tally(from)?, damaged: 0 };
    Some(Input::Losses { time_ns, losses })
}

fn decode_seen(from: &mut &[u8]) -> Option<TaskEntry> {
    let time_ns = time(from)?;
    let process = task(from)?;
    Some(TaskEntry {
        time_ns,
        process,
        parent: other(from, &process)?,
        state: match from.try_get_u8().ok()? {
            0 => TaskState::Running,
            1 => TaskState::Exiting,
            2 => TaskState::DeadLeader,
            3 => TaskState::Zombie,
            _ => return None,
        },
        tracer: optional_other(from, &process)?.map(Box::new),
        since_ns: time(from)?,
        traits: TaskTraits::default(),
    })
}

/// Since 3.3.
fn readiness(from: &mut &[u8]) -> Option<Readiness> {
    Some(match from.try_get_u8().unwrap_or(0) {
        0 => Readiness::Unknown,
        1 => Readiness::NotWaiting,
        2 => Readiness::Waiting,
        3 => Readiness::WaitingForIt,
        4 => Readiness::WaitingOtherwise,
        _ => return None,
    })
}

fn decode_stage(from: &mut &[u8], process: &Task) -> Option<Stage> {
    Some(match from.try_get_u8().ok()? {
        1 => Stage::Fork { parent: other(from, process)?, creator: task(from)? },
        2 => Stage::Exec { info: info(from)?.into() },
        3 => Stage::Exit {
            parent: other(from, process)?,
            status: WaitStatus(from.try_get_u32_le().ok()?),
            autoreap: flag(from)?,
            // Since 3.2.
            is_clone_child: from.has_remaining() && flag(from)?,
            account: decode_account(from)?.map(Into::into),
        },
        4 => Stage::Zombie {
            parent: other(from, process)?,
            held_by: optional_other(from, process)?,
            exit_ns: time(from)?,
            again: flag(from)?,
        },
        5 => {
            let parent = other(from, process)?;
            let former = identity(from).filter(|former| *former != process.identity)?;
            let since_ns = time(from)?;
            // The name comes at the end, because format 2 did not have it.
            let mut former = Task { identity: former, ..Task::default() };
            if from.has_remaining() {
                former.ns_pid = pid(from)?;
                from.try_copy_to_slice(&mut former.comm.0).ok()?;
            }
            Stage::Reparent { parent, from: former, since_ns }
        }
        6 => Stage::Reap {
            parent: other(from, process)?,
            reaper: task(from)?,
            how: if flag(from)? { ReapHow::Auto } else { ReapHow::Wait },
            precision: if flag(from)? { Precision::Coarse } else { Precision::Exact },
            exit_ns: time(from)?,
            zombie_ns: time(from)?,
            readiness: readiness(from)?,
        },
        _ => return None,
    })
}
