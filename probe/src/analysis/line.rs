//! One observation as one event line.
//!
//! Must not know how a line is written, nor where the observation comes from.

use super::{named, text, time};
use crate::{
    engine::EnrichedEvent,
    model::{self, Session, Stage},
    report::{EventKind, EventLine, EventProcess, ExitDetail, Precision, Readiness, ReapHow},
};

/// The line, or `None` if the command did not ask for this event.
pub fn event_line<'a>(enriched_event: &'a EnrichedEvent, session: &Session) -> Option<EventLine<'a>> {
    let (event, reap_latency_ns, teardown_ns) = match enriched_event {
        EnrichedEvent::Lost { time_ns, losses } => {
            return Some(EventLine {
                lost: Some(super::lost(*losses)),
                ..EventLine::blank(EventKind::Lost, time::rfc3339(session, *time_ns))
            });
        }
        EnrichedEvent::Stage { event, reap_latency_ns, teardown_ns, in_scope } => {
            if !in_scope {
                return None;
            }
            (event, *reap_latency_ns, *teardown_ns)
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
    match &event.stage {
        Stage::Fork { parent, creator } => {
            line.creator = (creator.identity != parent.identity).then(|| named(creator));
        }
        Stage::Exec { info } => {
            line.command_line = Some(info.command_line.iter().map(|arg| text(arg)).collect());
            line.executable = Some(text(&info.executable));
        }
        Stage::Exit { status, .. } => {
            line.exit = Some(ExitDetail {
                code: status.code(),
                signal: status.signal(),
                core_dumped: status.core_dumped(),
            });
        }
        Stage::Zombie { held_by, .. } => {
            line.held_by = held_by.as_ref().map(named);
            line.teardown_ns = teardown_ns;
        }
        Stage::Killed { .. } | Stage::Orphan { .. } => {}
        Stage::Reparent { from, .. } => {
            line.from = Some(named(from));
        }
        Stage::Reap { how, precision, reaper, readiness, .. } => {
            line.how = Some(match how {
                model::ReapHow::Wait => ReapHow::Wait,
                model::ReapHow::Auto => ReapHow::Auto,
            });
            line.reaper = (reaper.identity.tgid != 0).then(|| named(reaper));
            line.reap_latency_ns = reap_latency_ns;
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
