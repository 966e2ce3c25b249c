//! What a tracer itself uses: CPU time per life while a load runs, CPU time while nothing does, memory.
//!
//! Must not know the other parts of the bench.

use std::{thread, time::Duration};

use super::{
    BenchArgs, Measured,
    load::{FORK, FORK_EXEC},
    spread::Spread,
    stats,
    table::{section, table},
    targets::Target,
    tracer::{Running, START_S, TRACE, Tracer, WATCH},
};
use crate::shell::Outcome;

/// Runs per load: medians need as many, pairs or not.
const RUNS_MAX: usize = 7;
/// Long enough that a tracer that reads by the clock has read all there was.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Under one load: CPU per life in ns, and lives per second, for a timer's share of a life depends on them.
struct Cost {
    ns: Spread,
    rate: Spread,
}

struct Own {
    tracer: &'static str,
    fork: Cost,
    fork_exec: Cost,
    idle_us_per_s: f64,
    resident_mb: f64,
}

/// How long it takes, about.
pub fn seconds(tracers: &[Tracer], args: &BenchArgs) -> f64 {
    let run_s = args.run_ms as f64 / 1e3;
    let runs = 2 * args.pairs.min(RUNS_MAX);
    tracers.len() as f64 * (START_S + 2.0 * run_s + runs as f64 * (run_s + AFTERWARDS.as_secs_f64()))
}

pub fn measure(tracers: &[Tracer], args: &BenchArgs) -> Outcome<Measured> {
    let _off = stats::off()?;
    let mut all = Vec::new();
    for tracer in tracers {
        eprintln!("bench: its own cost: {}", tracer.name);
        let running = Running::start(tracer)?;
        let idle_s = (args.run_ms as f64 * 2.0 / 1e3).max(0.1);
        let before = running.cpu_ns();
        thread::sleep(Duration::from_secs_f64(idle_s));
        let idle_ns = running.cpu_ns().saturating_sub(before) as f64;
        let (mut fork, mut fork_exec) = (Vec::new(), Vec::new());
        for _ in 0..args.pairs.min(RUNS_MAX) {
            for (load, figures) in [(FORK, &mut fork), (FORK_EXEC, &mut fork_exec)] {
                let before = running.cpu_ns();
                let made = load.run_for(args.run_ms)?;
                thread::sleep(AFTERWARDS);
                let ns = running.cpu_ns().saturating_sub(before) as f64 / made.lives;
                figures.push((ns, made.lives / made.took_ns * 1e9));
            }
        }
        let resident_mb = running.resident_mb();
        running.stop()?;
        let (Some(fork), Some(fork_exec)) = (cost(&fork), cost(&fork_exec)) else { continue };
        let idle_us_per_s = idle_ns / 1e3 / idle_s;
        all.push(Own { tracer: tracer.name, fork, fork_exec, idle_us_per_s, resident_mb });
    }
    Ok(Measured { text: text(&all, args), targets: targets(&all) })
}

fn cost(figures: &[(f64, f64)]) -> Option<Cost> {
    Some(Cost {
        ns: Spread::of(figures.iter().map(|one| one.0))?,
        rate: Spread::of(figures.iter().map(|one| one.1))?,
    })
}

fn targets(all: &[Own]) -> Vec<Target> {
    let mut targets = Vec::new();
    for (name, short, most) in [(WATCH, "watch", 0.5), (TRACE, "trace", 3.0)] {
        let Some(own) = all.iter().find(|own| own.tracer == name) else { continue };
        for (load, cost) in [(FORK, &own.fork), (FORK_EXEC, &own.fork_exec)] {
            let what = format!("tracer's CPU per life, {}, {short}", load.name);
            targets.push(Target::new(what, most, "µs", cost.ns.median / 1e3));
        }
        let most_mb = if name == WATCH { 8.0 } else { 16.0 };
        targets.push(Target::new(format!("RSS, {short}"), most_mb, "MB", own.resident_mb));
    }
    targets
}

fn text(all: &[Own], args: &BenchArgs) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|own| {
            vec![
                own.tracer.to_owned(),
                format!("{:.2}", own.fork.ns.times(1e-3)),
                format!("{:.0}", own.fork.rate.median),
                format!("{:.2}", own.fork_exec.ns.times(1e-3)),
                format!("{:.0}", own.fork_exec.rate.median),
                format!("{:.0}", own.idle_us_per_s),
                format!("{:.1}", own.resident_mb),
            ]
        })
        .collect();
    let mut text = section(
        "What does the tracer itself use?",
        &format!(
            "µs of CPU per life over runs of {} ms and the {} ms after each, the tracer's timers included, so that a life \
             costs more where there are fewer a second; output to /dev/null. RSS when all was done.",
            args.run_ms,
            AFTERWARDS.as_millis()
        ),
    );
    text.push_str(&table(
        &[
            "tracer",
            "fork, µs per life",
            "forks per second",
            "fork + exec, µs per life",
            "fork + execs per second",
            "idle, µs CPU per second",
            "RSS, MB",
        ],
        &rows,
    ));
    text
}
