//! Payloads: every input and the session, field by field. Decoding checks every length before it trusts it.

use bytes::{Buf, BufMut};

use crate::model::{
    Begin, Comm, Counters, Coverage, Detail, Distribution, Hooks, Identity, Input, Lifecycle, Losses,
    MapUpkeep, Precision, ProgramUpkeep, ReapHow, Scope, SeenTask, Session, Settled, Snapshot, Stage, Task,
    TaskState, TimeAnchor, Upkeep, WaitStatus,
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
                put_optional_task(out, seen.tracer.as_ref());
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
            put_identity(out, from);
            out.put_u64_le(*since_ns);
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

fn bytes(from: &mut &[u8]) -> Option<Vec<u8>> {
    let len = from.try_get_u32_le().ok()? as usize;
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken.to_vec())
}

fn text(from: &mut &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes(from)?).into_owned())
}

fn flag(from: &mut &[u8]) -> Option<bool> {
    Some(from.try_get_u8().ok()? != 0)
}

fn number(from: &mut &[u8]) -> Option<u64> {
    from.try_get_u64_le().ok()
}

/// A count of elements, each of which takes at least `least` bytes: never more than the payload can hold.
fn count(from: &mut &[u8], least: usize) -> Option<usize> {
    let count = from.try_get_u32_le().ok()? as usize;
    (count.checked_mul(least)? <= from.len()).then_some(count)
}

fn identity(from: &mut &[u8]) -> Option<Identity> {
    Some(Identity { tgid: from.try_get_u32_le().ok()?, start_boottime_ns: number(from)? })
}

fn task(from: &mut &[u8]) -> Option<Task> {
    let identity = identity(from)?;
    let ns_pid = from.try_get_u32_le().ok()?;
    let mut comm = [0; 16];
    from.try_copy_to_slice(&mut comm).ok()?;
    Some(Task { identity, ns_pid, comm: Comm(comm) })
}

fn optional_task(from: &mut &[u8]) -> Option<Option<Task>> {
    Some(if flag(from)? { Some(task(from)?) } else { None })
}

fn detail(from: &mut &[u8]) -> Option<Detail> {
    let args = count(from, 4)?;
    Some(Detail {
        command_line: (0..args).map(|_| bytes(from)).collect::<Option<_>>()?,
        executable: bytes(from)?,
        unit: bytes(from)?,
    })
}

fn distribution(from: &mut &[u8]) -> Option<Distribution> {
    let [count_all, sum_ns, min_ns, max_ns] = [number(from)?, number(from)?, number(from)?, number(from)?];
    let buckets = count(from, 10)?;
    Some(Distribution {
        count: count_all,
        sum_ns,
        min_ns,
        max_ns,
        buckets: (0..buckets)
            .map(|_| Some((from.try_get_u16_le().ok()?, number(from)?)))
            .collect::<Option<_>>()?,
    })
}

/// The session, if the payload is one.
pub fn decode_session(mut from: &[u8]) -> Option<Session> {
    let from = &mut from;
    let anchor = TimeAnchor { realtime_minus_boottime_ns: from.try_get_i64_le().ok()? };
    let hooks = Hooks { exit: text(from)?, zombie: text(from)?, reap: text(from)?, exact: flag(from)? };
    let grace_ns = number(from)?;
    Some(Session { anchor, hooks, grace_ns })
}

/// The pids that format 2 had in the session: those asked for, all where empty.
pub fn decode_pids_of_format_2(mut from: &[u8]) -> Option<Vec<u32>> {
    let from = &mut from;
    let _anchor = from.try_get_i64_le().ok()?;
    let _hooks = [text(from)?, text(from)?, text(from)?];
    let (_exact, _grace_ns, _tree) = (flag(from)?, number(from)?, flag(from)?);
    pids(from)
}

/// The window's begin as format 2 had it, which does not say what was left out.
pub fn decode_begin_of_format_2(mut from: &[u8], pids: &[u32]) -> Option<Input> {
    let from = &mut from;
    let (time_ns, has_root, root) = (number(from)?, flag(from)?, identity(from)?);
    let scope = match has_root {
        true => Scope::Tree(root),
        false if pids.is_empty() => Scope::Host,
        false => Scope::Pids(pids.to_vec()),
    };
    Some(Input::Begin(Begin { time_ns, scope, coverage: Coverage::Unstated }))
}

fn pids(from: &mut &[u8]) -> Option<Vec<u32>> {
    let pids = count(from, 4)?;
    (0..pids).map(|_| from.try_get_u32_le().ok()).collect()
}

fn begin(from: &mut &[u8]) -> Option<Begin> {
    let time_ns = number(from)?;
    let scope = match from.try_get_u8().ok()? {
        0 => Scope::Host,
        1 => Scope::Tree(identity(from)?),
        2 => Scope::Pids(pids(from)?),
        _ => return None,
    };
    let (coverage, limit_ns) = (from.try_get_u8().ok()?, number(from)?);
    let coverage = match coverage {
        0 => Coverage::EveryEvent,
        1 => Coverage::Exceptions { slow_ns: limit_ns },
        2 => Coverage::LateReaps { min_latency_ns: limit_ns },
        3 => Coverage::Unstated,
        _ => return None,
    };
    Some(Begin { time_ns, scope, coverage })
}

/// The input, if the payload is one of this kind.
pub fn decode(kind: u8, mut from: &[u8]) -> Option<Input> {
    let from = &mut from;
    Some(match kind {
        kind::BEGIN => Input::Begin(begin(from)?),
        kind::LIFECYCLE => {
            let time_ns = number(from)?;
            let process = task(from)?;
            Input::Lifecycle(Lifecycle { time_ns, process, stage: decode_stage(from)? })
        }
        kind::DETAIL => Input::Detail { identity: identity(from)?, detail: detail(from)? },
        kind::SNAPSHOT => {
            let [began_ns, ended_ns, settle_after_ns] = [number(from)?, number(from)?, number(from)?];
            let tasks = count(from, 82)?;
            let tasks = (0..tasks).map(|_| decode_seen(from)).collect::<Option<_>>()?;
            Input::Snapshot(Snapshot { began_ns, ended_ns, settle_after_ns, tasks })
        }
        kind::COUNTERS => Input::Counters(Box::new(Counters {
            time_ns: number(from)?,
            parent: task(from)?,
            died_ns: number(from)?,
            forked: number(from)?,
            exited: number(from)?,
            adopted: number(from)?,
            reaped: number(from)?,
            autoreaped: number(from)?,
            coarse: number(from)?,
            untracked: number(from)?,
            exec_ns: number(from)?,
            reaped_before_exec: number(from)?,
            waits_any: number(from)?,
            waits_specific: number(from)?,
            reap_latency: distribution(from)?,
            teardown: distribution(from)?,
            retired: from.try_get_u8().ok()? != 0,
        })),
        kind::SETTLED => Input::Settled(Settled {
            parents: number(from)?,
            forked: number(from)?,
            exited: number(from)?,
            adopted: number(from)?,
            reaped: number(from)?,
            autoreaped: number(from)?,
            coarse: number(from)?,
        }),
        kind::LOSSES => Input::Losses {
            time_ns: number(from)?,
            losses: Losses { events: number(from)?, map_full: number(from)?, probe_missed: number(from)? },
        },
        kind::UPKEEP => Input::Upkeep(Box::new(decode_upkeep(from)?)),
        kind::END => Input::End { time_ns: number(from)? },
        _ => return None,
    })
}

fn decode_upkeep(from: &mut &[u8]) -> Option<Upkeep> {
    let (cpu_ns, resident_bytes) = (number(from)?, number(from)?);
    let programs = count(from, 28)?;
    let programs = (0..programs)
        .map(|_| {
            Some(ProgramUpkeep {
                name: text(from)?,
                runs: number(from)?,
                run_time_ns: number(from)?,
                recursion_misses: number(from)?,
            })
        })
        .collect::<Option<_>>()?;
    let maps = count(from, 28)?;
    let maps = (0..maps)
        .map(|_| {
            Some(MapUpkeep {
                name: text(from)?,
                entries: number(from)?,
                max_entries: number(from)?,
                refused: number(from)?,
            })
        })
        .collect::<Option<_>>()?;
    Some(Upkeep { cpu_ns, resident_bytes, programs, maps })
}

fn decode_seen(from: &mut &[u8]) -> Option<SeenTask> {
    Some(SeenTask {
        time_ns: number(from)?,
        process: task(from)?,
        parent: task(from)?,
        state: match from.try_get_u8().ok()? {
            0 => TaskState::Running,
            1 => TaskState::Exiting,
            2 => TaskState::DeadLeader,
            3 => TaskState::Zombie,
            _ => return None,
        },
        tracer: optional_task(from)?,
        since_ns: number(from)?,
    })
}

fn decode_stage(from: &mut &[u8]) -> Option<Stage> {
    Some(match from.try_get_u8().ok()? {
        1 => Stage::Fork { parent: task(from)?, creator: task(from)? },
        2 => Stage::Exec { detail: detail(from)?.into() },
        3 => Stage::Exit {
            parent: task(from)?,
            status: WaitStatus(from.try_get_u32_le().ok()?),
            autoreap: flag(from)?,
        },
        4 => Stage::Zombie {
            parent: task(from)?,
            held_by: optional_task(from)?,
            exit_ns: number(from)?,
            again: flag(from)?,
        },
        5 => Stage::Reparent { parent: task(from)?, from: identity(from)?, since_ns: number(from)? },
        6 => Stage::Reap {
            parent: task(from)?,
            reaper: task(from)?,
            how: if flag(from)? { ReapHow::Auto } else { ReapHow::Wait },
            precision: if flag(from)? { Precision::Coarse } else { Precision::Exact },
            exit_ns: number(from)?,
            zombie_ns: number(from)?,
        },
        _ => return None,
    })
}
