//! What a parent with very many zombies costs the one who watches it.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{
    BenchArgs,
    load::Talking,
    table::{section, table},
    tracer::{Running, reapwatch},
};
use crate::shell::Outcome;

/// How long it is looked at.
const SECONDS_MAX: u64 = 10;

pub fn measure(args: &BenchArgs) -> Outcome<String> {
    eprintln!("bench: {} zombies", args.zombies);
    let seconds = args.overload_seconds.clamp(1, SECONDS_MAX);
    let mut command = Command::new(reapwatch());
    command.args(["watch", "--duration", "1h"]).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::start_command(&mut command)?;
    let mut rows = vec![row("none", &running, seconds)];
    let count = args.zombies.to_string();
    let mut leaker =
        Talking::start(&["leak-all", "--count", &count, "--tell-first", "1", "--hold-ms", "3600000"])?;
    leaker.line()?;
    thread::sleep(Duration::from_secs(2));
    rows.push(row(&count, &running, seconds));
    drop(leaker);
    running.stop()?;
    let mut text = section(
        "A parent with many zombies",
        &format!("`reapwatch watch` for {seconds} s before, and for {seconds} s while they are there."),
    );
    text.push_str(&table(&["zombies", "tracer's CPU per second, ms", "RSS, MB"], &rows));
    Ok(text)
}

fn row(name: &str, running: &Running, seconds: u64) -> Vec<String> {
    let before = running.cpu_ns();
    thread::sleep(Duration::from_secs(seconds));
    let cpu_ms = running.cpu_ns().saturating_sub(before) as f64 / 1e6 / seconds as f64;
    vec![name.to_owned(), format!("{cpu_ms:.2}"), format!("{:.1}", running.resident_mb())]
}
