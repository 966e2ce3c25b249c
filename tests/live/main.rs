//! The promise, on the real kernel: each row of the table of scenarios, judged by the workload's own truth. One module per
//! subject; this file holds what several of them need.

mod accounts;
mod adopting;
mod autoreaping;
mod commands;
mod explain;
mod filtered;
mod fork_sites;
mod hostile;
mod intervention;
mod intervention_refused;
mod intervention_undisturbed;
mod judging;
mod killing;
mod leaking;
mod looking_dead;
mod many_parents;
mod naming;
mod privileges;
mod programs;
mod readiness;
mod reaping;
mod seeds;
#[path = "../support/mod.rs"]
mod support;
mod suspects;
mod wait_calls;
mod watching;

use std::sync::Mutex;

use serde_json::Value;
use support::{Ran, reapwatch, validate};

/// Held by tests that load the machine so much that others would measure them.
static HEAVY: Mutex<()> = Mutex::new(());

/// All lines of the run's recording.
fn trace_all(ran: &Ran) -> Vec<Value> {
    let output = reapwatch()
        .args(["replay", "--as", "trace", "--format", "json"])
        .arg(ran.directory.path().join("f.rec"))
        .output()
        .expect("replay");
    let lines: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    for line in &lines {
        validate("event", line);
    }
    lines
}

/// The lines of one event of one process.
fn trace_of(ran: &Ran, event: &str, pid: &Value) -> Vec<Value> {
    trace_all(ran)
        .into_iter()
        .filter(|line| line["event"] == event && line["process"]["pid"] == *pid)
        .collect()
}
