//! Arguments of `explain`.
//!
//! Must not know what the command does with them.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::value::{CommandLines, Format, duration, positive_duration, process_id};

pub const EXAMPLES: &str = "\
Examples:
  sudo reapwatch explain 4242
  sudo reapwatch explain 4242 --duration 10s --grace 5s
  reapwatch explain 4242 --from host.rec --format json";

#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// How long to watch
    ///
    /// Ctrl-C ends it earlier, with the page.
    #[arg(
        long,
        value_name = "DUR",
        value_parser = positive_duration,
        default_value = "2500ms",
        conflicts_with = "from"
    )]
    pub duration: Duration,

    /// A dead child left unreaped for longer than this counts against its parent [default: 1s, or the grace of the
    /// recording]
    ///
    /// /proc does not say when a process died: one that was dead before is known to have waited for as long as reapwatch
    /// watched, so the grace must be shorter than that.
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub grace: Option<Duration>,

    /// Explain it from a recording made by 'record' or --record
    #[arg(long, value_name = "RECORDING", value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,

    /// Format of the page
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    #[command(flatten)]
    pub command_lines: CommandLines,

    /// The process: a parent, or a zombie, whose parent is explained too
    #[arg(value_name = "PID", value_parser = process_id)]
    pub pid: u32,
}
