//! Where things are, by the size of the terminal.
//!
//! Must not know what is there.

use ratatui::layout::Rect;

/// From so many rows on the headline may take two.
const TALL: u16 = 20;
/// From so many rows on there is room for the pane below the rows.
const PANE_FROM: u16 = 16;

/// The parts of a frame, from the top. A part without room has a height of 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub host: Rect,
    pub headline: Rect,
    /// Titles of the columns.
    pub titles: Rect,
    pub rows: Rect,
    /// The line above the pane.
    pub bar: Rect,
    pub pane: Rect,
    pub footer: Rect,
}

impl Layout {
    /// `has_rows`: the rows are shown; else the pane has their room too.
    pub fn of(width: u16, height: u16, has_rows: bool) -> Self {
        let mut y = 0;
        let mut part = |height: u16| {
            let rect = Rect { x: 0, y, width, height };
            y += height;
            rect
        };
        let footer = u16::from(height >= 2);
        let mut left = height - footer;
        let mut take = |most: u16| {
            let taken = most.min(left);
            left -= taken;
            taken
        };
        let host = part(take(1));
        let headline = part(take(if height >= TALL { 2 } else { u16::from(height >= 6) }));
        let below = take(u16::MAX);
        let (titles, rows, bar, pane) = match (has_rows, below) {
            (false, below) => (0, 0, below.min(1), below.saturating_sub(1)),
            (true, below) if height < PANE_FROM => (below.min(1), below.saturating_sub(1), 0, 0),
            (true, below) => {
                let rows = (below - 2) * 2 / 5;
                (1, rows, 1, below - 2 - rows)
            }
        };
        Self {
            host,
            headline,
            titles: part(titles),
            rows: part(rows),
            bar: part(bar),
            pane: part(pane),
            footer: part(footer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_within_the_terminal_and_no_two_share_a_row() {
        for (width, height) in (0..60).flat_map(|height| [(1, height), (40, height), (200, height)]) {
            for has_rows in [false, true] {
                let of = Layout::of(width, height, has_rows);
                let parts = [of.host, of.headline, of.titles, of.rows, of.bar, of.pane, of.footer];
                let mut y = 0;
                for part in parts {
                    assert_eq!((part.x, part.y, part.width), (0, y, width), "{width}×{height} {of:?}");
                    y += part.height;
                }
                assert_eq!(y, height, "{width}×{height} {of:?}");
            }
        }
        assert!(Layout::of(40, 10, true).rows.height >= 6);
    }
}
