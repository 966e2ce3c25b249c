//! What holds under the most there can be: the highest fork rate, whose deaths must all be in the report's books.
//!
//! Must not know the other parts of the bench.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    BenchArgs, Measured,
    load::Talking,
    table::{section, table},
    targets::Target,
    tracer::{Running, START_S, reapwatch},
};
use crate::shell::{Outcome, target_directory};

/// How long it takes, about.
pub fn seconds(args: &BenchArgs) -> f64 {
    START_S + args.overload_seconds as f64
}

/// Two callers of vfork, as fast as it goes, and the parent's own count beside the report's.
pub fn measure(args: &BenchArgs) -> Outcome<Measured> {
    eprintln!("bench: {} s at the highest rate", args.overload_seconds);
    let path = target_directory().join("bench-report.json");
    // An older one must not be taken for ours.
    let _ = fs::remove_file(&path);
    let mut command = Command::new(reapwatch());
    command
        .args(["watch", "--duration", "1h", "--format", "json", "--output"])
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let running = Running::start_command(&mut command)?;
    let ms = (args.overload_seconds * 1_000).to_string();
    let before = running.cpu_ns();
    let mut load =
        Talking::start(&["load", "--vfork", "1", "--threads", "2", "--ms", &ms, "--until-told", "1"])?;
    let made = load.made()?;
    thread::sleep(Duration::from_millis(300));
    let cpu_ns = running.cpu_ns().saturating_sub(before) as f64;
    let resident_mb = running.resident_mb();
    // The parent lives until the report is written, so it is in it by its pid.
    running.stop()?;
    load.finish()?;
    let report: Value = fs::read(&path)
        .map_err(|error| format!("{}: {error}", path.display()))
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))?;
    let books = Books::read(&report, made.pid);
    let missed = books.missed(made.deaths);
    let number = |field: &str| report["lost"][field].as_u64().unwrap_or(0);
    let lost = number("events") + number("map_full") + number("probe_missed");
    let mut text = section(
        "What happens at the highest fork rate?",
        &format!(
            "`reapwatch watch` for {} s beside 2 callers of vfork; the report's `exited` and `reaped` of that parent \
             against the parent's own count, and whether the totals of all parents hold them and balance.",
            args.overload_seconds
        ),
    );
    text.push_str(&table(
        &[
            "deaths per second",
            "deaths",
            "exited in the report",
            "reaped in the report",
            "exited in the totals",
            "totals out of balance by",
            "lost: events, map_full, probe_missed",
            "tracer's CPU per life, µs",
            "RSS, MB",
        ],
        &[vec![
            format!("{:.0}", made.deaths as f64 / made.took_ns * 1e9),
            made.deaths.to_string(),
            books.exited.to_string(),
            books.reaped.to_string(),
            books.total_exited.to_string(),
            books.out_of_balance.to_string(),
            format!("{}, {}, {}", number("events"), number("map_full"), number("probe_missed")),
            format!("{:.2}", cpu_ns / 1e3 / made.lives),
            format!("{resident_mb:.1}"),
        ]],
    ));
    let targets = [("deaths missing from the totals", missed), ("losses reported", lost)]
        .map(|(what, count)| Target::new(format!("{what} at the highest rate"), 0.0, "", count as f64))
        .into();
    Ok(Measured { text, targets })
}

/// What the report says of one parent, and of all.
struct Books {
    exited: u64,
    reaped: u64,
    total_exited: u64,
    /// What the two sides of the totals differ by.
    out_of_balance: u64,
}

impl Books {
    /// What is not there counts as 0.
    fn read(report: &Value, pid: u64) -> Self {
        let parent = report["parents"].as_array().into_iter().flatten().find(|one| one["pid"] == pid);
        let of_parent = |field: &str| parent.and_then(|one| one[field].as_u64()).unwrap_or(0);
        let sum = |fields: &[&str]| -> u64 {
            fields.iter().filter_map(|field| report["totals"][field].as_u64()).sum()
        };
        let came = sum(&["exited", "adopted"]);
        let went = sum(&["reaped", "autoreaped", "unreaped", "abandoned"]);
        Self {
            exited: of_parent("exited"),
            reaped: of_parent("reaped"),
            total_exited: sum(&["exited"]),
            out_of_balance: came.abs_diff(went),
        }
    }

    /// Deaths that are not in the books, are there and did not happen, or are in one book and not in the other.
    fn missed(&self, deaths: u64) -> u64 {
        deaths.abs_diff(self.exited).max(deaths.abs_diff(self.reaped))
            + self.exited.saturating_sub(self.total_exited)
            + self.out_of_balance
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One parent of pid 7 that reaped all its 10 children, beside others.
    fn report() -> Value {
        json!({
            "parents": [
                { "pid": 8, "exited": 3, "reaped": 1 },
                { "pid": 7, "exited": 10, "reaped": 10 },
            ],
            "totals": {
                "exited": 13, "adopted": 1, "reaped": 11, "autoreaped": 1, "unreaped": 1, "abandoned": 1,
            },
        })
    }

    #[test]
    fn books_in_order_miss_nothing() {
        assert_eq!(Books::read(&report(), 7).missed(10), 0);
    }

    #[test]
    fn every_disagreement_is_missed() {
        assert_eq!(Books::read(&report(), 7).missed(12), 2, "deaths that the parent's books lack");
        assert_eq!(Books::read(&report(), 9).missed(10), 10, "a parent that is not there");
        let mut unbalanced = report();
        unbalanced["totals"]["reaped"] = json!(9);
        assert_eq!(Books::read(&unbalanced, 7).missed(10), 2, "totals out of balance");
        let mut short = report();
        short["totals"]["exited"] = json!(9);
        short["totals"]["adopted"] = json!(5);
        assert_eq!(Books::read(&short, 7).missed(10), 1, "totals that lack the parent's");
        assert_eq!(Books::read(&json!({ "parents": report()["parents"] }), 7).missed(10), 10, "no totals");
    }
}
