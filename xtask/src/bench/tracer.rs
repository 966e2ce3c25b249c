//! Who watches while a load runs: how each is started, what it has used, and how it is ended, by pid.
//!
//! Must not know the load, nor what is measured.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::child::{dies_with_us, end};
use crate::shell::{Outcome, target_directory};

/// Kernel time from exit to the RCU free, per parent: what is commonly done, and seen from two hooks only.
const BPFTRACE: &str = "tracepoint:sched:sched_process_exit { @exit[args->pid] = nsecs; @parent[args->pid] = curtask->real_parent->tgid; } \
                        tracepoint:sched:sched_process_free /@exit[args->pid]/ { @free[@parent[args->pid]] = hist(nsecs - @exit[args->pid]); \
                        delete(@exit[args->pid]); delete(@parent[args->pid]); }";

pub const CONTROL: &str = "nothing (control)";
pub const EMPTY: &str = "empty programs";
pub const EMPTY_HASH: &str = "empty + insert + delete";
pub const WATCH: &str = "reapwatch watch";
pub const TRACE: &str = "reapwatch trace, JSON";
pub const BPFTRACE_NAME: &str = "bpftrace exit→free";
pub const FORKSTAT: &str = "forkstat";
pub const PERF_TRACE: &str = "perf trace";

/// To start a tracer, to let it settle and to end it, about.
pub const START_S: f64 = 1.0;

pub struct Tracer {
    pub name: &'static str,
    /// Empty: nobody.
    pub command: Vec<String>,
    /// Of another project: fewer pairs, for they start slowly.
    pub peer: bool,
    /// Debian's package that has it.
    package: &'static str,
}

impl Tracer {
    pub fn nobody(&self) -> bool {
        self.command.is_empty()
    }

    /// The package to install, where it is not here.
    pub fn missing(&self) -> Option<&'static str> {
        let program = self.command.first()?;
        (!is_here(program)).then_some(self.package)
    }
}

/// Whether the program is a path that exists or stands in a directory of PATH.
pub fn is_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|one| one.join(program).exists())
}

pub fn reapwatch() -> String {
    target_directory().join("release/reapwatch").display().to_string()
}

/// Everybody, nobody first.
pub fn all() -> Vec<Tracer> {
    let reapwatch = reapwatch();
    let (empty, object) = (super::empty().display().to_string(), super::empty_object().display().to_string());
    let tracer = |name, command: &[&str], package| Tracer {
        name,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        peer: !str::is_empty(package),
        package,
    };
    vec![
        tracer(CONTROL, &[], ""),
        tracer(EMPTY, &[&empty, &object], ""),
        tracer(EMPTY_HASH, &[&empty, &object, "--hash"], ""),
        tracer(WATCH, &[&reapwatch, "watch", "--duration", "1h"], ""),
        tracer(TRACE, &[&reapwatch, "trace", "--format", "json"], ""),
        tracer(BPFTRACE_NAME, &["bpftrace", "-e", BPFTRACE], "bpftrace"),
        tracer(FORKSTAT, &["forkstat", "-e", "fork,exec,exit"], "forkstat"),
        tracer(PERF_TRACE, &["perf", "trace", "-a", "-e", "sched:sched_process_*"], "linux-perf"),
    ]
}

/// Some tracers do not find tracepoints where tracefs is not mounted, and some mount it and leave it: each of other
/// projects has it in a namespace of its own.
fn sees_tracefs(command: &mut Command) {
    // SAFETY: the calls are async-signal-safe; the paths end in NUL, and the rest is numbers and null.
    unsafe {
        command.pre_exec(|| {
            if libc::unshare(libc::CLONE_NEWNS) == 0 {
                let (root, tracefs, none) = (c"/".as_ptr(), c"tracefs".as_ptr(), std::ptr::null());
                libc::mount(none, root, none, libc::MS_REC | libc::MS_PRIVATE, none.cast());
                // Fails where it is mounted already.
                libc::mount(tracefs, c"/sys/kernel/tracing".as_ptr(), tracefs, 0, none.cast());
            }
            Ok(())
        });
    }
}

/// A tracer under way; killed when dropped.
pub struct Running {
    name: String,
    peer: bool,
    /// None: nobody watches.
    child: Option<Child>,
}

impl Running {
    /// Starts it, its output to nowhere, and waits until it has nothing to do any more.
    pub fn start(tracer: &Tracer) -> Outcome<Self> {
        let Some((program, arguments)) = tracer.command.split_first() else {
            // As long a pause as the others make.
            thread::sleep(Duration::from_millis(500));
            return Ok(Self { name: tracer.name.to_owned(), peer: false, child: None });
        };
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        if tracer.peer {
            sees_tracefs(&mut command);
        }
        let mut running = Self::start_command(&mut command)?;
        running.peer = tracer.peer;
        Ok(running)
    }

    pub fn start_command(command: &mut Command) -> Outcome<Self> {
        let child = dies_with_us(command.stdin(Stdio::null()))
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let name = command.get_program().display().to_string();
        let mut running = Self { name, peer: false, child: Some(child) };
        thread::sleep(Duration::from_millis(300));
        running.settle();
        if let Some(child) = &mut running.child
            && let Ok(Some(status)) = child.try_wait()
        {
            return Err(format!("{command:?} ended at once: {status}"));
        }
        Ok(running)
    }

    /// What it prints, where that was asked for.
    pub fn take_output(&mut self) -> Option<std::process::ChildStdout> {
        self.child.as_mut()?.stdout.take()
    }

    /// Waits until it uses little CPU: its start is over. On a busy host some never do, so not for long.
    fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut before = self.cpu_ns();
        while self.child.is_some() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(200));
            let now = self.cpu_ns();
            if now.saturating_sub(before) < 10_000_000 {
                return;
            }
            before = now;
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// CPU time of all its threads, in ns.
    pub fn cpu_ns(&self) -> u64 {
        let Some(pid) = self.pid() else { return 0 };
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
        tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .sum()
    }

    pub fn resident_mb(&self) -> f64 {
        let Some(pid) = self.pid() else { return 0.0 };
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kb: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap_or(0);
        kb as f64 / 1024.0
    }

    /// As Ctrl-C would. One that has ended before did not watch what it was to watch.
    pub fn stop(mut self) -> Outcome {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        match child.try_wait() {
            // It has been measured by now, and bpftrace does not always hear SIGINT: no fault of ours.
            Ok(None) if self.peer => end(&mut child, &self.name).or_else(|error| {
                eprintln!("bench: {error}");
                Ok(())
            }),
            Ok(None) => end(&mut child, &self.name),
            Ok(Some(status)) => Err(format!("{} ended while it was measured: {status}", self.name)),
            Err(error) => Err(format!("cannot wait for {}: {error}", self.name)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
