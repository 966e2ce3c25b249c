//! What the tracer itself costs and holds.
//!
//! Must not know how this is measured.

/// What the tracer itself costs and holds. Cumulative since the start.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TracerStats {
    /// CPU time of the collector, user and system.
    pub cpu_ns: u64,
    /// Its resident memory.
    pub resident_bytes: u64,
    /// What its maps and programs take in the kernel; 0 where the kernel does not say.
    pub kernel_bytes: u64,
    pub programs: Vec<ProgramStats>,
    pub maps: Vec<MapStats>,
}

/// One program in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ProgramStats {
    pub name: String,
    /// Runs and the time in them; 0 where the kernel does not count (`kernel.bpf_stats_enabled`, `--stats`).
    pub runs: u64,
    pub run_time_ns: u64,
    /// Times it was skipped because it was under way on the same CPU.
    pub recursion_misses: u64,
}

/// One map in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MapStats {
    pub name: String,
    pub entries: u64,
    pub max_entries: u64,
    /// Times something found no room.
    pub refused: u64,
}
