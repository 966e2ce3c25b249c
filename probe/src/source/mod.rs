//! Where inputs come from: the running kernel. Loads the programs, walks the task list, reads /proc.
//!
//! Owns everything that touches aya or the host. Must not know the engine, verdicts, reports or sinks.

pub mod attach_types;
mod batch;
pub mod cgroup;
pub mod clock;
pub mod decode;
pub mod detail;
pub mod kernel;
mod lives;
mod load;
pub mod namespace;
mod object;
pub mod offsets;
pub mod order;
pub mod own;
mod parents;
pub mod privileges;
pub mod tracefs;
pub mod types;

use std::fmt;

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
