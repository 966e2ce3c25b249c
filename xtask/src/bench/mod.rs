//! `bench`: what being watched costs, beside what others cost, in one run on one machine.
//!
//! Owns the order of the parts and the page they make. Each part is a module; none knows another.

mod child;
mod empty;
mod in_kernel;
mod latency;
mod load;
mod overload;
mod own_cost;
mod pairs;
mod spinner;
mod spread;
mod startup;
mod stats;
mod table;
mod targets;
mod tracer;
mod zombies;

use std::{fs, process::Command, thread};

use clap::ValueEnum;
pub use empty::empty;
use spread::Spread;
use targets::Target;
use tracer::{BPFTRACE_NAME, CONTROL, EMPTY, EMPTY_HASH, TRACE, Tracer, WATCH};

use crate::shell::{Outcome, cargo, output, root, run};

/// Below these a run is a trial: printed, not kept.
const PAIRS_LEAST: usize = 7;
const OVERLOAD_LEAST_SECONDS: u64 = 60;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Pairs,
    InKernel,
    OwnCost,
    Startup,
    Latency,
    Overload,
    Zombies,
}

#[derive(clap::Args)]
pub struct BenchArgs {
    /// Pairs of a watched and an unwatched run; a third of them, but 7 at least, for tracers of other projects
    #[arg(long, default_value_t = 21)]
    pairs: usize,
    /// Lives of a fork + exec load per run; cheaper loads make more
    #[arg(long, default_value_t = 400)]
    lives: u64,
    /// Length of a run that measures a tracer's own CPU time; latencies are compared for five of them
    #[arg(long, default_value_t = 1_000, value_name = "MS")]
    run_ms: u64,
    /// How long the highest fork rate must be stood
    #[arg(long, default_value_t = OVERLOAD_LEAST_SECONDS)]
    overload_seconds: u64,
    /// Zombies of the parent that has many
    #[arg(long, default_value_t = 20_000)]
    zombies: u64,
    /// Leave out the idle-priority threads that keep the CPUs from halting
    #[arg(long)]
    no_spinners: bool,
    /// Only tracers whose name contains this, and the control; prints, and writes nothing
    #[arg(long)]
    only: Option<String>,
    /// Only this part, may be given more than once; prints, and writes nothing
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Afterwards run `cargo bench --package probe` too: decode, engine and event lines alone
    #[arg(long)]
    hot_path: bool,
}

impl BenchArgs {
    fn peer_pairs(&self) -> usize {
        (self.pairs / 3).max(PAIRS_LEAST).min(self.pairs)
    }

    fn wants(&self, part: Part) -> bool {
        self.part.is_empty() || self.part.contains(&part)
    }

    fn is_whole(&self) -> bool {
        self.part.is_empty()
            && self.only.is_none()
            && self.pairs >= PAIRS_LEAST
            && self.overload_seconds >= OVERLOAD_LEAST_SECONDS
    }
}

/// Runs it; the whole of it writes docs/performance.md.
pub fn bench(args: &BenchArgs) -> Outcome {
    if args.pairs == 0 {
        return Err("--pairs must be 1 at least".into());
    }
    build()?;
    let missing = missing();
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let spinners = (!args.no_spinners).then(|| spinner::Spinners::start(cpus));
    let (body, targets) = measure(args)?;
    drop(spinners);
    let mut page = heading(args);
    page.push_str(&missing);
    page.push_str(&targets::text(&targets));
    page.push_str(&body);
    println!("{page}");
    if args.is_whole() {
        let path = root().join("docs/performance.md");
        fs::write(&path, &page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        eprintln!("bench: written to {}", path.display());
    } else {
        eprintln!("bench: a part or a trial only, so docs/performance.md stays as it is");
    }
    if args.hot_path {
        return run(cargo().args(["bench", "--package", "probe"]));
    }
    eprintln!("bench: decode, engine and event lines alone: cargo bench --package probe, or --hot-path");
    Ok(())
}

/// The tracers by these names, as far as they are here and asked for.
fn tracers(args: &BenchArgs, names: &[&str]) -> Vec<Tracer> {
    tracer::all()
        .into_iter()
        .filter(|one| names.is_empty() || names.contains(&one.name))
        .filter(|one| one.missing().is_none())
        .filter(|one| one.nobody() || args.only.as_deref().is_none_or(|only| one.name.contains(only)))
        .collect()
}

fn measure(args: &BenchArgs) -> Outcome<(String, Vec<Target>)> {
    let mut body = String::new();
    let mut targets = Vec::new();
    let mut target = |what: String, most, unit, measured| targets.push(Target { what, most, unit, measured });
    let median = |one: &Spread| one.median;
    if args.wants(Part::Pairs) {
        let peers = [BPFTRACE_NAME, "forkstat", "perf trace"];
        let names = [&[CONTROL, EMPTY, WATCH, TRACE], peers.as_slice()].concat();
        let result = pairs::measure(&tracers(args, &names), args)?;
        let ratio = |tracer: &str, load: &load::Load| {
            let place = load::ALL.iter().position(|one| one.name == load.name)?;
            result.pairs.iter().find(|one| one.tracer == tracer)?.ratios.get(place).map(median)
        };
        for (what, most, tracer, load) in [
            ("load's CPU, fork + exec, watch", 1.02, WATCH, load::FORK_EXEC),
            ("load's CPU, vfork, watch", 1.04, WATCH, load::VFORK),
            ("load's CPU, fork + exec, trace to /dev/null", 1.05, TRACE, load::FORK_EXEC),
        ] {
            if let Some(measured) = ratio(tracer, &load) {
                target(what.into(), most, "×", measured);
            }
        }
        body.push_str(&result.text);
    }
    if args.wants(Part::InKernel) {
        if tracer::is_here("bpftool") {
            let names = [EMPTY, EMPTY_HASH, WATCH, TRACE, BPFTRACE_NAME];
            let result = in_kernel::measure(&tracers(args, &names), args)?;
            let beside = [
                (&result.to_bpftrace, 1.0, "the bpftrace script"),
                (&result.to_least, 3.0, "empty programs + one hash insert and delete"),
            ];
            for (ratios, most, other) in beside {
                for (load, ratio) in ratios {
                    if let Some(ratio) = ratio {
                        target(
                            format!("in the kernel, {load}, watch beside {other}"),
                            most,
                            "×",
                            ratio.median,
                        );
                    }
                }
            }
            body.push_str(&result.text);
        } else {
            body.push_str(&table::section("In the kernel, ns per life", "Not measured: bpftool is missing."));
        }
    }
    if args.wants(Part::OwnCost) {
        let names = [WATCH, TRACE, BPFTRACE_NAME, "forkstat", "perf trace"];
        let result = own_cost::measure(&tracers(args, &names), args)?;
        let of = |name: &str| result.tracers.iter().find(|one| one.tracer == name);
        if let Some(watch) = of(WATCH) {
            target("tracer's CPU per life, fork, watch".into(), 1.0, "µs", watch.fork_ns.median / 1e3);
            target(
                "tracer's CPU per life, fork + exec, watch".into(),
                1.0,
                "µs",
                watch.fork_exec_ns.median / 1e3,
            );
            target("RSS, watch".into(), 16.0, "MB", watch.resident_mb);
        }
        if let Some(trace) = of(TRACE) {
            target("tracer's CPU per life, fork, trace".into(), 5.0, "µs", trace.fork_ns.median / 1e3);
            target(
                "tracer's CPU per life, fork + exec, trace".into(),
                5.0,
                "µs",
                trace.fork_exec_ns.median / 1e3,
            );
        }
        body.push_str(&result.text);
    }
    if args.wants(Part::Startup) {
        let result = startup::measure(args)?;
        target("start to first event".into(), 60.0, "ms", result.first_event_ms.median);
        body.push_str(&result.text);
    }
    if args.wants(Part::Latency) {
        let result = latency::measure(args)?;
        target(
            "latency error beside the highest rate, p99, outside the bounds".into(),
            50.0,
            "µs",
            result.p99_us.0,
        );
        target(
            "latency error beside the highest rate, p99, farther bound where sharp".into(),
            50.0,
            "µs",
            result.p99_us.1,
        );
        body.push_str(&result.text);
    }
    if args.wants(Part::Overload) {
        let result = overload::measure(args)?;
        target("deaths missing from the totals at the highest rate".into(), 0.0, "", result.missed as f64);
        target("losses reported at the highest rate".into(), 0.0, "", result.lost as f64);
        body.push_str(&result.text);
    }
    if args.wants(Part::Zombies) {
        body.push_str(&zombies::measure(args)?);
    }
    Ok((body, targets))
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
    crate::build_ebpf::build_ebpf(true)?;
    empty::keep_object()
}

/// A paragraph on what is not here to be compared with; empty where all is.
fn missing() -> String {
    let mut packages: Vec<&str> = tracer::all().iter().filter_map(Tracer::missing).collect();
    if !tracer::is_here("bpftool") {
        packages.push("bpftool");
    }
    if packages.is_empty() {
        return String::new();
    }
    let packages = packages.join(" ");
    eprintln!("bench: missing, so not measured: apt-get install {packages}");
    format!("\nMissing here, so not measured (Debian packages): {packages}.\n")
}

fn heading(args: &BenchArgs) -> String {
    let said =
        |program: &str, arguments: &[&str]| output(Command::new(program).args(arguments)).unwrap_or_default();
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let command: Vec<String> = std::env::args().skip(1).collect();
    format!(
        "# What it costs\n\nMeasured by `cargo xtask {}` ({} pairs, {} lives a run, {}) on {}, Linux {}, {} ×{}. Debian \
         packages beside the build's: bpftrace forkstat linux-perf bpftool. A claim finer than the spread of *{CONTROL}* \
         is none.\n",
        command.join(" "),
        args.pairs,
        args.lives,
        if args.no_spinners { "no spinners" } else { "an idle-priority spinner on each CPU" },
        said("date", &["-u", "+%Y-%m-%d"]),
        said("uname", &["-r"]),
        model.trim_start_matches([' ', '\t', ':']),
        said("nproc", &[]),
    )
}
