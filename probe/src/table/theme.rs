//! Colours: for a dark terminal, for a light one, and none.
//!
//! Must not know what is painted.

use ratatui::style::{Color, Modifier, Style};

/// Which colours the terminal shows well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// `NO_COLOR`: weight and reversal alone.
    None,
    Dark,
    Light,
}

/// What a text means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Plain,
    Strong,
    /// A leak.
    Bad,
    /// Something to look at.
    Warn,
    /// As it should be.
    Good,
    /// Of less weight.
    Dim,
    /// A heading.
    Title,
}

impl Colours {
    /// How a text is painted.
    pub fn style(self, kind: Kind) -> Style {
        // The plain colours of a terminal are made for a dark ground: on a light one yellow and light green cannot be read.
        let colour = match (self, kind) {
            (Self::None, _) | (_, Kind::Plain | Kind::Strong) => None,
            (Self::Dark, Kind::Bad) => Some(Color::LightRed),
            (Self::Dark, Kind::Warn) => Some(Color::LightYellow),
            (Self::Dark, Kind::Good) => Some(Color::LightGreen),
            (Self::Dark, Kind::Dim) => Some(Color::Gray),
            (Self::Dark, Kind::Title) => Some(Color::LightCyan),
            (Self::Light, Kind::Bad) => Some(Color::Red),
            (Self::Light, Kind::Warn) => Some(Color::Indexed(94)),
            (Self::Light, Kind::Good) => Some(Color::Indexed(22)),
            (Self::Light, Kind::Dim) => Some(Color::Indexed(240)),
            (Self::Light, Kind::Title) => Some(Color::Blue),
        };
        let weight = match kind {
            Kind::Strong | Kind::Bad | Kind::Title => Modifier::BOLD,
            _ => Modifier::empty(),
        };
        let style = Style::new().add_modifier(weight);
        match colour {
            Some(colour) => style.fg(colour),
            None => style,
        }
    }

    /// The row that is selected, whatever it says.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
