//! The loads: what each is called, and how the workload is told to make it. Must not know who watches.

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use super::child::dies_with_us;
use crate::shell::{Outcome, output, target_directory};

pub struct Load {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    /// Times the lives asked for, per caller: cheap lives need more of them to be measured as well.
    times: f64,
}

pub const FORK_EXEC: Load = Load { name: "fork + exec", arguments: &["--exec", "1"], times: 1.0 };
pub const FORK: Load = Load { name: "fork", arguments: &[], times: 2.0 };
pub const VFORK: Load = Load { name: "vfork", arguments: &["--vfork", "1"], times: 16.0 };
pub const SPAWN: Load = Load { name: "posix_spawn", arguments: &["--spawn", "1"], times: 1.0 };
pub const PARENTS: Load = Load { name: "short parents", arguments: &["--parents", "1"], times: 1.0 };
pub const CALLERS: Load = Load { name: "fork, 4 callers", arguments: &["--threads", "4"], times: 0.5 };
pub const THREADS: Load = Load { name: "thread storm", arguments: &["--storm-threads", "1"], times: 16.0 };

/// The same on one CPU. A tracer that keeps a CPU busy has caller and child stay together on another, which halves what a
/// vfork costs: only where they are together anyhow does its own cost show.
pub const FORK_EXEC_ONE_CPU: Load =
    Load { name: "fork + exec, one CPU", arguments: &["--exec", "1", "--one-cpu", "1"], times: 1.0 };
pub const VFORK_ONE_CPU: Load =
    Load { name: "vfork, one CPU", arguments: &["--vfork", "1", "--one-cpu", "1"], times: 16.0 };

pub const ALL: &[Load] =
    &[FORK_EXEC, FORK, VFORK, SPAWN, PARENTS, CALLERS, THREADS, FORK_EXEC_ONE_CPU, VFORK_ONE_CPU];
/// One caller, so that what the kernel counts is not what two CPUs did to each other.
pub const IN_KERNEL: &[Load] = &[FORK_EXEC, FORK, VFORK, SPAWN, PARENTS];

/// Every load once: CPU time per life, in ns.
pub fn pass(lives: u64) -> Outcome<Vec<f64>> {
    ALL.iter().map(|load| load.run(lives).map(|made| made.cpu_per_life_ns())).collect()
}

/// What a load said of itself.
pub struct Made {
    pub pid: u64,
    pub lives: f64,
    pub deaths: u64,
    pub cpu_ns: f64,
    pub took_ns: f64,
}

impl Made {
    fn read(said: &str) -> Outcome<Self> {
        let value: Value =
            serde_json::from_str(said).map_err(|error| format!("the load said {said}: {error}"))?;
        let number = |field: &str| value[field].as_u64().ok_or_else(|| format!("no {field} in {said}"));
        Ok(Self {
            pid: number("pid")?,
            lives: number("lives")? as f64,
            deaths: number("deaths")?,
            cpu_ns: number("cpu_ns")? as f64,
            took_ns: number("took_ns")? as f64,
        })
    }

    pub fn cpu_per_life_ns(&self) -> f64 {
        self.cpu_ns / self.lives.max(1.0)
    }
}

impl Load {
    /// So many lives, as fast as they go.
    pub fn run(&self, lives: u64) -> Outcome<Made> {
        let count = ((lives as f64 * self.times) as u64).max(1).to_string();
        self.run_with(&["--count", &count])
    }

    /// As many lives as the time allows.
    pub fn run_for(&self, ms: u64) -> Outcome<Made> {
        self.run_with(&["--ms", &ms.to_string()])
    }

    fn run_with(&self, more: &[&str]) -> Outcome<Made> {
        let said = output(
            Command::new(workload()).arg("load").args(self.arguments).args(more).stdin(Stdio::null()),
        )?;
        Made::read(&said)
    }
}

fn workload() -> PathBuf {
    target_directory().join("release/examples/workload")
}

/// The workload under way, told by lines and telling by lines; killed when dropped.
pub struct Talking {
    child: Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Talking {
    pub fn start(arguments: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(workload());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = dies_with_us(&mut command)
            .spawn()
            .map_err(|error| format!("cannot start the workload: {error}"))?;
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().ok_or("the workload has no output")?);
        Ok(Self { child, input, lines })
    }

    /// The next line it says.
    pub fn line(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(|error| format!("the workload: {error}"))?;
        serde_json::from_str(&line).map_err(|error| format!("the workload said {line:?}: {error}"))
    }

    /// The next line, as a load's.
    pub fn made(&mut self) -> Outcome<Made> {
        Made::read(&self.line()?.to_string())
    }

    /// Ends its input: it goes on.
    pub fn tell(&mut self) {
        self.input = None;
    }

    /// Lets it come to its end.
    pub fn finish(mut self) -> Outcome {
        self.tell();
        let _ = self.lines.read_to_string(&mut String::new());
        self.child.wait().map(drop).map_err(|error| format!("the workload: {error}"))
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
