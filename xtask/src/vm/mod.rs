//! `vm`: the live tests on many kernels, on every rung each offers, as a table kernel × rung × scenario.
//!
//! Must not know what a scenario checks.

mod boot;
mod cost;
mod cost_page;
mod frozen;
mod guest;
mod kernels;
mod tries;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Mutex,
    thread,
};

use boot::{Booted, Clock, Rung};
pub use guest::Toolchain;
pub use kernels::Arch;
use kernels::{Image, KNOWN};

use crate::shell::{Outcome, target_directory};

/// All of the matrix.
impl Default for VmArgs {
    fn default() -> Self {
        Self {
            kernels: Vec::new(),
            rungs: RUNGS.join(","),
            filter: None,
            cost: false,
            freeze: false,
            jobs: 2,
        }
    }
}

impl VmArgs {
    /// The instructions of the programs, on the kernels on which they are counted.
    pub fn of_cost() -> Self {
        Self { cost: true, ..Self::default() }
    }
}

const RUNGS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];
/// With fewer x86-64 kernels than this the matrix proves too little.
const LEAST_X86_64: usize = 4;

#[derive(clap::Args)]
pub struct VmArgs {
    /// Kernels by name (5.10, 6.1, 6.12, 6.18, newest, 6.12-arm64, newest-arm64) or images by path [default: all names]
    kernels: Vec<String>,
    /// Rungs to try, separated by commas
    #[arg(long, default_value = "fentry,kprobe,tracepoint")]
    rungs: String,
    /// Only scenarios whose name contains this
    #[arg(long)]
    filter: Option<String>,
    /// Run no test: count the instructions of the programs beside loads of each kind, on 5.10, 6.12 and 6.12-arm64 unless
    /// kernels are named; fails where they have grown
    #[arg(long, conflicts_with = "filter")]
    cost: bool,
    /// Write what the kernels say to tests/data (BTF cut down and verifier budget; with `--cost` the instructions, and
    /// docs/instructions.md)
    #[arg(long)]
    freeze: bool,
    /// Virtual machines at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// The recordings that the live tests make on this kernel, on the rungs given, by rung and name.
pub fn recordings(kernel: &str, rungs: &str) -> Outcome<BTreeMap<(String, String), Vec<u8>>> {
    let images = [Image { whole: None, ..kernels::image(kernel)? }];
    let arch = images[0].arch;
    let initramfs = BTreeMap::from([(arch.debian(), guest::initramfs(arch)?)]);
    let command_line = format!("reapwatch.rungs={rungs} reapwatch.keep=1");
    let booted = boot_all(&images, &initramfs, &command_line, Clock::Host, 1).pop().ok_or("no boot")??;
    if !booted.ended {
        return Err(format!("{kernel} did not come to its end"));
    }
    Ok(booted.recordings)
}

/// Runs it; fails where a scenario failed, or a rung of a kernel of the matrix is missing.
pub fn vm(args: &VmArgs) -> Outcome {
    if args.cost {
        return cost::cost(&args.kernels, &args.rungs, args.freeze, args.jobs.max(1));
    }
    let all = args.kernels.is_empty();
    let names: Vec<&str> = if all {
        KNOWN.iter().map(|known| known.name).collect()
    } else {
        args.kernels.iter().map(String::as_str).collect()
    };
    let mut images = Vec::new();
    for name in names {
        match kernels::image(name) {
            Ok(image) if args.rungs == RUNGS.join(",") => images.push(image),
            // Whoever names rungs wants every test on them.
            Ok(image) => images.push(Image { whole: None, ..image }),
            Err(error) => eprintln!("vm: KERNEL {name} CANNOT BE HAD: {error}"),
        }
    }
    let x86_64 = images.iter().filter(|image| image.arch == Arch::X86_64).count();
    if images.is_empty() || (all && x86_64 < LEAST_X86_64) {
        return Err(format!("only {x86_64} x86-64 kernels can be had; {LEAST_X86_64} are needed"));
    }
    let initramfs = initramfs_of(&images)?;
    let mut command_line = format!("reapwatch.rungs={}", args.rungs);
    if let Some(filter) = &args.filter {
        command_line.push_str(&format!(" reapwatch.filter={filter}"));
    }
    let booted = boot_all(&images, &initramfs, &command_line, Clock::Host, args.jobs.max(1));
    let table = table(&images, &booted);
    println!("{table}");
    let path = target_directory().join("vm/matrix.md");
    fs::write(&path, &table).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    if args.freeze {
        let known: Vec<(&str, &Booted)> = images
            .iter()
            .zip(&booted)
            .filter_map(|(image, booted)| Some((image.name.as_str(), booted.as_ref().ok()?)))
            .filter(|(name, _)| KNOWN.iter().any(|known| known.name == *name))
            .collect();
        frozen::freeze(&known)?;
    }
    let mut wrong: Vec<String> = images
        .iter()
        .zip(&booted)
        .flat_map(|(image, booted)| {
            faults(image, booted, &args.rungs).into_iter().map(|fault| format!("{}: {fault}", image.name))
        })
        .collect();
    let (first_failures, too_many) = tries::judge(&images, &booted);
    println!("{first_failures}");
    wrong.extend(too_many);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// What guests run, by architecture, for those that are booted.
fn initramfs_of(images: &[Image]) -> Outcome<BTreeMap<&'static str, PathBuf>> {
    [Arch::X86_64, Arch::Arm64]
        .into_iter()
        .filter(|arch| images.iter().any(|image| image.arch == *arch))
        .map(|arch| Ok((arch.debian(), guest::initramfs(arch)?)))
        .collect()
}

fn boot_all(
    images: &[Image],
    initramfs: &BTreeMap<&str, PathBuf>,
    command_line: &str,
    clock: Clock,
    jobs: usize,
) -> Vec<Outcome<Booted>> {
    let next = Mutex::new(0..images.len());
    let results: Mutex<BTreeMap<usize, Outcome<Booted>>> = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().ok().and_then(|mut next| next.next()) else { return };
                    let image = &images[index];
                    let log = target_directory().join(format!("vm/{index}-{}.log", image.arch.debian()));
                    let whole = image.whole.map(|whole| format!(" reapwatch.whole={whole}"));
                    let command_line = format!("{command_line}{}", whole.unwrap_or_default());
                    let booted =
                        boot::boot(image, &initramfs[image.arch.debian()], &command_line, clock, &log);
                    if let Ok(booted) = &booted {
                        eprintln!(
                            "vm: {} ({}) {} in {:.0} s",
                            image.name,
                            booted.release,
                            if booted.ended { "ended" } else { "DID NOT END" },
                            booted.took.as_secs_f64()
                        );
                    }
                    if let Ok(mut results) = results.lock() {
                        results.insert(index, booted);
                    }
                }
            });
        }
    });
    results.into_inner().map(|results| results.into_values().collect()).unwrap_or_default()
}

/// What is wrong with a boot; the noise of a failed one goes to standard error.
fn faults(image: &Image, booted: &Outcome<Booted>, rungs: &str) -> Vec<String> {
    let booted = match booted {
        Ok(booted) => booted,
        Err(error) => return vec![error.clone()],
    };
    let mut faults = Vec::new();
    if !booted.ended {
        faults.push("did not come to its end".to_owned());
    }
    for rung in rungs.split(',') {
        match booted.rungs.get(rung) {
            None => faults.push(format!("{rung}: not tried")),
            Some(Rung::Refused(why)) if image.known => faults.push(format!("{rung}: refused: {why}")),
            Some(Rung::Refused(_)) => {}
            Some(Rung::Ran(results)) if results.is_empty() => faults.push(format!("{rung}: no test ran")),
            Some(Rung::Ran(results)) => faults.extend(
                results
                    .iter()
                    .filter(|(_, outcome)| **outcome == boot::Outcome::Failed)
                    .map(|(name, _)| format!("{rung}: {name} FAILED")),
            ),
        }
    }
    if image.known {
        match frozen::grown(&image.name, booted) {
            Ok(grown) => faults.extend(grown),
            Err(error) => faults.push(error),
        }
    }
    if !faults.is_empty() {
        eprintln!("vm: what {} printed besides:", image.name);
        for line in &booted.noise {
            eprintln!("    {line}");
        }
    }
    faults
}

/// Rows are scenarios, columns kernels; a cell names the rungs on which it passed (f, k, t), `!` where it failed.
fn table(images: &[Image], booted: &[Outcome<Booted>]) -> String {
    let mut text = String::from(
        "f fentry, k kprobe, t tracepoint: passed; f' k' t': passed alone after failing beside others; F K T: FAILED; -: the rung is refused; .: not run on it\n\n| scenario |",
    );
    let booted: Vec<Option<&Booted>> = booted.iter().map(|one| one.as_ref().ok()).collect();
    for (image, booted) in images.iter().zip(&booted) {
        let release = booted.map_or("did not boot", |booted| booted.release.as_str());
        text.push_str(&format!(" {} {release} |", image.arch.debian()));
    }
    text.push_str(&format!("\n|---|{}\n", "---|".repeat(images.len())));
    let scenarios: BTreeSet<&String> = booted
        .iter()
        .flatten()
        .flat_map(|booted| booted.rungs.values())
        .filter_map(|rung| if let Rung::Ran(results) = rung { Some(results.keys()) } else { None })
        .flatten()
        .collect();
    for scenario in scenarios {
        text.push_str(&format!("| {} |", scenario.replace('_', " ")));
        for booted in &booted {
            let cell: String = RUNGS
                .iter()
                .filter_map(|rung| {
                    let letter = rung.chars().next()?;
                    Some(match booted.as_ref()?.rungs.get(*rung)? {
                        Rung::Refused(_) => "-".to_owned(),
                        Rung::Ran(results) => match results.get(scenario) {
                            Some(boot::Outcome::Passed) => letter.to_string(),
                            Some(boot::Outcome::PassedAlone) => format!("{letter}'"),
                            Some(boot::Outcome::Failed) => letter.to_ascii_uppercase().to_string(),
                            None => ".".to_owned(),
                        },
                    })
                })
                .collect();
            text.push_str(&format!(" {cell} |"));
        }
        text.push('\n');
    }
    text
}
