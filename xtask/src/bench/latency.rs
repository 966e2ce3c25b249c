//! How true the latencies are: each reap as reapwatch tells it, against the bounds the workload has from its own clock.
//!
//! Must not know the other parts of the bench.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    BenchArgs, Measured,
    load::Talking,
    spread::quantile,
    table::{section, table},
    targets::Target,
    tracer::{Running, START_S, reapwatch},
};
use crate::shell::Outcome;

/// Bounds so far apart that they say nothing of an error: the workload itself was held up between two readings.
const SHARP_NS: f64 = 20_000.0;

/// Of `--run-ms`, with each workload.
const RUNS: u64 = 5;

/// Error of every reap, sorted, in ns.
struct Errors {
    children: usize,
    lost: u64,
    exact: usize,
    /// How far outside the bounds it lies: at least so wrong.
    least: Vec<f64>,
    /// How far from the farther bound: at most so wrong.
    most: Vec<f64>,
    /// The same where the bounds are sharp.
    most_sharp: Vec<f64>,
    width: Vec<f64>,
}

/// How long it takes, about.
pub fn seconds(args: &BenchArgs) -> f64 {
    2.0 * (START_S + RUNS as f64 * args.run_ms as f64 / 1e3)
}

pub fn measure(args: &BenchArgs) -> Outcome<Measured> {
    eprintln!("bench: latency error, alone");
    let alone = against_truth(args)?;
    eprintln!("bench: latency error, beside a load");
    let load = Talking::start(&["load", "--vfork", "1", "--threads", "2", "--ms", "600000"])?;
    let beside = against_truth(args)?;
    drop(load);
    let mut text = section(
        "How right are the latencies?",
        "`reap_latency_ns` of each reap as `reapwatch trace --pid` tells it, against two bounds that the parent has \
         from clock readings around its calls: *outside* is the distance from the nearer bound, 0 where it lies \
         between (at least so wrong); *farther* is the distance from the farther one (at most so wrong). \
         Bounds are sharp where they lie less than 20 µs apart; elsewhere the workload itself was held up.",
    );
    let rows = [("alone", &alone), ("beside 2 callers of vfork", &beside)].map(|(name, errors)| {
        let us = |sorted: &[f64], part: f64| format!("{:.1}", quantile(sorted, part) / 1e3);
        vec![
            name.to_owned(),
            format!("{} of {}", errors.least.len(), errors.children),
            errors.exact.to_string(),
            errors.lost.to_string(),
            us(&errors.width, 0.5),
            us(&errors.least, 0.5),
            us(&errors.least, 0.99),
            us(&errors.most, 0.5),
            us(&errors.most, 0.99),
            format!("{} (of {})", us(&errors.most_sharp, 0.99), errors.most_sharp.len()),
        ]
    });
    text.push_str(&table(
        &[
            "workload",
            "reaps matched",
            "of them exact",
            "events lost",
            "bounds apart, µs (median)",
            "outside p50, µs",
            "outside p99, µs",
            "farther p50, µs",
            "farther p99, µs",
            "farther p99 where the bounds are sharp, µs",
        ],
        &rows,
    ));
    let targets = [("outside the bounds", &beside.least), ("farther bound where sharp", &beside.most_sharp)]
        .map(|(error, sorted)| {
            let what = format!("latency error beside the highest rate, p99, {error}");
            Target::new(what, 50.0, "µs", quantile(sorted, 0.99) / 1e3)
        });
    Ok(Measured { text, targets: targets.into() })
}

fn against_truth(args: &BenchArgs) -> Outcome<Errors> {
    let ms = (args.run_ms * RUNS).to_string();
    let mut workload = Talking::start(&["latency", "--tell-first", "1", "--ms", &ms])?;
    let pid = workload.line()?["pid"].as_u64().ok_or("the workload has no pid")?;
    let mut command = Command::new(reapwatch());
    command
        .args(["trace", "--format", "json", "--pid", &pid.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut running = Running::start_command(&mut command)?;
    let output = running.take_output().ok_or("no output")?;
    let reader = thread::spawn(move || {
        BufReader::new(output)
            .lines()
            .map_while(std::result::Result::ok)
            .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
            .filter(|event| event["event"] == "reap" || event["event"] == "lost")
            .collect::<Vec<Value>>()
    });
    workload.tell();
    let truth = workload.line()?;
    thread::sleep(Duration::from_millis(500));
    running.stop()?;
    workload.finish()?;
    let told = reader.join().map_err(|_| "the reader failed".to_owned())?;
    let errors = compare(&truth, &told, pid);
    // The quantiles of nothing are 0, which would look like no error at all.
    if errors.least.is_empty() || errors.most_sharp.is_empty() {
        return Err(format!("of {} reaps none was told, or none with sharp bounds", errors.children));
    }
    Ok(errors)
}

fn compare(truth: &Value, told: &[Value], parent: u64) -> Errors {
    let mut errors = Errors {
        children: 0,
        lost: 0,
        exact: 0,
        least: Vec::new(),
        most: Vec::new(),
        most_sharp: Vec::new(),
        width: Vec::new(),
    };
    // A pid may come again: first born, first reaped.
    let mut reaps: HashMap<u64, VecDeque<&Value>> = HashMap::new();
    for event in told {
        if event["event"] == "lost" {
            errors.lost = errors.lost.max(event["lost"]["events"].as_u64().unwrap_or(0));
        } else if event["parent"]["pid"].as_u64() == Some(parent)
            && let Some(pid) = event["process"]["pid"].as_u64()
        {
            reaps.entry(pid).or_default().push_back(event);
        }
    }
    for child in truth["children"].as_array().into_iter().flatten() {
        errors.children += 1;
        let number = |index: usize| child[index].as_u64().unwrap_or(0);
        let (lower, upper) = (number(1) as f64, number(2) as f64);
        errors.width.push(upper - lower);
        let Some(reap) = reaps.get_mut(&number(0)).and_then(VecDeque::pop_front) else { continue };
        let Some(told) = reap["reap_latency_ns"].as_u64().map(|ns| ns as f64) else { continue };
        errors.exact += usize::from(reap["precision"] == "exact");
        errors.least.push((lower - told).max(told - upper).max(0.0));
        let most = (told - lower).abs().max((upper - told).abs());
        errors.most.push(most);
        if upper - lower < SHARP_NS {
            errors.most_sharp.push(most);
        }
    }
    for sorted in [&mut errors.least, &mut errors.most, &mut errors.most_sharp, &mut errors.width] {
        sorted.sort_by(f64::total_cmp);
    }
    errors
}
