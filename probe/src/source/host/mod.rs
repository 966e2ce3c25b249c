//! What the host says apart from the programs: clocks, /proc, namespaces, tracefs, privileges, and what this process costs.
//!
//! Must not know eBPF: `bpf` may ask this room, not the other way round.

pub mod census;
pub mod cgroup;
pub mod cgroup_mounts;
pub mod cgroup_tree;
pub mod clock;
pub mod condition;
pub mod evidence;
pub mod fork_site;
pub mod name;
pub mod namespace;
pub mod pid_limits;
pub mod privileges;
pub mod process_directory;
pub mod process_info;
pub mod release;
pub mod self_usage;
pub mod tracefs;
pub mod workload;
