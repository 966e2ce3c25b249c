//! What a tracer itself uses: CPU time per life while a load runs, CPU time while nothing does, memory.

use std::{thread, time::Duration};

use super::{
    BenchArgs,
    load::{FORK, FORK_EXEC},
    spread::Spread,
    stats::StatsOff,
    table::{section, table},
    tracer::{Running, Tracer},
};
use crate::shell::Outcome;

/// Runs per load: medians need as many, pairs or not.
const RUNS_MAX: usize = 7;
/// Long enough that a tracer that reads by the clock has read all there was.
const AFTERWARDS: Duration = Duration::from_millis(300);

pub struct Own {
    pub tracer: &'static str,
    pub fork_ns: Spread,
    pub fork_exec_ns: Spread,
    idle_us_per_s: f64,
    pub resident_mb: f64,
    /// Lives per second of the fork load.
    rate: f64,
}

pub struct Result {
    pub tracers: Vec<Own>,
    pub text: String,
}

pub fn measure(tracers: &[Tracer], args: &BenchArgs) -> Outcome<Result> {
    let _off = StatsOff::now()?;
    let mut all = Vec::new();
    for tracer in tracers {
        eprintln!("bench: its own cost: {}", tracer.name);
        let running = Running::start(tracer)?;
        let idle_s = (args.run_ms as f64 * 2.0 / 1e3).max(0.1);
        let before = running.cpu_ns();
        thread::sleep(Duration::from_secs_f64(idle_s));
        let idle_ns = running.cpu_ns().saturating_sub(before) as f64;
        let (mut fork, mut fork_exec, mut rate) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..args.pairs.min(RUNS_MAX) {
            for (load, figures) in [(FORK, &mut fork), (FORK_EXEC, &mut fork_exec)] {
                let before = running.cpu_ns();
                let made = load.run_for(args.run_ms)?;
                thread::sleep(AFTERWARDS);
                figures.push(running.cpu_ns().saturating_sub(before) as f64 / made.lives);
                if load.name == FORK.name {
                    rate.push(made.lives / made.took_ns * 1e9);
                }
            }
        }
        let resident_mb = running.resident_mb();
        running.stop()?;
        let (Some(fork_ns), Some(fork_exec_ns), Some(rate)) =
            (Spread::of(fork), Spread::of(fork_exec), Spread::of(rate))
        else {
            continue;
        };
        all.push(Own {
            tracer: tracer.name,
            fork_ns,
            fork_exec_ns,
            idle_us_per_s: idle_ns / 1e3 / idle_s,
            resident_mb,
            rate: rate.median,
        });
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|own| {
            vec![
                own.tracer.to_owned(),
                format!("{:.2}", own.fork_ns.times(1e-3)),
                format!("{:.2}", own.fork_exec_ns.times(1e-3)),
                format!("{:.0}", own.rate),
                format!("{:.0}", own.idle_us_per_s),
                format!("{:.1}", own.resident_mb),
            ]
        })
        .collect();
    let mut text = section(
        "The tracer's own CPU time and memory",
        &format!(
            "µs of CPU per life over runs of {} ms and the {} ms after each, the tracer's timers included; output to \
             /dev/null. RSS when all was done.",
            args.run_ms,
            AFTERWARDS.as_millis()
        ),
    );
    text.push_str(&table(
        &[
            "tracer",
            "fork, µs per life",
            "fork + exec, µs per life",
            "forks per second",
            "idle, µs CPU per second",
            "RSS, MB",
        ],
        &rows,
    ));
    Ok(Result { tracers: all, text })
}
