//! Options that every command takes: how to reach the kernel, and what to say of the programs in it.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::value::ring_size;

/// Kernel BTF, where the kernel itself offers it.
pub const DEFAULT_BTF: &str = "/sys/kernel/btf/vmlinux";

/// How to reach the kernel; the same for every command that does.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// BTF file that describes the running kernel
    ///
    /// Needed only for a kernel that does not offer its own BTF (built without CONFIG_DEBUG_INFO_BTF): give a file
    /// made for exactly this kernel, for instance from BTFHub.
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath, default_value = DEFAULT_BTF)]
    pub btf: PathBuf,

    /// Kind of kernel hooks to use
    #[arg(long, global = true, value_enum, value_name = "KIND", default_value_t = HookChoice::Auto)]
    pub hooks: HookChoice,

    /// Size of the ring buffer for events: bytes, or with suffix K or M
    ///
    /// A power of two, from 4K to 1024M; 4M by default, 512K for `watch` without a recording, which is told little. When
    /// it overflows, counts stay exact but detail is lost; the report says so. Memory: twice that.
    #[arg(long, global = true, value_name = "SIZE", value_parser = ring_size)]
    pub ring_size: Option<u32>,

    /// Most dead children followed at once between their exit and their reap
    ///
    /// What is beyond is still counted, but not timed, and the report says so. Kernel memory: 208 bytes each, and 90
    /// more in PID namespaces.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_194_304), default_value = "32768")]
    pub max_unreaped: u32,

    /// Most parents counted at once
    ///
    /// What is beyond is reported as far as events tell, and the report says so. Kernel memory: 2.3 kB each.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_048_576), default_value = "8192")]
    pub max_parents: u32,

    /// Say what watching cost: run time of each program, fill of each map, own CPU time and memory
    ///
    /// To standard error at the end; reports in JSON always hold it. Has the kernel count the run time of all BPF
    /// programs meanwhile, which costs some 50 ns a run.
    #[arg(long, global = true)]
    pub stats: bool,

    /// Have the programs in the kernel log what they decide, to standard error
    ///
    /// For debugging reapwatch itself. Slow when on; when off nothing of it is left in the programs.
    #[arg(long, global = true)]
    pub log_programs: bool,
}

/// Which rung of the ladder of hooks to stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookChoice {
    /// The best that this kernel and these privileges allow
    Auto,
    /// fentry and fexit: exact, cheapest
    Fentry,
    /// kprobe and kretprobe: exact
    Kprobe,
    /// Tracepoints only: works everywhere, reap times up to 32 ms late
    Tracepoint,
}
