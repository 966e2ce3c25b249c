//! Arguments of `trace`.
//!
//! Must not know what the command does with them.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::value::{CommandLines, Format, duration, positive_duration, process_id};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch trace
  reapwatch trace --pid 4242 --duration 10s
  reapwatch trace --format json | jq 'select(.event == \"reap\")'";

#[derive(Clone, Debug, Args)]
pub struct TraceArgs {
    /// Show only this process and its children; may be given more than once
    #[arg(long, value_name = "PID", value_parser = process_id)]
    pub pid: Vec<u32>,

    /// Show only reaps with at least this reap latency (time from zombie to reap); 0s shows every event
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "0s")]
    pub min_latency: Duration,

    /// Stop after this time [default: when a signal interrupts]
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    pub duration: Option<Duration>,

    /// Format of the event lines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// In text: say on the lines of a death also who the dead process was and what it used, as JSON always does
    #[arg(long)]
    pub wide: bool,

    #[command(flatten)]
    pub command_lines: CommandLines,

    /// Also write a recording to FILE, for 'replay'
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
}
