//! Arguments of a check: when it fails, what is suppressed, and in which forms a CI is told.
//!
//! Must not know what the commands do with them.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// What becomes of processes that were left running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LeftRunning {
    /// Report them
    Ignore,
    /// Report them, and fail the check
    Fail,
    /// End them, SIGTERM first, and say whom; fail the check where one does not end
    Kill,
}

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Exit with N (1 to 255) if the check fails: if the report finds a leak
    ///
    /// A leak is a parent whose verdict is 'leaking' or 'never_reaps': it left a dead child unreaped for longer than the
    /// grace, whether the parent is still alive or has died. In JSON: "finding": "leak". These do not fail the check: late
    /// reaps, zombies that a tracer holds, 'undecided' parents, such as one that died just after its child, what a
    /// suppression names, and, without --left-running, processes left running.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub error_exitcode: Option<u8>,

    /// What becomes of processes that the command left running
    ///
    /// 'kill' ends those that no suppression names, with SIGTERM, and with SIGKILL what has not ended after --kill-after. It
    /// ends the descendants of the command, what they start meanwhile, and the process groups that they lead; each is
    /// identified by its pidfd and its start, so nobody else is hit.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = LeftRunning::Ignore, requires_if("fail", "error_exitcode"))]
    pub left_running: LeftRunning,

    /// Do not count what the rules in FILE name (docs/ci.md)
    ///
    /// It is still counted and shown, as suppressed. A rule that names nothing is said to be unused.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub suppressions: Option<PathBuf>,

    /// Print rules that would suppress what was found, to standard output or to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub gen_suppressions: Option<PathBuf>,

    /// Also write the report to FILE as JUnit XML: a test case for each parent with a finding, and one for the whole
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,

    /// Also print annotations for GitHub Actions, at the line of the source that forks
    ///
    /// To standard output, or to standard error if the report goes to standard output. With 'run', implies --stacks.
    #[arg(long)]
    pub github: bool,
}

impl CheckArgs {
    /// Whether anything of a check was asked for.
    pub(super) fn is_asked_for(&self) -> bool {
        let Self { error_exitcode, left_running, suppressions, gen_suppressions, junit, github } = self;
        error_exitcode.is_some()
            || *left_running != LeftRunning::Ignore
            || [suppressions, gen_suppressions, junit].iter().any(|file| file.is_some())
            || *github
    }
}
