//! The live table: what is known of the host and what a person is looking at, in; frames and wishes, out.
//!
//! Owns the state of the table: the reading that is shown, order, filter, selection and what is open. A frame follows from it
//! alone (`draw`). Must not read a clock, do I/O, or know where a reading comes from or what a terminal is. Every text from
//! outside is escaped before it is in a line.

mod columns;
pub mod draw;
mod facts;
mod footer;
mod history;
mod host_line;
pub mod key;
mod layout;
mod order;
mod page;
mod pane;
mod playback;
mod press;
mod reading;
mod theme;

#[cfg(test)]
mod frame_tests;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

pub use history::History;
pub use key::{Decoder, Press};
pub use order::Sort;
pub use page::{Page, Question};
pub use playback::{Playback, Seek};
pub use press::{Way, Wish};
pub use reading::{Cost, Event, ParentId, Reading};
pub use theme::Colours;

use order::{Row, RowId};

use crate::report::{Parent, Report, Verdict, Workload, detail::ParentDetail};

/// Most events kept, of all parents together.
const EVENTS_MAX: usize = 1_024;
/// Longest filter, in characters.
const FILTER_MAX: usize = 64;

/// Which rows there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Grouping {
    /// One for each parent.
    #[default]
    Parents,
    /// One for each workload; `None` is that of parents without one.
    Workloads,
    /// One for each parent of this workload.
    Within(Option<Workload>),
}

/// What is in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Screen {
    #[default]
    Rows,
    /// The pane of the selected row has all the room.
    Detail,
    Page(Page),
    Question(Question),
}

/// The state of the table.
#[derive(Debug)]
pub struct Table {
    reading: Option<Box<Reading>>,
    /// Of the parent that [`Table::wants_detail`] named.
    detail: Option<(ParentId, ParentDetail)>,
    histories: HashMap<ParentId, History>,
    /// Of all unreaped children.
    unreaped: History,
    /// Share of one CPU that reapwatch took between the last two readings, in percent, and the cost at the last.
    cpu_percent: Option<f64>,
    last_cost: Option<(u64, Cost)>,
    rows: Vec<Row>,
    /// `None`: the first row, whichever that is.
    selected: Option<RowId>,
    /// The first row that is shown.
    top: usize,
    width: u16,
    height: u16,
    colours: Colours,
    sort: Sort,
    filter: String,
    is_typing: bool,
    is_paused: bool,
    grouping: Grouping,
    screen: Screen,
    /// First line of the pane or page that is shown.
    scroll: usize,
    /// What is said in the last line, until the next key.
    message: Option<String>,
    events: VecDeque<Event>,
    /// Where a recording is being replayed.
    playback: Option<Playback>,
}

impl Table {
    /// One that has been fed nothing yet.
    pub fn new(colours: Colours) -> Self {
        Self {
            reading: None,
            detail: None,
            histories: HashMap::new(),
            unreaped: History::default(),
            cpu_percent: None,
            last_cost: None,
            rows: Vec::new(),
            selected: None,
            top: 0,
            width: 80,
            height: 24,
            colours,
            sort: Sort::default(),
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            grouping: Grouping::default(),
            screen: Screen::default(),
            scroll: 0,
            message: None,
            events: VecDeque::new(),
            playback: None,
        }
    }

    /// The size of the terminal, in columns and rows.
    pub fn resize(&mut self, width: u16, height: u16) {
        (self.width, self.height) = (width, height);
        self.keep_in_sight();
    }

    /// Shows this reading. False if it is not shown, because the table is paused.
    pub fn take(&mut self, reading: Reading) -> bool {
        if self.is_paused {
            return false;
        }
        self.remember(&reading);
        // The rows are those of the report before.
        let before = self.selected_place();
        self.reading = Some(Box::new(reading));
        self.order_again(before);
        true
    }

    /// Keeps levels for rates and trends.
    fn remember(&mut self, reading: &Reading) {
        let report = &reading.report;
        let now_ns = report.window.duration_ns;
        self.unreaped.push(now_ns, report.totals.unreaped);
        let mut before = std::mem::take(&mut self.histories);
        for parent in report.parents.iter().filter(|parent| parent.alive) {
            let id = ParentId::of(parent);
            let level = parent.ledger.unreaped;
            let history = before.remove(&id);
            // Most parents never leave anything: nothing is kept of those.
            if level > 0 || history.is_some() {
                let mut history = history.unwrap_or_else(|| History::beginning(now_ns, parent.older));
                history.push(now_ns, level);
                if !history.is_quiet() {
                    self.histories.insert(id, history);
                }
            }
        }
        if let Some(cost) = reading.cost {
            if let Some((then_ns, then)) = self.last_cost
                && now_ns > then_ns
            {
                let cpu_ns = cost.cpu_ns.saturating_sub(then.cpu_ns);
                self.cpu_percent = Some(cpu_ns as f64 * 100.0 / (now_ns - then_ns) as f64);
            }
            self.last_cost = Some((now_ns, cost));
        }
    }

    /// Keeps an event for whoever looks at its process or its parent.
    pub fn observe(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Forgets what was: a replay begins anew, from an earlier time.
    pub fn begin_anew(&mut self) {
        self.histories.clear();
        self.unreaped = History::default();
        self.events.clear();
    }

    /// Where the replay is.
    pub fn set_playback(&mut self, playback: Playback) {
        self.playback = Some(playback);
    }

    /// Says something in the last line.
    pub fn say(&mut self, text: impl Into<String>) {
        self.message = Some(text.into());
    }

    /// Shows a page, from its first line.
    pub fn show(&mut self, page: Page) {
        self.message = None;
        (self.screen, self.scroll) = (Screen::Page(page), 0);
    }

    /// Asks whether something is to be done.
    pub fn ask(&mut self, question: Question) {
        self.message = None;
        (self.screen, self.scroll) = (Screen::Question(question), 0);
    }

    /// What was asked for.
    pub fn set_detail(&mut self, of: ParentId, detail: ParentDetail) {
        self.detail = Some((of, detail));
    }

    /// The parent of which the children and the spread of the reaps are shown.
    pub fn wants_detail(&self) -> Option<ParentId> {
        self.selected_parent().map(ParentId::of)
    }

    /// The report that is shown.
    pub fn report(&self) -> Option<&Report> {
        self.reading.as_deref().map(|reading| &reading.report)
    }

    /// Puts the rows in order; the selection stays with its row.
    fn order(&mut self) {
        self.order_again(self.selected_place());
    }

    /// `before`: in which place the selected row was.
    fn order_again(&mut self, before: Option<usize>) {
        let Some(reading) = self.reading.as_deref() else { return };
        let asked = order::Asked {
            sort: self.sort,
            filter: &self.filter,
            grouping: &self.grouping,
            histories: &self.histories,
        };
        self.rows = order::rows(&reading.report, &asked);
        // Its row has gone: whoever is in its place now.
        if let Some(selected) = &self.selected
            && self.place_of(selected).is_none()
        {
            let place = before.unwrap_or(0).min(self.rows.len().saturating_sub(1));
            self.selected = self.id_at(place);
        }
        self.keep_in_sight();
    }

    fn id_at(&self, place: usize) -> Option<RowId> {
        Some(self.rows.get(place)?.id(&self.reading.as_deref()?.report))
    }

    fn place_of(&self, id: &RowId) -> Option<usize> {
        let report = &self.reading.as_deref()?.report;
        self.rows.iter().position(|row| row.id(report) == *id)
    }

    fn selected_place(&self) -> Option<usize> {
        match &self.selected {
            Some(selected) => self.place_of(selected),
            None => (!self.rows.is_empty()).then_some(0),
        }
    }

    fn selected_row(&self) -> Option<&Row> {
        self.rows.get(self.selected_place()?)
    }

    /// The parent that is selected; none if a workload is.
    fn selected_parent(&self) -> Option<&Parent> {
        match self.selected_row()? {
            Row::Parent(place) => self.reading.as_deref()?.report.parents.get(*place),
            Row::Workload(_) => None,
        }
    }

    /// Scrolls the rows so far that the selected one is shown.
    fn keep_in_sight(&mut self) {
        let shown = usize::from(self.layout().rows.height).max(1);
        let place = self.selected_place().unwrap_or(0);
        self.top = self.top.min(place).max((place + 1).saturating_sub(shown));
        self.top = self.top.min(self.rows.len().saturating_sub(shown));
    }

    fn layout(&self) -> layout::Layout {
        layout::Layout::of(self.width, self.height, self.screen == Screen::Rows)
    }

    /// How long until parents can be judged: nothing has waited for the grace yet.
    fn judged_in_ns(&self) -> Option<u64> {
        let report = self.report()?;
        (report.window.duration_ns <= report.grace_ns && report.finding < crate::report::Finding::Slow)
            .then(|| report.grace_ns - report.window.duration_ns)
    }
}

/// How bad a verdict is, to paint it.
fn kind_of(verdict: Verdict) -> theme::Kind {
    match verdict {
        Verdict::NeverReaps | Verdict::Leaking => theme::Kind::Bad,
        Verdict::Slow | Verdict::Held | Verdict::Undecided => theme::Kind::Warn,
        Verdict::Healthy => theme::Kind::Good,
    }
}
