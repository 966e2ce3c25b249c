//! What keys and mouse do to the table, and what they ask of the world outside it.
//!
//! Must not do what is asked.

use super::{FILTER_MAX, Grouping, Page, ParentId, Press, Screen, Seek, Table, order::RowId};
use crate::render::terminal::is_hidden;

/// How zombies are got rid of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// SIGCHLD for the parent.
    Nudge,
    /// The parent is made to call wait4.
    Reap,
}

/// What the table cannot do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Quit,
    /// Stop, as a shell stops a job.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// The page about this parent.
    Explain(ParentId),
    /// Look at this parent's zombies, to ask whether something is to be done about them.
    Prepare(Way, ParentId),
    /// The answer to the question is yes.
    GoAhead,
    /// It is no.
    Leave,
    /// Write the report that is shown to a file.
    Write,
    /// Of a replay.
    Pause,
    Faster,
    Slower,
    Seek(Seek),
    /// Another row is selected: its detail is wanted.
    Detail,
}

impl Table {
    /// Takes what a person did.
    pub fn press(&mut self, press: Press) -> Option<Wish> {
        match press {
            Press::Interrupt => return Some(Wish::Quit),
            Press::Suspend => return Some(Wish::Suspend),
            Press::Redraw => return Some(Wish::Redraw),
            _ => {}
        }
        self.message = None;
        if self.is_typing {
            self.type_filter(press);
            return None;
        }
        match &self.screen {
            Screen::Question(question) => {
                let is_ready = question.is_ready;
                self.answer(press, is_ready)
            }
            Screen::Page(_) => {
                self.read(press);
                None
            }
            Screen::Rows | Screen::Detail => self.command(press),
        }
    }

    fn command(&mut self, press: Press) -> Option<Wish> {
        let before = self.wants_detail();
        let wish = match press {
            Press::Char(letter) => self.letter(letter),
            _ => {
                self.go(press);
                None
            }
        };
        if wish.is_none() && self.wants_detail() != before {
            return Some(Wish::Detail);
        }
        wish
    }

    fn letter(&mut self, letter: char) -> Option<Wish> {
        let is_replay = self.playback.is_some();
        match letter {
            'q' => return Some(Wish::Quit),
            '?' => self.show(Page::help()),
            '/' => self.is_typing = true,
            's' => {
                self.sort = self.sort.next();
                self.order();
            }
            't' => self.group(),
            'p' | ' ' if is_replay => return Some(Wish::Pause),
            '+' | '=' if is_replay => return Some(Wish::Faster),
            '-' if is_replay => return Some(Wish::Slower),
            '[' if is_replay => return Some(Wish::Seek(Seek::Back)),
            ']' if is_replay => return Some(Wish::Seek(Seek::On)),
            'p' => self.is_paused = !self.is_paused,
            'w' => return Some(Wish::Write),
            'e' => return self.of_selected(Wish::Explain),
            'n' | 'r' if is_replay => self.say("a recording cannot be changed: only living parents can"),
            'n' => return self.of_selected(|id| Wish::Prepare(Way::Nudge, id)),
            'r' => return self.of_selected(|id| Wish::Prepare(Way::Reap, id)),
            'j' => self.go(Press::Down),
            'k' => self.go(Press::Up),
            'l' => self.go(Press::Enter),
            'h' => self.go(Press::Escape),
            'g' => self.go(Press::Home),
            'G' => self.go(Press::End),
            _ => {}
        }
        None
    }

    fn of_selected(&mut self, wish: impl Fn(ParentId) -> Wish) -> Option<Wish> {
        let id = self.wants_detail();
        if id.is_none() {
            self.say("select a parent first: Enter opens a workload");
        }
        id.map(wish)
    }

    /// Moves, opens and closes.
    fn go(&mut self, press: Press) {
        let page = usize::from(self.layout().rows.height).max(1);
        let is_detail = self.screen == Screen::Detail;
        match press {
            Press::Enter | Press::Right => self.open(),
            Press::Escape | Press::Left => self.back(),
            _ if is_detail => self.scroll_by(press),
            Press::Up => self.select_by(-1),
            Press::Down => self.select_by(1),
            Press::PageUp => self.select_by(-(page as isize)),
            Press::PageDown => self.select_by(page as isize),
            Press::Home => self.select_by(isize::MIN),
            Press::End => self.select_by(isize::MAX),
            Press::Wheel { row, is_up } => self.wheel(row, is_up),
            Press::Click { row, .. } => self.click(row),
            _ => {}
        }
    }

    fn select_by(&mut self, rows: isize) {
        let last = self.rows.len().saturating_sub(1);
        let place = self.selected_place().unwrap_or(0).saturating_add_signed(rows).min(last);
        self.select(place);
    }

    fn select(&mut self, place: usize) {
        let id = self.id_at(place);
        if id != self.selected {
            (self.selected, self.scroll) = (id, 0);
        }
        self.keep_in_sight();
    }

    fn open(&mut self) {
        let workload = match self.selected_place().and_then(|place| self.id_at(place)) {
            Some(RowId::Workload(workload)) => workload,
            Some(RowId::Parent(_)) if self.screen == Screen::Rows => {
                (self.screen, self.scroll) = (Screen::Detail, 0);
                return;
            }
            _ => return,
        };
        self.regroup(Grouping::Within(workload));
    }

    /// Undoes the last thing that narrowed what is shown.
    fn back(&mut self) {
        if self.screen == Screen::Detail {
            (self.screen, self.scroll) = (Screen::Rows, 0);
            self.keep_in_sight();
        } else if !self.filter.is_empty() {
            self.filter.clear();
            self.order();
        } else if let Grouping::Within(workload) = &self.grouping {
            let workload = workload.clone();
            self.regroup(Grouping::Workloads);
            self.selected = Some(RowId::Workload(workload));
            self.order();
        } else {
            (self.selected, self.top, self.scroll) = (None, 0, 0);
        }
    }

    fn group(&mut self) {
        let other = match self.grouping {
            Grouping::Parents => Grouping::Workloads,
            Grouping::Workloads | Grouping::Within(_) => Grouping::Parents,
        };
        self.regroup(other);
    }

    fn regroup(&mut self, grouping: Grouping) {
        (self.grouping, self.screen, self.selected) = (grouping, Screen::Rows, None);
        (self.top, self.scroll) = (0, 0);
        self.order();
    }

    fn wheel(&mut self, row: u16, is_up: bool) {
        let layout = self.layout();
        if row >= layout.bar.y && layout.pane.height > 0 {
            self.scroll_by(if is_up { Press::Up } else { Press::Down });
        } else {
            self.select_by(if is_up { -1 } else { 1 });
        }
    }

    fn click(&mut self, row: u16) {
        let layout = self.layout();
        let within = row.checked_sub(layout.rows.y).filter(|within| *within < layout.rows.height);
        if let Some(place) = within.map(|within| self.top + usize::from(within))
            && place < self.rows.len()
        {
            let was_selected = self.selected.is_some() && self.selected_place() == Some(place);
            self.select(place);
            if was_selected {
                self.open();
            }
        } else if row >= layout.bar.y && layout.bar.height > 0 && row < layout.footer.y {
            self.open();
        }
    }

    /// Scrolls the pane or the page; what is too far is put right when it is drawn.
    fn scroll_by(&mut self, press: Press) {
        let page = usize::from(self.height.saturating_sub(4)).max(1);
        let last = super::draw::last_scroll(self);
        let to = match press {
            Press::Up | Press::Wheel { is_up: true, .. } => self.scroll.saturating_sub(1),
            Press::Down | Press::Wheel { is_up: false, .. } => self.scroll + 1,
            Press::PageUp => self.scroll.saturating_sub(page),
            Press::PageDown | Press::Char(' ') => self.scroll + page,
            Press::Home => 0,
            Press::End => last,
            _ => self.scroll,
        };
        self.scroll = to.min(last);
    }

    fn read(&mut self, press: Press) {
        match press {
            Press::Escape | Press::Left | Press::Enter | Press::Char('q' | 'h' | 'e' | '?') => self.close(),
            Press::Char('j') => self.scroll_by(Press::Down),
            Press::Char('k') => self.scroll_by(Press::Up),
            Press::Char('g') => self.scroll_by(Press::Home),
            Press::Char('G') => self.scroll_by(Press::End),
            press => self.scroll_by(press),
        }
    }

    /// Closes what is in front.
    pub fn close(&mut self) {
        (self.screen, self.scroll) = (Screen::Rows, 0);
        self.keep_in_sight();
    }

    /// Only a plain yes is a yes. Scrolling answers nothing: the plan may be longer than the terminal.
    fn answer(&mut self, press: Press, is_ready: bool) -> Option<Wish> {
        match press {
            Press::Char('y' | 'Y') if is_ready => Some(Wish::GoAhead),
            Press::Up | Press::Down | Press::PageUp | Press::PageDown | Press::Wheel { .. } => {
                self.scroll_by(press);
                None
            }
            Press::Char('j') => {
                self.scroll_by(Press::Down);
                None
            }
            Press::Char('k') => {
                self.scroll_by(Press::Up);
                None
            }
            Press::Click { .. } => None,
            Press::Char('y' | 'Y') => None,
            _ => {
                self.close();
                self.say("nothing was done");
                Some(Wish::Leave)
            }
        }
    }

    fn type_filter(&mut self, press: Press) {
        match press {
            Press::Enter => self.is_typing = false,
            Press::Escape => {
                self.is_typing = false;
                self.filter.clear();
            }
            Press::Backspace => {
                self.filter.pop();
            }
            Press::Char(letter) if self.filter.chars().count() < FILTER_MAX && !is_hidden(letter) => {
                self.filter.push(letter);
            }
            _ => {}
        }
        self.order();
    }
}
