//! One observation as one event line.
//!
//! Must not know how a line is written, nor where the observation comes from.

use super::{named, text, time};
use crate::{
    engine::{Ended, EnrichedEvent},
    model::{self, LifecycleEvent, Session, Stage},
    report::{EventKind, EventLine, EventProcess, ExitDetail, Life, Precision, Readiness, ReapHow, words},
};

/// The line, or `None` if the command did not ask for this event.
pub fn event_line<'a>(enriched_event: &'a EnrichedEvent, session: &Session) -> Option<EventLine<'a>> {
    let (event, reap_latency_ns, teardown_ns, ended) = match enriched_event {
        EnrichedEvent::Lost { time_ns, losses } => {
            return Some(EventLine {
                lost: Some(super::lost(*losses)),
                ..EventLine::blank(EventKind::Lost, time::rfc3339(session, *time_ns))
            });
        }
        EnrichedEvent::Stage { event, reap_latency_ns, teardown_ns, in_scope, ended } => {
            if !in_scope {
                return None;
            }
            (event, *reap_latency_ns, *teardown_ns, ended.as_deref())
        }
    };
    let parent = event.stage.parent();
    let kind = match event.stage {
        Stage::Fork { .. } => EventKind::Fork,
        Stage::Exec { .. } => EventKind::Exec,
        Stage::Exit { .. } => EventKind::Exit,
        Stage::Zombie { .. } => EventKind::Zombie,
        Stage::Reparent { .. } => EventKind::Reparent,
        Stage::Reap { .. } => EventKind::Reap,
        Stage::Killed { .. } | Stage::Orphan { .. } => return None,
    };
    let mut line = EventLine::blank(kind, time::rfc3339(session, event.time_ns));
    let identity = event.process.identity;
    line.process = Some(EventProcess {
        pid: identity.tgid,
        ns_pid: super::ns_pid(&event.process),
        start_time: time::rfc3339(session, identity.start_boottime_ns),
        comm: event.process.comm.text(),
    });
    line.parent = parent.filter(|parent| parent.identity.tgid != 0).map(named);
    let status = if let Stage::Exit { status, .. } = &event.stage { Some(*status) } else { None };
    line.exit = status.or(ended.map(|ended| ended.status)).map(super::explain::exit);
    line.life = life(event, ended, line.exit.as_ref());
    match &event.stage {
        Stage::Fork { parent, creator } => {
            line.creator = (creator.identity != parent.identity).then(|| named(creator));
        }
        Stage::Exec { info } => {
            line.command_line = Some(info.command_line.iter().map(|arg| text(arg)).collect());
            line.executable = Some(text(&info.executable));
        }
        Stage::Exit { .. } => {}
        Stage::Zombie { held_by, .. } => {
            line.held_by = held_by.as_ref().map(named);
            line.teardown_ns = teardown_ns;
        }
        Stage::Killed { .. } | Stage::Orphan { .. } => {}
        Stage::Reparent { from, .. } => {
            line.from = Some(named(from));
        }
        Stage::Reap { how, precision, reaper, readiness, exit_ns, .. } => {
            line.how = Some(match how {
                model::ReapHow::Wait => ReapHow::Wait,
                model::ReapHow::Auto => ReapHow::Auto,
            });
            line.reaper = (reaper.identity.tgid != 0).then(|| named(reaper));
            line.reap_latency_ns = reap_latency_ns;
            line.reap_latency_at_least = reap_latency_ns.is_some() && *exit_ns == 0;
            line.teardown_ns = teardown_ns;
            line.precision = Some(match precision {
                model::Precision::Exact => Precision::Exact,
                model::Precision::Coarse => Precision::Coarse,
            });
            line.readiness = match readiness {
                model::Readiness::Unknown => None,
                model::Readiness::NotWaiting => Some(Readiness::NotWaiting),
                model::Readiness::Waiting => Some(Readiness::Waiting),
                model::Readiness::WaitingForIt => Some(Readiness::WaitingForIt),
                model::Readiness::WaitingOtherwise => Some(Readiness::WaitingOtherwise),
            }
            // The kernel waits for nobody.
            .filter(|_| *how == model::ReapHow::Wait);
        }
    }
    Some(line)
}

/// What is known of the life that has ended. Of one whose exit was not told only how long it was, if that is known.
fn life<'a>(event: &LifecycleEvent, ended: Option<&'a Ended>, exit: Option<&ExitDetail>) -> Option<Life<'a>> {
    let exit_ns = match (ended, &event.stage) {
        (Some(ended), _) => ended.exit_ns,
        (None, Stage::Zombie { exit_ns, .. } | Stage::Reap { exit_ns, .. }) if *exit_ns != 0 => *exit_ns,
        _ => return None,
    };
    let account = ended.and_then(|ended| ended.account.as_deref());
    let workload = ended.and_then(|ended| ended.workload.as_deref());
    let info = ended.and_then(|ended| ended.info.as_deref()).filter(|info| !info.command_line.is_empty());
    Some(Life {
        reason: exit.map(words::ended),
        lifetime_ns: exit_ns.saturating_sub(event.process.identity.start_boottime_ns),
        cpu_ns: account.and_then(|account| account.cpu_ns),
        peak_rss_bytes: account.and_then(|account| account.peak_rss_bytes),
        uid: account.and_then(|account| account.uid),
        session: account.and_then(|account| account.session),
        tty: account.and_then(|account| account.tty.as_deref()).map(text),
        cgroup_id: account.and_then(|account| account.cgroup_id),
        workload: workload.map(super::workload::workload),
        command_line: info.map(|info| info.command_line.iter().map(|arg| text(arg)).collect()),
    })
}
