//! `bench`: what being watched costs, beside what others cost, in one run on one machine.
//!
//! Every round runs the same load once under each tracer and under none, in turn; a figure is the median of the
//! rounds' ratios to none in the same round. `none again` is the control: a claim finer than its spread is none.

mod tracer;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
pub use tracer::empty;
use tracer::{Running, Tracer};

use crate::shell::{Outcome, cargo, output, root, run, target_directory};

#[derive(clap::Args)]
pub struct BenchArgs {
    /// Rounds; each runs every load under every tracer once
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Lives per run of a load
    #[arg(long, default_value_t = 3_000)]
    lives: u64,
    /// Only tracers whose name contains this
    #[arg(long)]
    only: Option<String>,
}

/// A load: its name, and how the workload is told to make it.
const LOADS: &[(&str, &[&str])] = &[
    ("fork + exec", &["--exec", "1"]),
    ("fork", &[]),
    ("vfork", &["--vfork", "1"]),
    ("4 threads", &["--threads", "4"]),
    ("short parents", &["--parents", "1"]),
];

/// What one run of a load gave.
struct Sample {
    /// CPU time of the load itself per life: the programs run in it.
    load_ns: f64,
    /// CPU time of the tracer per life.
    tracer_ns: f64,
    rss_kb: u64,
}

/// Runs it and writes docs/performance.md.
pub fn bench(args: &BenchArgs) -> Outcome {
    build()?;
    let wanted = |tracer: &Tracer| args.only.as_deref().is_none_or(|only| tracer.name.contains(only));
    let tracers: Vec<Tracer> =
        tracer::all().into_iter().filter(|one| one.command.is_empty() || wanted(one)).collect();
    let mut text = String::new();
    text.push_str(&in_kernel(&tracers, args.lives)?);
    for (load, arguments) in LOADS {
        let mut rounds: Vec<Vec<Sample>> = Vec::new();
        for round in 0..args.rounds {
            eprintln!("bench: {load}, round {} of {}", round + 1, args.rounds);
            // Another order each round: whoever comes after a heavy one must not always be the same.
            let mut samples: Vec<(usize, Sample)> = Vec::new();
            for place in 0..tracers.len() {
                let index = (place + round) % tracers.len();
                samples.push((index, sample(&tracers[index], arguments, args.lives)?));
            }
            samples.sort_by_key(|(index, _)| *index);
            rounds.push(samples.into_iter().map(|(_, sample)| sample).collect());
        }
        text.push_str(&table(load, &tracers, &rounds));
    }
    let page = format!("{}\n{text}", heading(args));
    let path = root().join("docs/performance.md");
    fs::write(&path, &page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    println!("{page}");
    Ok(())
}

fn build() -> Outcome {
    run(cargo().args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "probe",
        "--bin",
        "reapwatch",
        "--example",
        "workload",
    ]))?;
    crate::build_ebpf::build_ebpf(true)
}

fn workload() -> PathBuf {
    target_directory().join("release/examples/workload")
}

fn heading(args: &BenchArgs) -> String {
    let said =
        |program: &str, arguments: &[&str]| output(Command::new(program).args(arguments)).unwrap_or_default();
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    format!(
        "# What it costs\n\nMeasured by `cargo xtask bench --rounds {} --lives {}` on {}, Linux {}, {} ×{}. Medians of the rounds' \
         ratios to the run without a tracer in the same round; in brackets the lowest and the highest. A claim finer than \
         the spread of *none again* is none.\n",
        args.rounds,
        args.lives,
        said("date", &["+%Y-%m-%d"]),
        said("uname", &["-r"]),
        model.trim_start_matches([' ', '\t', ':']),
        said("nproc", &[]),
    )
}

fn load(arguments: &[&str], lives: u64) -> Outcome<Value> {
    let said = output(
        Command::new(workload())
            .arg("load")
            .args(arguments)
            .args(["--count", &lives.to_string()])
            .stdin(Stdio::null()),
    )?;
    serde_json::from_str(&said).map_err(|error| format!("the load said {said}: {error}"))
}

fn lives_of(arguments: &[&str], lives: u64) -> u64 {
    // As many lives in all, however many are made at once.
    if arguments.contains(&"--threads") { lives / 4 } else { lives }
}

fn sample(tracer: &Tracer, arguments: &[&str], lives: u64) -> Outcome<Sample> {
    let running = Running::start(tracer)?;
    let before = running.cpu_ns();
    let said = load(arguments, lives_of(arguments, lives))?;
    running.settle();
    let tracer_ns = running.cpu_ns().saturating_sub(before);
    let rss_kb = running.rss_kb();
    running.stop()?;
    let number = |field: &str| said[field].as_f64().ok_or_else(|| format!("no {field} in {said}"));
    let all = number("lives")?;
    Ok(Sample { load_ns: number("cpu_ns")? / all, tracer_ns: tracer_ns as f64 / all, rss_kb })
}

/// Time in BPF programs per life, as the kernel itself counts it: fork without exec.
fn in_kernel(tracers: &[Tracer], lives: u64) -> Outcome<String> {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
    fs::write(SWITCH, "1").map_err(|error| format!("cannot write {SWITCH}: {error}"))?;
    let mut text = String::from(
        "## In the kernel, per life (`kernel.bpf_stats_enabled`), bare fork\n\n| tracer | ns per life | runs per life |\n|---|---|---|\n",
    );
    let result = tracers.iter().filter(|tracer| tracer.programs).try_for_each(|tracer| {
        let running = Running::start(tracer)?;
        let before = tracer::program_time()?;
        let lives = load(&[], lives)?["lives"].as_f64().unwrap_or(1.0);
        running.settle();
        let after = tracer::program_time()?;
        running.stop()?;
        let per_life = |after: u64, before: u64| after.saturating_sub(before) as f64 / lives;
        text.push_str(&format!(
            "| {} | {:.0} | {:.1} |\n",
            tracer.name,
            per_life(after.0, before.0),
            per_life(after.1, before.1)
        ));
        Ok(())
    });
    let _ = fs::write(SWITCH, "0");
    result.map(|()| text)
}

fn table(load: &str, tracers: &[Tracer], rounds: &[Vec<Sample>]) -> String {
    let mut text = format!(
        "\n## {load}\n\n| tracer | load's CPU per life | tracer's CPU per life | RSS |\n|---|---|---|---|\n"
    );
    for (index, tracer) in tracers.iter().enumerate() {
        let ratios = spread(rounds.iter().map(|round| round[index].load_ns / round[0].load_ns));
        let own = spread(rounds.iter().map(|round| round[index].tracer_ns));
        let rss = rounds.iter().map(|round| round[index].rss_kb).max().unwrap_or(0);
        let first = if index == 0 {
            let none = spread(rounds.iter().map(|round| round[0].load_ns / 1_000.0));
            format!("{:.1} µs ({:.1}–{:.1})", none.1, none.0, none.2)
        } else {
            format!("{:.3} × ({:.3}–{:.3})", ratios.1, ratios.0, ratios.2)
        };
        let (own, rss) = if tracer.command.is_empty() {
            ("-".to_owned(), "-".to_owned())
        } else {
            (
                format!("{:.2} µs ({:.2}–{:.2})", own.1 / 1e3, own.0 / 1e3, own.2 / 1e3),
                format!("{:.1} MB", rss as f64 / 1024.0),
            )
        };
        text.push_str(&format!("| {} | {first} | {own} | {rss} |\n", tracer.name));
    }
    text
}

/// Lowest, median, highest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => (0.0, 0.0, 0.0),
        [first, .., last] => (*first, values[values.len() / 2], *last),
        [only] => (*only, *only, *only),
    }
}
