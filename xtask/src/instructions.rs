//! `instructions`: what the collector does per life and per report, in instructions, beside what is committed.
//!
//! Instructions do not depend on how busy the machine is; times do. callgrind counts them of the bench `hot_path`. Must not
//! know what a part does.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

use crate::{
    growth,
    shell::{Outcome, cargo, output, root},
};

/// Parts of the bench `hot_path`, and how often each is done in the second of two runs; the difference is what one costs.
const PARTS: [(&str, u64); 4] =
    [("decode", 4_000), ("decode+engine", 4_000), ("decode+engine+JSON line", 2_000), ("report+JSON", 40)];

/// The seeds of hash tables differ from run to run: the least of so many.
const RUNS: usize = 3;

/// Growth beyond this is to be seen and committed on purpose.
const GROWTH_MAX_PERCENT: f64 = 3.0;

/// glibc copies and compares by what the CPU can do: the same on all.
const PLAIN_CPU: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM";

const COMMITTED: &str = "tests/data/collector_instructions.json";

/// Instructions of the collector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counted {
    /// Of which compiler they are the work.
    rustc: String,
    /// By part: per life, or per report.
    each: BTreeMap<String, u64>,
}

/// Counts them; fails where they have grown.
pub fn instructions(freeze: bool) -> Outcome {
    let bench = built_bench()?;
    let mut now = Counted { rustc: output(Command::new("rustc").arg("--version"))?, each: BTreeMap::new() };
    for (part, times) in PARTS {
        let each = (0..RUNS).map(|_| each(&bench, part, times)).collect::<Outcome<Vec<_>>>()?;
        let least = each.into_iter().min().unwrap_or_default();
        println!("{part}: {least} instructions");
        now.each.insert(part.to_owned(), least);
    }
    let path = root().join(COMMITTED);
    if freeze {
        let mut text = serde_json::to_string_pretty(&now).map_err(|error| error.to_string())?;
        text.push('\n');
        return fs::write(&path, text).map_err(|error| format!("cannot write {COMMITTED}: {error}"));
    }
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {COMMITTED}: {error}"))?;
    let committed: Counted = serde_json::from_str(&text).map_err(|error| format!("{COMMITTED}: {error}"))?;
    let grown = grown(&committed, &now);
    if grown.is_empty() { Ok(()) } else { Err(grown.join("\n")) }
}

/// Builds the bench; where it is.
fn built_bench() -> Outcome<PathBuf> {
    let what = ["build", "--release", "--locked", "--package", "probe", "--bench", "hot_path"];
    let said = output(cargo().args(what).args(["--message-format", "json-render-diagnostics"]))?;
    said.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "hot_path")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo does not say where the bench hot_path is".to_owned())
}

/// Instructions that doing the part once more takes.
fn each(bench: &Path, part: &str, times: u64) -> Outcome<u64> {
    let few = times / 4;
    let more = count(bench, part, times)?.saturating_sub(count(bench, part, few)?);
    Ok(more / (times - few))
}

fn count(bench: &Path, part: &str, times: u64) -> Outcome<u64> {
    let mut callgrind = Command::new("valgrind");
    callgrind
        .env("GLIBC_TUNABLES", PLAIN_CPU)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(bench)
        .args(["--count", part, &times.to_string()]);
    let out = callgrind.output().map_err(|error| format!("{callgrind:?}: {error}"))?;
    let said = String::from_utf8_lossy(&out.stderr);
    collected(&said)
        .filter(|_| out.status.success())
        .ok_or_else(|| format!("{callgrind:?}: {}\n{said}", out.status))
}

/// What callgrind says that it counted.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected : "))?;
    line.split("Collected : ").nth(1)?.trim().parse().ok()
}

/// Parts that cost more than what is committed allows, or of which nothing is committed.
fn grown(committed: &Counted, now: &Counted) -> Vec<String> {
    if committed.rustc != now.rustc {
        return vec![format!(
            "{COMMITTED} is of {}, this is {}: `cargo xtask instructions --freeze`",
            committed.rustc, now.rustc
        )];
    }
    now.each
        .iter()
        .filter_map(|(part, each)| {
            let before = committed.each.get(part).map(|before| *before as f64);
            growth::fault(part, before, *each as f64, GROWTH_MAX_PERCENT, "cargo xtask instructions --freeze")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(each: u64) -> Counted {
        Counted { rustc: "rustc 1".to_owned(), each: BTreeMap::from([("decode".to_owned(), each)]) }
    }

    #[test]
    fn growth_over_three_per_cent_is_a_fault_and_so_is_another_compiler() {
        assert_eq!(grown(&counted(1_000), &counted(1_030)), Vec::<String>::new());
        assert!(grown(&counted(1_000), &counted(1_031))[0].starts_with("decode: 1031 instructions"));
        assert!(
            grown(&Counted { rustc: "rustc 1".to_owned(), ..Counted::default() }, &counted(1))[0]
                .contains("none")
        );
        let other = Counted { rustc: "rustc 2".to_owned(), ..counted(1_000) };
        assert!(grown(&counted(1_000), &other)[0].contains("rustc 2"));
    }

    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 12345\n"), Some(12_345));
        assert_eq!(collected("==1== valgrind: no such file"), None);
    }
}
