//! Payloads: every input and the session, field by field. Decoding checks every length before it trusts it, and
//! refuses what cannot have been measured: all that is made of the inputs may add without a thought of overflow.

use bytes::{Buf, BufMut};
use probe_common::bucket;

use crate::model::{
    Begin, COMMAND_LINE_MAX, Comm, Counters, Coverage, Death, Detail, Distribution, Hooks, Identity, Input,
    Lifecycle, Losses, MapUpkeep, Precision, ProgramUpkeep, ReapHow, Scope, SeenTask, Session, Settled,
    SignalMasks, Snapshot, Stage, Task, TaskState, TimeAnchor, Upkeep, WaitStatus,
};

/// Frame kinds. Never reused.
pub mod kind {
    pub const SESSION: u8 = 0;
    pub const BEGIN: u8 = 1;
    pub const LIFECYCLE: u8 = 2;
    pub const DETAIL: u8 = 3;
    pub const SNAPSHOT: u8 = 4;
    pub const COUNTERS: u8 = 5;
    pub const LOSSES: u8 = 6;
    pub const END: u8 = 8;
    pub const SETTLED: u8 = 9;
    pub const UPKEEP: u8 = 10;
    pub const UNFREED: u8 = 11;
    pub const SIGNAL_MASKS: u8 = 12;
}

/// Pids are smaller: the kernel's PID_MAX_LIMIT.
pub const PID_LIMIT: u32 = 4 << 20;
/// No time and no duration is larger: 146 years.
pub const TIME_MAX_NS: u64 = 1 << 62;
/// Nothing was counted more often: half a year of a million a second. A hundred thousand of them still add up.
pub const COUNT_MAX: u64 = 1 << 44;
/// Longest path, cgroup unit, or name of a hook, a program, a map.
const TEXT_MAX: usize = 4096;
/// Most pids that are followed: as many as the programs have room for.
const PIDS_MAX: usize = 32_768;
/// Most programs, and most maps, of a tracer.
const UPKEEP_MAX: usize = 1024;

/// Why a good frame gives no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Of a version to come.
    UnknownKind,
    /// What it says cannot be.
    Impossible,
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

fn put_identity(out: &mut Vec<u8>, identity: &Identity) {
    out.put_u32_le(identity.tgid);
    out.put_u64_le(identity.start_boottime_ns);
}

fn put_task(out: &mut Vec<u8>, task: &Task) {
    put_identity(out, &task.identity);
    out.put_u32_le(task.ns_pid);
    out.put_slice(&task.comm.0);
}

fn put_optional_task(out: &mut Vec<u8>, task: Option<&Task>) {
    out.put_u8(u8::from(task.is_some()));
    if let Some(task) = task {
        put_task(out, task);
    }
}

fn put_detail(out: &mut Vec<u8>, detail: &Detail) {
    out.put_u32_le(detail.command_line.len() as u32);
    for arg in &detail.command_line {
        put_bytes(out, arg);
    }
    put_bytes(out, &detail.executable);
    put_bytes(out, &detail.unit);
}

fn put_distribution(out: &mut Vec<u8>, distribution: &Distribution) {
    for value in [distribution.count, distribution.sum_ns, distribution.min_ns, distribution.max_ns] {
        out.put_u64_le(value);
    }
    out.put_u32_le(distribution.buckets.len() as u32);
    for (index, count) in &distribution.buckets {
        out.put_u16_le(*index);
        out.put_u64_le(*count);
    }
}

/// The session's payload.
pub fn encode_session(session: &Session, out: &mut Vec<u8>) {
    out.put_i64_le(session.anchor.realtime_minus_boottime_ns);
    for text in [&session.hooks.exit, &session.hooks.zombie, &session.hooks.reap] {
        put_bytes(out, text.as_bytes());
    }
    out.put_u8(u8::from(session.hooks.exact));
    out.put_u64_le(session.grace_ns);
}

fn put_begin(out: &mut Vec<u8>, begin: &Begin) {
    out.put_u64_le(begin.time_ns);
    match &begin.scope {
        Scope::Host => out.put_u8(0),
        Scope::Tree(root) => {
            out.put_u8(1);
            put_identity(out, root);
        }
        Scope::Pids(pids) => {
            out.put_u8(2);
            out.put_u32_le(pids.len() as u32);
            for pid in pids {
                out.put_u32_le(*pid);
            }
        }
    }
    let (coverage, limit_ns) = match begin.coverage {
        Coverage::EveryEvent => (0, 0),
        Coverage::Exceptions { slow_ns } => (1, slow_ns),
        Coverage::LateReaps { min_latency_ns } => (2, min_latency_ns),
        Coverage::Unstated => (3, 0),
    };
    out.put_u8(coverage);
    out.put_u64_le(limit_ns);
}

/// An input's payload; returns its kind.
pub fn encode(input: &Input, out: &mut Vec<u8>) -> u8 {
    match input {
        Input::Begin(begin) => {
            put_begin(out, begin);
            kind::BEGIN
        }
        Input::Lifecycle(event) => {
            out.put_u64_le(event.time_ns);
            put_task(out, &event.process);
            encode_stage(&event.stage, out);
            kind::LIFECYCLE
        }
        Input::Detail { identity, detail } => {
            put_identity(out, identity);
            put_detail(out, detail);
            kind::DETAIL
        }
        Input::SignalMasks { time_ns, identity, masks } => {
            out.put_u64_le(*time_ns);
            put_identity(out, identity);
            for mask in [masks.blocked, masks.ignored, masks.caught] {
                out.put_u64_le(mask);
            }
            kind::SIGNAL_MASKS
        }
        Input::Snapshot(snapshot) => {
            for value in [snapshot.began_ns, snapshot.ended_ns, snapshot.settle_after_ns] {
                out.put_u64_le(value);
            }
            out.put_u32_le(snapshot.tasks.len() as u32);
            for seen in &snapshot.tasks {
                out.put_u64_le(seen.time_ns);
                put_task(out, &seen.process);
                put_task(out, &seen.parent);
                out.put_u8(match seen.state {
                    TaskState::Running => 0,
                    TaskState::Exiting => 1,
                    TaskState::DeadLeader => 2,
                    TaskState::Zombie => 3,
                });
                put_optional_task(out, seen.tracer.as_deref());
                out.put_u64_le(seen.since_ns);
            }
            kind::SNAPSHOT
        }
        Input::Counters(counters) => {
            out.put_u64_le(counters.time_ns);
            put_task(out, &counters.parent);
            for value in [
                counters.died_ns,
                counters.forked,
                counters.exited,
                counters.adopted,
                counters.reaped,
                counters.autoreaped,
                counters.coarse,
                counters.untracked,
                counters.exec_ns,
                counters.reaped_before_exec,
                counters.waits_any,
                counters.waits_specific,
            ] {
                out.put_u64_le(value);
            }
            put_distribution(out, &counters.reap_latency);
            put_distribution(out, &counters.teardown);
            out.put_u8(counters.retired.into());
            kind::COUNTERS
        }
        Input::Unfreed(deaths) => {
            out.put_u32_le(deaths.len() as u32);
            for death in deaths {
                put_identity(out, &death.process);
                put_identity(out, &death.parent);
                out.put_u8(death.autoreap.into());
                out.put_u8(death.counted.into());
            }
            kind::UNFREED
        }
        Input::Settled(settled) => {
            for value in [
                settled.parents,
                settled.forked,
                settled.exited,
                settled.adopted,
                settled.reaped,
                settled.autoreaped,
                settled.coarse,
            ] {
                out.put_u64_le(value);
            }
            kind::SETTLED
        }
        Input::Losses { time_ns, losses } => {
            for value in [*time_ns, losses.events, losses.map_full, losses.probe_missed] {
                out.put_u64_le(value);
            }
            kind::LOSSES
        }
        Input::Upkeep(upkeep) => {
            out.put_u64_le(upkeep.cpu_ns);
            out.put_u64_le(upkeep.resident_bytes);
            out.put_u32_le(upkeep.programs.len() as u32);
            for program in &upkeep.programs {
                put_bytes(out, program.name.as_bytes());
                for value in [program.runs, program.run_time_ns, program.recursion_misses] {
                    out.put_u64_le(value);
                }
            }
            out.put_u32_le(upkeep.maps.len() as u32);
            for map in &upkeep.maps {
                put_bytes(out, map.name.as_bytes());
                for value in [map.entries, map.max_entries, map.refused] {
                    out.put_u64_le(value);
                }
            }
            kind::UPKEEP
        }
        Input::End { time_ns } => {
            out.put_u64_le(*time_ns);
            kind::END
        }
    }
}

fn encode_stage(stage: &Stage, out: &mut Vec<u8>) {
    match stage {
        Stage::Fork { parent, creator } => {
            out.put_u8(1);
            put_task(out, parent);
            put_task(out, creator);
        }
        Stage::Exec { detail } => {
            out.put_u8(2);
            put_detail(out, detail);
        }
        Stage::Exit { parent, status, autoreap } => {
            out.put_u8(3);
            put_task(out, parent);
            out.put_u32_le(status.0);
            out.put_u8(u8::from(*autoreap));
        }
        Stage::Zombie { parent, held_by, exit_ns, again } => {
            out.put_u8(4);
            put_task(out, parent);
            put_optional_task(out, held_by.as_ref());
            out.put_u64_le(*exit_ns);
            out.put_u8(u8::from(*again));
        }
        Stage::Reparent { parent, from, since_ns } => {
            out.put_u8(5);
            put_task(out, parent);
            put_identity(out, &from.identity);
            out.put_u64_le(*since_ns);
            out.put_u32_le(from.ns_pid);
            out.put_slice(&from.comm.0);
        }
        Stage::Reap { parent, reaper, how, precision, exit_ns, zombie_ns } => {
            out.put_u8(6);
            put_task(out, parent);
            put_task(out, reaper);
            out.put_u8(u8::from(*how == ReapHow::Auto));
            out.put_u8(u8::from(*precision == Precision::Coarse));
            out.put_u64_le(*exit_ns);
            out.put_u64_le(*zombie_ns);
        }
    }
}

/// At most `most` bytes.
fn bytes(from: &mut &[u8], most: usize) -> Option<Vec<u8>> {
    let len = from.try_get_u32_le().ok()? as usize;
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    (len <= most).then(|| taken.to_vec())
}

fn text(from: &mut &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes(from, TEXT_MAX)?).into_owned())
}

fn flag(from: &mut &[u8]) -> Option<bool> {
    Some(from.try_get_u8().ok()? != 0)
}

fn number(from: &mut &[u8], most: u64) -> Option<u64> {
    from.try_get_u64_le().ok().filter(|number| *number <= most)
}

fn time(from: &mut &[u8]) -> Option<u64> {
    number(from, TIME_MAX_NS)
}

fn tally(from: &mut &[u8]) -> Option<u64> {
    number(from, COUNT_MAX)
}

fn pid(from: &mut &[u8]) -> Option<u32> {
    from.try_get_u32_le().ok().filter(|pid| *pid < PID_LIMIT)
}

/// A count of elements, each of which takes at least `least` bytes: never more than the payload can hold.
fn count(from: &mut &[u8], least: usize) -> Option<usize> {
    let count = from.try_get_u32_le().ok()? as usize;
    (count.checked_mul(least)? <= from.len()).then_some(count)
}

fn identity(from: &mut &[u8]) -> Option<Identity> {
    Some(Identity { tgid: pid(from)?, start_boottime_ns: time(from)? })
}

fn task(from: &mut &[u8]) -> Option<Task> {
    let identity = identity(from)?;
    let ns_pid = pid(from)?;
    let mut comm = [0; 16];
    from.try_copy_to_slice(&mut comm).ok()?;
    Some(Task { identity, ns_pid, comm: Comm(comm) })
}

/// Somebody else's: nobody is their own parent, and nobody traces themselves.
fn other(from: &mut &[u8], than: &Task) -> Option<Task> {
    task(from).filter(|other| other.identity != than.identity)
}

fn optional_other(from: &mut &[u8], than: &Task) -> Option<Option<Task>> {
    Some(if flag(from)? { Some(other(from, than)?) } else { None })
}

fn detail(from: &mut &[u8]) -> Option<Detail> {
    let args = count(from, 4)?;
    let mut command_line = Vec::new();
    // Each argument ends in a NUL, where it is not cut.
    let mut room = COMMAND_LINE_MAX + 1;
    for _ in 0..args {
        let arg = bytes(from, room.checked_sub(1)?)?;
        room -= arg.len() + 1;
        command_line.push(arg);
    }
    Some(Detail { command_line, executable: bytes(from, TEXT_MAX)?, unit: bytes(from, TEXT_MAX)? })
}

/// Extremes and count need not agree with the buckets: they are read while several CPUs write them.
fn distribution(from: &mut &[u8]) -> Option<Distribution> {
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

/// The pids that format 2 had in the session: those asked for, all where empty.
pub fn decode_pids_of_format_2(mut from: &[u8]) -> Option<Vec<u32>> {
    let from = &mut from;
    let _anchor = from.try_get_i64_le().ok()?;
    let _hooks = [text(from)?, text(from)?, text(from)?];
    let (_exact, _grace_ns, _tree) = (flag(from)?, number(from, u64::MAX)?, flag(from)?);
    pids(from)
}

/// The window's begin as format 2 had it, which does not say what was left out.
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

/// The input.
pub fn decode(kind: u8, mut from: &[u8]) -> Result<Input, Unusable> {
    let from = &mut from;
    let input = match kind {
        // The first frame alone.
        kind::SESSION => None,
        kind::BEGIN => decode_begin(from).map(Input::Begin),
        kind::LIFECYCLE => decode_lifecycle(from).map(Input::Lifecycle),
        kind::DETAIL => decode_detail(from),
        kind::SIGNAL_MASKS => decode_signal_masks(from),
        kind::SNAPSHOT => decode_snapshot(from).map(Input::Snapshot),
        kind::COUNTERS => decode_counters(from).map(|counters| Input::Counters(Box::new(counters))),
        kind::UNFREED => decode_unfreed(from),
        kind::SETTLED => decode_settled(from).map(Input::Settled),
        kind::LOSSES => decode_losses(from),
        kind::UPKEEP => decode_upkeep(from).map(|upkeep| Input::Upkeep(Box::new(upkeep))),
        kind::END => time(from).map(|time_ns| Input::End { time_ns }),
        _ => return Err(Unusable::UnknownKind),
    };
    input.ok_or(Unusable::Impossible)
}

fn decode_lifecycle(from: &mut &[u8]) -> Option<Lifecycle> {
    let time_ns = time(from)?;
    let process = task(from)?;
    Some(Lifecycle { time_ns, process, stage: decode_stage(from, &process)? })
}

fn decode_detail(from: &mut &[u8]) -> Option<Input> {
    Some(Input::Detail { identity: identity(from)?, detail: detail(from)? })
}

fn decode_signal_masks(from: &mut &[u8]) -> Option<Input> {
    let (time_ns, identity) = (time(from)?, identity(from)?);
    let mut mask = || from.try_get_u64_le().ok();
    let masks = SignalMasks { blocked: mask()?, ignored: mask()?, caught: mask()? };
    Some(Input::SignalMasks { time_ns, identity, masks })
}

fn decode_snapshot(from: &mut &[u8]) -> Option<Snapshot> {
    let [began_ns, ended_ns, settle_after_ns] = [time(from)?, time(from)?, time(from)?];
    let tasks = count(from, 82)?;
    let tasks = (0..tasks).map(|_| decode_seen(from)).collect::<Option<_>>()?;
    Some(Snapshot { began_ns, ended_ns, settle_after_ns, tasks })
}

fn decode_counters(from: &mut &[u8]) -> Option<Counters> {
    Some(Counters {
        time_ns: time(from)?,
        parent: task(from)?,
        died_ns: time(from)?,
        forked: tally(from)?,
        exited: tally(from)?,
        adopted: tally(from)?,
        reaped: tally(from)?,
        autoreaped: tally(from)?,
        coarse: tally(from)?,
        untracked: tally(from)?,
        exec_ns: time(from)?,
        reaped_before_exec: tally(from)?,
        waits_any: tally(from)?,
        waits_specific: tally(from)?,
        reap_latency: distribution(from)?,
        teardown: distribution(from)?,
        retired: flag(from)?,
    })
}

fn decode_unfreed(from: &mut &[u8]) -> Option<Input> {
    let deaths = count(from, 26)?;
    let deaths = (0..deaths).map(|_| {
        let (process, parent) = (identity(from)?, identity(from)?);
        let (autoreap, counted) = (flag(from)?, flag(from)?);
        (process != parent).then_some(Death { process, parent, autoreap, counted })
    });
    deaths.collect::<Option<_>>().map(Input::Unfreed)
}

fn decode_settled(from: &mut &[u8]) -> Option<Settled> {
    Some(Settled {
        parents: tally(from)?,
        forked: tally(from)?,
        exited: tally(from)?,
        adopted: tally(from)?,
        reaped: tally(from)?,
        autoreaped: tally(from)?,
        coarse: tally(from)?,
    })
}

fn decode_losses(from: &mut &[u8]) -> Option<Input> {
    let time_ns = time(from)?;
    let losses =
        Losses { events: tally(from)?, map_full: tally(from)?, probe_missed: tally(from)?, damaged: 0 };
    Some(Input::Losses { time_ns, losses })
}

fn decode_upkeep(from: &mut &[u8]) -> Option<Upkeep> {
    let (cpu_ns, resident_bytes) = (time(from)?, tally(from)?);
    let few = |count: &usize| *count <= UPKEEP_MAX;
    let programs = count(from, 28).filter(few)?;
    let programs = (0..programs)
        .map(|_| {
            Some(ProgramUpkeep {
                name: text(from)?,
                runs: tally(from)?,
                run_time_ns: time(from)?,
                recursion_misses: tally(from)?,
            })
        })
        .collect::<Option<_>>()?;
    let maps = count(from, 28).filter(few)?;
    let maps = (0..maps)
        .map(|_| {
            Some(MapUpkeep {
                name: text(from)?,
                entries: tally(from)?,
                max_entries: tally(from)?,
                refused: tally(from)?,
            })
        })
        .collect::<Option<_>>()?;
    Some(Upkeep { cpu_ns, resident_bytes, programs, maps })
}

fn decode_seen(from: &mut &[u8]) -> Option<SeenTask> {
    let time_ns = time(from)?;
    let process = task(from)?;
    Some(SeenTask {
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
    })
}

fn decode_stage(from: &mut &[u8], process: &Task) -> Option<Stage> {
    Some(match from.try_get_u8().ok()? {
        1 => Stage::Fork { parent: other(from, process)?, creator: task(from)? },
        2 => Stage::Exec { detail: detail(from)?.into() },
        3 => Stage::Exit {
            parent: other(from, process)?,
            status: WaitStatus(from.try_get_u32_le().ok()?),
            autoreap: flag(from)?,
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
            // Its name stands at the end: format 2 did not have it.
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
        },
        _ => return None,
    })
}
