//! What the tracer itself cost, and how full its maps were, for people (`--stats`). Must not know where the figures
//! come from.

use std::io::{self, Write};

use super::terminal::escape;
use crate::report::{
    Tracer,
    words::{count, duration},
};

/// Writes this text.
pub fn stats(out: &mut impl Write, tracer: &Tracer) -> io::Result<()> {
    writeln!(
        out,
        "reapwatch itself: {} of CPU, {:.1} MB resident, {:.1} MB in the kernel, {} recursion misses",
        duration(tracer.cpu_ns),
        tracer.resident_bytes as f64 / 1e6,
        tracer.kernel_bytes as f64 / 1e6,
        count(tracer.recursion_misses)
    )?;
    writeln!(out, "{:16} {:>12} {:>12} {:>8} {:>8}", "PROGRAM", "RUNS", "TIME", "NS/RUN", "MISSED")?;
    for one in tracer.programs.iter().filter(|one| one.runs > 0 || one.recursion_misses > 0) {
        writeln!(
            out,
            "{:16} {:>12} {:>12} {:>8} {:>8}",
            escape(&one.name),
            count(one.runs),
            duration(one.run_time_ns),
            one.ns_per_run(),
            count(one.recursion_misses)
        )?;
    }
    writeln!(out, "{:16} {:>12} {:>12} {:>8}", "MAP", "ENTRIES", "OF", "REFUSED")?;
    for one in &tracer.maps {
        let (entries, most) = (count(one.entries), count(one.max_entries));
        writeln!(out, "{:16} {entries:>12} {most:>12} {:>8}", escape(&one.name), count(one.refused))?;
    }
    Ok(())
}
