//! Arguments of `profile`.
//!
//! Must not know what the command does with them.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, ValueHint};

use super::value::{Grace, positive_duration, process_id};

pub const EXAMPLES: &str = "\
Examples:
  sudo reapwatch profile --duration 30s              # the whole host: profile.pb.gz
  go tool pprof -http :8080 profile.pb.gz
  sudo reapwatch profile --pid 4242 --duration 1m --format svg
  reapwatch profile --format folded -- python3 agent.py
  reapwatch profile --from host.rec --sample forks --format svg --output forks.svg";

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileFormat {
    /// profile.proto, compressed: for `go tool pprof`, Pyroscope and others; has all four values
    Pprof,
    /// A line for each stack, and one value: for flamegraph.pl, speedscope and others
    Folded,
    /// A flame graph of one value
    Svg,
}

/// Which value folded stacks and flame graphs show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileSample {
    /// Dead children that the parent has not reaped at the end, or had not when it died
    Unreaped,
    /// How long children were zombies, in ns
    ZombieTime,
    /// The same of those that were reaped
    ReapLatency,
    /// How many children were forked
    Forks,
}

#[derive(Clone, Debug, Args)]
pub struct ProfileArgs {
    /// How long to watch [default: when the command ends or a signal interrupts]
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    pub duration: Option<Duration>,

    /// Only the forks of this process; may be given several times [default: the whole host]
    #[arg(long, value_name = "PID", value_parser = process_id, conflicts_with_all = ["from", "command"])]
    pub pid: Vec<u32>,

    /// What to write
    #[arg(long, value_enum, default_value_t = ProfileFormat::Pprof)]
    pub format: ProfileFormat,

    /// The value that folded stacks and flame graphs show [default: unreaped, or forks where none is unreaped]
    #[arg(long, value_enum, value_name = "VALUE")]
    pub sample: Option<ProfileSample>,

    /// Write to FILE, - for standard output [default: profile.pb.gz, profile.svg, or - for folded stacks]
    #[arg(long, short = 'o', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub grace: Grace,

    /// Make the profile from a recording: of `profile --record`, or of `run --stacks --record`
    #[arg(long, value_name = "RECORDING", value_hint = ValueHint::FilePath, conflicts_with_all = ["duration", "command"])]
    pub from: Option<PathBuf>,

    /// Also write a recording to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "from")]
    pub record: Option<PathBuf>,

    /// Run this command, and profile it and its descendants
    #[arg(trailing_var_arg = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}
