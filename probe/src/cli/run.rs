//! Arguments of `run`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueHint};

use super::value::{Format, Grace};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch run -- python3 worker_manager.py
  reapwatch run --format json --output report.json -- ./supervisor --fast
  reapwatch run --error-exitcode 99 --grace 2s -- make test    # a check for CI";

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to FILE [default: standard error]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub grace: Grace,

    /// Exit with N (1 to 255) when the report finds a leak
    ///
    /// A leak is a parent whose verdict is 'leaking' or 'never_reaps': it left a dead child unreaped for longer than the
    /// grace, whether it still lives or died meanwhile. What does not make N: reaps that came late, zombies that a
    /// tracer holds, processes left running, and what is 'undecided', such as a parent that died over a child that had
    /// just died. In JSON: "finding": "leak".
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub error_exitcode: Option<u8>,

    /// Also record what was seen to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,

    /// Show on the terminal how far it is
    ///
    /// Off: the command has the terminal to itself. On: a line of standard error that is written over and over.
    #[arg(long)]
    pub progress: bool,

    /// The command and its arguments
    // Without `allow_hyphen_values`: everything after the first word belongs to the command all the same, but an
    // unknown option before it is a usage error and not a program called `--frmat`.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}
