//! The workload that a process is part of: what people deploy, restart and are responsible for.
//!
//! Must not know where this is read.

/// Longest name in a workload, in bytes: as long as the longest name of a systemd unit.
pub const WORKLOAD_NAME_MAX: usize = 255;

/// A workload. Names are printable ASCII without spaces and of bounded length, because `source` refuses others; only the path
/// of a program is raw bytes: hostile text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// A unit of the system's service manager.
    Unit(String),
    /// A container or virtual machine.
    Container { runtime: Runtime, id: String },
    /// A container of a Kubernetes pod; without an id where the process is in the pod and in no container of it.
    Pod { uid: String, container: Option<String> },
    /// The login sessions and the service manager of a user, and all that is delegated to them.
    Session { user: u32 },
    /// None of these: a program that a user runs.
    Program { user: u32, executable: Vec<u8> },
}

/// What runs containers or virtual machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    Docker,
    Containerd,
    CriO,
    Podman,
    Lxc,
    Nspawn,
    /// Registered with systemd-machined by another program.
    Machine,
    Libvirt,
    BuildKit,
    Garden,
}

impl Runtime {
    /// All of them; the place of each is its number in a recording.
    pub const ALL: [Self; 10] = [
        Self::Docker,
        Self::Containerd,
        Self::CriO,
        Self::Podman,
        Self::Lxc,
        Self::Nspawn,
        Self::Machine,
        Self::Libvirt,
        Self::BuildKit,
        Self::Garden,
    ];
}

/// Whether it can be a name in a workload: no control character, no space and nothing beyond ASCII.
pub fn is_workload_name(name: &[u8]) -> bool {
    (1..=WORKLOAD_NAME_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}
