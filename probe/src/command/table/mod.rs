//! Plain `reapwatch`: the live table of the host's parents, or one frame of it.
//!
//! Owns how the table is fed while the host is watched. Must not judge, and must not know what a frame looks like or what a
//! terminal is sent.

mod act;
mod feed;
mod keyboard;
mod replay;
mod screen;
mod viewer;
mod watch;

pub use replay::replay;
pub use watch::table;

use std::io::{self, IsTerminal};

use crate::{
    cli::Theme,
    render::terminal::View,
    table::{Colours, Table, draw},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Failure, output};

/// Whether there is a terminal to look at and to type on.
pub fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The colours for this terminal.
fn colours(theme: Theme) -> Colours {
    match theme {
        _ if !output::view(true).colour => Colours::None,
        Theme::Dark => Colours::Dark,
        Theme::Light => Colours::Light,
        Theme::Auto => {
            let said = std::env::var("COLORFGBG").unwrap_or_default();
            if has_light_ground(&said) { Colours::Light } else { Colours::Dark }
        }
    }
}

/// `COLORFGBG` ends with the number of the ground's colour, as in `0;15`: of the sixteen, 7 and 9 to 15 are light.
fn has_light_ground(colorfgbg: &str) -> bool {
    let ground = colorfgbg.rsplit(';').next().and_then(|number| number.parse::<u8>().ok());
    matches!(ground, Some(7 | 9..=15))
}

/// Columns and rows of a frame that is printed: of the terminal, or as the environment says.
fn frame_size() -> (u16, u16) {
    let from = |name: &str, otherwise: u16| {
        let said = std::env::var(name).ok().and_then(|text| text.trim().parse::<u16>().ok());
        said.filter(|number| (1..=1_000).contains(number)).unwrap_or(otherwise)
    };
    let of_terminal = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    match of_terminal {
        // The prompt that follows takes a row.
        Some((width, height)) => (width.0, height.0.saturating_sub(1).max(1)),
        None => (from("COLUMNS", 80), from("LINES", 24)),
    }
}

/// Prints one frame as text.
fn print_frame(table: &mut Table) -> Result<(), Failure> {
    let (width, height) = frame_size();
    table.resize(width, height);
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width, height });
    draw::draw(table, &mut buffer);
    output::standard(draw::text(&buffer).as_bytes())
}

/// What a page is rendered for: the table paints.
fn page_view(width: u16) -> View {
    View { width: usize::from(width), colour: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ground_is_what_the_terminal_says() {
        for (said, is_light) in [
            ("0;15", true),
            ("15;0", false),
            ("0;default;15", true),
            ("", false),
            ("x", false),
            ("0;7", true),
        ] {
            assert_eq!(has_light_ground(said), is_light, "{said}");
        }
    }
}
