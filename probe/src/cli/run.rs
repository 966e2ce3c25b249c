//! Arguments of `run`.
//!
//! Must not know what the command does with them.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueHint};

use super::value::{CommandLines, Format, Grace};

pub const EXAMPLES: &str = "\
Examples:
  reapwatch run -- python3 worker_manager.py
  reapwatch run --stacks -- ./agent            # and which line forks
  reapwatch run --format json --output report.json -- ./supervisor --fast
  reapwatch run --error-exitcode 99 --grace 2s -- make test    # a check for CI";

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    #[command(flatten)]
    pub command_lines: CommandLines,

    /// Write the report to FILE, - for standard output [default: standard error]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub grace: Grace,

    /// Exit with N (1 to 255) if the report finds a leak
    ///
    /// A leak is a parent whose verdict is 'leaking' or 'never_reaps': it left a dead child unreaped for longer than the
    /// grace, whether the parent is still alive or has died. In JSON: "finding": "leak". These do not cause exit N: late
    /// reaps, zombies that a tracer holds, processes left running, and 'undecided' parents, such as one that died just
    /// after its child.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub error_exitcode: Option<u8>,

    /// Also write a recording to FILE, for 'replay'
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,

    /// Find out where in the program each child is forked
    ///
    /// The report names, for each parent, the function and line that forked the most children which it then left. Without
    /// this option that is looked for only once a parent leaves children unreaped. A fork then takes 3 to 20 µs longer.
    #[arg(long)]
    pub stacks: bool,

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
