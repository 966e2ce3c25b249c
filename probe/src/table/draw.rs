//! From the state to a frame.
//!
//! Must not change the state, nor know what a terminal is sent.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{
    Page, Screen, Table,
    columns::{cells, columns, titles},
    facts::Facts,
    footer, host_line, pane,
    theme::{Colours, Kind},
};
use crate::{
    render::terminal::{cut, escape, width as columns_of, wrap},
    report::{Finding, words::duration},
};

/// Draws everything.
pub fn draw(table: &Table, buffer: &mut Buffer) {
    let layout = table.layout();
    let painter = Painter { colours: table.colours };
    let width = usize::from(table.width);
    painter.line(buffer, layout.host, &spread(host_line::parts(table, width)));
    headline(table, &painter, layout.headline, buffer);
    if table.screen == Screen::Rows {
        rows(table, &painter, (layout.titles, layout.rows), buffer);
    }
    let (title, lines) = below(table, width);
    painter.bar(buffer, layout.bar, &title);
    let shown = lines.iter().skip(table.scroll.min(most_scroll(lines.len(), layout.pane.height)));
    for (line, area) in shown.zip(lines_of(layout.pane)) {
        painter.line(buffer, area, line);
    }
    painter.line(buffer, layout.footer, &footer::parts(table, width));
}

/// A frame as text, without trailing spaces.
pub fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.y..area.bottom() {
        let mut line = String::new();
        let mut hidden = 0;
        for x in area.x..area.right() {
            // What stands behind a wide character is part of it.
            if hidden > 0 {
                hidden -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            hidden = columns_of(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How far the pane or the page can be scrolled.
pub fn last_scroll(table: &Table) -> usize {
    let (_, lines) = below(table, usize::from(table.width));
    most_scroll(lines.len(), table.layout().pane.height)
}

fn most_scroll(lines: usize, height: u16) -> usize {
    lines.saturating_sub(usize::from(height))
}

/// What is below the rows, or in their place: its title and its lines.
fn below(table: &Table, width: usize) -> ((String, Kind), Vec<Vec<pane::Line>>) {
    let page = |page: &Page| {
        let lines = page.lines.iter().flat_map(|line| folded(line, width));
        let lines = lines.map(|line| vec![(line, Kind::Plain)]).collect();
        ((page.title.clone(), Kind::Strong), lines)
    };
    match &table.screen {
        Screen::Page(shown) => page(shown),
        Screen::Question(question) => page(&question.page),
        Screen::Rows | Screen::Detail => (pane::title(table), pane::lines(table, width)),
    }
}

/// A line of a page, in as many as it takes, each indented as it is.
fn folded(line: &str, width: usize) -> Vec<String> {
    if columns_of(line) <= width {
        return vec![line.to_owned()];
    }
    let text = line.trim_start();
    let indent = " ".repeat((line.len() - text.len()).min(width / 2));
    wrap(text, width.saturating_sub(indent.len()).max(1))
        .into_iter()
        .map(|part| format!("{indent}{part}"))
        .collect()
}

fn headline(table: &Table, painter: &Painter, area: Rect, buffer: &mut Buffer) {
    let Some(report) = table.report() else { return };
    let judged_in =
        table.judged_in_ns().map(|ns| format!(" Judged in {}.", duration(ns))).unwrap_or_default();
    let (text, kind) = match (report.finding, judged_in.is_empty()) {
        (Finding::Leak, _) => (report.headline.clone(), Kind::Bad),
        (Finding::Slow | Finding::Held, _) | (Finding::Undecided, true) => {
            (report.headline.clone(), Kind::Warn)
        }
        (Finding::None, true) => (report.headline.clone(), Kind::Good),
        (Finding::Undecided | Finding::None, false) => (format!("{}{judged_in}", waiting(table)), Kind::Warn),
    };
    let lines = wrap(&escape(&text), usize::from(area.width).max(1));
    let shown = usize::from(area.height);
    for (place, rect) in lines_of(area).enumerate().take(lines.len()) {
        // The last line that there is room for says that there is more.
        let line = if place + 1 == shown { lines[place..].join(" ") } else { lines[place].clone() };
        painter.line(buffer, rect, &[(cut(&line, usize::from(area.width)), kind)]);
    }
}

/// The worst so far, while nothing is judged.
fn waiting(table: &Table) -> String {
    let worst = table.report().and_then(|report| report.parents.iter().max_by_key(|one| one.ledger.unreaped));
    match worst.filter(|worst| worst.ledger.unreaped > 0) {
        Some(worst) => format!(
            "{} has {} unreaped so far.",
            crate::report::words::parent(worst),
            crate::report::words::children(worst.ledger.unreaped, "dead ")
        ),
        None => "No dead child is unreaped.".into(),
    }
}

fn rows(table: &Table, painter: &Painter, (titles_area, area): (Rect, Rect), buffer: &mut Buffer) {
    let Some(report) = table.report() else { return };
    let columns = columns(usize::from(area.width));
    painter.line(buffer, titles_area, &[(titles(&columns), Kind::Title)]);
    let selected = table.selected_place();
    for (place, rect) in (table.top..table.rows.len()).zip(lines_of(area)) {
        let facts = Facts::of(table, report, &table.rows[place]);
        let mut parts = Vec::new();
        for cell in cells(&columns, table, &facts) {
            parts.extend([cell, (" ".into(), Kind::Plain)]);
        }
        painter.line(buffer, rect, &parts);
        if selected == Some(place) {
            buffer.set_style(rect, table.colours.selected());
        }
    }
    if table.rows.is_empty() {
        let text = if table.filter.is_empty() {
            "no parent has had a dead child yet"
        } else {
            "no parent is like that: Esc clears the filter"
        };
        if let Some(rect) = lines_of(area).next() {
            painter.line(buffer, rect, &[(text.into(), Kind::Dim)]);
        }
    }
}

/// One line each.
fn lines_of(area: Rect) -> impl Iterator<Item = Rect> {
    (area.y..area.bottom()).map(move |y| Rect { y, height: 1, ..area })
}

/// Parts with space between them.
fn spread(parts: Vec<(String, Kind)>) -> Vec<(String, Kind)> {
    let mut all = Vec::new();
    for part in parts {
        if !all.is_empty() {
            all.push((" ".repeat(host_line::GAP), Kind::Plain));
        }
        all.push(part);
    }
    all
}

struct Painter {
    colours: Colours,
}

impl Painter {
    fn line(&self, buffer: &mut Buffer, area: Rect, parts: &[(String, Kind)]) {
        if area.height == 0 {
            return;
        }
        let spans = parts.iter().map(|(text, kind)| Span::styled(text.as_str(), self.colours.style(*kind)));
        Line::from_iter(spans).render(area, buffer);
    }

    /// A line across, with a title in it.
    fn bar(&self, buffer: &mut Buffer, area: Rect, (title, kind): &(String, Kind)) {
        let width = usize::from(area.width);
        let title = cut(title, width.saturating_sub(6));
        let rest = "─".repeat(width.saturating_sub(columns_of(&title) + 4));
        let space = if title.is_empty() { "─" } else { " " };
        let parts =
            [(format!("──{space}"), Kind::Dim), (title, *kind), (format!("{space}{rest}"), Kind::Dim)];
        self.line(buffer, area, &parts);
    }
}
