//! `bench`: what being watched costs, beside what others cost, in one run on one machine.
//!
//! Owns the order of the parts. Each part is a module with promises of its own; none knows another. Must not know how a
//! part measures.

mod child;
mod in_kernel;
mod latency;
mod load;
mod overload;
mod own_cost;
mod page;
mod pairs;
mod scale;
mod spinner;
mod spread;
mod startup;
mod stats;
mod sysctl;
mod table;
mod targets;
mod tracer;

use std::{fs, path::PathBuf, process::Command, thread, time::Instant};

use clap::ValueEnum;
use targets::Target;
use tracer::{BPFTRACE_NAME, CONTROL, EMPTY, EMPTY_HASH, FORKSTAT, PERF_TRACE, TRACE, Tracer, WATCH};

use crate::shell::{Outcome, cargo, output, run, target_directory};

/// Below these a run is a trial: printed, not kept.
const PAIRS_LEAST: usize = 7;
const LIVES_LEAST: u64 = 200;
const OVERLOAD_LEAST_SECONDS: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Pairs,
    InKernel,
    OwnCost,
    Startup,
    Latency,
    Overload,
    Scale,
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
    #[arg(long, default_value_t = 100_000)]
    zombies: u64,
    /// Parents that live, where there are many
    #[arg(long, default_value_t = 100_000)]
    living: u64,
    /// Cgroups that they are in, where there are many
    #[arg(long, default_value_t = 5_000)]
    cgroups: u64,
    /// Leave out the idle-priority threads that keep the CPUs from halting
    #[arg(long)]
    no_spinners: bool,
    /// Only tracers whose name contains this, and the control; prints, and writes nothing
    #[arg(long)]
    only: Option<String>,
    /// Only this part, may be given more than once; prints, and writes nothing
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Afterwards run `cargo bench --package probe --bench hot_path` too: decode, engine and event lines alone
    #[arg(long)]
    hot_path: bool,
}

impl Part {
    /// Those whose cost it compares.
    fn tracers(self, args: &BenchArgs) -> Vec<Tracer> {
        let names: &[&str] = match self {
            Self::Pairs => &[CONTROL, EMPTY, WATCH, TRACE, BPFTRACE_NAME, FORKSTAT, PERF_TRACE],
            Self::InKernel => &[EMPTY, EMPTY_HASH, WATCH, TRACE, BPFTRACE_NAME],
            Self::OwnCost => &[WATCH, TRACE, BPFTRACE_NAME, FORKSTAT, PERF_TRACE],
            Self::Startup | Self::Latency | Self::Overload | Self::Scale => &[],
        };
        tracers(args, names)
    }

    /// How long it takes, about, where every load once takes so long with nobody watching.
    fn seconds(self, args: &BenchArgs, pass_s: f64) -> f64 {
        let tracers = self.tracers(args);
        match self {
            Self::Pairs => pairs::seconds(&tracers, args, pass_s),
            Self::InKernel => in_kernel::seconds(&tracers, args, pass_s),
            Self::OwnCost => own_cost::seconds(&tracers, args),
            Self::Startup => startup::seconds(args),
            Self::Latency => latency::seconds(args),
            Self::Overload => overload::seconds(args),
            Self::Scale => scale::seconds(args),
        }
    }

    fn measure(self, args: &BenchArgs) -> Outcome<Measured> {
        match self {
            Self::Pairs => pairs::measure(&self.tracers(args), args),
            Self::InKernel => in_kernel::measure(&self.tracers(args), args),
            Self::OwnCost => own_cost::measure(&self.tracers(args), args),
            Self::Startup => startup::measure(args),
            Self::Latency => latency::measure(args),
            Self::Overload => overload::measure(args),
            Self::Scale => scale::measure(args),
        }
    }
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
            && self.lives >= LIVES_LEAST
            && self.overload_seconds >= OVERLOAD_LEAST_SECONDS
    }
}

/// What a part has to say: its section of the page, and the promises it decides.
struct Measured {
    text: String,
    targets: Vec<Target>,
}

/// Runs it; the whole of it writes docs/performance.md.
pub fn bench(args: &BenchArgs) -> Outcome {
    if args.pairs == 0 {
        return Err("--pairs must be 1 at least".into());
    }
    build()?;
    let top = heading(args) + &missing();
    println!("{top}");
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let spinners = (!args.no_spinners).then(|| spinner::Spinners::start(cpus));
    let (mut body, mut targets, mut failed) = (String::new(), Vec::new(), Vec::new());
    let parts = || Part::value_variants().iter().filter(|part| args.wants(**part));
    let began = Instant::now();
    load::pass(args.lives)?;
    let pass_s = began.elapsed().as_secs_f64();
    let seconds: f64 = parts().map(|part| part.seconds(args, pass_s)).sum();
    eprintln!("bench: about {:.1} minutes, if the machine stays as busy as it is", seconds / 60.0);
    for part in parts() {
        let began = Instant::now();
        // What fails says nothing of the others, and they may have taken long.
        match part.measure(args) {
            Ok(mut done) => {
                println!("{}\n{}", done.text, targets::text(&done.targets));
                body.push_str(&done.text);
                targets.append(&mut done.targets);
            }
            Err(error) => {
                eprintln!("bench: {part:?}: {error}");
                failed.push(format!("{part:?}"));
            }
        }
        eprintln!("bench: {part:?} took {:.0} s", began.elapsed().as_secs_f64());
    }
    drop(spinners);
    let targets = table::section("Targets", "") + &targets::text(&targets);
    println!("{targets}");
    if !failed.is_empty() {
        return Err(format!("docs/performance.md stays as it is: {} failed", failed.join(", ")));
    }
    if args.is_whole() {
        page::write(&(top + &targets + &body))?;
    } else {
        eprintln!("bench: a part or a trial only, so docs/performance.md stays as it is");
    }
    if args.hot_path {
        return run(cargo().args(["bench", "--package", "probe", "--bench", "hot_path"]));
    }
    eprintln!(
        "bench: decode, engine and event lines alone: cargo bench --package probe --bench hot_path, or --hot-path"
    );
    Ok(())
}

/// The tracers by these names, as far as they are here and asked for.
fn tracers(args: &BenchArgs, names: &[&str]) -> Vec<Tracer> {
    tracer::all()
        .into_iter()
        .filter(|one| names.contains(&one.name))
        .filter(|one| one.missing().is_none())
        .filter(|one| one.nobody() || args.only.as_deref().is_none_or(|only| one.name.contains(only)))
        .collect()
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
    run(cargo().args(["build", "--quiet", "--release", "--package", "xtask", "--example", "empty"]))?;
    crate::build_ebpf::build_ebpf(true)?;
    let built = crate::build_ebpf::built("empty");
    fs::copy(&built, empty_object())
        .map(drop)
        .map_err(|error| format!("cannot copy {}: {error}", built.display()))
}

/// Attaches the empty programs.
fn empty() -> PathBuf {
    target_directory().join("release/examples/empty")
}

/// A copy of the object with the empty programs: what `build-ebpf` leaves may be built anew while we measure.
fn empty_object() -> PathBuf {
    target_directory().join("empty.bpf.o")
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
