//! Arguments of `doctor`.
//!
//! Must not know what the command does with them.

use clap::Args;

use super::value::Format;

pub const EXAMPLES: &str = "\
Examples:
  sudo reapwatch doctor
  reapwatch doctor --format json
  reapwatch doctor --btf /boot/vmlinux-6.1.btf";

#[derive(Clone, Copy, Debug, Args)]
pub struct DoctorArgs {
    /// Format of the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}
