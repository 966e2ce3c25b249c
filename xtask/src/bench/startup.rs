//! How soon reapwatch sees: from its exec to the first event, and to the first line somebody can read.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use super::{
    BenchArgs,
    load::Talking,
    spread::Spread,
    stats::StatsOff,
    table::{section, table},
    tracer::{dies_with_us, reapwatch},
};
use crate::shell::{Outcome, output};

const STARTS_MAX: usize = 15;

pub struct Result {
    pub first_event_ms: Spread,
    pub text: String,
}

pub fn measure(args: &BenchArgs) -> Outcome<Result> {
    let _off = StatsOff::now()?;
    eprintln!("bench: start-up");
    // Something must happen to be seen. It ends with its input only when told, so give it longer than we need.
    let load = Talking::start(&["load", "--ms", "600000"])?;
    let (mut first_event, mut first_line) = (Vec::new(), Vec::new());
    for _ in 0..args.pairs.min(STARTS_MAX) {
        let (event_ms, line_ms) = start_once()?;
        first_event.push(event_ms);
        first_line.push(line_ms);
    }
    drop(load);
    let (Some(first_event_ms), Some(first_line_ms)) = (Spread::of(first_event), Spread::of(first_line))
    else {
        return Err("not one start".into());
    };
    let mut text = section(
        "Start-up",
        "`reapwatch trace --format json` while a load forks, ms from just before its exec: to the first event's own \
         time, and to its line in the reader's hands. Median (quartiles; lowest–highest).",
    );
    text.push_str(&table(
        &["first event, ms", "first line, ms"],
        &[vec![format!("{first_event_ms:.1}"), format!("{first_line_ms:.1}")]],
    ));
    Ok(Result { first_event_ms, text })
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
    output(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
    drop(lines);
    child.wait().map_err(|error| format!("cannot wait for reapwatch: {error}"))?;
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
