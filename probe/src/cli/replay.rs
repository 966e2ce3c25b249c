//! Arguments of `replay`.
//!
//! Must not know what the command does with them.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, ValueHint};

use super::{
    table::Theme,
    value::{CommandLines, Format, duration},
};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch replay host.rec
  reapwatch replay host.rec --format json --output report.json
  reapwatch replay host.rec --as trace
  reapwatch replay host.rec --as table
  reapwatch replay host.rec --grace 30s    # the same events, judged with a longer grace";

/// What to show of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplayView {
    /// The report of 'run' and 'watch'
    Report,
    /// The event lines of 'trace'
    Trace,
    /// The live table, as the recording goes on: p pauses, + and - set the speed, [ and ] seek
    Table,
}

#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// A recording made by 'record' or --record
    #[arg(value_name = "RECORDING", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// Format of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    #[command(flatten)]
    pub command_lines: CommandLines,

    /// What to show
    // `as` is a keyword of Rust.
    #[arg(long = "as", value_enum, value_name = "VIEW", default_value_t = ReplayView::Report)]
    pub view: ReplayView,

    /// Write to FILE, - for standard output [default: -]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Judge by this grace [default: the grace it was recorded with]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub grace: Option<Duration>,

    /// With --as table: colours for this ground of the terminal
    #[arg(long, value_enum, value_name = "GROUND", default_value_t = Theme::Auto)]
    pub theme: Theme,
}

impl ReplayArgs {
    /// A table is for a person to look at.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match self.view {
            ReplayView::Table if self.format == Format::Json => {
                Err("--as table is text: --as report has --format json")
            }
            ReplayView::Table if self.output.is_some() => Err(
                "--as table goes to the terminal, or its last frame to standard output: leave --output out",
            ),
            _ => Ok(()),
        }
    }
}
