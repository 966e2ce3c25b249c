//! From the engine to the table: a reading, and the events in between.
//!
//! Must not know a terminal, nor whether the engine is fed by a kernel or a recording.

use crate::{
    analysis::{self, explain},
    command::table::page_view,
    engine::{Engine, EnrichedEvent},
    model::{Identity, Session, Task, WaitStatus},
    render::{self, event_text::Width},
    table::{Cost, Event, Page, ParentId, Reading, Table},
};

/// How a dead process ended, where that is known.
pub type StatusOf<'a> = &'a dyn Fn(&Task) -> Option<WaitStatus>;

/// Shows the table what the engine knows now. `explain`: a page about this parent is wanted.
pub fn reading(
    table: &mut Table,
    engine: &Engine,
    session: &Session,
    cost: Option<Cost>,
    status_of: StatusOf<'_>,
    wanted: Option<ParentId>,
    width: u16,
) {
    let view = engine.view();
    let report = analysis::report_so_far(engine, session);
    table.take(Reading { report, cost });
    if let Some(id) = table.wants_detail()
        && let Some(detail) = analysis::detail(&view, session, identity(id), status_of)
    {
        table.set_detail(id, detail);
    }
    if let Some(id) = wanted {
        let task = view.parent(identity(id)).map(|parent| parent.task);
        match task.and_then(|task| page(&view, session, &task, status_of, width)) {
            Some(page) => table.show(page),
            None => table.say(format!("process {} is not known any more", id.pid)),
        }
    }
}

fn page(
    view: &crate::engine::View<'_>,
    session: &Session,
    task: &Task,
    status_of: StatusOf<'_>,
    width: u16,
) -> Option<Page> {
    let explanation = explain::explain(view, session, task, &explain::Looks::default(), status_of);
    let mut text = Vec::new();
    render::explain_text::page(&mut text, &explanation, page_view(width)).ok()?;
    Some(Page::new(format!("Process {}", task.identity.tgid), &String::from_utf8_lossy(&text)))
}

/// Shows the table an event, if it is one that lines are made of.
pub fn event(table: &mut Table, observation: &EnrichedEvent, session: &Session) {
    let EnrichedEvent::Stage { event, .. } = observation else { return };
    let Some(line) = analysis::event_line(observation, session) else { return };
    let mut text = Vec::new();
    // A Vec takes everything.
    if render::event_text::line(&mut text, &line, page_view(80), Width::Narrow).is_ok() {
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        table.observe(Event {
            process: parent_id(event.process.identity),
            parent: event.stage.parent().map(|parent| parent_id(parent.identity)),
            text,
        });
    }
}

fn parent_id(identity: Identity) -> ParentId {
    ParentId { pid: identity.tgid, start_boottime_ns: identity.start_boottime_ns }
}

fn identity(id: ParentId) -> Identity {
    Identity { tgid: id.pid, start_boottime_ns: id.start_boottime_ns }
}
