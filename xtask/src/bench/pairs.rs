//! What being watched costs the watched: the CPU time of a load per life, in pairs of a watched and an unwatched run.
//!
//! A pair is one start of the tracer: every load runs once under it and once under nobody, now the one first, now the
//! other. A figure is the median of the pairs' ratios.

use super::{
    BenchArgs,
    load::{self, Load},
    spread::Spread,
    stats::StatsOff,
    table::{section, table},
    tracer::{Running, Tracer},
};
use crate::shell::Outcome;

pub struct Pairs {
    pub tracer: &'static str,
    /// By load, as in `load::ALL`.
    pub ratios: Vec<Spread>,
    count: usize,
}

pub struct Result {
    pub pairs: Vec<Pairs>,
    pub text: String,
}

pub fn measure(tracers: &[Tracer], args: &BenchArgs) -> Outcome<Result> {
    let _off = StatsOff::now()?;
    let mut pairs: Vec<(&Tracer, Vec<Vec<f64>>)> =
        tracers.iter().map(|tracer| (tracer, Vec::new())).collect();
    let mut alone: Vec<Vec<f64>> = Vec::new();
    for round in 0..args.pairs {
        for (tracer, ratios) in &mut pairs {
            let wanted = if tracer.peer { args.peer_pairs() } else { args.pairs };
            // Those with fewer pairs have them all over the time the others take.
            if round * wanted / args.pairs == (round + 1) * wanted / args.pairs {
                continue;
            }
            eprintln!("bench: pair {} of {}: {}", round + 1, args.pairs, tracer.name);
            let (watched, unwatched) = if ratios.len() % 2 == 0 {
                let watched = watched(tracer, args.lives)?;
                (watched, pass(args.lives)?)
            } else {
                let unwatched = pass(args.lives)?;
                (self::watched(tracer, args.lives)?, unwatched)
            };
            ratios.push(watched.iter().zip(&unwatched).map(|(with, without)| with / without).collect());
            alone.push(unwatched);
        }
    }
    let pairs: Vec<Pairs> = pairs
        .iter()
        .filter(|(_, ratios)| !ratios.is_empty())
        .map(|(tracer, ratios)| Pairs {
            tracer: tracer.name,
            count: ratios.len(),
            ratios: (0..load::ALL.len())
                .filter_map(|load| Spread::of(ratios.iter().map(|pair| pair[load])))
                .collect(),
        })
        .collect();
    let text = text(&pairs, &alone);
    Ok(Result { pairs, text })
}

fn watched(tracer: &Tracer, lives: u64) -> Outcome<Vec<f64>> {
    let running = Running::start(tracer)?;
    let figures = pass(lives)?;
    running.stop()?;
    Ok(figures)
}

fn pass(lives: u64) -> Outcome<Vec<f64>> {
    load::ALL.iter().map(|load: &Load| load.run(lives).map(|made| made.cpu_per_life_ns())).collect()
}

fn text(pairs: &[Pairs], alone: &[Vec<f64>]) -> String {
    let mut text = section(
        "The load's CPU time per life, watched ÷ unwatched",
        "Median (quartiles; lowest–highest) of the pairs' ratios. The first row is the same load with nobody \
         watching; the control is nobody against nobody. A life of the thread storm is a thread, of which no process \
         event is told.",
    );
    let mut head = vec!["tracer", "pairs"];
    head.extend(load::ALL.iter().map(|load| load.name));
    let mut rows = vec![vec!["unwatched, µs".to_owned(), alone.len().to_string()]];
    rows[0].extend((0..load::ALL.len()).map(|load| {
        Spread::of(alone.iter().map(|pass| pass[load] / 1e3))
            .map_or_else(String::new, |it| format!("{it:.1}"))
    }));
    rows.extend(pairs.iter().map(|one| {
        let mut row = vec![one.tracer.to_owned(), one.count.to_string()];
        row.extend(one.ratios.iter().map(|ratio| format!("{ratio:.3}")));
        row
    }));
    text.push_str(&table(&head, &rows));
    text
}
