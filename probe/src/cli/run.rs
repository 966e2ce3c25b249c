//! Arguments of `run`.
//!
//! Must not know what the command does with them.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::{
    check::CheckArgs,
    value::{CommandLines, Grace, ReportFormat, duration},
};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch run -- python3 worker_manager.py
  reapwatch run --stacks -- ./agent            # and which line forks
  reapwatch run --format json --output report.json -- ./supervisor --fast
  reapwatch run --error-exitcode 99 --grace 2s -- make test    # a check for CI
  reapwatch run --error-exitcode 99 --left-running fail --suppressions leaks.toml --junit reap.xml -- pytest
  reapwatch run --format html --output report.html --record run.rec -- make test
  reapwatch run --gen-suppressions=leaks.toml -- make test";

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Format of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,

    #[command(flatten)]
    pub command_lines: CommandLines,

    /// Write the report to FILE, - for standard output [default: standard error]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub grace: Grace,

    #[command(flatten)]
    pub check: CheckArgs,

    /// With --left-running kill: how long a process may take to end after SIGTERM
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "5s")]
    pub kill_after: Duration,

    /// Also write a recording to FILE, for 'replay'
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,

    /// Find out where in the program each child is forked
    ///
    /// The report names, for each parent, the function and line that forked the most children which it then left. Without
    /// this option that is looked for only once a parent leaves children unreaped. A fork then takes 3 to 20 µs longer.
    #[arg(long)]
    pub stacks: bool,

    /// Look up the label of every program that is started: REAPWATCH_LABEL in its environment
    ///
    /// The report sums up by label what children were left. Without this option only the labels of parents and of what was left
    /// running are known. A program that ends within a few ms may be gone before it can be looked up.
    #[arg(long)]
    pub labels: bool,

    /// Show progress on the terminal
    ///
    /// A line on standard error that is redrawn in place. Off by default, so that the command has the terminal to itself.
    #[arg(long)]
    pub progress: bool,

    /// The command and its arguments
    // Without `allow_hyphen_values`, an unknown option before the command is a usage error, not a program called
    // `--frmat`. Everything after the first word belongs to the command all the same.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}
