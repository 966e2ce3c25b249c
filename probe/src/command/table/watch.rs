//! The table of the running host.
//!
//! Must not know what a key does, nor what is drawn.

use std::{
    cell::RefCell,
    io,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    colours, feed,
    keyboard::Keyboard,
    print_frame,
    viewer::{self, Ask, Viewer},
};
use crate::{
    cli::{Global, TableArgs, nanoseconds},
    command::{
        Failure,
        live::{self, Use, Watching},
        signals::{self, Signals},
    },
    engine::{Engine, EnrichedEvent},
    model::{DEFAULT_GRACE_NS, Session, Task, WaitStatus},
    pipeline::Subscriber,
    source::{
        bpf::options::{ForkStacks, Kills, Subscription},
        host::{condition, process_directory::Directories, self_usage},
    },
    table::{Colours, Cost, Table},
};

/// The longest time between two walks of the task list, as long as there are any.
const WALKS_COME_WITHIN_NS: u64 = 6_000_000_000;

/// Plain `reapwatch`.
pub async fn table(global: &Global, args: TableArgs, signals: Signals) -> Result<u8, Failure> {
    let grace = args.grace.unwrap_or(Duration::from_nanos(DEFAULT_GRACE_NS));
    let subscription =
        Subscription::counters(nanoseconds(grace)).with_kills(Kills::OfSuspects).with(ForkStacks::OfTargets);
    let watching = live::attach(global, subscription, grace, None)?.open(None, Use::Table);
    if args.once {
        return once(watching, signals).await;
    }
    let table = Table::new(colours(args.theme.unwrap_or_default()));
    let cannot = |error: io::Error| Failure::other(format!("cannot read the terminal: {error}"));
    let mut keyboard = Keyboard::open().map_err(cannot)?;
    let viewer = RefCell::new(Viewer::open(table, grace, &signals)?);
    let changed = Notify::new();
    let mut feeding = Feeding {
        viewer: &viewer,
        changed: &changed,
        session: watching.session().clone(),
        directories: Directories::learn(),
    };
    let looking = async {
        loop {
            // Readings come by themselves, every second.
            if viewer::next(&viewer, &mut keyboard, &signals, &changed).await.contains(&Ask::End) {
                break;
            }
        }
        viewer.borrow_mut().leave();
        // Nobody waits for the last counts.
        ((), Some(Instant::now()))
    };
    let watched = watching.until(looking, &mut feeding).await;
    viewer.borrow_mut().leave();
    watched?.finish()?;
    Ok(0)
}

/// Shows each reading.
struct Feeding<'a> {
    viewer: &'a RefCell<Viewer>,
    changed: &'a Notify,
    session: Session,
    directories: Directories,
}

impl Subscriber for Feeding<'_> {
    fn event(&mut self, observation: &EnrichedEvent) -> io::Result<()> {
        feed::event(&mut self.viewer.borrow_mut().table, observation, &self.session);
        Ok(())
    }

    fn reading(&mut self, engine: &Engine) -> io::Result<()> {
        let mut viewer = self.viewer.borrow_mut();
        let (explain, width) = (viewer.take_explain(), viewer.width());
        let status_of = |dead: &Task| condition::status_of(&self.directories, dead);
        feed::reading(&mut viewer.table, engine, &self.session, cost(), &status_of, explain, width);
        viewer.changed();
        self.changed.notify_one();
        Ok(())
    }
}

/// What reapwatch itself has cost.
fn cost() -> Option<Cost> {
    let (cpu_ns, resident_bytes) = self_usage::cost();
    Some(Cost { cpu_ns, resident_bytes })
}

/// One frame, once there is something to judge.
async fn once(watching: Watching, signals: Signals) -> Result<u8, Failure> {
    let is_there = Notify::new();
    let mut one = OneFrame {
        table: Table::new(Colours::None),
        session: watching.session().clone(),
        directories: Directories::learn(),
        is_there: &is_there,
    };
    let stop = async {
        tokio::select! {
            () = is_there.notified() => {}
            _ = signals.first() => {}
        }
        ((), Some(Instant::now()))
    };
    let watched = watching.until(stop, &mut one).await?;
    if let Some(first) = signals::first() {
        watched.finish()?;
        return Ok(first.exit_code());
    }
    print_frame(&mut one.table)?;
    watched.finish()?;
    Ok(0)
}

struct OneFrame<'a> {
    table: Table,
    session: Session,
    directories: Directories,
    is_there: &'a Notify,
}

impl Subscriber for OneFrame<'_> {
    fn event(&mut self, observation: &EnrichedEvent) -> io::Result<()> {
        feed::event(&mut self.table, observation, &self.session);
        Ok(())
    }

    fn reading(&mut self, engine: &Engine) -> io::Result<()> {
        let status_of = |dead: &Task| -> Option<WaitStatus> { condition::status_of(&self.directories, dead) };
        feed::reading(&mut self.table, engine, &self.session, cost(), &status_of, None, 80);
        if (self.table.report()).is_some_and(|report| is_judged(engine, report.grace_ns)) {
            self.is_there.notify_one();
        }
        Ok(())
    }
}

/// Whether something can have waited for longer than the grace, and the task list was walked since then: parents are judged as
/// of that walk. Where walks do not come, the frame does not wait for one.
fn is_judged(engine: &Engine, grace_ns: u64) -> bool {
    let (start_ns, now_ns) = engine.window();
    let judged_from_ns = start_ns.saturating_add(grace_ns);
    engine.walked_ns() > judged_from_ns || now_ns > judged_from_ns.saturating_add(WALKS_COME_WITHIN_NS)
}
