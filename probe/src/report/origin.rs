//! Who sends metrics and alerts: the host and the process.
//!
//! Must not know how this is found out, or how it is written.

/// The host that is watched, and the process that watches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The name of the host; empty where it cannot be read.
    pub host_name: String,
    /// The machine id of the host, 32 hexadecimal digits; empty where there is none.
    pub machine_id: String,
    /// The pid of the agent.
    pub pid: u32,
}
