//! Writes payloads: every input and the session, member by member. `decode` reads them.
//!
//! Must not know frames, versions or files.

use bytes::BufMut;

use super::{
    account::{put_account, put_cgroup},
    cgroups::put_finished_in_cgroups,
    evidence::put_evidence,
    fork_site::{put_fork_site, put_site},
    kill::put_kill,
    kind,
    pid_limits::put_pid_limits,
    workload::put_workload,
};
use crate::model::{
    Begin, ChildCounts, Coverage, Distribution, FinishedParents, Identity, Input, Precision, ProcessInfo,
    Readiness, ReapHow, Scope, Session, Stage, Task, TaskState, WaitCalls,
};

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

pub(super) fn put_identity(out: &mut Vec<u8>, identity: &Identity) {
    out.put_u32_le(identity.tgid);
    out.put_u64_le(identity.start_boottime_ns);
}

pub(super) fn put_task(out: &mut Vec<u8>, task: &Task) {
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

fn put_detail(out: &mut Vec<u8>, info: &ProcessInfo) {
    out.put_u32_le(info.command_line.len() as u32);
    for arg in &info.command_line {
        put_bytes(out, arg);
    }
    put_bytes(out, &info.executable);
    put_bytes(out, &info.unit);
}

pub(super) fn put_distribution(out: &mut Vec<u8>, distribution: &Distribution) {
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
            encode_stage(&event.stage, out)
        }
        Input::ProcessInfo { identity, info, workload } => {
            put_identity(out, identity);
            put_detail(out, info);
            put_workload(out, workload.as_ref());
            put_bytes(out, &info.label);
            kind::DETAIL
        }
        Input::Evidence { time_ns, identity, evidence } => {
            put_evidence(out, *time_ns, identity, evidence);
            kind::EVIDENCE
        }
        Input::ForkSite { time_ns, child, creator, site } => {
            put_fork_site(out, *time_ns, child, creator, *site);
            kind::FORK_SITE
        }
        Input::Site { number, site } => {
            put_site(out, *number, site);
            kind::SITE
        }
        Input::ForkSitesMissed(missed) => {
            out.put_u64_le(*missed);
            kind::FORK_SITES_MISSED
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
            for seen in &snapshot.tasks {
                out.put_u8(seen.traits.bits() as u8);
            }
            kind::SNAPSHOT
        }
        Input::Counters(counters) => {
            out.put_u64_le(counters.time_ns);
            put_task(out, &counters.parent);
            out.put_u64_le(counters.died_ns);
            put_child_counts(out, &counters.counts);
            for value in [
                counters.untracked,
                counters.exec_ns,
                counters.reaped_before_exec,
                counters.waits.any,
                counters.waits.specific,
            ] {
                out.put_u64_le(value);
            }
            put_distribution(out, &counters.reap_latency);
            put_distribution(out, &counters.teardown);
            out.put_u8(counters.retired.into());
            put_wait_arguments(out, &counters.waits);
            out.put_u8(counters.coalesced.is_some().into());
            out.put_u64_le(counters.coalesced.unwrap_or_default());
            out.put_u64_le(counters.cgroup_id);
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
        Input::FinishedInCgroups(sums) => {
            put_finished_in_cgroups(out, sums);
            kind::FINISHED_IN_CGROUPS
        }
        Input::FinishedParents(finished) => {
            put_finished_parents(out, finished);
            kind::FINISHED_PARENTS
        }
        Input::Losses { time_ns, losses } => {
            for value in [*time_ns, losses.events, losses.map_full, losses.probe_missed] {
                out.put_u64_le(value);
            }
            kind::LOSSES
        }
        Input::Cgroup { id, workload } => {
            put_cgroup(out, *id, workload.as_deref());
            kind::CGROUP
        }
        Input::PidLimits(limits) => {
            put_pid_limits(out, limits);
            kind::PID_LIMITS
        }
        Input::TracerStats(tracer_stats) => {
            out.put_u64_le(tracer_stats.cpu_ns);
            out.put_u64_le(tracer_stats.resident_bytes);
            out.put_u32_le(tracer_stats.programs.len() as u32);
            for program in &tracer_stats.programs {
                put_bytes(out, program.name.as_bytes());
                for value in [program.runs, program.run_time_ns, program.recursion_misses] {
                    out.put_u64_le(value);
                }
            }
            out.put_u32_le(tracer_stats.maps.len() as u32);
            for map in &tracer_stats.maps {
                put_bytes(out, map.name.as_bytes());
                for value in [map.entries, map.max_entries, map.refused] {
                    out.put_u64_le(value);
                }
            }
            out.put_u64_le(tracer_stats.kernel_bytes);
            kind::UPKEEP
        }
        Input::End { time_ns } => {
            out.put_u64_le(*time_ns);
            kind::END
        }
    }
}

pub(super) fn put_finished_parents(out: &mut Vec<u8>, finished: &FinishedParents) {
    out.put_u64_le(finished.parents);
    put_child_counts(out, &finished.counts);
}

/// Appended to the counters in 3.2.
fn put_wait_arguments(out: &mut Vec<u8>, waits: &WaitCalls) {
    let WaitCalls { any: _, specific: _, read, unread, group, absent, peeking, own_thread, clone_only } =
        *waits;
    for value in [read, unread, group, absent, peeking, own_thread, clone_only] {
        out.put_u64_le(value);
    }
}

fn put_child_counts(out: &mut Vec<u8>, counts: &ChildCounts) {
    for value in
        [counts.forked, counts.exited, counts.adopted, counts.reaped, counts.autoreaped, counts.coarse]
    {
        out.put_u64_le(value);
    }
}

/// Returns the kind of the frame.
fn encode_stage(stage: &Stage, out: &mut Vec<u8>) -> u8 {
    match stage {
        Stage::Orphan { from } => {
            put_task(out, from);
            return kind::ORPHAN;
        }
        Stage::Killed { kill } => {
            put_kill(out, kill);
            return kind::KILLED;
        }
        Stage::Fork { parent, creator } => {
            out.put_u8(1);
            put_task(out, parent);
            put_task(out, creator);
        }
        Stage::Exec { info } => {
            out.put_u8(2);
            put_detail(out, info);
        }
        Stage::Exit { parent, status, autoreap, is_clone_child, account } => {
            out.put_u8(3);
            put_task(out, parent);
            out.put_u32_le(status.0);
            out.put_u8(u8::from(*autoreap));
            out.put_u8(u8::from(*is_clone_child));
            put_account(out, account.as_deref());
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
        Stage::Reap { parent, reaper, how, precision, exit_ns, zombie_ns, readiness } => {
            out.put_u8(6);
            put_task(out, parent);
            put_task(out, reaper);
            out.put_u8(u8::from(*how == ReapHow::Auto));
            out.put_u8(u8::from(*precision == Precision::Coarse));
            out.put_u64_le(*exit_ns);
            out.put_u64_le(*zombie_ns);
            out.put_u8(match readiness {
                Readiness::Unknown => 0,
                Readiness::NotWaiting => 1,
                Readiness::Waiting => 2,
                Readiness::WaitingForIt => 3,
                Readiness::WaitingOtherwise => 4,
            });
        }
    }
    kind::LIFECYCLE
}
