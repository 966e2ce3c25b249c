//! Who watches while a load runs, started and stopped by pid.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, TracePoint},
};
use serde_json::Value;

use crate::shell::{Outcome, output, target_directory};

/// Kernel time from exit to the RCU free, per parent: what is commonly done, and seen from two hooks only.
const BPFTRACE: &str = "tracepoint:sched:sched_process_exit { @exit[args->pid] = nsecs; @parent[args->pid] = curtask->real_parent->tgid; } \
                        tracepoint:sched:sched_process_free /@exit[args->pid]/ { @free[@parent[args->pid]] = hist(nsecs - @exit[args->pid]); \
                        delete(@exit[args->pid]); delete(@parent[args->pid]); }";

pub struct Tracer {
    pub name: &'static str,
    /// Empty: nobody.
    pub command: Vec<String>,
    /// Whether it loads BPF programs.
    pub programs: bool,
}

/// Everybody, nobody first.
pub fn all() -> Vec<Tracer> {
    let reapwatch = target_directory().join("release/reapwatch").display().to_string();
    let own = std::env::current_exe().map_or_else(|_| "xtask".to_owned(), |path| path.display().to_string());
    let tracer = |name, command: &[&str], programs| Tracer {
        name,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        programs,
    };
    vec![
        tracer("none", &[], false),
        tracer("none again", &[], false),
        tracer("empty programs", &[&own, "empty"], true),
        tracer("reapwatch watch", &[&reapwatch, "watch", "--duration", "10m"], true),
        tracer("reapwatch trace, JSON", &[&reapwatch, "trace", "--format", "json"], true),
        tracer("bpftrace exit → free", &["bpftrace", "-e", BPFTRACE], true),
        tracer("forkstat", &["forkstat", "-e", "fork,exec,exit"], false),
        tracer("perf trace", &["perf", "trace", "-a", "-e", "sched:sched_process_*"], false),
    ]
}

/// A tracer under way; stopped when dropped.
pub struct Running(Option<Child>);

impl Running {
    /// Starts it and waits until it has nothing to do any more.
    pub fn start(tracer: &Tracer) -> Outcome<Self> {
        let Some((program, arguments)) = tracer.command.split_first() else { return Ok(Self(None)) };
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("cannot start {program}: {error} (on Debian: apt-get install bpftrace forkstat linux-perf bpftool)")
            })?;
        let mut running = Self(Some(child));
        thread::sleep(Duration::from_millis(300));
        running.settle();
        if let Some(child) = &mut running.0
            && let Ok(Some(status)) = child.try_wait()
        {
            return Err(format!("{} ended at once: {status}", tracer.name));
        }
        Ok(running)
    }

    /// Waits until it has used next to no CPU for a while.
    pub fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut before = self.cpu_ns();
        while self.0.is_some() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(200));
            let now = self.cpu_ns();
            if now - before < 4_000_000 {
                return;
            }
            before = now;
        }
    }

    /// CPU time of all its threads, in ns.
    pub fn cpu_ns(&self) -> u64 {
        let Some(child) = &self.0 else { return 0 };
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", child.id())) else { return 0 };
        tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .sum()
    }

    pub fn rss_kb(&self) -> u64 {
        let Some(child) = &self.0 else { return 0 };
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap_or(0)
    }

    pub fn stop(mut self) -> Outcome {
        let Some(mut child) = self.0.take() else { return Ok(()) };
        let pid = child.id().to_string();
        output(Command::new("kill").args(["-INT", &pid]))?;
        child.wait().map(drop).map_err(|error| format!("cannot wait for {pid}: {error}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Time in all BPF programs so far, in ns, and their runs.
pub fn program_time() -> Outcome<(u64, u64)> {
    let text = output(Command::new("bpftool").args(["-j", "prog", "show"]))?;
    let programs: Vec<Value> = serde_json::from_str(&text).map_err(|error| format!("bpftool: {error}"))?;
    let sum = |field: &str| programs.iter().filter_map(|one| one[field].as_u64()).sum();
    Ok((sum("run_time_ns"), sum("run_cnt")))
}

/// `xtask empty`: programs that do nothing, on the hooks of the tracepoint rung, until it is ended.
pub fn empty() -> Outcome {
    let fail = |error: &dyn std::fmt::Display| format!("cannot attach the empty programs: {error}");
    let path = Path::new(crate::build_ebpf::WORKSHOP).join("target/bpfel-unknown-none/release/empty");
    let mut ebpf = Ebpf::load_file(&path).map_err(|error| fail(&error))?;
    let btf = Btf::from_sys_fs().map_err(|error| fail(&error))?;
    for name in ["fork", "exec", "exit", "wait", "free"]
        .map(|stage| format!("sched_process_{stage}"))
        .iter()
        .map(String::as_str)
        .chain(["signal_generate"])
    {
        let program: &mut BtfTracePoint =
            ebpf.program_mut(name).ok_or("missing")?.try_into().map_err(|error| fail(&error))?;
        program.load(name, &btf).and_then(|()| program.attach().map(drop)).map_err(|error| fail(&error))?;
    }
    let calls = probe::source::tracefs::with(|| {
        for name in ["sys_exit_wait4", "sys_enter_waitid", "sys_exit_waitid"] {
            let program: &mut TracePoint =
                ebpf.program_mut(name).ok_or("missing")?.try_into().map_err(|error| fail(&error))?;
            program
                .load()
                .and_then(|()| program.attach("syscalls", name).map(drop))
                .map_err(|error| fail(&error))?;
        }
        Ok::<(), String>(())
    });
    calls.map_err(|error| fail(&error))??;
    loop {
        thread::park();
    }
}
