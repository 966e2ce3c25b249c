//! Options that every command accepts: how to reach the kernel, and what to report about the programs in it.
//!
//! Must not know what a command does with them.

use std::path::PathBuf;

use clap::{Arg, Args, Command, ValueEnum, ValueHint};

use super::value::ring_size;

/// Kernel BTF, where the kernel itself offers it.
pub const DEFAULT_BTF: &str = "/sys/kernel/btf/vmlinux";

/// How to reach the kernel; the same for every command that does.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// BTF file that describes the running kernel
    ///
    /// Needed only for a kernel that does not offer its own BTF (built without CONFIG_DEBUG_INFO_BTF). Give a file that
    /// was made for exactly this kernel, for instance from BTFHub.
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath, default_value = DEFAULT_BTF)]
    pub btf: PathBuf,

    /// Kind of kernel hooks to use
    #[arg(long, global = true, value_enum, value_name = "KIND", default_value_t = HookChoice::Auto)]
    pub hooks: HookChoice,

    /// Size of the ring buffer for events, in bytes or with suffix K or M
    ///
    /// A power of two from 4K to 1024M. The default is 4M, or 512K for `watch` without a recording, which receives few
    /// events. If the buffer overflows, counts stay exact but detail is lost, and the report says so. Memory: twice this
    /// size.
    #[arg(long, global = true, value_name = "SIZE", value_parser = ring_size)]
    pub ring_size: Option<u32>,

    /// Maximum number of dead children timed at once, from their exit to their reap
    ///
    /// Any beyond this limit are still counted, but not timed, and the report says so. Kernel memory: 208 bytes each, and
    /// 90 more in PID namespaces.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_194_304), default_value = "32768")]
    pub max_unreaped: u32,

    /// Maximum number of parents counted at once
    ///
    /// Any beyond this limit are reported from events alone, and the report says so. Kernel memory: 2.3 kB each.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_048_576), default_value = "8192")]
    pub max_parents: u32,

    /// Show what watching cost: run time of each program, entries in each map, own CPU time and memory
    ///
    /// Printed to standard error at the end; JSON reports always contain it. Makes the kernel measure the run time of all
    /// BPF programs while reapwatch runs, which costs about 50 ns per run.
    #[arg(long, global = true)]
    pub stats: bool,

    /// Print to standard error what the programs in the kernel decide
    ///
    /// For debugging reapwatch itself. Slow; without this option the programs contain no logging code.
    #[arg(long, global = true)]
    pub log_programs: bool,
}

/// Options without which `doctor` does the same.
pub const MEANINGLESS_FOR_DOCTOR: &[&str] = &["stats", "log_programs"];
/// A replay and an audit load no programs into the kernel.
pub const MEANINGLESS_FOR_REPLAY: &[&str] =
    &["btf", "hooks", "ring_size", "max_unreaped", "max_parents", "stats", "log_programs"];

/// These global options for a command that ignores them: accepted, because scripts may give them to every command, but
/// not listed in its help.
pub fn unlisted(ids: &[&str]) -> Vec<Arg> {
    Global::augment_args(Command::new(""))
        .get_arguments()
        .filter(|arg| ids.contains(&arg.get_id().as_str()))
        .map(|arg| arg.clone().hide(true))
        .collect()
}

/// Which rung (set of hooks) to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookChoice {
    /// The best hooks that this kernel and these privileges allow
    Auto,
    /// fentry and fexit: exact, and the cheapest
    Fentry,
    /// kprobe and kretprobe: exact
    Kprobe,
    /// Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late
    Tracepoint,
}
