//! Arguments of `replay`.
//!
//! Must not know what the command does with them.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, ValueHint};

use super::{
    check::{CheckArgs, LeftRunning},
    table::Theme,
    value::{CommandLines, ReportFormat, duration},
};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch replay host.rec
  reapwatch replay host.rec --format json --output report.json
  reapwatch replay host.rec --format html --output report.html    # a page to send
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
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,

    #[command(flatten)]
    pub command_lines: CommandLines,

    /// What to show
    // `as` is a keyword of Rust.
    #[arg(long = "as", value_enum, value_name = "VIEW", default_value_t = ReplayView::Report)]
    pub view: ReplayView,

    /// With --as trace, in text: say on the lines of a death also who the dead process was and what it used
    #[arg(long)]
    pub wide: bool,

    /// Write to FILE, - for standard output [default: -]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Judge by this grace [default: the grace it was recorded with]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub grace: Option<Duration>,

    /// With --as table: colours for this ground of the terminal
    #[arg(long, value_enum, value_name = "GROUND", default_value_t = Theme::Auto)]
    pub theme: Theme,

    #[command(flatten)]
    pub check: CheckArgs,
}

impl ReplayArgs {
    /// What a view of a recording cannot do.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match (self.view, self.format) {
            (ReplayView::Report | ReplayView::Table, _) if self.wide => {
                Some("--wide is for event lines: give --as trace with it, or leave it out")
            }
            (ReplayView::Table, ReportFormat::Json) => {
                Some("--as table is text: --as report has --format json")
            }
            (ReplayView::Table, ReportFormat::Html) => {
                Some("--as table is text: --as report has --format html, the page")
            }
            (ReplayView::Table, ReportFormat::Text) if self.output.is_some() => Some(
                "--as table goes to the terminal, or its last frame to standard output: leave --output out",
            ),
            (ReplayView::Trace, ReportFormat::Html) => {
                Some("--format html: event lines are text or JSON; leave out --as trace for the page")
            }
            (ReplayView::Trace | ReplayView::Table, _) if self.check.is_asked_for() => Some(
                "a check is of a report: leave out --as trace and --as table, or the options of the check",
            ),
            _ if self.check.left_running == LeftRunning::Kill => {
                Some("--left-running kill: a recording has nobody to end; use 'fail' or 'ignore'")
            }
            _ => None,
        }
    }
}
