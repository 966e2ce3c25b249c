//! The table of a recording: as it goes on, for a person at a terminal; else its last frame.
//!
//! Must not ask the kernel.

use std::{cell::RefCell, fs::File, io, path::Path, time::Duration};

use tokio::sync::Notify;

use super::{
    colours, feed, has_terminal,
    keyboard::Keyboard,
    print_frame,
    viewer::{self, Ask, Viewer},
};
use crate::{
    cli::{ReplayArgs, nanoseconds},
    command::{Failure, block_on, output, signals::Signals, unreadable},
    engine::{Engine, EnrichedEvent},
    model::{Input, Session},
    pipeline::{Details, Pipeline, PipelineError, Subscriber},
    recording::{Damage, Reader, RecordingError},
    source::playback::{Pace, Playback},
    table::{Colours, Playback as Position, Seek, Table, Wish},
};

/// How far a key goes.
const SEEK_NS: u64 = 10_000_000_000;

/// What is known of a recording before it is replayed.
struct Known {
    session: Session,
    began_ns: u64,
    length_ns: u64,
}

/// `reapwatch replay RECORDING --as table`.
pub fn replay(args: &ReplayArgs) -> Result<u8, Failure> {
    let known = survey(&args.file, args.grace)?;
    if has_terminal() {
        block_on(async |signals| watched(args, &known, signals).await)
    } else {
        block_on(async |_signals| last_frame(args, &known).await)
    }
}

fn open(path: &Path) -> Result<Reader<File>, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &RecordingError::Io(error)))?;
    Reader::open(file).map_err(|error| unreadable(path, &error))
}

/// Reads all of it, to know how long it is; says what of it cannot be read.
fn survey(path: &Path, grace: Option<Duration>) -> Result<Known, Failure> {
    let mut reader = open(path)?;
    let mut session = reader.session().clone();
    if let Some(grace) = grace {
        session.grace_ns = nanoseconds(grace);
    }
    let (mut began_ns, mut last_ns, mut is_empty) = (None, 0, true);
    for input in reader.by_ref() {
        is_empty &= matches!(input, Input::Losses { .. });
        if let Some(time_ns) = input.time_ns() {
            began_ns.get_or_insert(time_ns);
            last_ns = last_ns.max(time_ns);
        }
    }
    let damage = reader.damage();
    if is_empty {
        return Err(Failure::other(format!(
            "{} holds nothing that can be replayed: {damage}",
            path.display()
        )));
    }
    if damage != Damage::default() {
        output::say(&format!("{}: {damage}", path.display()));
    }
    let began_ns = began_ns.unwrap_or(last_ns);
    Ok(Known { session, began_ns, length_ns: last_ns.saturating_sub(began_ns) })
}

/// For whoever pipes it: the frame at the end.
async fn last_frame(args: &ReplayArgs, known: &Known) -> Result<u8, Failure> {
    let mut shown = AtEnd { table: Table::new(Colours::None), known };
    let mut source = Playback::new(open(&args.file)?, known.began_ns, None);
    let mut pipeline = Pipeline::new(&known.session, None, Details::None);
    pipeline.run_to_end(&mut source, &mut [&mut shown]).await.map_err(failed)?;
    let mut position = Position::new(known.length_ns);
    position.at_ns = known.length_ns;
    shown.table.set_playback(position);
    print_frame(&mut shown.table)?;
    Ok(0)
}

struct AtEnd<'a> {
    table: Table,
    known: &'a Known,
}

impl Subscriber for AtEnd<'_> {
    fn event(&mut self, observation: &EnrichedEvent) -> io::Result<()> {
        feed::event(&mut self.table, observation, &self.known.session);
        Ok(())
    }

    fn reading(&mut self, engine: &Engine) -> io::Result<()> {
        let session = &self.known.session;
        feed::reading(&mut self.table, engine, session, None, &|_| None, None, 80);
        Ok(())
    }
}

/// For a person. Going back means to begin anew and go on from there.
async fn watched(args: &ReplayArgs, known: &Known, signals: Signals) -> Result<u8, Failure> {
    let position = RefCell::new(Position::new(known.length_ns));
    let mut table = Table::new(colours(args.theme));
    table.set_playback(*position.borrow());
    let cannot = |error: io::Error| Failure::other(format!("cannot read the terminal: {error}"));
    let mut keyboard = Keyboard::open().map_err(cannot)?;
    let grace = Duration::from_nanos(known.session.grace_ns);
    let viewer = RefCell::new(Viewer::open(table, grace, &signals)?);
    let changed = Notify::new();
    loop {
        let from = *position.borrow();
        let pace = Pace::new(from.at_ns, from.speed_percent(), from.is_paused);
        let mut source = Playback::new(open(&args.file)?, known.began_ns, Some(&pace));
        let mut pipeline = Pipeline::new(&known.session, None, Details::None);
        let mut shown = Shown { viewer: &viewer, changed: &changed, known, position: &position };
        let looking = async {
            loop {
                let asks = viewer::next(&viewer, &mut keyboard, &signals, &changed).await;
                for ask in asks {
                    let next = follow(ask, &pace, &mut position.borrow_mut(), known);
                    let mut viewer = viewer.borrow_mut();
                    viewer.table.set_playback(*position.borrow());
                    viewer.changed();
                    if let Some(next) = next {
                        return (next, None);
                    }
                }
            }
        };
        match pipeline.run_until(&mut source, looking, &mut [&mut shown]).await.map_err(failed)? {
            Next::End => break,
            Next::Again => viewer.borrow_mut().table.begin_anew(),
        }
    }
    viewer.borrow_mut().leave();
    Ok(0)
}

/// How a replay goes on when this one ends.
enum Next {
    End,
    /// From the position.
    Again,
}

/// Does what was asked, if it needs no new replay.
fn follow(ask: Ask, pace: &Pace, position: &mut Position, known: &Known) -> Option<Next> {
    let at_ns = pace.at_ns().min(known.length_ns);
    position.at_ns = at_ns;
    match ask {
        Ask::End => return Some(Next::End),
        Ask::Reading => pace.ask(),
        Ask::Replay(wish) => {
            match wish {
                Wish::Pause => position.is_paused = !position.is_paused,
                Wish::Faster => position.faster(),
                Wish::Slower => position.slower(),
                Wish::Seek(Seek::Back) => {
                    position.at_ns = at_ns.saturating_sub(SEEK_NS);
                    return Some(Next::Again);
                }
                Wish::Seek(Seek::On) => position.at_ns = at_ns.saturating_add(SEEK_NS).min(known.length_ns),
                _ => return None,
            }
            pace.go(position.speed_percent(), position.is_paused);
            pace.jump(position.at_ns);
        }
    }
    None
}

struct Shown<'a> {
    viewer: &'a RefCell<Viewer>,
    changed: &'a Notify,
    known: &'a Known,
    position: &'a RefCell<Position>,
}

impl Subscriber for Shown<'_> {
    fn event(&mut self, observation: &EnrichedEvent) -> io::Result<()> {
        feed::event(&mut self.viewer.borrow_mut().table, observation, &self.known.session);
        Ok(())
    }

    fn reading(&mut self, engine: &Engine) -> io::Result<()> {
        let mut viewer = self.viewer.borrow_mut();
        let (explain, width) = (viewer.take_explain(), viewer.width());
        feed::reading(&mut viewer.table, engine, &self.known.session, None, &|_| None, explain, width);
        let mut position = self.position.borrow_mut();
        position.at_ns = engine.ended_ns().saturating_sub(self.known.began_ns);
        viewer.table.set_playback(*position);
        viewer.changed();
        self.changed.notify_one();
        Ok(())
    }
}

fn failed(error: PipelineError) -> Failure {
    match error {
        PipelineError::Source(error) => Failure::Setup(error),
        PipelineError::Subscriber(error) => Failure::writing("the terminal", &error),
    }
}
