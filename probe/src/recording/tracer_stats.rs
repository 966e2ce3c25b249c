//! Reads what the tracer itself cost. `encode` writes it.
//!
//! Must not know who counts it.

use super::decode::{count, tally, text, time};
use crate::model::{MapStats, ProgramStats, TracerStats};

/// Maximum number of programs, and of maps, of a tracer.
const UPKEEP_MAX: usize = 1024;

/// What the tracer cost and how full its maps were.
pub(super) fn decode_upkeep(from: &mut &[u8]) -> Option<TracerStats> {
    let (cpu_ns, resident_bytes) = (time(from)?, tally(from)?);
    let few = |count: &usize| *count <= UPKEEP_MAX;
    let programs = count(from, 28).filter(few)?;
    let programs = (0..programs)
        .map(|_| {
            Some(ProgramStats {
                name: text(from)?,
                runs: tally(from)?,
                run_time_ns: time(from)?,
                recursion_misses: tally(from)?,
            })
        })
        .collect::<Option<_>>()?;
    let maps = count(from, 28).filter(few)?;
    let maps = (0..maps)
        .map(|_| {
            Some(MapStats {
                name: text(from)?,
                entries: tally(from)?,
                max_entries: tally(from)?,
                refused: tally(from)?,
            })
        })
        .collect::<Option<_>>()?;
    // Before 3.5 it is not there.
    let kernel_bytes = if from.is_empty() { 0 } else { tally(from)? };
    Some(TracerStats { cpu_ns, resident_bytes, kernel_bytes, programs, maps })
}
