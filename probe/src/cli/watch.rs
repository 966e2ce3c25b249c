//! Arguments of `watch`.
//!
//! Must not know what the command does with them.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::value::{CommandLines, Grace, ReportFormat, positive_duration};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch watch --duration 30s
  reapwatch watch --duration 2m --format json --output report.json
  reapwatch watch --duration 5m --record evidence.rec
  reapwatch watch --duration 5m --record evidence.rec --format html --output report.html";

#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// How long to watch
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    pub duration: Duration,

    #[command(flatten)]
    pub grace: Grace,

    /// Format of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,

    #[command(flatten)]
    pub command_lines: CommandLines,

    /// Write the report to FILE, - for standard output [default: -]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Also write a recording to FILE, for 'replay'
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
}
