//! What holds under the most there can be: the highest fork rate, and a parent with very many zombies.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    BenchArgs,
    load::Talking,
    table::{section, table},
    tracer::{Running, reapwatch},
};
use crate::shell::{Outcome, target_directory};

pub struct Result {
    /// Deaths that are not in the totals, or are there and did not happen.
    pub missed: u64,
    pub lost: u64,
    pub text: String,
}

/// Two callers of vfork, as fast as it goes, and the parent's own count beside the report's.
pub fn measure(args: &BenchArgs) -> Outcome<Result> {
    eprintln!("bench: {} s at the highest rate", args.overload_seconds);
    let path = target_directory().join("bench-report.json");
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
    let parent = report["parents"].as_array().into_iter().flatten().find(|one| one["pid"] == made.pid);
    let books = |field: &str| parent.and_then(|one| one[field].as_u64()).unwrap_or(0);
    let missed = made.deaths.abs_diff(books("exited")).max(made.deaths.abs_diff(books("reaped")));
    let number = |field: &str| report["lost"][field].as_u64().unwrap_or(0);
    let lost = number("events") + number("map_full") + number("probe_missed");
    let mut text = section(
        "At the highest fork rate",
        &format!(
            "`reapwatch watch` for {} s beside 2 callers of vfork; the report's `exited` and `reaped` of that parent \
             against the parent's own count.",
            args.overload_seconds
        ),
    );
    text.push_str(&table(
        &[
            "deaths per second",
            "deaths",
            "exited in the report",
            "reaped in the report",
            "lost: events, map_full, probe_missed",
            "tracer's CPU per life, µs",
            "RSS, MB",
        ],
        &[vec![
            format!("{:.0}", made.deaths as f64 / made.took_ns * 1e9),
            made.deaths.to_string(),
            books("exited").to_string(),
            books("reaped").to_string(),
            format!("{}, {}, {}", number("events"), number("map_full"), number("probe_missed")),
            format!("{:.2}", cpu_ns / 1e3 / made.lives),
            format!("{resident_mb:.1}"),
        ]],
    ));
    Ok(Result { missed, lost, text })
}
