//! `vm --cost`: instructions of each program per life, on some kernels, on every rung, beside what is committed.
//!
//! Must not know what a program does.

use std::{collections::BTreeMap, fs};

use serde::{Deserialize, Serialize};

use super::{
    boot::{Booted, Clock, Costs, Load, Spans},
    boot_all, cost_page, initramfs_of, kernels,
};
use crate::{
    build_ebpf, growth,
    shell::{Outcome, root},
};

/// The oldest kernel, Debian's, and the other architecture.
const KERNELS: [&str; 3] = ["5.10", "6.12", "6.12-arm64"];

/// What is attached: as the commands of these names ask for it; nothing but programs that do nothing; and what stands for a
/// bpftrace script.
const MODES: &str = "watch,trace,run,empty,script";

/// Those of them that are none of ours.
const BESIDE: [&str; 2] = ["empty", "script"];

/// Depends on which of its threads runs when, so that its sums differ from boot to boot.
const BY_TURNS: &str = "four-threads";

/// Growth beyond this is to be seen and committed on purpose.
const GROWTH_MAX_PERCENT: f64 = 3.0;

const FREEZE: &str = "cargo xtask vm --cost --freeze";

const COMMITTED: &str = "tests/data/instructions.json";

/// Instructions per life by program.
pub type Programs = BTreeMap<String, f64>;

/// By rung, mode and load.
pub type Rungs = BTreeMap<String, BTreeMap<String, BTreeMap<String, Programs>>>;

/// What is committed of a kernel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kernel {
    pub release: String,
    pub rungs: Rungs,
    /// Runs per life, beside the same loads.
    pub runs: Rungs,
    /// Attaching and closing.
    #[serde(default)]
    pub spans: Spans,
}

pub type Kernels = BTreeMap<String, Kernel>;

/// Counts them; fails where they have grown, or where a mode of a rung gave nothing.
pub fn cost(names: &[String], rungs: &str, freeze: bool, jobs: usize) -> Outcome {
    // The empty programs are built with the others.
    build_ebpf::build_ebpf(true)?;
    let names: Vec<&str> =
        if names.is_empty() { KERNELS.to_vec() } else { names.iter().map(String::as_str).collect() };
    let images = names.iter().map(|name| kernels::image(name)).collect::<Outcome<Vec<_>>>()?;
    let initramfs = initramfs_of(&images)?;
    let command_line = format!("reapwatch.rungs={rungs} reapwatch.cost={MODES}");
    let booted = boot_all(&images, &initramfs, &command_line, Clock::Instructions, jobs);
    let mut committed = committed()?;
    let mut now = Kernels::new();
    let mut wrong = Vec::new();
    for (image, booted) in images.iter().zip(booted) {
        let booted = booted?;
        wrong.extend(missing(&booted, rungs).iter().map(|fault| format!("{}: {fault}", image.name)));
        now.insert(image.name.clone(), per_life(&booted));
    }
    println!("{}", cost_page::tables(&now));
    if freeze {
        committed.extend(now);
        let mut text = serde_json::to_string_pretty(&committed).map_err(|error| error.to_string())?;
        text.push('\n');
        let write = |name: &str, text: &str| {
            fs::write(root().join(name), text).map_err(|error| format!("cannot write {name}: {error}"))
        };
        write(COMMITTED, &text)?;
        write(cost_page::PAGE, &cost_page::page(&committed))?;
    } else {
        wrong.extend(grown(&committed, &now));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn committed() -> Outcome<Kernels> {
    match fs::read_to_string(root().join(COMMITTED)) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{COMMITTED}: {error}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kernels::new()),
        Err(error) => Err(format!("cannot read {COMMITTED}: {error}")),
    }
}

/// Modes of rungs that gave nothing; what the guest said goes to standard error.
fn missing(booted: &Booted, rungs: &str) -> Vec<String> {
    let gave = |rung: &str, mode: &str| booted.costs.get(rung).is_some_and(|modes| modes.contains_key(mode));
    let missing: Vec<String> = rungs
        .split(',')
        .flat_map(|rung| MODES.split(',').map(move |mode| (rung, mode)))
        .filter(|(rung, mode)| !gave(rung, mode))
        .map(|(rung, mode)| format!("{rung}, {mode}: nothing was counted"))
        .collect();
    if !missing.is_empty() {
        booted.noise.iter().for_each(|line| eprintln!("    {line}"));
    }
    missing
}

fn per_life(booted: &Booted) -> Kernel {
    let map = |what: fn(&super::boot::Counted) -> u64| -> Rungs {
        let programs = |load: &Load| -> Programs {
            let per_life = |count: u64| (count as f64 / load.lives.max(1) as f64 * 100.0).round() / 100.0;
            load.programs.iter().map(|(name, counted)| (name.clone(), per_life(what(counted)))).collect()
        };
        each(&booted.costs, programs)
    };
    Kernel {
        release: booted.release.clone(),
        rungs: map(|counted| counted.instructions),
        runs: map(|counted| counted.runs),
        spans: booted.spans.clone(),
    }
}

fn each(costs: &Costs, programs: impl Fn(&Load) -> Programs) -> Rungs {
    let loads = |loads: &BTreeMap<String, Load>| {
        loads.iter().map(|(name, load)| (name.clone(), programs(load))).collect()
    };
    let modes = |modes: &BTreeMap<String, BTreeMap<String, Load>>| {
        modes.iter().map(|(name, of)| (name.clone(), loads(of))).collect()
    };
    costs.iter().map(|(rung, of)| (rung.clone(), modes(of))).collect()
}

/// Sums that are larger than what is committed allows.
fn grown(committed: &Kernels, now: &Kernels) -> Vec<String> {
    let mut grown = Vec::new();
    for (name, kernel) in now {
        for (rung, modes) in &kernel.rungs {
            for (mode, loads) in modes.iter().filter(|(mode, _)| !BESIDE.contains(&mode.as_str())) {
                for (load, programs) in loads.iter().filter(|(load, _)| *load != BY_TURNS) {
                    let before = committed
                        .get(name)
                        .and_then(|kernel| kernel.rungs.get(rung)?.get(mode)?.get(load))
                        .map(|programs| programs.values().sum::<f64>());
                    let sum: f64 = programs.values().sum();
                    let what = format!("{name}, {rung}, {mode}, {load}");
                    grown.extend(growth::fault(&what, before, sum, GROWTH_MAX_PERCENT, FREEZE));
                }
            }
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels(instructions: f64) -> Kernels {
        let programs = Programs::from([("process_exit".to_owned(), instructions)]);
        let loads = BTreeMap::from([("fork".to_owned(), programs)]);
        let modes = BTreeMap::from([("watch".to_owned(), loads)]);
        let rungs = Rungs::from([("fentry".to_owned(), modes)]);
        Kernels::from([("6.12".to_owned(), Kernel { rungs, ..Kernel::default() })])
    }

    #[test]
    fn growth_over_three_per_cent_is_a_fault() {
        assert_eq!(grown(&kernels(100.0), &kernels(102.9)), Vec::<String>::new());
        let faults = grown(&kernels(100.0), &kernels(103.1));
        assert!(faults.len() == 1 && faults[0].starts_with("6.12, fentry, watch, fork: 103"), "{faults:?}");
        assert!(grown(&Kernels::new(), &kernels(1.0))[0].contains("committed are none"));
    }
}
