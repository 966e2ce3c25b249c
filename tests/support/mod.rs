//! Running reapwatch on a workload and reading both sides: its report, and the workload's own truth.
//!
//! Must not know how reapwatch works: only its command line and JSON.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part of this")]

mod schema;

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

pub use schema::{validate, validate_lines};

/// The grace of all live tests, and how long leaks are held for it to pass.
pub const GRACE: &str = "300ms";
pub const HOLD_MS: &str = "700";
/// How long they are held for a `watch` to look at the leaker meanwhile: it walks the task list every 5 s.
pub const LOOK_MS: &str = "6500";

/// The binary under test, on the rung under test: `REAPWATCH_BINARY` and `REAPWATCH_HOOKS`, which a guest of
/// `cargo xtask vm` sets, or the one just built and `auto`.
pub fn reapwatch() -> Command {
    let mut command = Command::new(binary());
    if let Some(hooks) = std::env::var_os("REAPWATCH_HOOKS") {
        command.arg("--hooks").arg(hooks);
    }
    command
}

pub fn binary() -> PathBuf {
    std::env::var_os("REAPWATCH_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_reapwatch")), PathBuf::from)
}

/// The workload binary, built as an example beside the binary under test.
pub fn workload() -> PathBuf {
    let path = binary().parent().expect("target directory").join("examples/workload");
    assert!(path.exists(), "{} is missing: run `cargo test -p probe`, which builds it", path.display());
    path
}

/// Live tests are never skipped: where they cannot run they fail and say why.
pub fn require_root() {
    assert!(nix::unistd::geteuid().is_root(), "LIVE TESTS CANNOT RUN: they load eBPF programs and need root");
}

/// A command was refused: its code, what it said and, where the host is the reason, what to do.
#[track_caller]
pub fn check_refused(output: &Output, code: i32, message: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(message), "{message:?} is not in {said}");
    assert!(code != 3 || said.contains("to do: "), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

/// What a run gave.
pub struct Ran {
    pub report: Value,
    pub truth: Value,
    pub output: Output,
    pub directory: tempfile::TempDir,
}

impl Ran {
    /// The report's entry for a pid.
    pub fn parent(&self, pid: &Value) -> &Value {
        parent_in(&self.report, pid)
    }

    /// The entry of the workload itself.
    pub fn own(&self) -> &Value {
        self.parent(&self.truth["pid"])
    }

    /// Asserts one number of a parent's entry.
    pub fn expect(&self, pid: &Value, expected: &[(&str, u64)]) {
        let parent = self.parent(pid);
        for (field, number) in expected {
            assert_eq!(parent[field], *number, "{field} of {pid} in {:#}", self.report);
        }
    }
}

pub fn parent_in<'a>(report: &'a Value, pid: &Value) -> &'a Value {
    report["parents"]
        .as_array()
        .and_then(|parents| parents.iter().find(|parent| parent["pid"] == *pid))
        .unwrap_or_else(|| panic!("no parent {pid} in {report:#}"))
}

/// `reapwatch run` on a command that ends well; see [`run_with`].
pub fn run_command<S: AsRef<OsStr>>(command: &[S]) -> Ran {
    run_with(GRACE, 0, command)
}

/// `reapwatch run` on a command that ends with this code, with JSON to a file and a recording; checks what must hold for
/// every run.
pub fn run_with<S: AsRef<OsStr>>(grace: &str, code: i32, command: &[S]) -> Ran {
    require_root();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let report_path = directory.path().join("r.json");
    let recording = directory.path().join("f.rec");
    let output = reapwatch()
        .args(["run", "--grace", grace, "--format", "json", "--output"])
        .arg(&report_path)
        .arg("--record")
        .arg(&recording)
        .arg("--")
        .args(command)
        .env("REAPWATCH_LOG", "probe=debug")
        .stdin(Stdio::null())
        .output()
        .expect("reapwatch runs");
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(&report_path).expect("a report");
    let report: Value = serde_json::from_slice(&bytes).expect("a JSON report");
    let truth = String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())
        .unwrap_or(Value::Null);
    check_invariants(&report);
    let said = String::from_utf8_lossy(&output.stderr);
    // Emulation preempts programs far more often than hardware does, and whoever might have missed something must say
    // so; what the test asserts of counts holds all the same.
    let lost = &report["lost"];
    let excused = is_emulated() && lost["events"] == 0 && lost["map_full"] == 0;
    assert!(report["complete"] == true || excused, "{said}{report:#}");
    check_rung(&report);
    let replayed =
        reapwatch().args(["replay", "--format", "json"]).arg(&recording).output().expect("replay runs");
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert_eq!(replayed.stdout, bytes, "a replay gives the live report, byte for byte");
    keep(&recording);
    Ran { report, truth, output, directory }
}

/// Whether the kernel under test runs in an emulated machine, where all takes many times as long.
pub fn is_emulated() -> bool {
    std::env::var_os("REAPWATCH_CYCLES").is_some()
}

/// Exact hooks are named and say so.
fn check_rung(report: &Value) {
    let hooks = &report["hooks"];
    let begins = |stage: &str, kind: &str| hooks[stage].as_str().is_some_and(|hook| hook.starts_with(kind));
    match std::env::var("REAPWATCH_HOOKS").as_deref() {
        Ok("fentry") => assert!(begins("zombie", "fexit ") && begins("reap", "fentry "), "{hooks}"),
        Ok("kprobe") => assert!(begins("zombie", "kretprobe ") && begins("reap", "kprobe "), "{hooks}"),
        _ => {
            assert!(hooks["reap"].as_str().is_some_and(|hook| !hook.is_empty()));
            return;
        }
    }
    assert_eq!(hooks["precision"], "exact");
}

/// The same on a scenario of the workload.
pub fn run(scenario: &[&str]) -> Ran {
    let program = workload();
    let mut command = vec![program.as_os_str()];
    command.extend(scenario.iter().map(OsStr::new));
    let ran = run_command(&command);
    assert!(ran.truth["pid"].is_u64(), "the workload told no truth: {:?}", ran.output);
    ran
}

/// The ledger of every parent, and of all together, balances; the schema holds.
pub fn check_invariants(report: &Value) {
    let number =
        |entry: &Value, field: &str| entry[field].as_u64().unwrap_or_else(|| panic!("{field} in {entry:#}"));
    let parents = report["parents"].as_array().expect("parents");
    for entry in parents.iter().chain([&report["totals"], &report["settled"], &report["other"]]) {
        assert_eq!(
            number(entry, "exited") + number(entry, "adopted"),
            ["reaped", "autoreaped", "unreaped", "abandoned"]
                .iter()
                .map(|field| number(entry, field))
                .sum::<u64>(),
            "the ledger does not balance: {entry:#}"
        );
    }
    validate("report", report);
}

/// The reported latencies lie within the workload's own clock readings.
pub fn check_latency(parent: &Value, truth: &Value) {
    let found = |field: &str| parent["reap_latency"][field].as_u64().expect("a latency");
    let bound = |field: &str| truth["latency"][field].as_u64().expect("a bound");
    assert_eq!(found("count"), bound("count"));
    assert!(found("min_ns") >= bound("lower_min_ns"), "{parent:#}\n{truth:#}");
    assert!(found("max_ns") <= bound("upper_max_ns"), "{parent:#}\n{truth:#}");
    assert!(found("max_ns") >= bound("lower_max_ns"), "{parent:#}\n{truth:#}");
    assert!(found("min_ns") <= bound("upper_min_ns"), "{parent:#}\n{truth:#}");
    assert!(
        (bound("lower_mean_ns")..=bound("upper_mean_ns")).contains(&found("mean_ns")),
        "{parent:#}\n{truth:#}"
    );
    for quantile in ["p50_ns", "p90_ns", "p99_ns"] {
        assert!((found("min_ns")..=found("max_ns")).contains(&found(quantile)));
    }
}

/// Waits for the other tests that hold this; one that has failed is none.
pub fn alone(mutex: &'static Mutex<()>) -> MutexGuard<'static, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tries until it gives something; fails at the deadline.
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a child of ours.
pub fn signal(child: &Child, number: i32) {
    // SAFETY: plain numbers; our own child, not yet waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, number) }, 0);
}

/// Waits until a live command has everything attached: it gives up its privileges then.
pub fn until_it_watches(child: &mut Child) {
    let status = format!("/proc/{}/status", child.id());
    until("it watches", || {
        assert!(child.try_wait().expect("our own child").is_none(), "it ended early");
        std::fs::read_to_string(&status).is_ok_and(|text| text.contains("NoNewPrivs:\t1")).then_some(())
    });
}

/// The report that a recording gives.
pub fn replayed(recording: &Path) -> Value {
    let output =
        reapwatch().args(["replay", "--format", "json"]).arg(recording).output().expect("replay runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    keep(recording);
    serde_json::from_slice(&output.stdout).expect("a report")
}

/// Copies a recording into the directory that `REAPWATCH_KEEP` names, if it is set, under the name of the test, once: the
/// golden tests replay those.
fn keep(recording: &Path) {
    let Some(directory) = std::env::var_os("REAPWATCH_KEEP").map(PathBuf::from) else { return };
    let test = std::thread::current().name().unwrap_or_default().replace("::", ".");
    let bytes = std::fs::read(recording).expect("a recording");
    for number in 1.. {
        let path = directory.join(format!("{test}.{number}.rec"));
        match std::fs::read(&path) {
            Ok(kept) if kept == bytes => return,
            Ok(_) => {}
            Err(_) => return std::fs::write(&path, bytes).expect("a copy of the recording"),
        }
    }
}

/// A `watch` under way. Killed if the test fails meanwhile.
pub struct Watching {
    pub child: Child,
    directory: tempfile::TempDir,
}

impl Watching {
    /// Until it is told to end; with global options.
    pub fn start(options: &[&str]) -> Self {
        Self::start_for("10m", options)
    }

    /// Until it is told to end, also recording to this file.
    pub fn start_recording(recording: &Path) -> Self {
        let recording = recording.to_str().expect("UTF-8");
        Self::start_with("10m", GRACE, &[], &["--record", recording])
    }

    /// For so long.
    pub fn start_for(duration: &str, options: &[&str]) -> Self {
        Self::start_with(duration, GRACE, options, &[])
    }

    /// For so long, with this grace.
    pub fn start_graced(duration: &str, grace: &str) -> Self {
        Self::start_with(duration, grace, &[], &[])
    }

    /// For so long; with global options and those of `watch`.
    fn start_with(duration: &str, grace: &str, options: &[&str], more: &[&str]) -> Self {
        require_root();
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = reapwatch()
            .args(options)
            .args(["watch", "--duration", duration, "--grace", grace, "--format", "json", "--output"])
            .arg(directory.path().join("r.json"))
            .args(more)
            .stdin(Stdio::null())
            .spawn()
            .expect("reapwatch");
        until_it_watches(&mut child);
        Self { child, directory }
    }

    /// Tells it to end; its report.
    pub fn end(self) -> Value {
        signal(&self.child, libc::SIGINT);
        self.report()
    }

    /// Its report, once it has ended by itself.
    pub fn report(mut self) -> Value {
        assert!(until("it ends", || self.child.try_wait().expect("our own child")).success());
        let bytes = std::fs::read(self.directory.path().join("r.json")).expect("a report");
        let report = serde_json::from_slice(&bytes).expect("JSON");
        check_invariants(&report);
        report
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A workload that tells its truth while it lives on. Killed when dropped.
pub struct Telling {
    pub child: Child,
    lines: BufReader<ChildStdout>,
}

impl Telling {
    pub fn start(scenario: &[&str]) -> Self {
        let mut command = Command::new(workload());
        command.args(scenario);
        Self::start_command(command)
    }

    /// Started otherwise.
    pub fn start_command(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the workload");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// What it tells next; waits for it.
    pub fn truth(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("its truth");
        serde_json::from_str(&line).expect("JSON")
    }

    /// Lets it do what comes next.
    pub fn go_on(&mut self) {
        self.child.stdin.as_mut().expect("piped").write_all(b"\n").expect("a workload that reads");
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ids of all BPF programs in the kernel, whoever loaded them.
pub fn loaded_programs() -> Vec<u32> {
    const BPF_PROG_GET_NEXT_ID: libc::c_long = 11;
    let mut ids = Vec::new();
    let mut attr = [0u32; 3];
    loop {
        // SAFETY: attr is as long as stated and ours to write.
        let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_GET_NEXT_ID, attr.as_mut_ptr(), 12) };
        if result != 0 {
            return ids;
        }
        ids.push(attr[1]);
        attr[0] = attr[1];
    }
}

/// Ids of the BPF programs a process holds, itself or by what attaches them.
pub fn programs_of(child: &Child) -> std::collections::BTreeSet<u32> {
    let entries = std::fs::read_dir(format!("/proc/{}/fdinfo", child.id())).expect("our own child");
    entries
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok()))
        .collect()
}
