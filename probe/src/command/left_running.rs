//! Ends what a command left running, for `run --left-running kill`, and says whom.
//!
//! Owns whom: what the report lists as left running and no suppression names. How is `intervention`'s.

use std::time::Duration;

use super::{output, signals};
use crate::{
    analysis,
    intervention::ending::{self, Doomed, Fate, Newcomer, Patience},
    model::{Identity, Task},
    report::{CommandLines, Ended, LeftRunning, Named, Report, words::called},
    source::host::process_directory::Directories,
};

/// How long a process may take to end after SIGKILL.
const KILLED_WITHIN: Duration = Duration::from_secs(2);
/// Most processes that are named on standard error.
const SAID_MAX: usize = 20;

/// Ends them, and notes in the report what became of each. What they started meanwhile is added to the report. `command_lines`:
/// what of them is told on standard error.
pub fn end(report: &mut Report, patience: Duration, command_lines: CommandLines) {
    let directories = Directories::learn();
    let doomed: Vec<Doomed> = report.left_unsuppressed().map(|left| doomed(&directories, left)).collect();
    // After a signal, the report is still to be written in time.
    let patience = match signals::time_to_write() {
        None => Patience { terminated: patience, killed: KILLED_WITHIN },
        Some(left) => Patience { terminated: patience.min(left / 2), killed: KILLED_WITHIN.min(left / 4) },
    };
    let ended = ending::end(&doomed, patience);
    let unsuppressed = report.left_running.iter_mut().filter(|left| left.suppressed_by.is_none());
    for (left, fate) in unsuppressed.zip(&ended.named) {
        left.ended = Some(published(*fate));
    }
    for newcomer in &ended.newcomers {
        let parent = report.left_running.iter().find(|left| left.pid == newcomer.parent);
        let parent = parent.map_or(String::new(), |left| left.comm.clone());
        report.left_running.push(listed(&directories, newcomer, parent));
    }
    report.headline = analysis::headline(report);
    say(report, ended.left_out, command_lines);
}

fn doomed(directories: &Directories, left: &LeftRunning) -> Doomed {
    let identity = Identity { tgid: left.pid, start_boottime_ns: left.start_boottime_ns };
    let task = Task { identity, ns_pid: left.ns_pid.unwrap_or(left.pid), ..Task::default() };
    Doomed { pid: directories.number(&task), start_ticks: left.start_boottime_ns / directories.tick_ns }
}

fn published(fate: Fate) -> Ended {
    match fate {
        Fate::ByItself => Ended::ByItself,
        Fate::Terminated => Ended::Terminated,
        Fate::Killed => Ended::Killed,
        Fate::Survived => Ended::Survived,
        Fate::NotPermitted => Ended::NotPermitted,
    }
}

fn listed(directories: &Directories, newcomer: &Newcomer, parent: String) -> LeftRunning {
    LeftRunning {
        pid: newcomer.pid,
        ns_pid: None,
        comm: newcomer.comm.clone(),
        command_line: newcomer.command_line.clone(),
        executable: String::new(),
        start_boottime_ns: newcomer.start_ticks.saturating_mul(directories.tick_ns),
        label: None,
        spawned_by: Named { pid: newcomer.parent, ns_pid: None, comm: parent.into() },
        suppressed_by: None,
        ended: Some(published(newcomer.fate)),
    }
}

fn say(report: &Report, left_out: usize, command_lines: CommandLines) {
    let ended: Vec<&LeftRunning> = report.left_running.iter().filter(|left| left.ended.is_some()).collect();
    for left in ended.iter().take(SAID_MAX) {
        let became = left.ended.map_or("", Ended::words);
        let mut arguments = left.command_line.clone();
        command_lines.told(&mut arguments);
        let command = if arguments.is_empty() { left.comm.clone() } else { arguments.join(" ") };
        output::say(&format!("left running: {} (pid {}) {became}", called(&command), left.pid));
    }
    if ended.len() > SAID_MAX {
        output::say(&format!("left running: {} more, which the report names", ended.len() - SAID_MAX));
    }
    if left_out > 0 {
        output::say(&format!(
            "left running: {left_out} processes that were started meanwhile were too many to end: end them by their cgroup or user"
        ));
    }
}
