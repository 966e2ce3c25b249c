//! Arguments of `audit`.
//!
//! Must not know what the command does with them.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::value::{Format, duration};

pub const EXAMPLES: &str = "\
Examples:
  sudo reapwatch audit
  sudo reapwatch audit --since 7d --error-exitcode 9   # for cron, once a week
  sudo reapwatch audit --gen-suppressions=known.toml
  sudo reapwatch audit --suppressions known.toml --format json
  sudo reapwatch audit --history host.rec              # who left the orphans, and how that ended

The keys of a file of suppressions are described in docs/audit.md.";

#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// Format of the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the findings to FILE, - for standard output [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Leave out findings that FILE (TOML) names, and say how many
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub suppressions: Option<PathBuf>,

    /// Print rules that would suppress what was found, instead of the findings; or also write them to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub gen_suppressions: Option<PathBuf>,

    /// Take from FILE, a recording of this host or the orphans.file of its agent, who left the orphans and how that ended
    ///
    /// Of those that were orphaned meanwhile that is certain, and not inferred from /proc. A recording may still be being made.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub history: Option<PathBuf>,

    /// List only processes that started within this time before now, and say how many others there are
    ///
    /// Of zombies, those of which the youngest started within it. With the time between two runs, a timer lists each ghost
    /// once.
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub since: Option<Duration>,

    /// Exit with N (1 to 255) if anything is found that no suppression covers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub error_exitcode: Option<u8>,
}
