//! How soon reapwatch sees: from its exec to the first event, and to the first line somebody can read.
//!
//! Must not know the other parts of the bench.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use super::{
    BenchArgs, Measured,
    child::{dies_with_us, end},
    spread::Spread,
    stats,
    table::{section, table},
    targets::Target,
    tracer::reapwatch,
};
use crate::shell::Outcome;

const STARTS_MAX: usize = 15;

/// How long it takes, about.
pub fn seconds(args: &BenchArgs) -> f64 {
    args.pairs.min(STARTS_MAX) as f64 * 1.5
}

pub fn measure(args: &BenchArgs) -> Outcome<Measured> {
    let _off = stats::off()?;
    eprintln!("bench: start-up");
    let (mut first_event, mut first_line) = (Vec::new(), Vec::new());
    for _ in 0..args.pairs.min(STARTS_MAX) {
        let (event_ms, line_ms) = beside_deaths(start_once)?;
        first_event.push(event_ms);
        first_line.push(line_ms);
    }
    let (Some(first_event_ms), Some(first_line_ms)) = (Spread::of(first_event), Spread::of(first_line))
    else {
        return Err("not one start".into());
    };
    let mut text = section(
        "How long does a start take, and a whole run?",
        "*First event*, *first line*: `reapwatch trace --format json` while a process dies every few ms, ms from just before its exec \
         to the first event's own time, and to its line in the reader's hands. *Whole run*: `reapwatch run -- /bin/true`, and \
         beside it in pairs a program that attaches empty programs to the same hooks and closes them: what the kernel takes for \
         that alone, most of it grace periods. Median (quartiles; lowest–highest).",
    );
    let (run_ms, empty_ms) = whole_runs(args)?;
    text.push_str(&table(
        &["first event, ms", "first line, ms", "whole run, ms", "empty programs, attached and closed, ms"],
        &[vec![
            format!("{first_event_ms:.1}"),
            format!("{first_line_ms:.1}"),
            format!("{run_ms:.0}"),
            format!("{empty_ms:.0}"),
        ]],
    ));
    let targets = vec![
        Target::new("start to first event", 45.0, "ms", first_event_ms.median),
        Target::new("a whole run of `true`", 120.0, "ms", run_ms.median),
        Target::new(
            "the same beside attaching and closing empty programs",
            empty_ms.median,
            "ms",
            run_ms.median,
        ),
    ];
    Ok(Measured { text, targets })
}

/// ms from just before the start to the end: of a run of `true`, and of the empty programs.
fn whole_runs(args: &BenchArgs) -> Outcome<(Spread, Spread)> {
    let (mut runs, mut empties) = (Vec::new(), Vec::new());
    for _ in 0..args.pairs.min(STARTS_MAX) {
        runs.push(whole_ms(Command::new(reapwatch()).args(["run", "--", "true"]))?);
        empties.push(whole_ms(Command::new(super::empty()).arg(super::empty_object()).arg("--briefly"))?);
    }
    Spread::of(runs).zip(Spread::of(empties)).ok_or_else(|| "not one run".into())
}

fn whole_ms(command: &mut Command) -> Outcome<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    let ms = began.elapsed().as_secs_f64() * 1e3;
    if status.success() { Ok(ms) } else { Err(format!("{command:?}: {status}")) }
}

/// Something must happen to be seen: a process every few milliseconds, which leaves the CPUs to whoever starts.
fn beside_deaths<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = Command::new("true").status();
                thread::sleep(Duration::from_millis(3));
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn realtime_ns() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128)
}

fn start_once() -> Outcome<(f64, f64)> {
    let mut command = Command::new(reapwatch());
    command
        .args(["trace", "--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let began_ns = realtime_ns();
    let mut child =
        dies_with_us(&mut command).spawn().map_err(|error| format!("cannot start reapwatch: {error}"))?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    let read = lines.read_line(&mut line);
    let read_ns = realtime_ns();
    // Before its end is waited for: a pipe that nobody reads would hold it up.
    drop(lines);
    end(&mut child, "reapwatch trace")?;
    read.map_err(|error| format!("reapwatch trace: {error}"))?;
    let event: Value =
        serde_json::from_str(&line).map_err(|error| format!("reapwatch trace said {line:?}: {error}"))?;
    let time: jiff::Timestamp = event["time"]
        .as_str()
        .and_then(|time| time.parse().ok())
        .ok_or_else(|| format!("no time in {line:?}"))?;
    let ms = |ns: i128| (ns - began_ns) as f64 / 1e6;
    Ok((ms(time.as_nanosecond()), ms(read_ns)))
}
