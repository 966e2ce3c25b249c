//! What being watched costs the watched: the CPU time of a load per life, in pairs of a watched and an unwatched run.
//!
//! A pair is one start of the tracer: every load runs once under it and once under nobody, now the one first, now the
//! other. A figure is the median of the pairs' ratios. Must not know the other parts of the bench.

use super::{
    BenchArgs, Measured,
    load::{self, FORK_EXEC, FORK_EXEC_ONE_CPU, Load, VFORK, VFORK_ONE_CPU, pass},
    spread::Spread,
    stats,
    table::{section, table},
    targets::Target,
    tracer::{CONTROL, Running, START_S, TRACE, Tracer, WATCH},
};
use crate::shell::Outcome;

struct Pairs {
    tracer: &'static str,
    peer: bool,
    count: usize,
    /// By load, as in `load::ALL`.
    ratios: Vec<Spread>,
}

impl Pairs {
    fn spread(&self, load: &Load) -> Option<Spread> {
        let place = load::ALL.iter().position(|one| one.name == load.name)?;
        self.ratios.get(place).copied()
    }

    fn median(&self, load: &Load) -> Option<f64> {
        self.spread(load).map(|ratio| ratio.median)
    }
}

pub fn measure(tracers: &[Tracer], args: &BenchArgs) -> Outcome<Measured> {
    let _off = stats::off()?;
    let mut pairs: Vec<(&Tracer, Vec<Vec<f64>>)> =
        tracers.iter().map(|tracer| (tracer, Vec::new())).collect();
    let mut alone: Vec<Vec<f64>> = Vec::new();
    for round in 0..args.pairs {
        for (tracer, ratios) in &mut pairs {
            let wanted = wanted(tracer, args);
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
            peer: tracer.peer,
            count: ratios.len(),
            ratios: (0..load::ALL.len())
                .filter_map(|load| Spread::of(ratios.iter().map(|pair| pair[load])))
                .collect(),
        })
        .collect();
    Ok(Measured { text: text(&pairs, &alone), targets: targets(&pairs) })
}

fn wanted(tracer: &Tracer, args: &BenchArgs) -> usize {
    if tracer.peer { args.peer_pairs() } else { args.pairs }
}

/// How long it takes, about.
pub fn seconds(tracers: &[Tracer], args: &BenchArgs, pass_s: f64) -> f64 {
    let pairs: usize = tracers.iter().map(|tracer| wanted(tracer, args)).sum();
    pairs as f64 * (START_S + 2.0 * pass_s)
}

fn watched(tracer: &Tracer, lives: u64) -> Outcome<Vec<f64>> {
    let running = Running::start(tracer)?;
    let figures = pass(lives)?;
    running.stop()?;
    Ok(figures)
}

fn targets(pairs: &[Pairs]) -> Vec<Target> {
    let of = |name: &str, load: &Load| pairs.iter().find(|one| one.tracer == name)?.median(load);
    let promised = [
        ("load's CPU, vfork, watch", 1.04, WATCH, VFORK),
        ("load's CPU, fork + exec, trace to /dev/null", 1.05, TRACE, FORK_EXEC),
    ];
    let mut targets: Vec<Target> = promised
        .into_iter()
        .filter_map(|(what, most, tracer, load)| Some(Target::new(what, most, "×", of(tracer, &load)?)))
        .collect();
    // As nobody would: a watched load costs no more than three quarters of the unwatched ones beside unwatched ones.
    let control = pairs.iter().find(|one| one.tracer == CONTROL).and_then(|one| one.spread(&FORK_EXEC));
    targets.extend(control.zip(of(WATCH, &FORK_EXEC)).map(|(control, watched)| {
        Target::new(
            "load's CPU, fork + exec, watch, beside the control's upper quartile",
            control.upper_quartile,
            "×",
            watched,
        )
    }));
    targets.extend([FORK_EXEC, VFORK, FORK_EXEC_ONE_CPU, VFORK_ONE_CPU].iter().filter_map(|load| {
        let (name, lowest) = lowest_peer(pairs, load)?;
        let what = format!("load's CPU, {}, watch beside the lowest peer ({name})", load.name);
        Some(Target::new(what, lowest, "×", of(WATCH, load)?))
    }));
    targets
}

fn lowest_peer(pairs: &[Pairs], load: &Load) -> Option<(&'static str, f64)> {
    pairs
        .iter()
        .filter(|one| one.peer)
        .filter_map(|one| Some((one.tracer, one.median(load)?)))
        .min_by(|one, other| one.1.total_cmp(&other.1))
}

fn text(pairs: &[Pairs], alone: &[Vec<f64>]) -> String {
    let mut text = section(
        "What does being watched cost a program?",
        "The load's CPU time per life, watched ÷ unwatched: median (quartiles; lowest–highest) of the pairs' ratios. The first row is the same load with nobody \
         watching; the control is nobody against nobody. A life of the thread storm is a thread, of which no process \
         event is told. On one CPU is the load, not the tracer: one that keeps a CPU busy of its own has caller and \
         child stay together on the other, and what sending them about costs is not spent.",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(tracer: &'static str, peer: bool, ratio: f64) -> Pairs {
        let ratios = load::ALL.iter().filter_map(|_| Spread::of([ratio])).collect();
        Pairs { tracer, peer, count: 1, ratios }
    }

    #[test]
    fn watch_is_held_against_the_lowest_peer() {
        let all = [pairs(WATCH, false, 1.03), pairs("dear", true, 1.2), pairs("cheap", true, 1.01)];
        let targets = targets(&all);
        let beside: Vec<_> = targets.iter().filter(|one| one.what.contains("cheap")).collect();
        assert_eq!(beside.len(), 4);
        assert!(beside.iter().all(|one| one.most == 1.01 && one.measured == 1.03));
        assert!(!targets.iter().any(|one| one.what.contains("trace")));
    }

    #[test]
    fn without_peers_nothing_is_said_of_them_nor_without_a_control() {
        let watch = || pairs(WATCH, false, 1.0);
        assert_eq!(targets(&[watch()]).len(), 1);
        let beside = targets(&[watch(), pairs(CONTROL, false, 1.01)]);
        assert_eq!(beside.len(), 2);
        assert_eq!((beside[1].most, beside[1].measured), (1.01, 1.0));
    }
}
