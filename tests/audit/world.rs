//! Processes of one test, known by a mark in their environment or by their directory, and what `audit` says of them.
//!
//! Must not know what is a ghost.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::support::{reapwatch, until, validate};

/// The variable that marks the processes of a test; its value is the test's own directory.
const MARK: &str = "REAPWATCH_AUDIT_TEST";

/// A test's own directory, and all that it starts. All of it is killed when dropped.
pub struct World {
    directory: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file of the test.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        fs::write(&path, text).expect("a file");
        path
    }

    /// A command that carries the mark, in the test's own directory, with all streams on /dev/null.
    pub fn command(&self, program: &str) -> Command {
        self.marked(Command::new(program))
    }

    pub fn marked(&self, mut command: Command) -> Command {
        command
            .env(MARK, self.path())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs a script of bash in a session of its own to its end: what it leaves behind is orphaned.
    pub fn run_session(&self, script: &str) {
        let status = self.command("setsid").args(["--wait", "bash", "-c", script]).status().expect("setsid");
        assert!(status.success(), "{script}");
    }

    /// Pids of the test's living processes whose command line begins so, of which there must come to be so many. Programs in
    /// the test's own directory are named from there.
    pub fn pids(&self, part: &str, count: usize) -> BTreeSet<u64> {
        until(&format!("{count} of {part}"), || {
            let found: BTreeSet<u64> = self
                .processes()
                .into_iter()
                .filter(|pid| self.command_line(*pid).starts_with(part))
                .collect();
            (found.len() == count).then_some(found)
        })
    }

    fn command_line(&self, pid: u64) -> String {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.replace(&format!("{}/", self.path().display()), "")
    }

    pub fn pid(&self, part: &str) -> u64 {
        *self.pids(part, 1).first().expect("one")
    }

    fn processes(&self) -> Vec<u64> {
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| self.has(*pid)).collect()
    }

    /// Whether it is a process of this test. A program that writes a title over its environment is known by its directory.
    fn has(&self, pid: u64) -> bool {
        if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory.starts_with(self.path()))
        {
            return true;
        }
        let mark = format!("{MARK}={}", self.path().display());
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    }

    /// What is found of this test's processes, as kind and pid, and the whole report.
    pub fn audit(&self, arguments: &[&str]) -> (BTreeSet<(String, u64)>, Value) {
        let report = audit(arguments);
        let findings = report["findings"].as_array().expect("findings");
        let ours = findings.iter().filter_map(|finding| {
            let pid = finding["process"]["pid"].as_u64().expect("a pid");
            self.has(pid).then(|| (finding["kind"].as_str().expect("a kind").to_owned(), pid))
        });
        (ours.collect(), report.clone())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for pid in self.processes() {
            // SAFETY: plain numbers; it carries the mark of this test.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
    }
}

/// A child of the test. Killed and reaped when dropped: the test is no ghost itself.
pub struct Started(pub Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The report of a run that ends well.
pub fn audit(arguments: &[&str]) -> Value {
    let output = reapwatch().args(["audit", "--format", "json"]).args(arguments).output().expect("reapwatch");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("audit", &report);
    report
}

/// The finding of a kind on a process.
pub fn finding<'a>(report: &'a Value, kind: &str, pid: u64) -> &'a Value {
    let mut findings = report["findings"].as_array().expect("findings").iter();
    findings
        .find(|one| one["kind"] == kind && one["process"]["pid"] == pid)
        .unwrap_or_else(|| panic!("no {kind} {pid} in {report:#}"))
}

/// Whether one of its sentences has this in it.
pub fn says(finding: &Value, part: &str) -> bool {
    let evidence = finding["evidence"].as_array().expect("evidence");
    evidence.iter().any(|sentence| sentence.as_str().is_some_and(|sentence| sentence.contains(part)))
}
