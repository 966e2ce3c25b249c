//! Arguments of `record`.
//!
//! Must not know what the command does with them.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::value::{Grace, positive_duration};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch record --duration 1m --output host.rec
  reapwatch record --output build.rec -- make -j8";

#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// Stop after this time [default: when the command ends or a signal interrupts]
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    pub duration: Option<Duration>,

    /// Write the recording to FILE, - for standard output
    ///
    /// What is in FILE already is kept as FILE.old.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,

    #[command(flatten)]
    pub grace: Grace,

    /// Show progress on the terminal
    ///
    /// A line on standard error that is redrawn in place. Without a command it is always shown. With one, it is off by
    /// default, so that the command has the terminal to itself.
    #[arg(long)]
    pub progress: bool,

    /// Record this command and its descendants only [default: the whole host]
    #[arg(trailing_var_arg = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}
