//! What grows with what: very many zombies, living parents and cgroups, and what they cost the one who watches.
//!
//! Must not know the other parts of the bench.

use std::{
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    BenchArgs, Measured,
    load::Talking,
    sysctl::Sysctl,
    table::{section, table},
    targets::Target,
    tracer::{Running, START_S, reapwatch},
};
use crate::shell::Outcome;

/// How long each is looked at.
const SECONDS_MAX: u64 = 10;
/// From when all are there: what the tracer does about them at once is not what they cost it for good.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// So many are forked in a second, about.
const FORKED_PER_S: f64 = 4_000.0;

const PID_MAX: &str = "/proc/sys/kernel/pid_max";

/// What is there beside what the host has anyhow.
struct Situation {
    name: String,
    /// The workload's; empty: nothing.
    arguments: Vec<String>,
    /// What RSS is promised.
    most_mb: Option<f64>,
}

fn situations(args: &BenchArgs) -> Vec<Situation> {
    let (zombies, parents, cgroups) = (args.zombies, args.living, args.cgroups);
    let situation = |name: String, arguments: &[&str], numbers: &[u64]| Situation {
        name,
        arguments: arguments
            .iter()
            .scan(numbers.iter(), |numbers, argument| {
                Some(if *argument == "#" { numbers.next()?.to_string() } else { (*argument).to_owned() })
            })
            .collect(),
        most_mb: None,
    };
    let few = Situation {
        most_mb: Some(16.0),
        ..situation(
            format!("{} living parents", parents / 10),
            &["living-parents", "--count", "#"],
            &[parents / 10],
        )
    };
    vec![
        situation("nothing more".to_owned(), &[], &[]),
        few,
        situation(format!("{parents} living parents"), &["living-parents", "--count", "#"], &[parents]),
        situation(
            format!("{parents} living parents in {cgroups} cgroups"),
            &["living-parents", "--count", "#", "--cgroups", "#"],
            &[parents, cgroups],
        ),
        // Last: whoever gets them when their parent has gone may take its time.
        situation(
            format!("{zombies} zombies of one parent"),
            &["leak-until-told", "--reaped", "0", "--left", "#"],
            &[zombies],
        ),
    ]
}

pub fn measure(args: &BenchArgs) -> Outcome<Measured> {
    let _pids = Sysctl::set(PID_MAX, "4194304")?;
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for situation in situations(args) {
        eprintln!("bench: {}", situation.name);
        let (row, resident_mb) = row(&situation, args)?;
        rows.push(row);
        targets.extend(situation.most_mb.map(|most| {
            Target::new(format!("RSS, watch, beside {}", situation.name), most, "MB", resident_mb)
        }));
    }
    let mut text = section(
        "What grows with what?",
        "`reapwatch --max-parents 131072 --max-unreaped 131072 watch`, begun before, with `pid_max` at 4,194,304. A walk is the \
         kernel's time in the program that writes the task list, every 5 s. The end is from ^C to the end of the process: one \
         more walk, the report, and closing what is attached.",
    );
    text.push_str(&table(
        &[
            "beside",
            "tracer's CPU per second, ms",
            "RSS, MB",
            "a walk, ns per process",
            "the end, ms",
            "report, KB",
            "complete",
        ],
        &rows,
    ));
    Ok(Measured { text, targets })
}

fn looked_at(args: &BenchArgs) -> u64 {
    args.overload_seconds.clamp(1, SECONDS_MAX)
}

/// How long it takes, about.
pub fn seconds(args: &BenchArgs) -> f64 {
    let each = START_S + looked_at(args) as f64 + AFTERWARDS.as_secs_f64();
    let forked = args.zombies as f64 + 2.1 * 2.0 * args.living as f64;
    situations(args).len() as f64 * each + 2.0 * forked / FORKED_PER_S
}

/// The row of the table, and the RSS.
fn row(situation: &Situation, args: &BenchArgs) -> Outcome<(Vec<String>, f64)> {
    let mut command = Command::new(reapwatch());
    command
        .args(["--stats", "--max-parents", "131072", "--max-unreaped", "131072"])
        .args(["watch", "--duration", "1h", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut running = Running::start_command(&mut command)?;
    let mut report = running.take_output().ok_or("reapwatch has no output")?;
    // Read while it ends, or it would wait for us.
    let report = thread::spawn(move || {
        let mut text = String::new();
        report.read_to_string(&mut text).map(|_| text)
    });
    let arguments: Vec<&str> = situation.arguments.iter().map(String::as_str).collect();
    let mut there = if arguments.is_empty() { None } else { Some(Talking::start(&arguments)?) };
    if let Some(there) = &mut there {
        there.line()?;
    }
    thread::sleep(AFTERWARDS);
    let seconds = looked_at(args);
    let before = running.cpu_ns();
    thread::sleep(Duration::from_secs(seconds));
    let cpu_ms = running.cpu_ns().saturating_sub(before) as f64 / 1e6 / seconds as f64;
    let resident_mb = running.resident_mb();
    let began = Instant::now();
    running.stop()?;
    let end_ms = began.elapsed().as_secs_f64() * 1e3;
    there.map(Talking::finish).transpose()?;
    let report = report.join().map_err(|_| "the reader of the report failed")?;
    let report = report.map_err(|error| format!("cannot read the report: {error}"))?;
    let value: Value = serde_json::from_str(&report).map_err(|error| format!("the report: {error}"))?;
    let row = vec![
        situation.name.clone(),
        format!("{cpu_ms:.1}"),
        format!("{resident_mb:.1}"),
        format!("{:.0}", walk_ns(&value)?),
        format!("{end_ms:.0}"),
        format!("{}", report.len() / 1024),
        value["complete"].to_string(),
    ];
    Ok((row, resident_mb))
}

/// What the kernel takes per process of the task list, by the report.
fn walk_ns(report: &Value) -> Outcome<f64> {
    let programs = report["tracer"]["programs"].as_array().into_iter().flatten();
    let walk = programs.filter(|program| program["name"] == "task_snapshot").find_map(|program| {
        Some(program["run_time_ns"].as_f64()? / program["runs"].as_f64().filter(|runs| *runs > 0.0)?)
    });
    walk.ok_or_else(|| "the report has no task_snapshot".to_owned())
}
