//! What a parent with very many zombies costs the one who watches it.
//!
//! Must not know the other parts of the bench.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{
    BenchArgs, Measured,
    load::Talking,
    table::{section, table},
    tracer::{Running, START_S, reapwatch},
};
use crate::shell::Outcome;

/// How long it is looked at.
const SECONDS_MAX: u64 = 10;
/// From the last zombie's death: what the tracer does about them at once is not what they cost it for good.
const AFTERWARDS: Duration = Duration::from_secs(2);

pub fn measure(args: &BenchArgs) -> Outcome<Measured> {
    eprintln!("bench: {} zombies", args.zombies);
    let seconds = looked_at(args);
    let mut command = Command::new(reapwatch());
    command.args(["watch", "--duration", "1h"]).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::start_command(&mut command)?;
    let mut rows = vec![row("none", &running, seconds)];
    let count = args.zombies.to_string();
    let mut leaker =
        Talking::start(&["leak-all", "--count", &count, "--tell-first", "1", "--hold-ms", "3600000"])?;
    leaker.line()?;
    thread::sleep(AFTERWARDS);
    rows.push(row(&count, &running, seconds));
    drop(leaker);
    running.stop()?;
    let mut text = section(
        "A parent with many zombies",
        &format!("`reapwatch watch` for {seconds} s before, and for {seconds} s while they are there."),
    );
    text.push_str(&table(&["zombies", "tracer's CPU per second, ms", "RSS, MB"], &rows));
    Ok(Measured { text, targets: Vec::new() })
}

fn looked_at(args: &BenchArgs) -> u64 {
    args.overload_seconds.clamp(1, SECONDS_MAX)
}

/// How long it takes, about.
pub fn seconds(args: &BenchArgs) -> f64 {
    START_S + 2.0 * looked_at(args) as f64 + AFTERWARDS.as_secs_f64()
}

fn row(name: &str, running: &Running, seconds: u64) -> Vec<String> {
    let before = running.cpu_ns();
    thread::sleep(Duration::from_secs(seconds));
    let cpu_ms = running.cpu_ns().saturating_sub(before) as f64 / 1e6 / seconds as f64;
    vec![name.to_owned(), format!("{cpu_ms:.2}"), format!("{:.1}", running.resident_mb())]
}
