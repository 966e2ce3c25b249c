//! Arguments of `reap`.
//!
//! Must not know what the command does with them.

use std::time::Duration;

use clap::Args;

use super::value::{Format, duration, process_id};

pub const EXAMPLES: &str = "\
Examples:
  sudo reapwatch reap --dry-run 18472    # shows what it would do
  sudo reapwatch reap 18472              # asks first
  sudo reapwatch reap --yes --format json 18472
  sudo reapwatch reap --nudge 18472      # SIGCHLD, for a parent with a handler";

#[derive(Clone, Copy, Debug, Args)]
pub struct ReapArgs {
    /// Only zombies that have been there for so long are reaped
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "5s")]
    pub grace: Duration,

    /// Do not ask
    ///
    /// Without it, reapwatch shows what it will do and asks on the terminal. Where there is no terminal, it refuses.
    #[arg(long)]
    pub yes: bool,

    /// Show what would be done, and end
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,

    /// Send SIGCHLD to the parent instead
    ///
    /// Helps where the parent has a handler for SIGCHLD that reaps, and missed its moment. It is refused where there is no
    /// handler, or where every thread blocks the signal. A handler that runs cuts sleep() and poll() of the program short.
    #[arg(long)]
    pub nudge: bool,

    /// Form of the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// The parent whose zombies are to be reaped
    #[arg(value_name = "PID", value_parser = process_id)]
    pub pid: u32,
}
