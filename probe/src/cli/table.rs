//! Arguments of plain `reapwatch`, the live table.
//!
//! Must not know what the table does with them.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::value::duration;

#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Options of the live table (no command)")]
pub struct TableArgs {
    /// Print one frame as text, and end
    ///
    /// After the first reading of the counters, one second after the start; later where nothing can have waited for the grace
    /// by then. Needs no terminal. Without one the frame has 80 columns and 24 rows, or what COLUMNS and LINES say.
    #[arg(long)]
    pub once: bool,

    /// A dead child left unreaped for longer than this counts against its parent [default: 5s]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub grace: Option<Duration>,

    /// Colours for this ground of the terminal [default: auto]
    #[arg(long, value_enum, value_name = "GROUND")]
    pub theme: Option<Theme>,
}

impl TableArgs {
    /// The first option that was given.
    pub fn given(&self) -> Option<&'static str> {
        [("--once", self.once), ("--grace", self.grace.is_some()), ("--theme", self.theme.is_some())]
            .into_iter()
            .find_map(|(name, is_given)| is_given.then_some(name))
    }
}

/// The ground of a terminal. NO_COLOR goes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// As COLORFGBG says, else dark
    #[default]
    Auto,
    Dark,
    Light,
}
