//! Arguments of `help`.
//!
//! Must not know the causes, nor what the command does with its arguments.

use clap::Args;

pub const EXAMPLES: &str = "\
Examples:
  reapwatch help run               the help of a command
  reapwatch help causes            all causes, a line each
  reapwatch help never_waits       what a cause means, and what to do";

#[derive(Clone, Debug, Args)]
pub struct HelpArgs {
    /// A command; a cause, as reports name it; or 'causes' for all of them [default: the help of reapwatch]
    #[arg(value_name = "TOPIC")]
    pub topic: Vec<String>,
}
