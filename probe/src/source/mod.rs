//! Where inputs come from: `live`, the running kernel, or `replay`, a recording. `bpf` holds the programs, `host` reads
//! what /proc and the like say.
//!
//! Owns everything that touches eBPF or the host. Must not know the engine, verdicts, reports or how they are rendered.

pub mod bpf;
pub mod host;
pub mod input;
pub mod live;
pub mod playback;
pub mod reorder;
pub mod replay;
pub mod wakeups;

use std::fmt;

use nix::errno::Errno;

/// Why the kernel cannot be watched: what failed, on what, why, what to do.
#[derive(Debug)]
pub struct SetupError {
    pub what: String,
    pub remedy: String,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  to do: {}", self.what, self.remedy)
    }
}

impl std::error::Error for SetupError {}

/// What to do where something of which there is only so much has run out.
pub fn shortage(error: Errno) -> Option<&'static str> {
    match error {
        Errno::EMFILE => {
            Some("allow this process more open files: ulimit -n 256, or LimitNOFILE= of its unit")
        }
        Errno::ENFILE => Some("end what holds many files open, or raise the sysctl fs.file-max"),
        Errno::EAGAIN => Some(
            "end some processes, or raise what limits them: ulimit -u, pids.max (TasksMax=) of the cgroup, the sysctls \
             kernel.pid_max and kernel.threads-max",
        ),
        Errno::ENOMEM => Some("free memory, or raise the memory limit of the cgroup"),
        _ => None,
    }
}

/// The same for an error of a system call.
pub fn shortage_of(error: &std::io::Error) -> Option<&'static str> {
    error.raw_os_error().map(Errno::from_raw).and_then(shortage)
}
