//! Time in a tracer's kernel programs per life, as the kernel itself counts it: the finest figure there is.
//!
//! Must not know the other parts of the bench.

use std::{thread, time::Duration};

use super::{
    BenchArgs, Measured, load,
    spread::Spread,
    stats::{self, Counted},
    table::{section, table},
    targets::Target,
    tracer::{BPFTRACE_NAME, EMPTY_HASH, Running, START_S, Tracer, WATCH, is_here},
};
use crate::shell::Outcome;

/// Rounds, however few pairs are asked for elsewhere.
const ROUNDS_MAX: usize = 7;

/// ns and runs per life: by load, by round.
type Figures = Vec<Vec<(f64, f64)>>;

const TITLE: &str = "What do the programs cost in the kernel?";

/// How long it takes, about: most of the loads of a pass, and a reading or two around each.
pub fn seconds(tracers: &[Tracer], args: &BenchArgs, pass_s: f64) -> f64 {
    (args.pairs.min(ROUNDS_MAX) * tracers.len()) as f64 * (START_S + pass_s)
}

pub fn measure(tracers: &[Tracer], args: &BenchArgs) -> Outcome<Measured> {
    if !is_here("bpftool") {
        return Ok(Measured {
            text: section(TITLE, "Not measured: bpftool is missing."),
            targets: Vec::new(),
        });
    }
    let _on = stats::on()?;
    let rounds = args.pairs.min(ROUNDS_MAX);
    let mut all: Vec<Figures> = tracers.iter().map(|_| vec![Vec::new(); load::IN_KERNEL.len()]).collect();
    for round in 0..rounds {
        eprintln!("bench: in the kernel, round {} of {rounds}", round + 1);
        for place in 0..tracers.len() {
            let index = (place + round) % tracers.len();
            let before = Counted::now()?;
            let running = Running::start(&tracers[index])?;
            // Once and for all: what anybody loads later is not the tracer's.
            let programs = Counted::now()?.new_since(&before);
            for (load, figures) in load::IN_KERNEL.iter().zip(&mut all[index]) {
                let before = Counted::now()?;
                let made = load.run(args.lives)?;
                // What is freed after a grace period belongs to it too.
                thread::sleep(Duration::from_millis(60));
                let (time_ns, runs) = Counted::now()?.since(&before, &programs);
                figures.push((time_ns / made.lives, runs / made.lives));
            }
            running.stop()?;
        }
    }
    Ok(result(tracers, &all))
}

fn result(tracers: &[Tracer], all: &[Figures]) -> Measured {
    let of = |name: &str| tracers.iter().position(|tracer| tracer.name == name).map(|index| &all[index]);
    let ratio = |load: usize, other: &str| {
        let (watch, other) = (&of(WATCH)?[load], &of(other)?[load]);
        Spread::of(watch.iter().zip(other).map(|(watch, other)| watch.0 / other.0))
    };
    let ratios = |other: &str| -> Vec<Option<Spread>> {
        (0..load::IN_KERNEL.len()).map(|load| ratio(load, other)).collect()
    };
    let (to_bpftrace, to_least) = (ratios(BPFTRACE_NAME), ratios(EMPTY_HASH));
    let targets = [
        (&to_bpftrace, 0.7, "the bpftrace script"),
        (&to_least, 3.0, "empty programs + one hash insert and delete"),
    ]
    .into_iter()
    .flat_map(|(ratios, most, other)| {
        load::IN_KERNEL.iter().zip(ratios).filter_map(move |(load, ratio)| {
            let what = format!("in the kernel, {}, watch beside {other}", load.name);
            Some(Target::new(what, most, "×", ratio.as_ref()?.median))
        })
    })
    .collect();
    let mut head = vec!["load"];
    head.extend(tracers.iter().map(|tracer| tracer.name));
    head.extend(["watch ÷ bpftrace", "watch ÷ (empty + insert + delete)"]);
    let rows: Vec<Vec<String>> = load::IN_KERNEL
        .iter()
        .enumerate()
        .map(|(index, load)| {
            let mut row = vec![load.name.to_owned()];
            row.extend(all.iter().map(|figures| {
                let time = Spread::of(figures[index].iter().map(|one| one.0));
                let runs = Spread::of(figures[index].iter().map(|one| one.1));
                match (time, runs) {
                    (Some(time), Some(runs)) => format!("{time:.0}, {:.1} runs", runs.median),
                    _ => String::new(),
                }
            }));
            row.extend(
                [to_bpftrace[index], to_least[index]]
                    .map(|ratio| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))),
            );
            row
        })
        .collect();
    let mut text = section(
        TITLE,
        "ns per life as the kernel counts it (`bpf_stats`), its own two clock readings a run included: the empty programs show \
         what those come to. Median (quartiles; lowest–highest), and runs of programs per life. *insert + delete*: the \
         empty programs, of which the one on exit makes an entry in a preallocated hash map and takes it away.",
    );
    text.push_str(&table(&head, &rows));
    Measured { text, targets }
}
