//! Arguments of `record`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::value::{Grace, positive_duration};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch record --duration 1m --output host.rec
  reapwatch record --output build.rec -- make -j8";

#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// Stop after this long [default: when the command ends, or when interrupted]
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    pub duration: Option<Duration>,

    /// The file to write
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,

    #[command(flatten)]
    pub grace: Grace,

    /// Show on the terminal how far it is
    ///
    /// Without a command it is shown in any case. With one, the command has the terminal to itself unless this is given: a line of standard error that is written over and over.
    #[arg(long)]
    pub progress: bool,

    /// Record this command and its descendants only [default: the whole host]
    #[arg(trailing_var_arg = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}
