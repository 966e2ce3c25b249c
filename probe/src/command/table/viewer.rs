//! A person at a terminal who looks at a table: keys in, frames out.
//!
//! Owns how often a frame is drawn. Must not know where readings come from.

use std::{
    cell::RefCell,
    io,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    act::{self, Act},
    keyboard::Keyboard,
    screen::Screen,
};
use crate::{
    command::{
        Failure,
        live::time_up,
        signals::{self, Signals},
    },
    table::{Page, ParentId, Press, Question, Table, Wish},
};

/// No two frames are closer than this.
const FRAMES_APART: Duration = Duration::from_millis(200);

/// What the table wants from whoever feeds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// No more: the person has quit, a signal has come, or the terminal has gone.
    End,
    /// A reading at once.
    Reading,
    /// Of a replay.
    Replay(Wish),
}

/// The table and its terminal.
pub struct Viewer {
    pub table: Table,
    screen: Screen,
    /// Parents must have waited for this.
    grace: Duration,
    act: Option<Act>,
    /// A page about this parent is wanted with the next reading.
    explain: Option<ParentId>,
    is_dirty: bool,
    last_frame: Option<Instant>,
}

impl Viewer {
    /// Takes the terminal.
    pub fn open(mut table: Table, grace: Duration, signals: &Signals) -> Result<Self, Failure> {
        let screen = Screen::open(signals)?;
        let (width, height) = screen.size();
        table.resize(width, height);
        let mut viewer =
            Self { table, screen, grace, act: None, explain: None, is_dirty: true, last_frame: None };
        viewer.draw();
        Ok(viewer)
    }

    /// The table has changed.
    pub fn changed(&mut self) {
        self.is_dirty = true;
    }

    /// Of which parent a page is wanted with this reading.
    pub fn take_explain(&mut self) -> Option<ParentId> {
        self.explain.take()
    }

    /// Columns of the terminal.
    pub fn width(&self) -> u16 {
        self.screen.size().0
    }

    /// Puts the terminal right.
    pub fn leave(&mut self) {
        self.screen.leave();
    }

    /// Takes a key.
    fn press(&mut self, press: Press) -> Option<Ask> {
        self.is_dirty = true;
        match self.table.press(press)? {
            Wish::Quit => return Some(Ask::End),
            Wish::Suspend => {
                if self.screen.suspend().is_err() {
                    return Some(Ask::End);
                }
                self.fit();
            }
            Wish::Redraw => self.screen.redraw(),
            Wish::Explain(id) => {
                self.explain = Some(id);
                self.table.say(format!("looking at process {} …", id.pid));
                return Some(Ask::Reading);
            }
            Wish::Detail => return Some(Ask::Reading),
            Wish::Prepare(way, id) => {
                let begun = Act::begin(way, id, self.grace);
                self.follow(begun);
            }
            Wish::GoAhead => {
                if let Some(act) = self.act.take() {
                    let page = act.carry_out(self.width());
                    self.table.show(page);
                }
            }
            Wish::Leave => self.act = None,
            Wish::Write => {
                let said = self.table.report().map(act::write);
                self.table.say(said.unwrap_or_else(|| "there is no report yet".into()));
            }
            wish @ (Wish::Pause | Wish::Faster | Wish::Slower | Wish::Seek(_)) => {
                return Some(Ask::Replay(wish));
            }
        }
        None
    }

    /// Shows the next step of what is to be done.
    fn follow(&mut self, step: Result<(Act, Question), Page>) {
        match step {
            Ok((act, question)) => {
                self.act = Some(act);
                self.table.ask(question);
            }
            Err(page) => self.table.show(page),
        }
        self.is_dirty = true;
    }

    fn fit(&mut self) {
        let (width, height) = self.screen.size();
        self.table.resize(width, height);
        self.is_dirty = true;
    }

    /// Draws, if there is something new and the last frame is long enough ago.
    fn draw(&mut self) {
        if self.frame_due_in() == Some(Duration::ZERO) {
            // What a busy terminal does not take now is tried again as late as the next frame.
            self.last_frame = Some(Instant::now());
            self.is_dirty = !self.screen.draw(&self.table);
        }
    }

    /// How long until a frame is to be drawn; `None`: nothing is new.
    fn frame_due_in(&self) -> Option<Duration> {
        let left = self.last_frame.map_or(Duration::ZERO, |last| FRAMES_APART.saturating_sub(last.elapsed()));
        self.is_dirty.then_some(left)
    }

    /// How long until something is to be done.
    fn due_in(&self) -> Option<Duration> {
        let step = self.act.as_ref().and_then(Act::due_in);
        [self.frame_due_in(), step].into_iter().flatten().min()
    }

    /// Does what is due.
    fn tick(&mut self) {
        if self.act.as_ref().and_then(Act::due_in) == Some(Duration::ZERO)
            && let Some(act) = self.act.take()
        {
            let planned = act.plan(self.width());
            self.follow(planned);
        }
        self.draw();
    }
}

/// Waits for whatever comes next of keys, signals and frames, and acts on it. `changed` is notified when the table has been
/// fed. The viewer is borrowed only between waits.
pub async fn next(
    viewer: &RefCell<Viewer>,
    keyboard: &mut Keyboard,
    signals: &Signals,
    changed: &Notify,
) -> Vec<Ask> {
    let due_in = viewer.borrow().due_in();
    let mut asks = Vec::new();
    tokio::select! {
        () = signals.something() => {
            if signals::first().is_some() {
                return vec![Ask::End];
            }
            let mut viewer = viewer.borrow_mut();
            if viewer.screen.resize() {
                viewer.fit();
            }
        }
        typed = keyboard.next() => match typed {
            Ok(presses) => {
                let mut viewer = viewer.borrow_mut();
                asks.extend(presses.into_iter().filter_map(|press| viewer.press(press)));
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::BrokenPipe {
                    tracing::debug!(%error, "the terminal cannot be read");
                }
                return vec![Ask::End];
            }
        },
        () = changed.notified() => {}
        () = time_up(due_in) => {}
    }
    let mut viewer = viewer.borrow_mut();
    viewer.tick();
    if viewer.screen.has_gone() {
        asks.push(Ask::End);
    }
    asks
}
