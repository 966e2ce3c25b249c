//! What the tracer itself cost, and how full its maps were: part of every report, and all that `--stats` prints.
//!
//! Owns names, order and units. Must not know how the figures are measured.

use serde::Serialize;

/// What the tracer itself cost, and how full its maps were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tracer {
    /// CPU time of the collector, in ns.
    pub cpu_ns: u64,
    /// Resident memory of the collector, in bytes.
    pub resident_bytes: u64,
    /// What maps and programs take in the kernel, in bytes; 0 where the kernel does not say.
    pub kernel_bytes: u64,
    /// Hits that the kernel skipped because the program was already running on the CPU: the sum over all programs.
    pub recursion_misses: u64,
    /// One entry per program in the kernel.
    pub programs: Vec<ProgramCost>,
    /// One entry per map.
    pub maps: Vec<MapFill>,
}

/// What one program in the kernel cost. `runs` and `run_time_ns` are 0 unless the kernel counts them, which `--stats`
/// makes it do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramCost {
    /// Name of the program, as the kernel shows it.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// How long all its runs took together, in ns.
    pub run_time_ns: u64,
    /// Hits that the kernel skipped because the program was already running on the CPU.
    pub recursion_misses: u64,
}

impl ProgramCost {
    /// How long one run took on average, in ns.
    pub fn ns_per_run(&self) -> u64 {
        self.run_time_ns / self.runs.max(1)
    }
}

/// How full one map is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MapFill {
    /// Name of the map, as the kernel shows it.
    pub name: String,
    /// Entries in it now.
    pub entries: u64,
    /// Entries it has room for.
    pub max_entries: u64,
    /// Entries that found no room; `lost` has the sum by reason.
    pub refused: u64,
}
